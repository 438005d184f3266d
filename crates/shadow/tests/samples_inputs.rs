//! Finding inputs in commands, on standard input, and among opened files.

mod common;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::Scratch;
use foreshadow_shadow::format::{Content, Doubt};
use foreshadow_shadow::input::{
    Exclusion, Input, Kind, Origin, Reference, Request, Role, StandardInput, Unreadable, discover,
    merge_opened,
};

fn find(dir: &Scratch, argv: &[&str]) -> Vec<Input> {
    let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
    discover(Request {
        argv: &argv,
        cwd: dir.path(),
        stdin: StandardInput::Nothing,
        named: &[],
    })
}

/// Names and roles, in the order found.
fn brief(inputs: &[Input]) -> Vec<(String, Role)> {
    inputs
        .iter()
        .map(|i| {
            let name = i.path.file_name().unwrap_or(OsStr::new("."));
            (name.to_string_lossy().into_owned(), i.role)
        })
        .collect()
}

fn data(name: &str) -> (String, Role) {
    (name.into(), Role::Data)
}

fn output(name: &str) -> (String, Role) {
    (name.into(), Role::Output)
}

fn scratch() -> Scratch {
    let dir = Scratch::new();
    for name in ["a.csv", "b.csv", "out.csv", "c d.csv"] {
        dir.file(name, "x,y\n1,2\n3,4\n5,6\n".as_bytes());
    }
    dir.file("run.py", b"print(1)\n");
    dir.file("conf.toml", b"a = 1\n");
    fs::create_dir(dir.path().join("files")).unwrap();
    dir.file("files/1.txt", b"one\n");
    dir
}

#[test]
fn arguments_and_options() {
    let dir = scratch();
    let found = find(&dir, &["sort", "-t,", "-k3,3n", "a.csv", "-o", "out.csv"]);
    assert_eq!(brief(&found), [data("a.csv"), output("out.csv")]);
    assert_eq!(found[0].origin, Origin::Argument(3));
    assert_eq!(found[1].origin, Origin::Option(5));

    let found = find(
        &dir,
        &[
            "tool",
            "--in=a.csv",
            "-ib.csv",
            "--output=out.csv",
            "--config",
            "conf.toml",
        ],
    );
    let config = (
        "conf.toml".into(),
        Role::Reference(Reference::Configuration),
    );
    assert_eq!(
        brief(&found),
        [data("a.csv"), data("b.csv"), output("out.csv"), config]
    );

    assert_eq!(
        brief(&find(&dir, &["dd", "if=a.csv", "of=out.csv", "bs=1M"])),
        [data("a.csv"), output("out.csv")]
    );
    assert_eq!(
        brief(&find(
            &dir,
            &[
                "tool",
                "a.csv,b.csv",
                "@out.csv",
                "nothing",
                "-",
                "--",
                "-x"
            ]
        )),
        [data("a.csv"), data("b.csv"), data("out.csv")]
    );
    assert_eq!(
        brief(&find(&dir, &["grep", "-r", "x", "files"])),
        [data("files")]
    );
    assert_eq!(
        brief(&find(&dir, &["cp", "a.csv", "out.csv"])),
        [data("a.csv"), output("out.csv")]
    );
    assert_eq!(
        brief(&find(&dir, &["tar", "-czf", "out.csv", "files"])),
        [output("out.csv"), data("files")]
    );
    assert_eq!(brief(&find(&dir, &["tar", "xf", "a.csv"])), [data("a.csv")]);
    // Relative to the directory that is changed to; but -C isn't always that.
    assert_eq!(
        brief(&find(
            &dir,
            &["tar", "-C", "files", "-cf", "new.tar", "1.txt"]
        )),
        [data("1.txt")]
    );
    assert_eq!(
        brief(&find(&dir, &["count", "-C", "a.csv"])),
        [data("a.csv")]
    );
    // Within a query or a program.
    assert_eq!(
        brief(&find(
            &dir,
            &[
                "sqlite3",
                "new.db",
                ".import a.csv t",
                "select 1.5 / 2 from 't'"
            ]
        )),
        [data("a.csv")]
    );
    assert_eq!(
        brief(&find(
            &dir,
            &["python3", "-c", "open('b.csv')  # and files/1.txt"]
        )),
        [data("b.csv"), data("1.txt")]
    );
    assert_eq!(
        brief(&find(&dir, &["7z", "a", "out.csv", "files"])),
        [output("out.csv"), data("files")]
    );
    // Read and written: read.
    assert_eq!(
        brief(&find(&dir, &["sort", "-o", "a.csv", "a.csv"])),
        [data("a.csv")]
    );
}

