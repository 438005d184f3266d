//! What is wrapped around the content: gzip and its blocked variant, zstd, and those that are only
//! recognised. Readers decode no more than is asked of them.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};

/// The compression around a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// None: the content is the file.
    Plain,
    /// gzip (RFC 1952), one member or several.
    Gzip,
    /// gzip in blocks of at most 64 KiB that can be found from any position (BGZF, of the SAM
    /// specification).
    Bgzf,
    /// Zstandard (RFC 8878), one frame or several.
    Zstd,
    /// xz: recognised, not decoded.
    Xz,
    /// bzip2: recognised, not decoded.
    Bzip2,
}

impl Container {
    /// The container whose magic number the file begins with.
    pub fn of(head: &[u8]) -> Container {
        if bgzf_block_size(head).is_some() {
            Container::Bgzf
        } else if head.starts_with(&[0x1f, 0x8b, 8]) {
            Container::Gzip
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable_zstd(head) {
            Container::Zstd
        } else if head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
            Container::Xz
        } else if head.len() >= 10
            && head.starts_with(b"BZh")
            && head[3].is_ascii_digit()
            && (head[4..10] == [0x31, 0x41, 0x59, 0x26, 0x53, 0x59]
                || head[4..10] == [0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
        {
            Container::Bzip2
        } else {
            Container::Plain
        }
    }

    /// The usual suffix of file names, without a dot; empty for [`Container::Plain`].
    pub fn suffix(self) -> &'static str {
        match self {
            Container::Plain => "",
            Container::Gzip => "gz",
            Container::Bgzf => "bgz",
            Container::Zstd => "zst",
            Container::Xz => "xz",
            Container::Bzip2 => "bz2",
        }
    }

    /// Whether the content can be read here at all.
    pub fn is_decoded(self) -> bool {
        !matches!(self, Container::Xz | Container::Bzip2)
    }

    /// Whether reading may begin anywhere in the file, without decoding what lies before.
    pub fn is_seekable(self) -> bool {
        matches!(self, Container::Plain | Container::Bgzf)
    }
}

fn is_skippable_zstd(head: &[u8]) -> bool {
    head.len() >= 4 && (0x50..=0x5f).contains(&head[0]) && head[1..4] == [0x2a, 0x4d, 0x18]
}

/// The whole size in bytes of the BGZF block that `head` begins with, from its `BC` extra field.
pub(crate) fn bgzf_block_size(head: &[u8]) -> Option<usize> {
    if head.len() < 18 || head[..4] != [0x1f, 0x8b, 8, 4] {
        return None;
    }
    let extra = usize::from(u16::from_le_bytes([head[10], head[11]]));
    let mut at = 12;
    let end = 12 + extra;
    while at + 4 <= end.min(head.len()) {
        let length = usize::from(u16::from_le_bytes([head[at + 2], head[at + 3]]));
        if head[at..at + 2] == *b"BC" && length == 2 && at + 6 <= head.len() {
            let size = usize::from(u16::from_le_bytes([head[at + 4], head[at + 5]])) + 1;
            // Header, at least two bytes of deflate, checksum and length.
            return (size >= end + 2 + 8).then_some(size);
        }
        at += 4 + length;
    }
    None
}

/// Reads a part of a plain file by position, so that many readers share one descriptor.
#[derive(Clone, Debug)]
pub(crate) struct FileRange {
    file: Arc<File>,
    position: u64,
    end: u64,
}

impl FileRange {
    pub(crate) fn new(file: Arc<File>, position: u64, end: u64) -> Self {
        FileRange {
            file,
            position,
            end,
        }
    }
}

impl Read for FileRange {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let want = buf.len().min(left);
        let got = self.file.read_at(&mut buf[..want], self.position)?;
        self.position += got as u64;
        Ok(got)
    }
}

/// A file's content, decoded from some position on.
pub(crate) enum Reader {
    Plain(FileRange),
    Gzip(Box<flate2::bufread::MultiGzDecoder<BufReader<FileRange>>>),
    Bgzf(Box<BgzfReader>),
    Zstd(zstd::Decoder<'static, BufReader<FileRange>>),
}

/// How much compressed data is fetched at once: large enough for a disk, small enough for a head.
const FETCH: usize = 128 << 10;

impl Reader {
    /// Opens the content at file position `position` (0, unless the container is seekable), as if
    /// the file ended at `end`.
    pub(crate) fn open(
        file: Arc<File>,
        container: Container,
        position: u64,
        end: u64,
    ) -> io::Result<Reader> {
        let range = FileRange::new(file, position, end);
        Ok(match container {
            Container::Plain => Reader::Plain(range),
            Container::Gzip => Reader::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(
                BufReader::with_capacity(FETCH, range),
            ))),
            Container::Bgzf => Reader::Bgzf(Box::new(BgzfReader::open(range)?)),
            Container::Zstd => {
                let mut decoder =
                    zstd::Decoder::with_buffer(BufReader::with_capacity(FETCH, range))?;
                // Files made with --long are legitimate; the default bound of 128 MiB stays.
                decoder.window_log_max(27)?;
                Reader::Zstd(decoder)
            }
            Container::Xz | Container::Bzip2 => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "xz and bzip2 are not decoded",
                ));
            }
        })
    }

    /// How far the file has been consumed: exact for plain files, otherwise the end of the
    /// compressed data fetched (gzip, zstd) or of the block decoded (BGZF).
    pub(crate) fn file_position(&self) -> u64 {
        match self {
            Reader::Plain(range) => range.position,
            Reader::Gzip(decoder) => buffered_position(decoder.get_ref()),
            Reader::Bgzf(reader) => reader.range.position,
            Reader::Zstd(decoder) => buffered_position(decoder.get_ref()),
        }
    }
}

