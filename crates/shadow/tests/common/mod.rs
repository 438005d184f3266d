//! What the tests of inputs and samples share.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use foreshadow_shadow::input::{Input, Request, StandardInput, discover};

/// A directory that is removed at the end. Its name isn't hidden: hidden files count as caches.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        Scratch(
            tempfile::Builder::new()
                .prefix("samples")
                .tempdir()
                .unwrap(),
        )
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: impl AsRef<Path>, content: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// The input that a user names by `--input`.
pub fn input(path: &Path) -> Input {
    let named = [path.to_owned()];
    let mut found = discover(Request {
        argv: &[],
        cwd: Path::new("/"),
        stdin: StandardInput::Nothing,
        named: &named,
    });
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// Rows of different lengths that begin with their own number.
pub fn csv_rows(n: usize) -> Vec<String> {
    (0..n)
        .map(|i| {
            let name = "abcdefghijklmnop".get(..i * 7919 % 16).unwrap();
            format!("{i},{name},{}\n", i.wrapping_mul(2_654_435_761) % 1_000_003)
        })
        .collect()
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub fn unzip(data: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    flate2::read::MultiGzDecoder::new(data)
        .read_to_end(&mut content)
        .unwrap();
    content
}

/// BGZF by the SAM specification, independent of the project's own writer.
pub fn bgzf(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in content.chunks(20_000).chain([&b""[..]]) {
        let member = {
            let mut encoder = flate2::GzBuilder::new()
                .extra(vec![b'B', b'C', 2, 0, 0, 0])
                .write(Vec::new(), flate2::Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        };
        let start = out.len();
        out.extend(member);
        let size = u16::try_from(out.len() - start - 1).unwrap();
        out[start + 16..start + 18].copy_from_slice(&size.to_le_bytes());
    }
    // The end marker that the specification gives is fixed to the byte.
    let end = [
        0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0,
        0, 0, 0, 0,
    ];
    out.extend(end);
    out
}
