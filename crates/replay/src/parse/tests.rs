use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn columns() -> Columns {
    Columns::default()
}

fn parse(text: &str) -> Trace {
    read(text.as_bytes(), &columns()).unwrap()
}

fn error(text: &str) -> String {
    read(text.as_bytes(), &columns()).unwrap_err().to_string()
}

fn skipped(t: &Trace, reason: &str) -> u64 {
    t.skipped.get(reason).copied().unwrap_or(0)
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut e = GzEncoder::new(Vec::new(), Compression::default());
    e.write_all(bytes).unwrap();
    e.finish().unwrap()
}

const NEXTFLOW: &str = "task_id\tprocess\tstatus\tmemory\trealtime\tpeak_rss\trss\trchar\tstart\tcomplete\t%cpu\n\
1\talign\tCOMPLETED\t4 GB\t1m 30s\t1.5 GB\t1.4 GB\t2 GB\t2024-06-25 08:00:00.000\t2024-06-25 08:01:30.000\t150%\n\
2\talign\tCOMPLETED\t4294967296\t90000\t1610612736\t-\t-\t1719302400000\t1719302490000\t-\n";

#[test]
fn nextflow_human_and_raw_units_in_one_file() {
    let t = parse(NEXTFLOW);
    assert_eq!(t.tasks.len(), 2);
    assert_eq!(t.target, "peak_rss");
    let (a, b) = (t.tasks[0], t.tasks[1]);
    assert_eq!((a.peak, b.peak), (1_610_612_736.0, 1_610_612_736.0));
    assert_eq!((a.seconds, b.seconds), (90.0, 90.0));
    assert_eq!(a.requested, Some(4_294_967_296.0));
    assert_eq!(a.ended, b.ended);
    assert_eq!(a.cores, Some(1.5));
    assert_eq!(b.cores, None);
    // A missing feature is missing, not 0.
    assert_eq!(t.values_of(0), [2_147_483_648.0]);
    assert!(t.values_of(1)[0].is_nan());
    let rss = Columns {
        prefer_rss: true,
        ..columns()
    };
    let t = read(NEXTFLOW.as_bytes(), &rss).unwrap();
    assert_eq!((t.tasks.len(), skipped(&t, "rss is missing")), (1, 1));
}

#[test]
fn broken_rows_are_counted_with_the_reason_and_not_fatal() {
    let t = parse(
        "process,status,realtime,peak_rss,memory,start,complete\n\
         a,COMPLETED,1000,100,200,1000,2000\n\
         a,COMPLETED,1000,100,200,1000,2000\n\
         a,COMPLETED,1000,-100,200,1000,2000\n\
         a,COMPLETED,1000,nan,200,1000,2000\n\
         a,COMPLETED,1000,0,200,1000,2000\n\
         a,COMPLETED,1000,9e99,200,1000,2000\n\
         a,COMPLETED,-5,100,200,1000,2000\n\
         a,COMPLETED,-,100,200,9000,2000\n\
         a,COMPLETED,-,101,200,1719302405000,1719302407000\n\
         a,COMPLETED,1000\n\
         -,COMPLETED,1000,100,200,1000,2000\n\
         a,RUNNING,1000,100,200,1000,2000\n\
         a,FAILED,1000,150,200,1000,2000\n\
         \"a, with \"\"comma\"\"\",COMPLETED,1000,100,-,1000,2000\n",
    );
    assert_eq!(t.read, 14);
    assert_eq!(t.tasks.len(), 4);
    assert_eq!(t.tasks[1].seconds, 2.0);
    assert!(!t.tasks[2].complete);
    assert_eq!(t.tasks[3].requested, None);
    assert_eq!(t.processes, ["a", "a, with \"comma\""]);
    for (reason, n) in [
        ("duplicate row", 1),
        ("peak_rss is negative", 1),
        ("peak_rss is not a number", 1),
        ("peak_rss is 0: not measured", 1),
        ("peak_rss is absurdly large", 1),
        ("run time is negative", 1),
        ("run time is missing, and it ended before it started", 1),
        ("wrong number of columns", 1),
        ("process is missing", 1),
        ("status says the task has not finished", 1),
    ] {
        assert_eq!(skipped(&t, reason), n, "{reason}: {:?}", t.skipped);
    }
    assert_eq!(
        t.read,
        t.tasks.len() as u64 + t.skipped.values().sum::<u64>()
    );
}