#[test]
fn interpreters_have_scripts() {
    let dir = scratch();
    let script = ("run.py".into(), Role::Script);
    assert_eq!(
        brief(&find(&dir, &["python3", "-u", "run.py", "a.csv"])),
        [script.clone(), data("a.csv")]
    );
    assert_eq!(
        brief(&find(&dir, &["python3", "-c", "import sys", "a.csv"])),
        [data("a.csv")]
    );
    assert_eq!(
        brief(&find(
            &dir,
            &[
                "timeout", "10", "nice", "-n", "5", "sort", "a.csv", "-o", "out.csv"
            ]
        )),
        [data("a.csv"), output("out.csv")]
    );
    assert_eq!(
        brief(&find(&dir, &["env", "A=b", "bash", "run.py", "b.csv"])),
        [script, data("b.csv")]
    );
}

#[test]
fn scripts_of_shells_are_opened() {
    let dir = scratch();
    let found = find(
        &dir,
        &[
            "sh",
            "-ec",
            "cat 'c d.csv' \"a.csv\" | sort <b.csv | uniq > out.csv",
        ],
    );
    assert_eq!(
        brief(&found),
        [
            data("c d.csv"),
            data("a.csv"),
            data("b.csv"),
            output("out.csv")
        ]
    );
    assert_eq!(found[0].origin, Origin::Script(2));
    let found = find(
        &dir,
        &[
            "bash",
            "-c",
            "wc -l < missing.txt; sort \"$1\"",
            "x",
            "a.csv",
        ],
    );
    assert_eq!(brief(&found), [data("missing.txt"), data("a.csv")]);
    assert_eq!(found[0].kind, Kind::Unreadable(Unreadable::Missing));
    let script = "for f in files/*.txt *.csv; do awk '{ n[$1]++ } /*/' $f; done";
    let found = find(&dir, &["sh", "-c", script]);
    let names = ["1.txt", "a.csv", "b.csv", "c d.csv", "out.csv"];
    assert_eq!(brief(&found), names.map(data));
    for i in 0..20 {
        dir.file(format!("files/many{i}.log"), b"x\n");
    }
    let found = find(
        &dir,
        &["sh", "-c", "cat files/many?*.log files/none* > out.csv"],
    );
    assert_eq!(brief(&found), [data("files"), output("out.csv")]);
    let found = find(&dir, &["timeout", "5", "sh", "-c", "sort a.csv -o out.csv"]);
    assert_eq!(brief(&found), [data("a.csv"), output("out.csv")]);
}

#[test]
fn standard_input_of_every_kind() {
    let dir = scratch();
    let with = |fd: &dyn AsFd| {
        discover(Request {
            argv: &["sort".into()],
            cwd: dir.path(),
            stdin: StandardInput::Descriptor(fd.as_fd()),
            named: &[],
        })
    };
    let path = dir.path().join("a.csv");
    let file = File::open(&path).unwrap();
    let found = with(&file);
    assert_eq!(found[0].origin, Origin::Stdin);
    assert_eq!(found[0].real, path.canonicalize().unwrap());
    assert!(found[0].can_be_sampled());
    // The same file as an argument counts once.
    let both = discover(Request {
        argv: &["sort".into(), "a.csv".into()],
        cwd: dir.path(),
        stdin: StandardInput::Descriptor(file.as_fd()),
        named: &[],
    });
    assert_eq!(both.len(), 1);

    let (reader, _writer) = std::io::pipe().unwrap();
    let found = with(&reader);
    assert_eq!(found[0].kind, Kind::Unreadable(Unreadable::Pipe));
    assert!(found[0].format_name().contains("can't be replayed"));
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(with(&socket)[0].kind, Kind::Unreadable(Unreadable::Socket));
    assert!(with(&File::open("/dev/null").unwrap()).is_empty());
    let zero = File::open("/dev/zero").unwrap();
    assert_eq!(with(&zero)[0].kind, Kind::Unreadable(Unreadable::Device));
    let gone = dir.file("gone", b"x\n");
    let file = File::open(&gone).unwrap();
    fs::remove_file(&gone).unwrap();
    assert_eq!(with(&file)[0].kind, Kind::Unreadable(Unreadable::Missing));
}