fn buffered_position(reader: &BufReader<FileRange>) -> u64 {
    reader.get_ref().position - reader.buffer().len() as u64
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Reader::Plain(range) => range.read(buf),
            Reader::Gzip(decoder) => decoder.read(buf),
            Reader::Bgzf(reader) => reader.read(buf),
            Reader::Zstd(decoder) => decoder.read(buf),
        }
    }
}

/// The largest BGZF block, compressed or not.
const BGZF_BLOCK: usize = 64 << 10;

/// Decodes BGZF block by block.
pub(crate) struct BgzfReader {
    range: FileRange,
    inflate: Decompress,
    compressed: Vec<u8>,
    block: Vec<u8>,
    used: usize,
}

impl BgzfReader {
    /// Begins at the first block at or after the range's position; at the range's end where there
    /// is none.
    fn open(mut range: FileRange) -> io::Result<Self> {
        if range.position > 0 {
            range.position = next_bgzf_block(&range)?.unwrap_or(range.end);
        }
        Ok(BgzfReader {
            range,
            inflate: Decompress::new(false),
            compressed: vec![0; BGZF_BLOCK],
            block: Vec::with_capacity(BGZF_BLOCK),
            used: 0,
        })
    }

    /// Decodes the next block; false at the end of the file.
    fn advance(&mut self) -> io::Result<bool> {
        self.block.clear();
        self.used = 0;
        let mut head = [0; 18];
        let got = read_full(&mut self.range, &mut head)?;
        if got == 0 {
            return Ok(false);
        }
        let size = bgzf_block_size(&head[..got]).ok_or_else(|| {
            let kind = if got < head.len() {
                io::ErrorKind::UnexpectedEof
            } else {
                io::ErrorKind::InvalidData
            };
            io::Error::new(kind, "no BGZF block where one should begin")
        })?;
        self.compressed[..18].copy_from_slice(&head);
        if read_full(&mut self.range, &mut self.compressed[18..size])? < size - 18 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file ends inside a BGZF block",
            ));
        }
        let data = 12 + usize::from(u16::from_le_bytes([head[10], head[11]]));
        self.inflate.reset(false);
        let status = self
            .inflate
            .decompress_vec(
                &self.compressed[data..size - 8],
                &mut self.block,
                FlushDecompress::Finish,
            )
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        let stored = u32::from_le_bytes(
            self.compressed[size - 4..size]
                .try_into()
                .unwrap_or_default(),
        );
        if status != Status::StreamEnd || self.block.len() as u64 != u64::from(stored) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a BGZF block does not hold what it says",
            ));
        }
        Ok(true)
    }
}

impl Read for BgzfReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // Empty blocks are legal, not only at the end.
        while self.used == self.block.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let take = buf.len().min(self.block.len() - self.used);
        buf[..take].copy_from_slice(&self.block[self.used..self.used + take]);
        self.used += take;
        Ok(take)
    }
}

/// The position of the first BGZF block at or after the range's position, confirmed by another
/// block, or the end, right behind it.
fn next_bgzf_block(range: &FileRange) -> io::Result<Option<u64>> {
    let mut window = vec![0; 2 * BGZF_BLOCK + 64];
    let mut reader = range.clone();
    let got = read_full(&mut reader, &mut window)?;
    let window = &window[..got];
    let at_end = range.position + got as u64 >= range.end;
    for at in memchr::memmem::find_iter(window, &[0x1f, 0x8b, 8, 4]) {
        if at >= BGZF_BLOCK {
            break;
        }
        let Some(size) = bgzf_block_size(&window[at..]) else {
            continue;
        };
        let follows = match window.get(at + size..) {
            Some([]) => at_end,
            Some(rest) => bgzf_block_size(rest).is_some(),
            None => false,
        };
        if follows {
            return Ok(Some(range.position + at as u64));
        }
    }
    Ok(None)
}

/// Fills `buf` as far as there is data; returns how far.
pub(crate) fn read_full(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match reader.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
