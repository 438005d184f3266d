//! Finds the files and directories that a command names.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::look::{look, special};
use super::programs::{
    base_name, first_is_output, has_mode_word, is_interpreter, is_shell, is_wrapper,
    last_is_output, takes_code,
};
use super::shapes::{
    has_index, is_command_cluster, is_data, is_directory_option, is_program, is_tar_mode, matches,
    role_of_option, writes_archive,
};
use super::words::{Word, script};
use super::{Input, Kind, Origin, Reference, Role, Unreadable};

/// A command, as far as finding its inputs needs.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The command and its arguments.
    pub argv: &'a [OsString],
    /// The directory it is to run in, absolute.
    pub cwd: &'a Path,
    /// Its standard input.
    pub stdin: StandardInput<'a>,
    /// Inputs that the user named apart from the command (`--input`); relative ones lie in `cwd`.
    pub named: &'a [PathBuf],
}

/// A command's standard input.
#[derive(Clone, Copy, Debug)]
pub enum StandardInput<'a> {
    /// Nothing, or nothing of interest.
    Nothing,
    /// This open descriptor.
    Descriptor(BorrowedFd<'a>),
}

/// Finds what a command names: arguments, values of options (`--in=PATH`, `-iPATH`, `if=PATH`),
/// lists, `@PATH`, the words and redirections of scripts given to shells, and a file on standard
/// input. Words that name nothing that exists are taken for something else.
///
/// Only metadata and heads of files are read.
pub fn discover(request: Request<'_>) -> Vec<Input> {
    let mut finder = Finder {
        cwd: request.cwd,
        found: Vec::new(),
    };
    for path in request.named {
        let path = request.cwd.join(path);
        finder.push(look(path, Origin::Option(0), Role::Data));
    }
    let words: Vec<(usize, &OsStr)> = request
        .argv
        .iter()
        .map(OsString::as_os_str)
        .enumerate()
        .collect();
    finder.command(&words, Origin::Argument);
    if let StandardInput::Descriptor(fd) = request.stdin {
        finder.stdin(fd);
    }
    finder.found
}

/// Of longer lists, the rest is taken for something else than names of files.
const MOST_PARTS: usize = 4096;

struct Finder<'a> {
    cwd: &'a Path,
    found: Vec<Input>,
}

/// What is known while going through the words of one simple command.
#[derive(Default)]
struct State<'w> {
    program: Option<&'w OsStr>,
    /// The option just before, whose value may come next.
    option: Option<&'w [u8]>,
    /// `--` was seen: no more options.
    only_words: bool,
    /// An interpreter already has its script.
    has_script: bool,
    /// Words after the program.
    words: usize,
    /// Words that named files.
    files: usize,
    /// For tar: the next file is the archive, and is written.
    writes_archive: bool,
    /// The directory that the command was told to change to.
    base: Option<PathBuf>,
}

