//! Standard output, and the file of `--result`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}

/// Writes a document to standard output as JSON.
pub(crate) fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    print(&json(document)?)
}

fn json(document: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(document)
        .map(|text| text + "\n")
        .map_err(|e| Failure::Output(e.into()))
}

/// A file that takes a result at the end of a run. It is opened before, so that a mistake in its
/// name is known before the run and not after, and readers see nothing or all of it.
#[derive(Debug)]
pub(crate) struct ResultFile {
    path: PathBuf,
    file: File,
    /// Renamed to `path` at the end; None where that is a pipe or a device.
    temporary: Option<PathBuf>,
}

impl ResultFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let error = |source| Failure::Write {
            path: path.to_owned(),
            source,
        };
        let special = fs::metadata(path).is_ok_and(|m| !m.is_file());
        let (file, temporary) = if special {
            let file = OpenOptions::new().write(true).open(path).map_err(error)?;
            (file, None)
        } else {
            let mut name = path
                .file_name()
                .ok_or_else(|| error(io::ErrorKind::InvalidFilename.into()))?
                .to_owned();
            name.push(format!(".{}.part", std::process::id()));
            let temporary = path.with_file_name(name);
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&temporary)
                .map_err(error)?;
            (file, Some(temporary))
        };
        Ok(ResultFile {
            path: path.to_owned(),
            file,
            temporary,
        })
    }

    pub(crate) fn write(mut self, document: &impl Serialize) -> Result<(), Failure> {
        let text = json(document)?;
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| match &self.temporary {
                Some(temporary) => fs::rename(temporary, &self.path),
                None => Ok(()),
            })
            .map_err(|source| Failure::Write {
                path: self.path.clone(),
                source,
            })?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Nothing was written, and what cannot be removed is an empty file.
            let _ = fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        drop(ResultFile::open(&path).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        fs::write(&path, "old").unwrap();
        let result = ResultFile::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        result.write(&[1, 2]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        ResultFile::open(Path::new("/dev/null"))
            .unwrap()
            .write(&1)
            .unwrap();
        let missing = dir.path().join("no/out.json");
        let error = ResultFile::open(&missing).unwrap_err();
        assert!(error.to_string().contains("no/out.json"), "{error}");
        assert_eq!(error.exit_code(), 125);
    }
}
