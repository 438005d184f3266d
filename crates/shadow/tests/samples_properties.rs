//! What must hold for any file: samples parse back into records of the original, in order, under
//! the same header, of the right size, and the same for the same seed; and no bytes whatever make
//! it panic.

mod common;

use std::path::Path;

use common::{Scratch, bgzf, gzip, input, unzip};
use foreshadow_shadow::input::AnyBytes;
use foreshadow_shadow::sample::{SampleReport, Samples, Strategy as Pick};
use proptest::prelude::*;

fn picks() -> impl Strategy<Value = Pick> {
    prop_oneof![
        Just(Pick::Contiguous),
        Just(Pick::Blocks),
        Just(Pick::Random)
    ]
}

fn sample(path: &Path, fraction: f64, pick: Pick, seed: u64) -> (Vec<u8>, SampleReport) {
    let mut samples = Samples::new(&[input(path)], seed);
    let mut out = Vec::new();
    let report = samples.write(0, fraction, pick, &mut out).unwrap();
    let mut again = Vec::new();
    let second = samples.write(0, fraction, pick, &mut again).unwrap();
    assert_eq!((&out, report.records), (&again, second.records));
    (out, report)
}

/// Whether `part` follows from `whole` by leaving out records.
fn is_subsequence<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|p| rest.any(|w| w == p))
}

/// The size is right: to the nearest record at a prefix, and about right elsewhere.
fn check_size(report: &SampleReport, fraction: f64, records: &[Vec<u8>]) {
    let total: usize = records.iter().map(Vec::len).sum();
    let longest = records.iter().map(Vec::len).max().unwrap_or(0);
    let taken = report.fraction * total as f64;
    let wanted = fraction * total as f64;
    // The first record is taken whatever its size.
    let slack = longest as f64 + 1.0;
    assert!(
        taken <= wanted + slack,
        "{taken} of {wanted}, longest {longest}"
    );
    if report.strategy == Pick::Contiguous {
        assert!(
            taken >= wanted - slack,
            "{taken} of {wanted}, longest {longest}"
        );
    }
    assert!(taken > 0.0);
}

/// A CSV reader of its own: rows of fields.
fn parse_csv(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = text.iter().copied().peekable();
    let mut quoted = false;
    while let Some(b) = bytes.next() {
        match b {
            b'"' if quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
                field.push(b'"');
            }
            b'"' => quoted = !quoted,
            b',' if !quoted => row.push(std::mem::take(&mut field)),
            b'\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            _ => field.push(b),
        }
    }
    assert!(
        !quoted && field.is_empty() && row.is_empty(),
        "cut inside a row"
    );
    rows
}

fn csv_field() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9 .]{0,12}",
        1 => "[a-z,\"\n]{1,20}",
        1 => Just("x\n1,2,3\n4,5,6\n".to_owned()),
    ]
}

fn write_csv(rows: &[Vec<String>]) -> Vec<Vec<u8>> {
    rows.iter()
        .map(|row| {
            let fields: Vec<String> = row
                .iter()
                .map(|f| {
                    if f.contains([',', '"', '\n']) {
                        format!("\"{}\"", f.replace('"', "\"\""))
                    } else {
                        f.clone()
                    }
                })
                .collect();
            (fields.join(",") + "\n").into_bytes()
        })
        .collect()
}