#[test]
fn odd_files_have_reasons() {
    let dir = scratch();
    std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).unwrap();
    std::os::unix::fs::symlink("a.csv", dir.path().join("link")).unwrap();
    let strange = OsStr::from_bytes(b"n\xff\n .csv");
    dir.file(strange, b"x,y\n1,2\n1,2\n1,2\n");
    dir.file("empty", b"");
    let status = std::process::Command::new("mkfifo")
        .arg(dir.path().join("fifo"))
        .status()
        .unwrap();
    assert!(status.success());
    let argv: Vec<OsString> = [
        "cat",
        "dangling",
        "link",
        "empty",
        "fifo",
        "/",
        "/proc",
        "/dev/zero",
    ]
    .iter()
    .map(OsString::from)
    .chain([strange.to_owned()])
    .collect();
    let found = discover(Request {
        argv: &argv,
        cwd: dir.path(),
        stdin: StandardInput::Nothing,
        named: &[PathBuf::from("not there")],
    });
    let kinds: Vec<&Kind> = found.iter().map(|i| &i.kind).collect();
    assert_eq!(kinds[0], &Kind::Unreadable(Unreadable::Missing));
    assert_eq!(kinds[1], &Kind::Unreadable(Unreadable::DanglingLink));
    assert_eq!(
        found[2].real,
        dir.path().canonicalize().unwrap().join("a.csv")
    );
    assert!(matches!(kinds[3], Kind::File(f) if f.content == Content::Empty));
    assert_eq!(kinds[4], &Kind::Unreadable(Unreadable::Pipe));
    assert_eq!(kinds[5], &Kind::Unreadable(Unreadable::SystemDirectory));
    assert_eq!(kinds[6], &Kind::Unreadable(Unreadable::SystemDirectory));
    assert_eq!(kinds[7], &Kind::Unreadable(Unreadable::Device));
    assert!(found[8].can_be_sampled());
    assert_eq!(found[8].path.file_name(), Some(strange));
    assert!(found.iter().take(8).filter(|i| i.can_be_sampled()).count() == 1);
}

