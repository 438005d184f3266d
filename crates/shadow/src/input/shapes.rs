//! What the shape of a word or a file tells about its place in a command.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::programs::{is_configuration_option, is_output_option, is_program_option};
use super::{Input, Kind, Reference, Role};

/// Data in an interpreter's first argument: no program is made of records.
pub(super) fn is_data(input: &Input) -> bool {
    const LARGE: u64 = 1 << 20;
    input.can_be_data() && input.bytes.get() > LARGE
}

impl Input {
    fn can_be_data(&self) -> bool {
        matches!(&self.kind, Kind::File(format) if format.can_be_sampled())
            || matches!(self.kind, Kind::Directory { .. })
    }
}

/// Sequences with an index beside them are looked up, not read through; a sample wouldn't fit the
/// index.
pub(super) fn has_index(input: &Input) -> bool {
    let Kind::File(format) = &input.kind else {
        return false;
    };
    format.content == crate::format::Content::Fasta
        && ["fai", "bwt", "sa", "0123", "mmi", "1.bt2", "ht2"]
            .iter()
            .any(|suffix| {
                let mut name = input.path.clone().into_os_string();
                name.push(".");
                name.push(suffix);
                Path::new(&name).exists()
            })
}

/// Whether a shell's pattern fits a name; a bracket stands for any one character here.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|i| matches(rest, &name[i..])),
        [b'?', rest @ ..] => !name.is_empty() && matches(rest, &name[1..]),
        [b'[', rest @ ..] if rest.contains(&b']') => {
            let end = rest.iter().position(|&b| b == b']').unwrap_or(0);
            !name.is_empty() && matches(&rest[end + 1..], &name[1..])
        }
        [first, rest @ ..] => name.first() == Some(first) && matches(rest, &name[1..]),
    }
}

/// What a command does with an option's value.
pub(super) fn role_of_option(program: &OsStr, option: &[u8]) -> Role {
    if is_output_option(program, option) {
        Role::Output
    } else if is_program_option(program, option) {
        Role::Script
    } else if is_configuration_option(option) || is_directory_option(option) {
        Role::Reference(Reference::Configuration)
    } else {
        Role::Data
    }
}

/// Whether an option's value is a directory to change to.
pub(super) fn is_directory_option(option: &[u8]) -> bool {
    matches!(option, b"-C" | b"--directory" | b"--chdir" | b"--cwd")
}

/// `-c`, or a cluster of shell options with it (`-ec`, `-lc`).
pub(super) fn is_command_cluster(option: &[u8]) -> bool {
    option.starts_with(b"-") && !option.starts_with(b"--") && option.ends_with(b"c")
}

pub(super) fn is_tar_mode(bytes: &[u8]) -> bool {
    let cluster = bytes.strip_prefix(b"-").unwrap_or(bytes);
    !cluster.is_empty()
        && cluster.iter().all(u8::is_ascii_alphabetic)
        && cluster.iter().any(|b| b"cxtruA".contains(b))
        && cluster.contains(&b'f')
}

pub(super) fn writes_archive(mode: &[u8]) -> bool {
    mode.iter().any(|b| b"cruA".contains(b))
}

/// Whether a wrapper's word names a program: found on the path, or an executable file.
pub(super) fn is_program(word: &OsStr, cwd: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let executable = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    if word.as_bytes().contains(&b'/') {
        return executable(&cwd.join(word));
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| executable(&dir.join(word))))
}