/// Few random records, many times over with a number in each: large enough for blocks.
fn repeat<T>(some: &[T], times: usize, mut with: impl FnMut(usize, &T) -> T) -> Vec<T> {
    (0..times)
        .flat_map(|t| some.iter().enumerate().map(move |(i, r)| (t, i, r)))
        .map(|(t, i, r)| with(t * some.len() + i, r))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines(
        some in prop::collection::vec("[ -~é\t]{0,80}", 1..40),
        times in 1_usize..120,
        fraction in 0.005..0.9,
        pick in picks(),
        seed in any::<u64>(),
        container in 0..4,
        ending in any::<bool>(),
    ) {
        let dir = Scratch::new();
        let lines = repeat(&some, times, |n, l| format!("{n} {l}"));
        let records: Vec<Vec<u8>> = lines.iter().map(|l| format!("{l}\n").into_bytes()).collect();
        let mut text = records.concat();
        if ending {
            text.pop();
        }
        let stored = match container {
            1 => gzip(&text),
            2 => bgzf(&text),
            3 => zstd::bulk::compress(&text, 1).unwrap(),
            _ => text.clone(),
        };
        // The name promises no table, whatever the random lines look like.
        let path = dir.file("t.log", &stored);
        let (out, report) = sample(&path, fraction, pick, seed);
        let out = match container {
            1 | 2 => unzip(&out),
            3 => zstd::stream::decode_all(&out[..]).unwrap(),
            _ => out,
        };
        let got: Vec<&[u8]> = out.split_inclusive(|&b| b == b'\n').collect();
        let all: Vec<&[u8]> = text.split_inclusive(|&b| b == b'\n').collect();
        prop_assert!(is_subsequence(&got, &all));
        check_size(&report, fraction, &records);
    }

    #[test]
    fn tables(
        header in prop::collection::vec("[a-z]{1,8}", 3),
        some in prop::collection::vec(prop::collection::vec(csv_field(), 2), 1..40),
        times in 1_usize..120,
        fraction in 0.01..0.9,
        pick in picks(),
        seed in any::<u64>(),
    ) {
        let dir = Scratch::new();
        let rows = repeat(&some, times, |_, r| r.clone());
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .enumerate()
            .map(|(n, mut r)| {
                r.insert(0, n.to_string());
                r
            })
            .collect();
        let head = (header.join(",") + "\n").into_bytes();
        let records = write_csv(&rows);
        let text = [head, records.concat()].concat();
        let path = dir.file("t.csv", &text);
        let (out, report) = sample(&path, fraction, pick, seed);
        let got = parse_csv(&out);
        let all = parse_csv(&text);
        prop_assert_eq!(&got[0], &all[0]);
        prop_assert!(is_subsequence(&got[1..], &all[1..]));
        prop_assert_eq!(report.records, Some(got.len() as u64 - 1));
        check_size(&report, fraction, &records);
    }

    #[test]
    fn reads(
        some in prop::collection::vec(("[ACGTN]{1,80}", any::<bool>()), 1..30),
        times in 1_usize..100,
        fraction in 0.01..0.9,
        pick in picks(),
        seed in any::<u64>(),
    ) {
        let dir = Scratch::new();
        let reads = repeat(&some, times, |_, r| r.clone());
        let records: Vec<Vec<u8>> = reads
            .iter()
            .enumerate()
            .map(|(n, (bases, odd))| {
                // Qualities may look like names or separators.
                let quality = if *odd { "@" } else { "+" }.repeat(bases.len());
                format!("@read{n}\n{bases}\n+\n{quality}\n").into_bytes()
            })
            .collect();
        let path = dir.file("r.fastq", &records.concat());
        let (out, report) = sample(&path, fraction, pick, seed);
        let lines: Vec<&[u8]> = out.split_inclusive(|&b| b == b'\n').collect();
        let got: Vec<Vec<u8>> = lines.chunks(4).map(<[&[u8]]>::concat).collect();
        prop_assert!(is_subsequence(&got, &records));
        prop_assert_eq!(report.records, Some(got.len() as u64));
        check_size(&report, fraction, &records);
    }

    #[test]
    fn any_bytes_whatever(
        mut bytes in prop::collection::vec(any::<u8>(), 0..3000),
        magic in prop::sample::select(vec![
            &b""[..], b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\x93NUMPY\x01\x00v\x00",
            b"BAM\x01", b"@r\n", b">x\n", b"[", b"{\"a\":1}\n", b"##fileformat=VCF", b"PAR1",
            b"a,b\n1,2\n", b"\xef\xbb\xbf", b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x06\x00BC\x02\x00",
        ]),
        name in prop::sample::select(vec!["x", "x.csv", "x.gz", "x.json", "x.fq.gz", "x.npy", "x.parquet"]),
        fraction in 0.001..1.0,
        pick in picks(),
        any_bytes in prop::sample::select(vec![AnyBytes::No, AnyBytes::Content, AnyBytes::File]),
        text in any::<bool>(),
    ) {
        if text {
            for b in &mut bytes {
                *b = b"abc,\"\n\t1{}[]:@+>"[usize::from(*b) % 16];
            }
        }
        let dir = Scratch::new();
        let content = [magic, &bytes].concat();
        let path = dir.file(name, &content);
        let mut samples = Samples::new(&[input(&path)], 1).with_any_bytes(any_bytes);
        let mut out = Vec::new();
        // Errors are fine, and so are samples; a panic or an endless loop is not.
        if let Ok(report) = samples.write(0, fraction, pick, &mut out) {
            prop_assert!(report.fraction <= 1.0);
            prop_assert_eq!(report.bytes.get(), out.len() as u64);
        }
        let _ = samples.records(0);
        samples.plan();
    }

    #[test]
    fn damaged_containers(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        kind in 0..3,
        fraction in 0.01..0.99,
        pick in picks(),
    ) {
        let dir = Scratch::new();
        let text: Vec<u8> = (0..20_000).flat_map(|i| format!("row {i}\n").into_bytes()).collect();
        let mut stored = match kind {
            0 => gzip(&text),
            1 => bgzf(&text),
            _ => zstd::bulk::compress(&text, 1).unwrap(),
        };
        for (index, byte) in flips {
            let at = index.index(stored.len());
            stored[at] = byte;
        }
        stored.truncate(cut.index(stored.len()).max(20));
        let path = dir.file("t.txt.gz", &stored);
        let mut out = Vec::new();
        let result = Samples::new(&[input(&path)], 1).write(0, fraction, pick, &mut out);
        if let Ok(report) = result {
            prop_assert!(report.fraction <= 1.0);
        }
    }
}
