//! What is known of programs by their names. It only sharpens guesses: a program not listed here
//! is treated by the shape of its words.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The last part of a program's path.
pub(crate) fn base_name(program: &OsStr) -> &[u8] {
    Path::new(program).file_name().unwrap_or(program).as_bytes()
}

/// Programs that run the script in an argument after `-c`.
pub(crate) fn is_shell(program: &OsStr) -> bool {
    matches!(
        base_name(program),
        b"sh" | b"bash" | b"dash" | b"ash" | b"zsh" | b"ksh" | b"mksh" | b"fish" | b"busybox"
    )
}

/// Programs whose first argument that is no option is a program to interpret.
pub(crate) fn is_interpreter(program: &OsStr) -> bool {
    let name = base_name(program);
    // python3.12, ruby3.1, perl5.36 ...
    let stem = name
        .iter()
        .position(|b| b.is_ascii_digit())
        .map_or(name, |i| &name[..i]);
    is_shell(program)
        || matches!(
            stem,
            b"python"
                | b"pypy"
                | b"perl"
                | b"ruby"
                | b"node"
                | b"nodejs"
                | b"deno"
                | b"bun"
                | b"Rscript"
                | b"R"
                | b"julia"
                | b"lua"
                | b"luajit"
                | b"php"
                | b"tclsh"
                | b"guile"
                | b"octave"
                | b"java"
        )
}

/// Options whose value is a program to interpret, not a file (`python -c`, `perl -e`).
pub(crate) fn takes_code(program: &OsStr, option: &[u8]) -> bool {
    // Short options may be joined: `perl -lane CODE`, `python3 -Ic CODE`.
    let joined = option.len() > 2 && !option.starts_with(b"--");
    let last = option.last().copied().unwrap_or_default();
    is_interpreter(program)
        && (matches!(option, b"-c" | b"-e" | b"-E" | b"-m" | b"--eval" | b"-p")
            || (joined
                && match base_name(program) {
                    [b'p', b'e', b'r', b'l', ..] | [b'r', b'u', b'b', b'y', ..] => {
                        matches!(last, b'e' | b'E')
                    }
                    [b'p', b'y', ..] => matches!(last, b'c' | b'm'),
                    _ => false,
                }))
}

/// Whether an option's value is itself the program to run: `awk -f`, `sed -f`; for `grep -f` it is
/// the patterns.
pub(crate) fn is_program_option(program: &OsStr, option: &[u8]) -> bool {
    matches!(option, b"-f" | b"--file" | b"--from-file")
        && matches!(
            base_name(program),
            b"awk"
                | b"gawk"
                | b"mawk"
                | b"nawk"
                | b"sed"
                | b"grep"
                | b"egrep"
                | b"fgrep"
                | b"rg"
                | b"jq"
        )
}

/// Programs that run the program named by their further words.
pub(crate) fn is_wrapper(program: &OsStr) -> bool {
    matches!(
        base_name(program),
        b"env"
            | b"time"
            | b"nice"
            | b"ionice"
            | b"chrt"
            | b"taskset"
            | b"timeout"
            | b"stdbuf"
            | b"setsid"
            | b"nohup"
            | b"xargs"
            | b"parallel"
            | b"sudo"
            | b"numactl"
            | b"unbuffer"
            | b"exec"
            | b"command"
            | b"strace"
            | b"perf"
            | b"hyperfine"
    )
}

/// Whether an option's value is written rather than read.
pub(crate) fn is_output_option(program: &OsStr, option: &[u8]) -> bool {
    let name = option.strip_prefix(b"--").or(option.strip_prefix(b"-"));
    let Some(name) = name else {
        // `of=` of dd and `out=` of many others.
        return matches!(
            option,
            b"of" | b"out" | b"output" | b"outfile" | b"out1" | b"out2" | b"outm" | b"dest"
        );
    };
    let lower = name.to_ascii_lowercase();
    matches!(
        &lower[..],
        b"o" | b"oo" | b"dest" | b"destination" | b"log" | b"logfile" | b"log-file"
    ) || lower.starts_with(b"out")
        || lower.ends_with(b"output")
        || lower.ends_with(b"-out")
        || lower.ends_with(b"_out")
        || lower.ends_with(b"outfile")
        || lower.ends_with(b"outdir")
        || (name == b"O" && base_name(program) != b"sort")
        || (name == b"d" && matches!(base_name(program), b"unzip" | b"javac"))
        || (name == b"T" && base_name(program) == b"sort")
        || lower == b"temporary-directory"
        || lower == b"save"
        || lower.starts_with(b"save-to")
}

/// Whether an option's value is a file that governs the work rather than being worked on.
pub(crate) fn is_configuration_option(option: &[u8]) -> bool {
    let name = option
        .strip_prefix(b"--")
        .unwrap_or(option)
        .to_ascii_lowercase();
    [
        &b"config"[..],
        b"conf",
        b"settings",
        b"schema",
        b"model",
        b"weights",
        b"dict",
        b"dictionary",
        b"reference",
        b"ref",
        b"genome",
        b"index",
        b"template",
        b"exclude-from",
        b"include-from",
        b"files0-from",
        b"key",
        b"cert",
        b"cacert",
    ]
    .contains(&&name[..])
}

