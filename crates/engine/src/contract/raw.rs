//! Text of the system (arguments, paths) inside JSON, without loss.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A command and its arguments: `command`, and `command_hex` where one of them is not UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine {
    command: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command_hex: Option<Vec<String>>,
}

impl CommandLine {
    /// The document's form of an argument list.
    pub fn new<S: AsRef<OsStr>>(argv: &[S]) -> Self {
        let utf8 = argv.iter().all(|a| a.as_ref().to_str().is_some());
        CommandLine {
            command: argv
                .iter()
                .map(|a| a.as_ref().to_string_lossy().into_owned())
                .collect(),
            command_hex: (!utf8).then(|| argv.iter().map(|a| hex(a.as_ref().as_bytes())).collect()),
        }
    }

    /// The arguments as text, lossy where they are not UTF-8.
    pub fn text(&self) -> &[String] {
        &self.command
    }

    /// The arguments as they were given.
    pub fn argv(&self) -> Vec<OsString> {
        let raw = self.command_hex.as_deref().unwrap_or_default();
        self.command
            .iter()
            .enumerate()
            .map(|(i, text)| {
                raw.get(i)
                    .and_then(|h| unhex(h))
                    .map_or_else(|| OsString::from(text), OsString::from_vec)
            })
            .collect()
    }
}

/// A path: `path`, and `path_hex` where it is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathText {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
}

impl PathText {
    /// The document's form of a path.
    pub fn new(path: &Path) -> Self {
        PathText {
            path: path.to_string_lossy().into_owned(),
            path_hex: path
                .to_str()
                .is_none()
                .then(|| hex(path.as_os_str().as_bytes())),
        }
    }

    /// The path as text, lossy where it is not UTF-8.
    pub fn text(&self) -> &str {
        &self.path
    }

    /// The path as it was given.
    pub fn path(&self) -> PathBuf {
        self.path_hex.as_deref().and_then(unhex).map_or_else(
            || PathBuf::from(&self.path),
            |b| OsString::from_vec(b).into(),
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{b:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}
