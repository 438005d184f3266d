//! A growing window over a decoded stream: records are looked for in it and passed on whole.

use std::io::{self, Read};

use crate::format::{Content, Reader};

/// How much is read at once.
const STEP: usize = 256 << 10;

/// The bytes of a [`Reader`] not yet consumed.
pub(crate) struct Window {
    reader: Reader,
    buffer: Vec<u8>,
    from: usize,
    filled: usize,
    step: usize,
    /// Nothing more comes.
    eof: bool,
    /// The stream ended by an error in its compressed data.
    pub(crate) damage: Option<io::Error>,
    consumed: u64,
}

impl Window {
    pub(crate) fn new(reader: Reader) -> Self {
        Window::with_step(reader, STEP)
    }

    /// Reads `step` bytes at a time: small for short visits to many places.
    pub(crate) fn with_step(reader: Reader, step: usize) -> Self {
        Window {
            reader,
            buffer: Vec::new(),
            from: 0,
            filled: 0,
            step: step.max(4096),
            eof: false,
            damage: None,
            consumed: 0,
        }
    }

    /// Goes on elsewhere, with the same memory.
    pub(crate) fn move_to(&mut self, reader: Reader) {
        self.reader = reader;
        self.from = 0;
        self.filled = 0;
        self.eof = false;
        self.damage = None;
        self.consumed = 0;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.from..self.filled]
    }

    pub(crate) fn eof(&self) -> bool {
        self.eof
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.from += n;
        self.consumed += n as u64;
    }

    /// Content bytes consumed so far.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Content bytes fetched so far, consumed or not.
    pub(crate) fn fetched(&self) -> u64 {
        self.consumed + (self.filled - self.from) as u64
    }

    /// The position in the file up to which it was fetched.
    pub(crate) fn file_position(&self) -> u64 {
        self.reader.file_position()
    }

    /// Fetches more bytes, at least as many as are there already once they are many; false at the
    /// end. Errors of compressed data end the stream and are kept in `damage`.
    pub(crate) fn more(&mut self) -> io::Result<bool> {
        if self.eof {
            return Ok(false);
        }
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.filled, 0);
            self.filled -= self.from;
            self.from = 0;
        }
        let want = self.step.max(self.filled);
        if self.buffer.len() < self.filled + want {
            self.buffer.resize(self.filled + want, 0);
        }
        let before = self.filled;
        while self.filled < before + want {
            let space = &mut self.buffer[self.filled..before + want];
            match self.reader.read(space) {
                Ok(0) => {
                    self.eof = true;
                    break;
                }
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if matches!(self.reader, Reader::Plain(_)) => return Err(e),
                Err(e) => {
                    self.damage = Some(e);
                    self.eof = true;
                    break;
                }
            }
        }
        Ok(self.filled > before)
    }

    /// Reads and consumes the header.
    pub(crate) fn header(
        &mut self,
        content: &Content,
        limit: usize,
    ) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(n) = content.header_length(self.bytes(), self.eof)
                && (n <= self.bytes().len())
                && (!self.bytes().is_empty() || self.eof)
            {
                let header = self.bytes()[..n].to_vec();
                self.consume(n);
                return Ok(Some(header));
            }
            if self.bytes().len() >= limit || !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Skips to the first record start after the window's first byte; false where there is none
    /// within `limit` bytes.
    pub(crate) fn sync(&mut self, content: &Content, limit: usize) -> io::Result<bool> {
        loop {
            if let Some(n) = content.sync(self.bytes(), self.eof) {
                self.consume(n);
                return Ok(true);
            }
            if self.bytes().len() >= limit || !self.more()? {
                return Ok(false);
            }
        }
    }
}