#[test]
fn content_comes_before_the_name() {
    let dir = Scratch::new();
    let look = |name: &str, content: &[u8]| {
        let path = dir.file(name, content);
        match common::input(&path).kind {
            Kind::File(format) => format,
            other => panic!("{other:?}"),
        }
    };
    let garbage: Vec<u8> = (0..100_000_u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect();
    let csv = look("garbage.csv", &garbage);
    assert_eq!(csv.content, Content::Binary);
    assert_eq!(csv.doubt, Some(Doubt::NameDisagrees { suffix: "csv" }));
    assert!(!csv.can_be_sampled());
    let gz = look("garbage.gz", &garbage);
    assert_eq!(gz.doubt, Some(Doubt::NameDisagrees { suffix: "gz" }));
    let mut damaged = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec();
    damaged.extend(&garbage);
    assert!(matches!(
        look("d.gz", &damaged).doubt,
        Some(Doubt::Corrupt(_))
    ));
    let whole = common::gzip("a line\n".repeat(10).as_bytes());
    let cut = look("cut.txt.gz", &whole[..whole.len() - 6]);
    assert_eq!(cut.doubt, Some(Doubt::Truncated));

    let name = |n: &str, c: &[u8]| look(n, c).to_string();
    assert_eq!(name("x", b"a,b\n1,2\n3,4\n5,6\n"), "csv");
    assert_eq!(name("x", b"a\tb\n1\t2\n3\t4\n5\t6\n"), "tsv");
    assert_eq!(name("x.csv", b"a;b\n1,5;2\n3;4,1\n5;6\n"), "csv");
    assert_eq!(
        name("x", b"Once, there was\na man.\nHe lived, long, ago.\n"),
        "lines"
    );
    assert_eq!(name("x", b"{\"a\":1}\n{\"a\":2}\n"), "jsonl");
    assert_eq!(name("x", b"[{\"a\":1},\n{\"a\":2}]\n"), "json");
    assert_eq!(name("x", b"{\n  \"a\": 1\n}\n"), "one JSON object");
    assert_eq!(name("x", b">s\nACGT\n"), "fasta");
    assert_eq!(name("x", b"@r\nACGT\n+\nIIII\n"), "fastq");
    assert_eq!(name("x", b"@HD\tVN:1.6\n@SQ\tSN:1\tLN:5\n"), "sam");
    assert_eq!(name("x", b"SQLite format 3\0rest"), "SQLite database");
    assert_eq!(name("x.csv", b"PAR1rest"), "Parquet");
    assert_eq!(name("x.xml", b"<?xml version=\"1.0\"?>\n"), "source text");
    assert_eq!(
        name("x.mtx", b"%%MatrixMarket matrix\n2 2 1\n1 1 1\n"),
        "text that counts its own lines"
    );
    assert_eq!(name("x", b"a\0bc\0def\0g\0"), "lines");
    assert_eq!(
        name("x.gz", &common::gzip(b"a,b\n1,2\n3,4\n5,6\n")),
        "csv.gz"
    );
    assert_eq!(
        name(
            "x.vcf.gz",
            &common::bgzf(b"##fileformat=VCFv4.2\n#C\n1\t2\n")
        ),
        "vcf.bgz"
    );
    assert_eq!(name("x", b"\xfd7zXZ\0\0\x04"), "xz data.xz");
    let Content::Delimited {
        header, columns, ..
    } = look("h.csv", b"id,n\n1,x\n2,y\n").content
    else {
        panic!("no table")
    };
    assert!(header);
    assert_eq!(columns, Some(2));
    let Content::Delimited { header, .. } = look("n.csv", b"7,n\n1,x\n2,y\n").content else {
        panic!("no table")
    };
    assert!(!header);
}

#[test]
fn opened_files_are_told_apart() {
    let dir = scratch();
    let big = dir.file("opened.csv", "x,y\n1,2\n".repeat(20_000).as_bytes());
    fs::create_dir(dir.path().join("many")).unwrap();
    let mut opened = vec![
        big.clone(),
        big.clone(),
        dir.path().join("a.csv"),
        dir.path().join("b.csv"),
        "/proc/self/maps".into(),
        "/usr/share/zoneinfo/UTC".into(),
        "/usr/lib/libx.so.6".into(),
        dir.path().join("lib/python3/site-packages/x/data.bin"),
        dir.path().join(".cache/x"),
        dir.path().join("gone"),
        dir.path().join("files/1.txt"),
    ];
    for i in 0..40 {
        opened.push(dir.file(format!("many/{i}.txt"), &[b'x'; 3000]));
    }
    let known = find(&dir, &["tool", "a.csv", "files"]);
    let merged = merge_opened(known, &opened, &[], &PathBuf::from("/"));
    assert_eq!(
        brief(&merged.inputs),
        [
            data("a.csv"),
            data("files"),
            data("many"),
            data("opened.csv")
        ]
    );
    assert!(
        merged.inputs[2..]
            .iter()
            .all(|i| i.origin == Origin::Opened)
    );
    let why = |name: &str| {
        let found: Vec<_> = merged
            .excluded
            .iter()
            .filter(|(p, _)| p.ends_with(Path::new(name)))
            .collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].1
    };
    assert!(matches!(why("b.csv"), Exclusion::Small(_)));
    assert_eq!(why("self/maps"), Exclusion::Kernel);
    assert_eq!(why("UTC"), Exclusion::Locale);
    assert_eq!(why("libx.so.6"), Exclusion::Library);
    assert_eq!(why("data.bin"), Exclusion::Code);
    assert_eq!(why(".cache/x"), Exclusion::HiddenCache);
    assert_eq!(why("gone"), Exclusion::NotRegular);
    assert_eq!(merged.excluded.len(), 7);
}

#[test]
fn very_long_arguments_do_no_harm() {
    let dir = scratch();
    let long = "x".repeat(1 << 20);
    let list = "nothing,".repeat(1 << 17);
    let found = find(
        &dir,
        &["tool", &long, &list, "a.csv", &format!("--x={long}")],
    );
    assert_eq!(brief(&found), [data("a.csv")]);
}
