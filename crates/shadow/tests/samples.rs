//! Samples of files in every format: valid, whole records, the header kept, the right size, the
//! same for the same seed, and made of the original's own records.

mod common;

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};

use common::{Scratch, bgzf, csv_rows, gzip, input, unzip};
use foreshadow_shadow::format::{Container, Content};
use foreshadow_shadow::input::Kind;
use foreshadow_shadow::sample::{Note, SampleReport, Samples, Strategy};

const ALL: [Strategy; 3] = [Strategy::Contiguous, Strategy::Blocks, Strategy::Random];

fn sample(
    path: &std::path::Path,
    fraction: f64,
    strategy: Strategy,
    seed: u64,
) -> (Vec<u8>, SampleReport) {
    let mut out = Vec::new();
    let report = Samples::new(&[input(path)], seed)
        .write(0, fraction, strategy, &mut out)
        .unwrap();
    assert_eq!(report.bytes.get(), out.len() as u64);
    (out, report)
}

fn near(report: &SampleReport, fraction: f64) {
    assert!(
        (report.fraction / fraction - 1.0).abs() < 0.1,
        "{} instead of {fraction}: {report:?}",
        report.fraction
    );
}

#[test]
fn csv_keeps_header_and_whole_rows() {
    let dir = Scratch::new();
    let rows = csv_rows(40_000);
    let text = format!("id,name,value\n{}", rows.concat());
    let path = dir.file("big.csv", text.as_bytes());
    let known: HashSet<&str> = rows.iter().map(String::as_str).collect();
    for strategy in ALL {
        for fraction in [1.0 / 64.0, 1.0 / 16.0, 0.3] {
            let (out, report) = sample(&path, fraction, strategy, 7);
            let out = String::from_utf8(out).unwrap();
            let mut lines = out.split_inclusive('\n');
            assert_eq!(lines.next(), Some("id,name,value\n"));
            let taken: Vec<&str> = lines.collect();
            assert!(taken.iter().all(|l| known.contains(l)));
            assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len());
            assert_eq!(report.records, Some(taken.len() as u64));
            assert_eq!(report.strategy, strategy);
            assert!(report.exact);
            near(&report, fraction);
            let again = sample(&path, fraction, strategy, 7).0;
            assert_eq!(out.as_bytes(), again);
            if strategy != Strategy::Contiguous {
                assert_ne!(out.as_bytes(), sample(&path, fraction, strategy, 8).0);
                // From all over the file.
                let ids: Vec<u32> = taken
                    .iter()
                    .map(|l| l.split(',').next().unwrap().parse().unwrap())
                    .collect();
                assert!(ids.is_sorted());
                assert!(ids.iter().any(|i| *i > 20_000));
            }
        }
    }
}

#[test]
fn quoted_newlines_are_never_split() {
    let dir = Scratch::new();
    let rows: Vec<String> = (0..30_000)
        .map(|i| {
            if i % 3 == 0 {
                format!(
                    "{i},\"multi\nline, with \"\"quotes\"\" and\n{i},fake,row\",{}\n",
                    i * 7
                )
            } else {
                format!("{i},plain,{}\n", i * 7)
            }
        })
        .collect();
    let path = dir.file("q.csv", format!("a,b,c\n{}", rows.concat()).as_bytes());
    let known: HashSet<&str> = rows.iter().map(String::as_str).collect();
    for strategy in ALL {
        let (out, report) = sample(&path, 0.05, strategy, 3);
        let out = String::from_utf8(out).unwrap();
        let mut rest = out.strip_prefix("a,b,c\n").unwrap();
        let mut count = 0;
        while !rest.is_empty() {
            // A row ends at the first newline outside quotes.
            let mut quoted = false;
            let end = rest
                .bytes()
                .position(|b| {
                    quoted ^= b == b'"';
                    b == b'\n' && !quoted
                })
                .unwrap()
                + 1;
            assert!(known.contains(&rest[..end]), "{:?}", &rest[..end]);
            rest = &rest[end..];
            count += 1;
        }
        assert_eq!(report.records, Some(count));
        near(&report, 0.05);
    }
}