/// Whether the file at the end of the arguments is written by programs like this
/// (`cp SOURCE DEST`).
pub(crate) fn last_is_output(program: &OsStr) -> bool {
    matches!(
        base_name(program),
        b"cp" | b"mv" | b"install" | b"rsync" | b"ffmpeg" | b"convert" | b"magick" | b"ln"
    )
}

/// Whether the first file among the arguments is written by programs like this (`zip OUT IN...`).
pub(crate) fn first_is_output(program: &OsStr) -> bool {
    matches!(base_name(program), b"zip" | b"ar" | b"7z" | b"7za" | b"7zz")
}

/// Whether the first word tells programs like this what to do (`7z a OUT IN...`).
pub(crate) fn has_mode_word(program: &OsStr) -> bool {
    matches!(base_name(program), b"ar" | b"7z" | b"7za" | b"7zz")
}

/// What a smaller input must have in common with the whole for a command to work on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnyBytes {
    /// It must be of the same format, made of whole records.
    #[default]
    No,
    /// It must be compressed like the whole, but whatever is inside may be cut anywhere:
    /// decompressors.
    Content,
    /// Any stretch of bytes will do: compressors, checksums, copies, counts.
    File,
}

/// Whether a command works on bytes as they are.
///
/// Looks through wrappers such as `nice`, but not into shell scripts.
pub fn takes_any_bytes(argv: &[OsString]) -> AnyBytes {
    let mut words = argv.iter().map(OsString::as_os_str);
    let Some(mut program) = words.next() else {
        return AnyBytes::No;
    };
    let mut rest: Vec<&OsStr> = words.collect();
    while is_wrapper(program) {
        let next = rest.iter().position(|w| {
            let bytes = w.as_bytes();
            !bytes.starts_with(b"-")
                && !bytes.contains(&b'=')
                && !bytes
                    .iter()
                    .all(|b| b.is_ascii_digit() || b".smhd".contains(b))
        });
        let Some(next) = next else {
            return AnyBytes::No;
        };
        program = rest[next];
        rest.drain(..=next);
    }
    let decompresses = rest.iter().any(|w| {
        let w = w.as_bytes();
        matches!(
            w,
            b"--decompress" | b"--uncompress" | b"--test" | b"--list" | b"--decode"
        ) || (w.starts_with(b"-")
            && !w.starts_with(b"--")
            && w[1..].iter().any(|b| matches!(b, b'd' | b't' | b'l')))
    });
    let name = base_name(program);
    let any = match name {
        b"gzip" | b"pigz" | b"bzip2" | b"pbzip2" | b"lbzip2" | b"xz" | b"pixz" | b"lzma"
        | b"zstd" | b"zstdmt" | b"pzstd" | b"lz4" | b"brotli" | b"lzop" | b"bgzip" | b"base64"
        | b"base32" => {
            return if decompresses {
                AnyBytes::Content
            } else {
                AnyBytes::File
            };
        }
        b"zcat" | b"gunzip" | b"unpigz" | b"zstdcat" | b"unzstd" => return AnyBytes::Content,
        b"md5sum" | b"sha1sum" | b"sha224sum" | b"sha256sum" | b"sha384sum" | b"sha512sum"
        | b"b2sum" | b"b3sum" | b"cksum" | b"sum" | b"xxhsum" | b"xxh64sum" | b"cat" | b"cp"
        | b"dd" | b"wc" | b"od" | b"xxd" | b"hexdump" | b"strings" | b"split" | b"shred" => true,
        b"openssl" => rest.iter().any(|w| {
            let w = w.as_bytes();
            w == b"dgst" || w.starts_with(b"sha") || w == b"md5"
        }),
        _ => false,
    };
    if any { AnyBytes::File } else { AnyBytes::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(words: &[&str]) -> AnyBytes {
        takes_any_bytes(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn byte_programs() {
        for words in [
            &["xz", "-6", "-k", "f"][..],
            &["nice", "-n", "5", "/usr/bin/gzip", "f"],
            &["timeout", "10s", "sha256sum", "f"],
            &["env", "A=b", "wc", "-l", "f"],
        ] {
            assert_eq!(any(words), AnyBytes::File, "{words:?}");
        }
        for words in [
            &["gzip", "-dc", "f.gz"][..],
            &["zstd", "--decompress", "f"],
            &["zcat", "f"],
        ] {
            assert_eq!(any(words), AnyBytes::Content, "{words:?}");
        }
        for words in [&["sort", "f"][..], &["env"], &[]] {
            assert_eq!(any(words), AnyBytes::No, "{words:?}");
        }
    }

    #[test]
    fn code_behind_joined_options() {
        assert!(takes_code(OsStr::new("perl"), b"-lane"));
        assert!(takes_code(OsStr::new("python3"), b"-Ic"));
        assert!(!takes_code(OsStr::new("python3"), b"-u"));
        assert!(!takes_code(OsStr::new("node"), b"--trace"));
    }

    #[test]
    fn interpreters_with_versions() {
        assert!(is_interpreter(OsStr::new("/usr/bin/python3.12")));
        assert!(!is_interpreter(OsStr::new("sort")));
    }
}