impl Finder<'_> {
    /// Goes through a simple command's words, each with the number that its origin is told by.
    fn command(&mut self, words: &[(usize, &OsStr)], origin: fn(usize) -> Origin) {
        let mut state = State::default();
        let mut last_file = None;
        for &(index, word) in words {
            let bytes = word.as_bytes();
            let index_in_command = state.words;
            state.words += usize::from(state.program.is_some());
            let Some(program) = state.program else {
                state.program = Some(word);
                continue;
            };
            if bytes.is_empty() {
                state.option = None;
                continue;
            }
            if !state.only_words && bytes == b"--" {
                state.only_words = true;
                continue;
            }
            if has_mode_word(program) && index_in_command == 0 {
                continue;
            }
            if base_name(program) == b"tar" && state.files == 0 && is_tar_mode(bytes) {
                state.writes_archive = writes_archive(bytes);
                continue;
            }
            if !state.only_words && bytes.starts_with(b"-") && bytes.len() > 1 {
                self.option(index, bytes, &mut state);
                continue;
            }
            let before = self.found.len();
            if let Some(program) = self.word(index, word, &mut state, origin) {
                // A wrapper's own command begins.
                state = State {
                    program: Some(program),
                    ..State::default()
                };
            } else if self.found.len() > before {
                state.files += 1;
                last_file = Some(before);
            }
        }
        if let (Some(program), Some(last)) = (state.program, last_file)
            && last_is_output(program)
            && state.files > 1
        {
            self.found[last].role = Role::Output;
        }
    }

    fn option<'w>(&mut self, index: usize, bytes: &'w [u8], state: &mut State<'w>) {
        let program = state.program.unwrap_or_default();
        state.option = Some(bytes);
        if takes_code(program, bytes) {
            state.has_script = true;
        }
        if let Some(equals) = bytes.iter().position(|&b| b == b'=') {
            let (name, value) = (&bytes[..equals], &bytes[equals + 1..]);
            state.option = None;
            let role = role_of_option(program, name);
            if is_directory_option(name) {
                state.base = Some(self.cwd.join(OsStr::from_bytes(value)));
            }
            self.candidate(value, Origin::Option(index), role, None);
        } else if !bytes.starts_with(b"--") && bytes.len() > 2 {
            let role = role_of_option(program, &bytes[..2]);
            if self.candidate(&bytes[2..], Origin::Option(index), role, None) {
                state.option = None;
            }
        }
    }

    /// A word that is no option; the program, where it is one that a wrapper starts.
    fn word<'w>(
        &mut self,
        index: usize,
        word: &'w OsStr,
        state: &mut State<'w>,
        origin: fn(usize) -> Origin,
    ) -> Option<&'w OsStr> {
        let program = state.program.unwrap_or_default();
        let bytes = word.as_bytes();
        let option = state.option.take();
        let is_code = option.is_some_and(|o| {
            takes_code(program, o) || (is_shell(program) && is_command_cluster(o))
        });
        if is_code {
            if is_shell(program) {
                self.script(index, word);
            } else {
                self.embedded(bytes, index);
            }
            return None;
        }
        let option = option.filter(|o| !is_directory_option(o) || self.cwd.join(word).is_dir());
        if option.is_some_and(is_directory_option) {
            state.base = Some(self.cwd.join(word));
            // A directory to work in is no data: neither sampled, nor worth a word.
            return None;
        }
        if is_wrapper(program) && is_program(word, self.cwd) {
            return Some(word);
        }
        if is_interpreter(program) && !state.has_script {
            // An option before may take a value (`-W ignore`) or not (`-u`): a file tells.
            let is_file = self.cwd.join(word).is_file();
            if is_file || option.is_none() {
                state.has_script = true;
                self.candidate(bytes, origin(index), Role::Script, None);
            }
            return None;
        }
        let role = match option {
            Some(option) => role_of_option(program, option),
            None if state.writes_archive || (first_is_output(program) && state.files == 0) => {
                state.writes_archive = false;
                state.files += 1;
                Role::Output
            }
            None => Role::Data,
        };
        // A value is more telling than a place, but most options take none.
        let origin = match (option, role) {
            (Some(_), Role::Data) | (None, _) => origin(index),
            (Some(_), _) => Origin::Option(index),
        };
        let base = state.base.as_deref();
        if !self.candidate(bytes, origin, role, base) && role == Role::Data {
            self.embedded(bytes, index);
        }
        None
    }

    /// File names within an argument that is a program or a query of its own: `.import a.csv t`,
    /// `select * from 'a.csv'`. Only words that look like paths count.
    fn embedded(&mut self, bytes: &[u8], index: usize) {
        const LONGEST: usize = 64 << 10;
        if bytes.len() > LONGEST || !bytes.iter().any(u8::is_ascii_whitespace) {
            return;
        }
        let parts = bytes.split(|b| b.is_ascii_whitespace() || b"'\"(),;=`".contains(b));
        for part in parts {
            let name = part.rsplit(|&b| b == b'/').next().unwrap_or_default();
            let dot = name.iter().rposition(|&b| b == b'.').unwrap_or(0);
            let like_a_path = part.contains(&b'/') || (dot > 0 && dot + 1 < name.len());
            if like_a_path && self.cwd.join(OsStr::from_bytes(part)).is_file() {
                self.path(part, Origin::Argument(index), Role::Data, None);
            }
        }
    }

    /// The files that a pattern of a shell stands for, if they are few; else the directory they
    /// are in, since files can then be left out of it, as none can of an argument list.
    fn pattern(&mut self, word: &OsStr, index: usize) {
        const FEW: usize = 16;
        let pattern = Path::new(word);
        let name = pattern.file_name().unwrap_or_default().as_bytes();
        let parent = pattern.parent().unwrap_or(Path::new(""));
        let Ok(listing) = std::fs::read_dir(self.cwd.join(parent)) else {
            return;
        };
        let mut names: Vec<OsString> = listing
            .filter_map(|entry| Some(entry.ok()?.file_name()))
            .filter(|n| matches(name, n.as_bytes()))
            .collect();
        names.sort();
        if names.len() > FEW {
            let parent = self.cwd.join(parent);
            self.push(look(parent, Origin::Script(index), Role::Data));
            return;
        }
        for name in names {
            let path = parent.join(name);
            self.path(
                path.as_os_str().as_bytes(),
                Origin::Script(index),
                Role::Data,
                None,
            );
        }
    }

    /// Everything that `bytes` may name.
    fn candidate(&mut self, bytes: &[u8], origin: Origin, role: Role, base: Option<&Path>) -> bool {
        if self.path(bytes, origin, role, base) {
            return true;
        }
        if let Some(rest) = bytes.strip_prefix(b"@")
            && self.path(rest, origin, role, base)
        {
            return true;
        }
        if let Some(equals) = bytes.iter().position(|&b| b == b'=') {
            let (key, value) = (&bytes[..equals], &bytes[equals + 1..]);
            let role = match role_of_option(OsStr::new(""), key) {
                Role::Data => role,
                other => other,
            };
            return self.path(value, origin, role, base);
        }
        for separator in [b',', b':'] {
            if bytes.contains(&separator) {
                let mut any = false;
                for part in bytes.split(|&b| b == separator).take(MOST_PARTS) {
                    any |= self.path(part, origin, role, base);
                }
                if any {
                    return true;
                }
            }
        }
        false
    }

    /// A path, relative to `base` or else to the working directory.
    fn path(&mut self, bytes: &[u8], origin: Origin, role: Role, base: Option<&Path>) -> bool {
        // The system takes no longer names, and "-" means a stream.
        if bytes.is_empty() || bytes.len() > 4096 || bytes == b"-" || bytes.contains(&0) {
            return false;
        }
        let word = OsStr::from_bytes(bytes);
        let there = |path: &PathBuf| path.symlink_metadata().is_ok();
        let path = base.map(|b| b.join(word)).filter(there);
        let Some(path) = path.or_else(|| Some(self.cwd.join(word)).filter(there)) else {
            return false;
        };
        self.push(look(path, origin, role));
        true
    }

    /// The words of a script given to a shell.
    fn script(&mut self, index: usize, text: &OsStr) {
        let words = script(text);
        let mut simple: Vec<(usize, &OsStr)> = Vec::new();
        for word in &words {
            match word {
                Word::Command(w) => {
                    self.command(&simple, Origin::Script);
                    simple = vec![(index, w)];
                }
                Word::Plain(w) => {
                    if simple.is_empty() {
                        // A variable set before a command, or words after a group.
                        simple.push((index, OsStr::new("")));
                    }
                    simple.push((index, w));
                }
                Word::Pattern(w) => self.pattern(w, index),
                Word::Input(w) => {
                    let path = self.cwd.join(w);
                    // A variable's value is not known here.
                    if !w.as_bytes().contains(&b'$') {
                        self.push(look(path, Origin::Script(index), Role::Data));
                    }
                }
                Word::Output(w) => {
                    self.path(w.as_bytes(), Origin::Script(index), Role::Output, None);
                }
            }
        }
        self.command(&simple, Origin::Script);
    }

    fn stdin(&mut self, fd: BorrowedFd<'_>) {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
            .unwrap_or_else(|_| PathBuf::from("/dev/stdin"));
        let unreadable = |why| Input {
            path: path.clone(),
            real: path.clone(),
            bytes: foreshadow_quantity::Bytes::ZERO,
            kind: Kind::Unreadable(why),
            origin: Origin::Stdin,
            role: Role::Data,
        };
        let metadata = fd
            .try_clone_to_owned()
            .map(File::from)
            .and_then(|f| f.metadata());
        let metadata = match metadata {
            Ok(metadata) => metadata,
            Err(e) => {
                self.push(unreadable(Unreadable::Refused(e.to_string())));
                return;
            }
        };
        if path == Path::new("/dev/null") {
            return;
        }
        if fd.is_terminal() {
            self.push(unreadable(Unreadable::Terminal));
        } else if metadata.is_file() {
            // A file that was unlinked or replaced since can't be opened again by its name.
            let same = std::fs::metadata(&path)
                .is_ok_and(|m| (m.dev(), m.ino()) == (metadata.dev(), metadata.ino()));
            if same {
                self.push(look(path, Origin::Stdin, Role::Data));
            } else {
                self.push(unreadable(Unreadable::Missing));
            }
        } else if metadata.is_dir() {
            self.push(look(path, Origin::Stdin, Role::Data));
        } else {
            self.push(unreadable(special(metadata.file_type())));
        }
    }

    /// Adds an input, unless it is there already; a file that is read and written is read.
    fn push(&mut self, mut input: Input) {
        if input.role == Role::Script && is_data(&input) {
            input.role = Role::Data;
        }
        if input.role == Role::Data && has_index(&input) {
            input.role = Role::Reference(Reference::Index);
        }
        match self.found.iter_mut().find(|i| i.real == input.real) {
            Some(known) if known.role == Role::Output && input.role == Role::Data => {
                *known = input;
            }
            Some(_) => {}
            None => self.found.push(input),
        }
    }
}