#[test]
fn errors_say_what_was_looked_for_and_found() {
    let e = error("process,realtime,foo\na,1,2\n");
    assert_eq!(
        e,
        "no column for the peak memory: looked for peak_rss, rss, peak_memory, max_rss; found process, realtime, foo"
    );
    assert!(error("realtime,rss\n1,2\n").contains("no column for the process"));
    assert!(error("process,rss\na,2\n").contains("no column for the run time"));
    assert!(error("").contains("empty"));
    assert!(error("\n\n  \n").contains("empty"));
    assert!(error("process,rss,realtime\n").contains("empty"));
    assert!(error("hello world\n").contains("no known format"));
    let e = error("process,rss,realtime\na,0,1\nb,-,1\n");
    assert_eq!(
        e,
        "none of the 2 rows can be used: rss is 0: not measured (1), rss is missing (1)"
    );
    let wanted = Columns {
        features: vec!["no_such".to_owned()],
        ..columns()
    };
    let e = read(NEXTFLOW.as_bytes(), &wanted).unwrap_err().to_string();
    assert!(e.contains("no_such") && e.contains("rchar"), "{e}");
    // A terminal is not written to by a file's control characters.
    assert!(!error("\u{1b}[31m|x|\n").contains('\u{1b}'));
}

#[test]
fn compressed_whole_and_cut() {
    let mut text = String::from("process,rss,realtime\n");
    for i in 0..20_000 {
        text.push_str(&format!(
            "p{},{},{}\n",
            i % 7,
            1_000_000 + i * 7919 % 10_007,
            1000 + i
        ));
    }
    let whole = gz(text.as_bytes());
    let t = read(whole.as_slice(), &columns()).unwrap();
    assert_eq!(t.tasks.len(), 20_000);
    assert!(t.warnings.is_empty());
    let t = read(&whole[..whole.len() / 2], &columns()).unwrap();
    assert!(t.tasks.len() > 1000 && t.tasks.len() < 20_000);
    assert!(t.warnings[0].contains("ends early"), "{:?}", t.warnings);
    // Nothing but the magic number.
    assert!(read(&whole[..2], &columns()).is_err());
    // Two members one after the other, as bgzip writes them.
    let mut both = gz(b"process,rss,realtime\na,1,2\n");
    both.extend(gz(b"b,3,4\n"));
    assert_eq!(read(both.as_slice(), &columns()).unwrap().tasks.len(), 2);
}

#[test]
fn sacct_jobs_are_put_together_from_their_steps() {
    let t = parse(
        "JobID|JobName|State|Elapsed|ReqMem|MaxRSS|AllocCPUS|Start|End\n\
         10|align|COMPLETED|01:00:00|4Gc||2|2024-01-01T00:00:00|2024-01-01T01:00:00\n\
         10.batch|batch|COMPLETED|01:00:00||1048576K|2|2024-01-01T00:00:00|2024-01-01T01:00:00\n\
         10.0|align|COMPLETED|00:59:00||2G|2|2024-01-01T00:00:00|2024-01-01T00:59:00\n\
         11|align|OUT_OF_MEMORY|1-00:00:00|4000M||1|Unknown|Unknown\n\
         11.batch|batch|OUT_OF_MEMORY|1-00:00:00||3.5G|1|Unknown|Unknown\n\
         12|align|RUNNING|00:10:00|4G||1|2024-01-01T00:00:00|Unknown\n\
         13|align|CANCELLED by 5|00:10:00|4G||1|2024-01-01T00:00:00|Unknown\n\
         14|align|COMPLETED|00:10:00|4G|0|1|2024-01-01T00:00:00|Unknown\n",
    );
    assert_eq!(t.tasks.len(), 2);
    let a = t.tasks[0];
    assert_eq!(
        (a.peak, a.seconds, a.complete),
        (2_147_483_648.0, 3600.0, true)
    );
    assert_eq!(a.requested, Some(8_589_934_592.0));
    let b = t.tasks[1];
    assert_eq!((b.seconds, b.complete, b.ended), (86400.0, false, None));
    assert_eq!(b.requested, Some(4_194_304_000.0));
    assert_eq!(t.read, 5);
    assert_eq!(skipped(&t, "state says the job has not finished"), 1);
    assert_eq!(skipped(&t, "MaxRSS is missing"), 1);
    assert_eq!(skipped(&t, "MaxRSS is 0: not measured"), 1);
}

