//! Files that can't be sampled, or not as asked: each with a reason, none read in vain.

mod common;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Scratch, csv_rows, gzip, input, unzip};
use foreshadow_shadow::input::{AnyBytes, Kind, Unreadable};
use foreshadow_shadow::sample::{Note, SampleError, Samples, Strategy, Treatment};

fn attempt(path: &Path, fraction: f64) -> Result<(Vec<u8>, Vec<Note>), SampleError> {
    let mut out = Vec::new();
    let report = Samples::new(&[input(path)], 1).write(0, fraction, Strategy::Blocks, &mut out)?;
    Ok((out, report.notes))
}

#[test]
fn missing_and_empty() {
    let dir = Scratch::new();
    let error = attempt(&dir.path().join("none"), 0.1).unwrap_err();
    assert!(matches!(error, SampleError::Read { .. }));
    assert!(error.to_string().contains("none"), "{error}");
    let empty = dir.file("empty.csv", b"");
    let error = attempt(&empty, 0.1).unwrap_err();
    assert!(matches!(error, SampleError::Unsupported { .. }));
    // A header and nothing else stays as it is.
    let bare = dir.file("bare.csv", b"a,b,c\n");
    assert_eq!(attempt(&bare, 0.1).unwrap().0, b"a,b,c\n");
}

#[test]
fn unreadable() {
    let dir = Scratch::new();
    let path = dir.file("secret.csv", b"a,b\n1,2\n1,2\n1,2\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&path).is_ok() {
        eprintln!("SKIPPED unreadable: this user may read everything");
        return;
    }
    assert!(matches!(
        input(&path).kind,
        Kind::Unreadable(Unreadable::Refused(_))
    ));
    assert!(matches!(attempt(&path, 0.1), Err(SampleError::Read { .. })));
}

#[test]
fn a_huge_sparse_file_costs_nothing() {
    let dir = Scratch::new();
    let path = dir.path().join("sparse.bin");
    // As large as this file system lets a file be, up to 1 TiB.
    let file = File::create(&path).unwrap();
    let size = [1_u64 << 40, 1 << 36, 1 << 32]
        .into_iter()
        .find(|s| file.set_len(*s).is_ok())
        .unwrap();
    let found = input(&path);
    assert_eq!(found.bytes.get(), size);
    assert!(!found.can_be_sampled());
    assert!(matches!(
        attempt(&path, 0.1),
        Err(SampleError::Unsupported { .. })
    ));
    // With text at its start, a tiny part of it is holes beyond any line.
    let mut file = file;
    file.write_all("some text\n".repeat(40_000).as_bytes())
        .unwrap();
    let fraction = 100_000.0 / size as f64;
    let mut out = Vec::new();
    let report = Samples::new(&[input(&path)], 1)
        .write(0, fraction, Strategy::Contiguous, &mut out)
        .unwrap();
    assert!((90_000..110_000).contains(&out.len()));
    assert_eq!(report.records, Some(out.len() as u64 / 10));
}

#[test]
fn one_long_line() {
    let dir = Scratch::new();
    let line = dir.file("line.txt", "word ".repeat(2_000_000).as_bytes());
    let mut out = Vec::new();
    let report = Samples::new(&[input(&line)], 1)
        .write(0, 0.01, Strategy::Random, &mut out)
        .unwrap();
    assert_eq!(report.strategy, Strategy::Contiguous);
    assert!(report.notes.contains(&Note::RecordCut));
    assert_eq!(out.len(), 100_000);
    // A row or a value that is cut isn't one any more.
    let row = format!("a,b\n1,{}\n2,3\n", "x".repeat(20_000_000));
    let row = dir.file("row.csv", row.as_bytes());
    let error = attempt(&row, 0.001).unwrap_err();
    assert!(
        matches!(error, SampleError::RecordTooLong { .. }),
        "{error}"
    );
    let value = format!("[\"{}\"]", "x".repeat(20_000_000));
    let value = dir.file("value.json", value.as_bytes());
    assert!(matches!(
        attempt(&value, 0.001),
        Err(SampleError::RecordTooLong { .. })
    ));
}

