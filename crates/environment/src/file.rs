//! Reading and writing the small files by which the kernel speaks.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::EnvironmentError;
use crate::descriptors::Keep;

/// Writes a value with one `write` call, as control files want it.
pub(crate) fn write(path: &Path, value: &str) -> Result<(), EnvironmentError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|source| EnvironmentError::Write {
            path: path.to_owned(),
            value: value.to_owned(),
            source,
        })
}

/// The whole content.
pub(crate) fn read(path: &Path) -> Result<String, EnvironmentError> {
    std::fs::read_to_string(path).map_err(|source| EnvironmentError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The whole content as one number.
pub(crate) fn read_number(path: &Path) -> Result<u64, EnvironmentError> {
    let content = read(path)?;
    content
        .trim()
        .parse()
        .map_err(|_| parse_error(path, "a number", content.as_bytes()))
}

/// An error that shows the beginning of a content.
pub(crate) fn parse_error(path: &Path, wanted: &'static str, content: &[u8]) -> EnvironmentError {
    let start = content.get(..80).unwrap_or(content);
    EnvironmentError::Parse {
        path: path.to_owned(),
        wanted,
        content: String::from_utf8_lossy(start).into_owned(),
    }
}

/// A file of counters, kept open so that reading it again costs one system call; opened anew each time
/// where too many are open already.
#[derive(Debug)]
pub(crate) struct Counter {
    path: PathBuf,
    kept: Option<(File, Keep)>,
}

impl Counter {
    /// Opens it; None where the kernel has no such file.
    pub(crate) fn open(path: PathBuf) -> Result<Option<Self>, EnvironmentError> {
        match File::open(&path) {
            Ok(file) => {
                let kept = Keep::one().map(|keep| (file, keep));
                Ok(Some(Counter { path, kept }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(EnvironmentError::Read { path, source }),
        }
    }

    /// The content now, in `buffer` (grown where too small).
    pub(crate) fn read<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], EnvironmentError> {
        let read = match &self.kept {
            Some((file, _)) => read_at_start(file, buffer),
            None => File::open(&self.path).and_then(|file| read_at_start(&file, buffer)),
        };
        match read {
            Ok(n) => Ok(&buffer[..n]),
            Err(source) => Err(EnvironmentError::Read {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// The content as one number.
    pub(crate) fn number(&self, buffer: &mut Vec<u8>) -> Result<u64, EnvironmentError> {
        let content = self.read(buffer)?;
        number(content).ok_or_else(|| parse_error(&self.path, "a number", content))
    }

    /// The path it was opened by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The content of a small file, in `buffer` (grown where too small); its length.
pub(crate) fn read_at_start(file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        if buffer.len() < 4096 {
            buffer.resize(4096, 0);
        }
        match file.read_at(buffer, 0) {
            // These files come in one piece where it fits.
            Ok(n) if n < buffer.len() => return Ok(n),
            Ok(_) => buffer.resize(buffer.len() * 2, 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The decimal number at the start of `text`, after white space.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    text[..digits].iter().try_fold(0_u64, |n, b| {
        n.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })
}

/// The lines `key value` of a flat keyed file.
pub(crate) fn keyed(content: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    content.split(|b| *b == b'\n').filter_map(|line| {
        let space = line.iter().position(|b| *b == b' ')?;
        Some((&line[..space], number(&line[space..])?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_the_start() {
        assert_eq!(number(b"12\n"), Some(12));
        assert_eq!(number(b"  7 x"), Some(7));
        assert_eq!(number(b"max\n"), None);
        assert_eq!(number(b""), None);
        assert_eq!(number(b"99999999999999999999999"), None);
    }

    #[test]
    fn flat_keyed_lines() {
        let lines: Vec<_> = keyed(b"anon 4096\nfile 0\nodd\nmax max\n").collect();
        assert_eq!(lines, [(&b"anon"[..], 4096), (&b"file"[..], 0)]);
    }

    #[test]
    fn a_counter_grows_its_buffer_and_reads_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stat");
        std::fs::write(&path, vec![b'1'; 10_000]).unwrap();
        let counter = Counter::open(path.clone()).unwrap().unwrap();
        let mut buffer = Vec::new();
        assert_eq!(counter.read(&mut buffer).unwrap().len(), 10_000);
        std::fs::write(&path, "42\n").unwrap();
        assert_eq!(counter.number(&mut buffer).unwrap(), 42);
        std::fs::write(&path, "max\n").unwrap();
        let error = counter.number(&mut buffer).unwrap_err().to_string();
        assert!(error.contains("stat") && error.contains("max"), "{error}");
        assert!(Counter::open(dir.path().join("none")).unwrap().is_none());
    }
}