#[test]
fn swf_with_its_missing_values() {
    let t = parse(
        "; Version: 2.2\n; UnixStartTime: 0\n\
         1 0 10 100 4 50 2048 4 200 4096 1 7 1 3 1 1 -1 -1\n\
         2 5 10 100 -1 -1 2048 2 200 -1 0 7 1 3 1 1 -1 -1\n\
         3 6 10 100 4 50 -1 4 200 4096 1 7 1 3 1 1 -1 -1\n\
         4 7 10 100 4 50 0 4 200 4096 1 7 1 3 1 1 -1 -1\n\
         5 7 10 -7 4 50 1 4 200 4096 1 7 1 3 1 1 -1 -1\n\
         6 7 10 x\n",
    );
    assert_eq!(t.tasks.len(), 2);
    let a = t.tasks[0];
    assert_eq!(a.peak, 2048.0 * 1024.0 * 4.0);
    assert_eq!(a.requested, Some(4096.0 * 1024.0 * 4.0));
    assert_eq!(
        (a.started, a.ended, a.complete),
        (Some(10.0), Some(110.0), true)
    );
    assert_eq!(a.cores, Some(2.0));
    assert_eq!(t.processes, ["user 7 executable 3"]);
    assert!(!t.tasks[1].complete);
    assert_eq!(t.tasks[1].requested, None);
    assert_eq!(t.values_of(0), [4.0, 200.0]);
    assert_eq!(t.skipped.values().sum::<u64>(), 4);
}

#[test]
fn own_outcomes_by_line_and_as_an_array() {
    let one = r#"{"schema":"foreshadow.outcome/1","task_id":"a","command":["/usr/bin/sort","x"],"exit_code":0,"signal":null,"cause_of_death":null,"prediction":{"inputs":[{"path":"x","bytes":1000}]},"reservation":{"memory_bytes":5000},"actual":{"peak_memory_bytes":4000,"cpu_seconds":3.0,"wall_seconds":2.0}}"#;
    let died = r#"{"command":["sort"],"exit_code":137,"signal":9,"cause_of_death":"oom_cgroup","reservation":null,"actual":{"peak_memory_bytes":5000,"wall_seconds":1.0}}"#;
    let lines = format!("{one}\n{died}\n{{\"command\":[\"x\"]}}\nnot json\n{{\"command\":3}}\n");
    let t = parse(&lines);
    assert_eq!(t.tasks.len(), 2);
    assert_eq!(t.processes, ["sort"]);
    assert_eq!(t.values_of(0), [1000.0]);
    assert_eq!(
        (t.tasks[0].requested, t.tasks[0].cores),
        (Some(5000.0), Some(1.5))
    );
    assert!(t.tasks[0].complete && !t.tasks[1].complete);
    assert_eq!(t.skipped.values().sum::<u64>(), 3, "{:?}", t.skipped);
    let t = parse(&format!("[{one},\n{died}]"));
    assert_eq!(t.tasks.len(), 2);
}

proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for format in [Format::Nextflow, Format::Sacct, Format::Swf, Format::Foreshadow] {
            let _ = read(bytes.as_slice(), &Columns { format: Some(format), ..columns() });
        }
        let _ = read(bytes.as_slice(), &columns());
    }

    #[test]
    fn no_cell_panics(cells in proptest::collection::vec("[-+0-9.eEnaif :KMGTB\"]{0,12}", 7)) {
        for (header, delimiter) in [
            ("process,status,realtime,peak_rss,memory,start,complete", ","),
            ("JobID|State|Elapsed|MaxRSS|ReqMem|Start|End", "|"),
        ] {
            let text = format!("{header}\n{}\n", cells.join(delimiter));
            let _ = read(text.as_bytes(), &columns());
        }
        let text = format!("; swf\n{}\n", cells.join(" "));
        let _ = read(text.as_bytes(), &columns());
    }
}
