use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead};

/// Longer lines are cut: no row of a trace is.
const LONGEST: usize = 1 << 20;

/// Lines of a text, with one that may be looked at before it is taken. An error in the middle ends
/// the text and is kept.
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    line: String,
    waiting: bool,
    failure: Option<io::Error>,
    seen: HashSet<u64>,
}

impl<R: BufRead> Lines<R> {
    pub fn new(input: R) -> Self {
        Lines {
            input,
            buffer: Vec::new(),
            line: String::new(),
            waiting: false,
            failure: None,
            seen: HashSet::new(),
        }
    }

    /// The next line that is not blank, left in place.
    pub fn peek(&mut self) -> io::Result<Option<&str>> {
        if !self.waiting {
            self.waiting = self.fill();
        }
        Ok(self.waiting.then_some(self.line.as_str()))
    }

    /// The next line that is not blank.
    pub fn next(&mut self) -> Option<&str> {
        if !std::mem::take(&mut self.waiting) && !self.fill() {
            return None;
        }
        Some(&self.line)
    }

    /// Whether the line last taken equals one before it.
    pub fn repeated(&mut self) -> bool {
        let mut hash = DefaultHasher::new();
        self.line.hash(&mut hash);
        !self.seen.insert(hash.finish())
    }

    /// The line last taken.
    pub fn current(&self) -> &str {
        &self.line
    }

    /// Why the text ended early, once.
    pub fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    fn fill(&mut self) -> bool {
        while self.failure.is_none() {
            self.buffer.clear();
            match self.take_line() {
                Ok(0) => return false,
                Ok(_) => {}
                Err(e) => {
                    // What came before the error on this line may be cut: it is not used.
                    self.failure = Some(e);
                    return false;
                }
            }
            let text = String::from_utf8_lossy(&self.buffer);
            let text = text.trim_end_matches(['\n', '\r']);
            if !text.trim().is_empty() {
                self.line.clear();
                self.line.push_str(text);
                return true;
            }
        }
        false
    }

    /// One line into the buffer, at most [`LONGEST`] bytes of it; the number of bytes consumed.
    fn take_line(&mut self) -> io::Result<usize> {
        let mut consumed = 0;
        loop {
            let available = match self.input.fill_buf() {
                Ok(b) => b,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if available.is_empty() {
                return Ok(consumed);
            }
            let end = available.iter().position(|b| *b == b'\n');
            let part = &available[..end.map_or(available.len(), |e| e + 1)];
            let room = LONGEST - self.buffer.len();
            self.buffer.extend_from_slice(&part[..part.len().min(room)]);
            let n = part.len();
            self.input.consume(n);
            consumed += n;
            if end.is_some() {
                return Ok(consumed);
            }
        }
    }
}

/// The fields of a line; quotes (`"`, doubled inside) may hold the delimiter where it is a comma.
pub(super) fn split<'a>(line: &'a str, delimiter: char, out: &mut Vec<std::borrow::Cow<'a, str>>) {
    out.clear();
    let mut rest = line;
    loop {
        if delimiter == ',' && rest.starts_with('"') {
            let mut text = String::new();
            let mut chars = rest[1..].char_indices().peekable();
            let mut end = rest.len();
            while let Some((i, c)) = chars.next() {
                if c != '"' {
                    text.push(c);
                } else if chars.peek().is_some_and(|n| n.1 == '"') {
                    text.push('"');
                    chars.next();
                } else {
                    end = i + 2;
                    break;
                }
            }
            out.push(text.into());
            rest = &rest[end.min(rest.len())..];
            match rest.find(delimiter) {
                Some(i) => rest = &rest[i + 1..],
                None => return,
            }
        } else {
            match rest.find(delimiter) {
                Some(i) => {
                    out.push(rest[..i].trim().into());
                    rest = &rest[i + 1..];
                }
                None => {
                    out.push(rest.trim().into());
                    return;
                }
            }
        }
    }
}
