//! Names of the system as JSON: a string, or the bytes where it is not UTF-8.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

/// The longest command that is kept whole; a megabyte of arguments in every row would fill disks.
const MOST_ARGV: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Name {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&OsStr> for Name {
    fn from(s: &OsStr) -> Self {
        match s.to_str() {
            Some(text) => Name::Text(text.to_owned()),
            None => Name::Bytes(s.as_bytes().to_vec()),
        }
    }
}

impl From<Name> for OsString {
    fn from(name: Name) -> Self {
        match name {
            Name::Text(text) => text.into(),
            Name::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

/// The arguments as far as they are kept, and how many were left out.
pub(crate) fn names(argv: &[OsString]) -> (Vec<Name>, usize) {
    let mut room = MOST_ARGV;
    let kept: Vec<Name> = argv
        .iter()
        .take_while(|a| match room.checked_sub(a.len()) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        })
        .map(|a| a.as_os_str().into())
        .collect();
    let omitted = argv.len() - kept.len();
    (kept, omitted)
}