#[test]
fn plain_lines_crlf_and_no_newline_at_the_end() {
    let dir = Scratch::new();
    let lines: Vec<String> = (0..20_000)
        .map(|i| format!("line number {i} of the text\r\n"))
        .collect();
    let text = lines.concat();
    let path = dir.file("t.txt", text.trim_end().as_bytes());
    for strategy in ALL {
        let (out, report) = sample(&path, 0.1, strategy, 1);
        let out = String::from_utf8(out).unwrap();
        let known: HashSet<&str> = lines.iter().map(|l| l.trim_end()).collect();
        for line in out.lines() {
            assert!(known.contains(line), "{line}");
        }
        near(&report, 0.1);
    }
    let (out, report) = sample(&path, 1.0, Strategy::Blocks, 1);
    assert_eq!(out, text.trim_end().as_bytes());
    assert!((report.fraction - 1.0).abs() < f64::EPSILON);
}

#[test]
fn gzip_stays_gzip() {
    let dir = Scratch::new();
    let rows = csv_rows(60_000);
    let text = format!("id,name,value\n{}", rows.concat());
    let path = dir.file("big.csv.gz", &gzip(text.as_bytes()));
    for strategy in ALL {
        let (out, report) = sample(&path, 1.0 / 16.0, strategy, 1);
        let out = String::from_utf8(unzip(&out)).unwrap();
        assert!(text.starts_with(&out) && out.ends_with('\n'));
        assert_eq!(report.content.get(), out.len() as u64);
        assert_eq!(report.strategy, Strategy::Contiguous);
        assert_eq!(
            report
                .notes
                .iter()
                .any(|n| matches!(n, Note::Contiguous(_))),
            strategy != Strategy::Contiguous
        );
        near(&report, 1.0 / 16.0);
    }
}

#[test]
fn members_of_gzip_are_one_content() {
    let dir = Scratch::new();
    let text: String = (0..50_000).map(|i| format!("row {i}\n")).collect();
    let (a, b) = text.split_at(text.len() / 3);
    let path = dir.file(
        "two.txt.gz",
        &[gzip(a.as_bytes()), gzip(b.as_bytes())].concat(),
    );
    let (out, report) = sample(&path, 0.5, Strategy::Contiguous, 1);
    let out = String::from_utf8(unzip(&out)).unwrap();
    assert!(text.starts_with(&out));
    near(&report, 0.5);
}