#[test]
fn gzip_that_ends_too_early() {
    let dir = Scratch::new();
    let text = csv_rows(60_000).concat();
    let whole = gzip(text.as_bytes());
    let path = dir.file("cut.csv.gz", &whole[..whole.len() / 2]);
    // What is there can be taken ...
    let (out, notes) = attempt(&path, 0.2).unwrap();
    let out = String::from_utf8(unzip(&out)).unwrap();
    assert!(text.starts_with(&out) && out.ends_with('\n'));
    assert!(!notes.iter().any(|n| matches!(n, Note::Damaged(_))));
    // ... and what isn't is said.
    let (out, notes) = attempt(&path, 0.9).unwrap();
    let out = String::from_utf8(unzip(&out)).unwrap();
    assert!(text.starts_with(&out) && out.ends_with('\n'));
    assert!(
        notes.iter().any(|n| matches!(n, Note::Damaged(_))),
        "{notes:?}"
    );
}

#[test]
fn damage_in_the_middle() {
    let dir = Scratch::new();
    let mut fastq = "@r\nACGT\n+\nIIII\n".repeat(50_000);
    let middle = fastq.len() / 15 / 2 * 15;
    fastq.replace_range(middle..middle + 1, "x");
    let path = dir.file("r.fastq", fastq.as_bytes());
    let mut out = Vec::new();
    let report = Samples::new(&[input(&path)], 1)
        .write(0, 0.8, Strategy::Contiguous, &mut out)
        .unwrap();
    assert_eq!(out.len(), middle);
    assert!(matches!(report.notes[..], [Note::Damaged(_)]));
    assert!((report.fraction - 0.5).abs() < 0.01);
}

#[test]
fn marks_and_stray_bytes() {
    let dir = Scratch::new();
    // A byte order mark, CRLF, some NULs, and quotes that never close.
    let mut text = b"\xef\xbb\xbfid,name\r\n".to_vec();
    for i in 0..40_000 {
        let name = if i == 20_000 { "nul\0" } else { "plain" };
        text.extend(format!("{i},{name}\r\n").bytes());
    }
    let path = dir.file("bom.csv", &text);
    let (out, _) = attempt(&path, 0.1).unwrap();
    assert!(out.starts_with(b"\xef\xbb\xbfid,name\r\n"));
    assert!(out.ends_with(b"\r\n"));
    let rows = csv_rows(30_000);
    let stray = format!(
        "a,b,c\n{}1,\"never closed,2\n{}",
        rows.concat(),
        rows.concat()
    );
    let path = dir.file("stray.csv", stray.as_bytes());
    let mut out = Vec::new();
    let report = Samples::new(&[input(&path)], 1)
        .write(0, 0.7, Strategy::Contiguous, &mut out)
        .unwrap();
    assert!((report.fraction - 0.7).abs() < 0.05, "{report:?}");
    assert!(stray.as_bytes().starts_with(&out));
}

