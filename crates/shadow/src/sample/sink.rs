//! Where a sample goes: compressed again as its source was.

use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::format::Container;

/// Half the time of the usual level, and read back as fast as what that makes (lower ones are not).
const GZIP_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 1;

/// Single records are gathered before they are passed on.
const BUFFER: usize = 256 << 10;

/// Content up to this size is kept and compressed in one go, so that a zstd frame states its size
/// as files made by `zstd` do; some readers demand it.
const ZSTD_AT_ONCE: usize = 64 << 20;

/// A writer that compresses like a [`Container`].
pub(crate) enum Sink<'a> {
    Plain(io::BufWriter<Counted<'a>>),
    Gzip(flate2::write::GzEncoder<Counted<'a>>),
    Bgzf(Box<BgzfWriter<'a>>),
    Zstd(ZstdWriter<'a>),
}

/// Counts what passes.
pub(crate) struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<'a> Sink<'a> {
    /// Begins a file. `window_log` is the zstd window of the source, so that readers of the sample
    /// need as much memory for it as far as its size allows.
    pub(crate) fn new(
        container: Container,
        window_log: Option<u32>,
        out: &'a mut dyn Write,
    ) -> Self {
        let out = Counted { out, bytes: 0 };
        match container {
            Container::Gzip => Sink::Gzip(flate2::write::GzEncoder::new(
                out,
                Compression::new(GZIP_LEVEL),
            )),
            Container::Bgzf => Sink::Bgzf(Box::new(BgzfWriter {
                out,
                pending: Vec::with_capacity(BGZF_DATA),
                packed: Vec::with_capacity(64 << 10),
                deflate: Compress::new(Compression::new(GZIP_LEVEL), false),
            })),
            Container::Zstd => Sink::Zstd(ZstdWriter {
                window_log,
                state: ZstdState::Kept(Vec::new(), out),
            }),
            // Never asked for: their content isn't decoded.
            Container::Plain | Container::Xz | Container::Bzip2 => {
                Sink::Plain(io::BufWriter::with_capacity(BUFFER, out))
            }
        }
    }

    /// Completes the file; returns its size in bytes.
    pub(crate) fn finish(self) -> io::Result<u64> {
        let mut out = match self {
            Sink::Plain(out) => out.into_inner().map_err(io::IntoInnerError::into_error)?,
            Sink::Gzip(encoder) => encoder.finish()?,
            Sink::Bgzf(writer) => writer.finish()?,
            Sink::Zstd(writer) => writer.finish()?,
        };
        out.flush()?;
        Ok(out.bytes)
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Plain(out) => out.write(buf),
            Sink::Gzip(encoder) => encoder.write(buf),
            Sink::Bgzf(writer) => writer.write(buf),
            Sink::Zstd(writer) => writer.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Content of one BGZF block; what `bgzip` uses, so that even incompressible data fits 64 KiB.
const BGZF_DATA: usize = 0xff00;

/// An empty block marks the end of a BGZF file.
const BGZF_END: [u8; 28] = [
    0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0, 0, 0,
    0, 0,
];

pub(crate) struct BgzfWriter<'a> {
    out: Counted<'a>,
    pending: Vec<u8>,
    packed: Vec<u8>,
    deflate: Compress,
}

impl<'a> BgzfWriter<'a> {
    fn block(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.packed.clear();
        self.deflate.reset();
        let status = self
            .deflate
            .compress_vec(&self.pending, &mut self.packed, FlushCompress::Finish)
            .map_err(io::Error::other)?;
        if status != Status::StreamEnd || self.packed.len() + 26 > 1 << 16 {
            // Incompressible: one stored block, always small enough.
            let length = u16::try_from(self.pending.len()).map_err(io::Error::other)?;
            self.packed.clear();
            self.packed.push(1);
            self.packed.extend(length.to_le_bytes());
            self.packed.extend((!length).to_le_bytes());
            self.packed.extend(&self.pending);
        }
        let size = u16::try_from(self.packed.len() + 25).map_err(io::Error::other)?;
        let mut crc = Crc::new();
        crc.update(&self.pending);
        self.out.write_all(&[
            0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0,
        ])?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&self.packed)?;
        self.out.write_all(&crc.sum().to_le_bytes())?;
        self.out.write_all(&crc.amount().to_le_bytes())?;
        self.pending.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Counted<'a>> {
        self.block()?;
        self.out.write_all(&BGZF_END)?;
        Ok(self.out)
    }
}

impl Write for BgzfWriter<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let take = buf.len().min(BGZF_DATA - self.pending.len());
        self.pending.extend_from_slice(&buf[..take]);
        if self.pending.len() == BGZF_DATA {
            self.block()?;
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct ZstdWriter<'a> {
    window_log: Option<u32>,
    state: ZstdState<'a>,
}

enum ZstdState<'a> {
    Kept(Vec<u8>, Counted<'a>),
    Streaming(zstd::Encoder<'static, Counted<'a>>),
    /// Only while one state turns into another, or after that failed.
    Gone,
}

fn gone() -> io::Error {
    io::Error::other("an earlier write failed")
}

impl<'a> ZstdWriter<'a> {
    fn encoder(&self, out: Counted<'a>) -> io::Result<zstd::Encoder<'static, Counted<'a>>> {
        let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        if let Some(log) = self.window_log {
            encoder.window_log(log)?;
        }
        Ok(encoder)
    }

    fn finish(mut self) -> io::Result<Counted<'a>> {
        match std::mem::replace(&mut self.state, ZstdState::Gone) {
            ZstdState::Kept(content, out) => {
                let mut encoder = self.encoder(out)?;
                encoder.set_pledged_src_size(Some(content.len() as u64))?;
                encoder.include_contentsize(true)?;
                encoder.write_all(&content)?;
                encoder.finish()
            }
            ZstdState::Streaming(encoder) => encoder.finish(),
            ZstdState::Gone => Err(gone()),
        }
    }
}

impl Write for ZstdWriter<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let ZstdState::Kept(content, _) = &mut self.state {
            if content.len() + buf.len() <= ZSTD_AT_ONCE {
                content.extend_from_slice(buf);
                return Ok(buf.len());
            }
            if let ZstdState::Kept(content, out) =
                std::mem::replace(&mut self.state, ZstdState::Gone)
            {
                let mut encoder = self.encoder(out)?;
                encoder.write_all(&content)?;
                self.state = ZstdState::Streaming(encoder);
            }
        }
        match &mut self.state {
            ZstdState::Streaming(encoder) => encoder.write(buf),
            _ => Err(gone()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