#[test]
fn bgzf_stays_bgzf_and_is_sampled_all_over() {
    let dir = Scratch::new();
    let rows = csv_rows(120_000);
    let text = format!("##fileformat=VCFv4.2\n#CHROM,x\n{}", rows.concat());
    let path = dir.file("big.vcf.gz", &bgzf(text.as_bytes()));
    let known: HashSet<&str> = rows.iter().map(String::as_str).collect();
    let Kind::File(format) = input(&path).kind else {
        panic!("no file")
    };
    assert_eq!(
        (format.container, &format.content),
        (Container::Bgzf, &Content::Vcf)
    );
    for strategy in ALL {
        let (out, report) = sample(&path, 0.1, strategy, 5);
        assert!(out.ends_with(&[0x1b, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(Container::of(&out), Container::Bgzf);
        let text = String::from_utf8(unzip(&out)).unwrap();
        let body = text
            .strip_prefix("##fileformat=VCFv4.2\n#CHROM,x\n")
            .unwrap();
        let taken: Vec<&str> = body.split_inclusive('\n').collect();
        assert!(taken.iter().all(|l| known.contains(l)));
        assert_eq!(report.records, Some(taken.len() as u64));
        assert_eq!(report.strategy, strategy);
        near(&report, 0.1);
        let last = taken.last().unwrap().split(',').next().unwrap();
        assert_eq!(
            last.parse::<u32>().unwrap() > 60_000,
            strategy != Strategy::Contiguous
        );
    }
}

#[test]
fn zstd_stays_zstd_with_its_size_stated() {
    let dir = Scratch::new();
    let text: String = csv_rows(50_000).concat();
    let path = dir.file(
        "t.jsonl.zst",
        &zstd::bulk::compress(text.as_bytes(), 3).unwrap(),
    );
    let (out, report) = sample(&path, 0.1, Strategy::Contiguous, 1);
    // One-shot decompression needs the size in the frame.
    let size = usize::try_from(report.content.get()).unwrap();
    let back = zstd::bulk::decompress(&out, size).unwrap();
    assert_eq!(back.len(), size);
    assert!(text.as_bytes().starts_with(&back));
    near(&report, 0.1);
}

#[test]
fn json_lines_and_arrays() {
    let dir = Scratch::new();
    let records: Vec<String> = (0..20_000)
        .map(|i| {
            format!(
                "{{\"id\":{i},\"tags\":[\"a,]\",\"b\\\"}}\"],\"n\":{{\"x\":{}}}}}",
                i * 3
            )
        })
        .collect();
    let lines = dir.file("r.jsonl", (records.join("\n") + "\n").as_bytes());
    let flat = dir.file("flat.json", format!("[{}]", records.join(",")).as_bytes());
    let tall = dir.file(
        "tall.json",
        format!("[\n  {}\n]\n", records.join(",\n  ")).as_bytes(),
    );
    let known: HashSet<&str> = records.iter().map(String::as_str).collect();
    for strategy in ALL {
        for path in [&lines, &flat, &tall] {
            let (out, report) = sample(path, 0.05, strategy, 11);
            let text = String::from_utf8(out).unwrap();
            near(&report, 0.05);
            let values: Vec<serde_json::Value> = if *path == lines {
                text.lines()
                    .map(|l| {
                        assert!(known.contains(l));
                        serde_json::from_str(l).unwrap()
                    })
                    .collect()
            } else {
                serde_json::from_str(&text).unwrap()
            };
            assert_eq!(report.records, Some(values.len() as u64));
            let expected = if *path == flat {
                Strategy::Contiguous
            } else {
                strategy
            };
            assert_eq!(report.strategy, expected, "{}", path.display());
        }
    }
}

#[test]
fn fasta_and_fastq_records_stay_whole() {
    let dir = Scratch::new();
    let fasta: Vec<String> = (0..3000)
        .map(|i| {
            format!(
                ">seq{i} x\n{}\n{}\n",
                "ACGT".repeat(15),
                "GATTACA".repeat(i % 9)
            )
        })
        .collect();
    let fastq: Vec<String> = (0..6000)
        .map(|i| {
            format!(
                "@r{i} 1:N\n{}\n+\n@{}\n",
                "ACGTA".repeat(10),
                "I".repeat(49)
            )
        })
        .collect();
    let a = dir.file("s.fa", fasta.concat().as_bytes());
    let q = dir.file("s.fq", fastq.concat().as_bytes());
    for strategy in ALL {
        let (out, report) = sample(&a, 0.2, strategy, 2);
        let text = String::from_utf8(out).unwrap();
        let known: HashSet<&str> = fasta.iter().map(String::as_str).collect();
        let parts: Vec<String> = text
            .strip_prefix('>')
            .unwrap()
            .split("\n>")
            .map(|p| format!(">{}\n", p.trim_end_matches('\n')))
            .collect();
        let trimmed: HashSet<String> = known
            .iter()
            .map(|k| format!("{}\n", k.trim_end_matches('\n')))
            .collect();
        assert!(parts.iter().all(|p| trimmed.contains(p)));
        assert_eq!(report.records, Some(parts.len() as u64));
        near(&report, 0.2);

        let (out, report) = sample(&q, 0.2, strategy, 2);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let known: HashSet<&str> = fastq.iter().map(String::as_str).collect();
        for record in lines.chunks(4) {
            assert!(known.contains(record.concat().as_str()));
        }
        assert_eq!(report.records, Some(lines.len() as u64 / 4));
        near(&report, 0.2);
    }
}

#[test]
fn a_long_sequence_is_cut_at_a_line() {
    let dir = Scratch::new();
    let text = format!(">chr1\n{}", "ACGTACGTAC\n".repeat(200_000));
    let path = dir.file("genome.fa", text.as_bytes());
    let (out, report) = sample(&path, 0.1, Strategy::Blocks, 2);
    assert!(text.as_bytes().starts_with(&out) && out.ends_with(b"\n"));
    assert!(report.notes.contains(&Note::RecordCut));
    near(&report, 0.1);
    // Several chromosomes, and a fraction of less than one of them.
    let many: String = (0..10)
        .map(|i| format!(">chr{i}\n{}", "ACGTACGTAC\n".repeat(20_000)))
        .collect();
    let path = dir.file("genomes.fa", many.as_bytes());
    for (strategy, fraction) in [
        (Strategy::Contiguous, 0.07),
        (Strategy::Blocks, 0.07),
        (Strategy::Contiguous, 0.46),
    ] {
        let (out, report) = sample(&path, fraction, strategy, 2);
        assert!(out.starts_with(b">chr") && out.ends_with(b"\n"));
        near(&report, fraction);
    }
}

#[test]
fn npy_shape_follows_the_rows() {
    let dir = Scratch::new();
    let mut dict = "{'descr': '<u4', 'fortran_order': False, 'shape': (50000, 2), }".to_string();
    while !(10 + dict.len() + 1).is_multiple_of(64) {
        dict.push(' ');
    }
    dict.push('\n');
    let mut data = b"\x93NUMPY\x01\x00".to_vec();
    data.extend(u16::try_from(dict.len()).unwrap().to_le_bytes());
    data.extend(dict.bytes());
    for i in 0..50_000_u32 {
        data.extend(i.to_le_bytes());
        data.extend((i ^ 0xffff).to_le_bytes());
    }
    let path = dir.file("a.npy", &data);
    for strategy in ALL {
        let (out, report) = sample(&path, 0.1, strategy, 4);
        let header = 10 + usize::from(u16::from_le_bytes([out[8], out[9]]));
        assert!(String::from_utf8_lossy(&out[10..header]).contains("(5000, 2)"));
        let rows: Vec<u32> = out[header..]
            .chunks(8)
            .map(|row| {
                let a = u32::from_le_bytes(row[..4].try_into().unwrap());
                assert_eq!(a ^ 0xffff, u32::from_le_bytes(row[4..].try_into().unwrap()));
                a
            })
            .collect();
        assert_eq!(rows.len(), 5000);
        assert!(rows.is_sorted());
        assert_eq!(
            rows.last() > Some(&30_000),
            strategy != Strategy::Contiguous
        );
        near(&report, 0.1);
    }
}

#[test]
fn tar_keeps_whole_members() {
    let dir = Scratch::new();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for i in 0..60 {
        fs::write(tree.join(format!("f{i:02}")), vec![b'a'; 3000 + i * 10]).unwrap();
    }
    let archive = dir.path().join("t.tar");
    let status = std::process::Command::new("tar")
        .args(["-cf"])
        .arg(&archive)
        .arg("-C")
        .arg(&tree)
        .arg(".")
        .status();
    if !status.is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED tar_keeps_whole_members: no tar program here");
        return;
    }
    let (out, report) = sample(&archive, 0.3, Strategy::Contiguous, 1);
    let small = dir.file("small.tar", &out);
    let listing = std::process::Command::new("tar")
        .arg("-tf")
        .arg(&small)
        .output()
        .unwrap();
    assert!(listing.status.success());
    assert_eq!(
        Some(String::from_utf8_lossy(&listing.stdout).lines().count() as u64),
        report.records
    );
    near(&report, 0.3);
}

#[test]
fn paired_reads_stay_paired() {
    let dir = Scratch::new();
    let mates = |mate: u32| -> String {
        (0..5000)
            .map(|i| {
                let bases = "A".repeat(30 + (i * mate as usize) % 50);
                format!("@read{i}/{mate}\n{bases}\n+\n{}\n", "J".repeat(bases.len()))
            })
            .collect()
    };
    let a = dir.file("r_1.fq.gz", &gzip(mates(1).as_bytes()));
    let b = dir.file("r_2.fq", mates(2).as_bytes());
    let mut samples = Samples::new(&[input(&a), input(&b)], 1);
    for fraction in [0.05, 0.1, 0.2] {
        let names = |bytes: Vec<u8>| -> Vec<String> {
            String::from_utf8(bytes)
                .unwrap()
                .lines()
                .step_by(4)
                .map(|l| l.split('/').next().unwrap().to_owned())
                .collect()
        };
        let mut first = Vec::new();
        let mut second = Vec::new();
        let report = samples
            .write(0, fraction, Strategy::Random, &mut first)
            .unwrap();
        samples
            .write(1, fraction, Strategy::Random, &mut second)
            .unwrap();
        let first = names(unzip(&first));
        assert_eq!(first, names(second));
        assert_eq!(report.records, Some(first.len() as u64));
        near(&report, fraction);
    }
}

#[test]
fn directories_by_number_and_size() {
    let dir = Scratch::new();
    let root = dir.path().join("data");
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    for i in 0..400 {
        let place = if i % 2 == 0 { "sub" } else { "sub/deep" };
        fs::write(
            root.join(place).join(format!("{i}.txt")),
            "x".repeat(100 + i * 5),
        )
        .unwrap();
    }
    fs::write(root.join("config.toml"), "a = 1\n").unwrap();
    std::os::unix::fs::symlink("sub/0.txt", root.join("link")).unwrap();
    let mut samples = Samples::new(&[input(&root)], 3);
    let out = dir.path().join("out");
    let report = samples
        .write_directory(0, 0.1, Strategy::Blocks, &out, &["config.toml".into()])
        .unwrap();
    near(&report, 0.1);
    assert!((38..=43).contains(&report.records.unwrap()), "{report:?}");
    assert_eq!(fs::read(out.join("config.toml")).unwrap(), b"a = 1\n");
    assert_eq!(
        fs::read_link(out.join("link")).unwrap(),
        std::path::Path::new("sub/0.txt")
    );
    assert!(out.join("sub/deep").is_dir());
    for entry in fs::read_dir(out.join("sub/deep")).unwrap() {
        let entry = entry.unwrap();
        let original = fs::read(root.join("sub/deep").join(entry.file_name())).unwrap();
        assert_eq!(fs::read(entry.path()).unwrap(), original);
    }
}

#[test]
fn the_smallest_sample_of_a_directory_holds_data() {
    let dir = Scratch::new();
    let root = dir.path().join("data");
    fs::create_dir(&root).unwrap();
    let sizes: Vec<usize> = (0..37).map(|i| i * 100).collect();
    let all: usize = sizes.iter().sum();
    for (i, size) in sizes.iter().enumerate() {
        fs::write(root.join(format!("{i}.c")), "x".repeat(*size)).unwrap();
    }
    // These stay whole in every sample, and are no part of the data.
    fs::write(root.join("Makefile"), "all:\n").unwrap();
    fs::write(root.join(".hidden"), "x").unwrap();
    let mut samples = Samples::new(&[input(&root)], 1);
    for (n, fraction) in [1e-6, 1e-3, 0.01, 0.02, 0.1].into_iter().enumerate() {
        let out = dir.path().join(format!("out{n}"));
        let report = samples
            .write_directory(0, fraction, Strategy::Contiguous, &out, &[])
            .unwrap();
        let held: u64 = fs::read_dir(&out)
            .unwrap()
            .map(Result::unwrap)
            .filter(|e| e.path().extension().is_some_and(|x| x == "c"))
            .map(|e| e.metadata().unwrap().len())
            .sum();
        assert!(held > 0, "{fraction}");
        let true_fraction = held as f64 / all as f64;
        assert!(
            (report.fraction - true_fraction).abs() < 1e-9,
            "{fraction}: {report:?}"
        );
        assert!(out.join("Makefile").exists() && out.join(".hidden").exists());
    }
}

#[test]
fn few_large_files_are_shortened() {
    let dir = Scratch::new();
    let root = dir.path().join("data");
    fs::create_dir(&root).unwrap();
    for i in 0..3 {
        fs::write(root.join(format!("{i}.csv")), csv_rows(20_000).concat()).unwrap();
    }
    let out = dir.path().join("out");
    let report = Samples::new(&[input(&root)], 3)
        .write_directory(0, 0.1, Strategy::Blocks, &out, &[])
        .unwrap();
    near(&report, 0.1);
    assert_eq!(report.records, Some(3));
}

#[test]
fn a_file_that_grows_is_measured_again() {
    let dir = Scratch::new();
    let path = dir.file(
        "log.txt",
        "first lines of a log\n".repeat(10_000).as_bytes(),
    );
    let mut samples = Samples::new(&[input(&path)], 1);
    let mut out = Vec::new();
    samples
        .write(0, 0.1, Strategy::Contiguous, &mut out)
        .unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all("another line\n".repeat(40_000).as_bytes())
        .unwrap();
    let mut out = Vec::new();
    let report = samples
        .write(0, 0.1, Strategy::Contiguous, &mut out)
        .unwrap();
    assert!(
        report
            .notes
            .iter()
            .any(|n| matches!(n, Note::SourceChanged { .. }))
    );
    near(&report, 0.1);
    assert!(out.len() > 60_000);
}

#[test]
fn what_a_sample_holds_can_be_decoded_by_others() {
    // The gzip program and ours must agree on BGZF.
    let dir = Scratch::new();
    let text: String = (0..100_000).map(|i| format!("a line, {i}\n")).collect();
    let path = dir.file("b.csv.bgz", &bgzf(text.as_bytes()));
    let (out, report) = sample(&path, 0.2, Strategy::Blocks, 1);
    let small = dir.file("small.gz", &out);
    let mut child = std::process::Command::new("gzip")
        .arg("-dc")
        .arg(&small)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut decoded = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut decoded)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(report.content.get(), decoded.len() as u64);
}

#[test]
fn collections_in_json_and_xml() {
    let dir = Scratch::new();
    let features: Vec<String> = (0..8000)
        .map(|i| format!("{{\"type\":\"Feature\",\"id\":{i},\"at\":[{i},{}]}}", i * 2))
        .collect();
    let geo = dir.file(
        "g.geojson",
        format!(
            "{{\"type\":\"FeatureCollection\",\"features\":[\n{}\n],\"crs\":null}}\n",
            features.join(",\n")
        )
        .as_bytes(),
    );
    let rows: Vec<String> = (0..8000)
        .map(|i| format!("  <row id=\"{i}\">\n    <v>{}</v>\n  </row>\n", i * 3))
        .collect();
    let xml = dir.file(
        "r.xml",
        format!(
            "<?xml version=\"1.0\"?>\n<rows>\n{}</rows>\n",
            rows.concat()
        )
        .as_bytes(),
    );
    for strategy in ALL {
        let (out, report) = sample(&geo, 0.1, strategy, 5);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let taken = value["features"].as_array().unwrap();
        assert_eq!(value["type"], "FeatureCollection");
        assert_eq!(report.records, Some(taken.len() as u64));
        assert_eq!(report.strategy, strategy);
        assert!(
            taken
                .iter()
                .all(|f| f["at"][1] == f["id"].as_u64().unwrap() * 2)
        );
        near(&report, 0.1);

        let (out, report) = sample(&xml, 0.1, strategy, 5);
        let text = String::from_utf8(out).unwrap();
        let body = text
            .strip_prefix("<?xml version=\"1.0\"?>\n<rows>\n")
            .and_then(|t| t.strip_suffix("</rows>\n"))
            .unwrap();
        let known: HashSet<&str> = rows.iter().map(String::as_str).collect();
        let taken: Vec<&str> = body.split_inclusive("</row>\n").collect();
        assert!(taken.iter().all(|r| known.contains(r)));
        assert_eq!(report.records, Some(taken.len() as u64));
        assert_eq!(report.strategy, strategy);
        near(&report, 0.1);
    }
}

#[test]
fn sound_and_pictures_stay_valid() {
    let dir = Scratch::new();
    let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
    wav.extend(48_000_u32.to_le_bytes());
    wav.extend(192_000_u32.to_le_bytes());
    wav.extend([4, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(400_000_u32.to_le_bytes());
    wav.extend((0..100_000_u32).flat_map(u32::to_le_bytes));
    wav.extend(b"LIST\x04\0\0\0abcd");
    let sound = dir.file("s.wav", &wav);
    let pixels: Vec<u8> = (0..300_u32).flat_map(|y| vec![y as u8; 600]).collect();
    let picture = dir.file("p.ppm", &[&b"P6 200 300 255\n"[..], &pixels].concat());
    for strategy in ALL {
        let (out, report) = sample(&sound, 0.1, strategy, 4);
        assert_eq!(out.len(), 44 + 40_000);
        assert_eq!(out[40..44], 40_000_u32.to_le_bytes());
        let moments: Vec<u32> = out[44..]
            .chunks(4)
            .map(|c| u32::from_le_bytes(c.try_into().unwrap()))
            .collect();
        assert!(moments.is_sorted() && moments[9_999] < 100_000);
        assert_eq!(report.records, Some(10_000));
        let (out, report) = sample(&picture, 0.1, strategy, 4);
        assert!(out.starts_with(b"P6 200 30 255\n"));
        assert_eq!(out.len(), 14 + 30 * 600);
        near(&report, 0.1);
    }
}