#[test]
fn any_bytes_will_do_for_some_commands() {
    let dir = Scratch::new();
    let bytes: Vec<u8> = (0..300_000_u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect();
    let path = dir.file("blob", &bytes);
    assert!(matches!(
        attempt(&path, 0.1),
        Err(SampleError::Unsupported { .. })
    ));
    for strategy in [Strategy::Contiguous, Strategy::Blocks, Strategy::Random] {
        let mut out = Vec::new();
        let report = Samples::new(&[input(&path)], 1)
            .with_any_bytes(AnyBytes::File)
            .write(0, 0.1, strategy, &mut out)
            .unwrap();
        assert!((report.fraction - 0.1).abs() < 0.02, "{report:?}");
        assert_eq!(report.records, None);
    }
    // A decompressor needs valid data around whatever there is.
    let packed = dir.file("blob.gz", &gzip(&bytes));
    assert!(matches!(
        attempt(&packed, 0.1),
        Err(SampleError::Unsupported { .. })
    ));
    let mut out = Vec::new();
    let report = Samples::new(&[input(&packed)], 1)
        .with_any_bytes(AnyBytes::Content)
        .write(0, 0.1, Strategy::Contiguous, &mut out)
        .unwrap();
    let out = unzip(&out);
    assert!(bytes.starts_with(&out));
    assert!((report.fraction - 0.1).abs() < 0.02, "{report:?}");
}

#[test]
fn a_full_disk_is_an_error_of_writing() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = Scratch::new();
    let text = csv_rows(50_000).concat();
    let plain = dir.file("a.csv", text.as_bytes());
    let packed = dir.file("a.csv.gz", &gzip(text.as_bytes()));
    for path in [plain, packed] {
        let error = Samples::new(&[input(&path)], 1)
            .write(0, 0.5, Strategy::Blocks, &mut Full)
            .unwrap_err();
        let SampleError::Write { source, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn nonsense_is_refused() {
    let dir = Scratch::new();
    let path = dir.file("a.csv", csv_rows(10).concat().as_bytes());
    let mut samples = Samples::new(&[input(&path)], 1);
    for fraction in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
        let error = samples
            .write(0, fraction, Strategy::Blocks, &mut Vec::new())
            .unwrap_err();
        assert!(matches!(error, SampleError::Fraction(_)));
    }
    assert!(matches!(
        samples.write(1, 0.5, Strategy::Blocks, &mut Vec::new()),
        Err(SampleError::NoSuchInput { index: 1, count: 1 })
    ));
}

#[test]
fn plans_say_what_stays_whole_and_why() {
    let dir = Scratch::new();
    let large = dir.file("large.csv", csv_rows(60_000).concat().as_bytes());
    let names = dir.file("names.txt", "name\n".repeat(2000).as_bytes());
    let database = dir.file(
        "x.db",
        &[b"SQLite format 3\0".as_slice(), &[0; 500_000]].concat(),
    );
    let mut samples = Samples::new(&[input(&large), input(&names), input(&database)], 1);
    let plan = samples.plan();
    assert_eq!(plan.treatments[..2], [Treatment::Sampled, Treatment::Minor]);
    assert!(
        matches!(&plan.treatments[2], Treatment::Whole(why) if why.contains("SQLite")),
        "{plan:?}"
    );
    assert!((0.5..0.8).contains(&plan.coverage), "{plan:?}");
    assert_eq!(plan.sampled().collect::<Vec<_>>(), [0]);
    // Tables of as many rows shrink by the same rows.
    let left = dir.file("left.txt", "left line\n".repeat(30_000).as_bytes());
    let right = dir.file("right.txt", "r\n".repeat(30_000).as_bytes());
    let mut samples = Samples::new(&[input(&left), input(&right)], 1);
    assert_eq!(
        samples.plan().treatments,
        [Treatment::Together(0), Treatment::Together(0)]
    );
    let (mut a, mut b) = (Vec::new(), Vec::new());
    samples.write(0, 0.1, Strategy::Blocks, &mut a).unwrap();
    samples.write(1, 0.1, Strategy::Blocks, &mut b).unwrap();
    assert_eq!((a.len(), b.len()), (30_000, 6000));
    // So do versions of one text.
    let lines: Vec<String> = (0..30_000).map(|i| format!("line {i} of both\n")).collect();
    let before = dir.file("before.txt", lines.concat().as_bytes());
    let after = dir.file("after.txt", lines[10..].concat().as_bytes());
    let plan = Samples::new(&[input(&before), input(&after)], 1).plan();
    assert_eq!(
        plan.treatments,
        [Treatment::Together(0), Treatment::Together(0)]
    );
}

#[test]
fn what_reads_are_compared_with_stays_whole() {
    let dir = Scratch::new();
    let genome = dir.file(
        "g.fa",
        format!(">g\n{}", "ACGTTGCAAC\n".repeat(40_000)).as_bytes(),
    );
    let reads = dir.file(
        "r.fq",
        "@r\nACGTACGT\n+\nIIIIIIII\n".repeat(30_000).as_bytes(),
    );
    let plan = Samples::new(&[input(&genome), input(&reads)], 1).plan();
    assert!(
        matches!(&plan.treatments[0], Treatment::Whole(_)),
        "{plan:?}"
    );
    assert_eq!(plan.treatments[1], Treatment::Sampled);
}
