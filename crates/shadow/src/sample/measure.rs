//! How much content a file holds, without decoding all of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::format::{Container, Reader, bgzf_block_size, read_full};

use super::window::Window;

/// An amount of uncompressed content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContentSize {
    /// In bytes.
    pub bytes: u64,
    /// Whether that is exact; otherwise it follows from a part of the file, or from what the file
    /// says of itself.
    pub exact: bool,
}

/// Content decoded to learn the ratio of a stream.
const PROBE: u64 = 1 << 20;
/// BGZF files up to this size are walked block by block; of larger ones, so many stretches.
const WALK: u64 = 64 << 20;
const STRETCHES: u64 = 32;
const STRETCH: usize = 256 << 10;

/// Measures the content of a file of `length` bytes.
pub(crate) fn content_size(
    file: &Arc<File>,
    container: Container,
    length: u64,
) -> io::Result<ContentSize> {
    match container {
        Container::Plain | Container::Xz | Container::Bzip2 => Ok(ContentSize {
            bytes: length,
            exact: container == Container::Plain,
        }),
        Container::Bgzf => bgzf_size(file, length),
        Container::Gzip | Container::Zstd => stream_size(file, container, length),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "estimates need no more than 53 bits, and are never negative"
)]
fn stream_size(file: &Arc<File>, container: Container, length: u64) -> io::Result<ContentSize> {
    let reader = Reader::open(Arc::clone(file), container, 0, length)?;
    let mut window = Window::new(reader);
    while window.fetched() < PROBE && window.more()? {
        let n = window.bytes().len();
        window.consume(n);
    }
    if window.eof() {
        return Ok(ContentSize {
            bytes: window.fetched(),
            exact: true,
        });
    }
    let ratio = window.fetched() as f64 / window.file_position().max(1) as f64;
    let estimate = ratio * length as f64;
    // What the file says of itself counts where it is the whole: with several members or frames
    // it speaks of one of them only, and then is far from the estimate.
    let stated = match container {
        Container::Gzip => gzip_stated(file, length, estimate)?,
        _ => zstd_frame(file)?.0.map(|n| n as f64),
    };
    let stated = stated.filter(|s| (0.5..=2.0).contains(&(s / estimate.max(1.0))));
    Ok(ContentSize {
        bytes: stated.unwrap_or(estimate).round() as u64,
        exact: false,
    })
}

/// The size at the end of the last gzip member, which is kept modulo 2³²: of the sizes it may
/// stand for, the one nearest to the estimate.
fn gzip_stated(file: &File, length: u64, estimate: f64) -> io::Result<Option<f64>> {
    let mut tail = [0; 4];
    let Some(at) = length.checked_sub(4) else {
        return Ok(None);
    };
    file.read_exact_at(&mut tail, at)?;
    let modulus = 2_f64.powi(32);
    let low = f64::from(u32::from_le_bytes(tail));
    Ok(Some(
        low + ((estimate - low) / modulus).round().max(0.0) * modulus,
    ))
}

/// The content size and window (as a logarithm) that the first zstd frame states.
pub(crate) fn zstd_frame(file: &File) -> io::Result<(Option<u64>, Option<u32>)> {
    let mut head = [0; 18];
    let got = file.read_at(&mut head, 0)?;
    Ok(parse_zstd_frame(&head[..got]))
}

fn parse_zstd_frame(head: &[u8]) -> (Option<u64>, Option<u32>) {
    if !head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || head.len() < 6 {
        return (None, None);
    }
    let descriptor = head[4];
    let single = descriptor & 0x20 != 0;
    let mut at = 5;
    let mut window = None;
    if !single {
        window = Some(10 + u32::from(head[at] >> 3));
        at += 1;
    }
    at += [0, 1, 2, 4][usize::from(descriptor & 3)];
    let width = match descriptor >> 6 {
        0 if single => 1,
        0 => 0,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let size = head.get(at..at + width).filter(|f| !f.is_empty()).map(|f| {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(f);
        u64::from_le_bytes(bytes) + if width == 2 { 256 } else { 0 }
    });
    (size, window)
}

fn bgzf_size(file: &File, length: u64) -> io::Result<ContentSize> {
    let mut compressed = 0_u64;
    let mut content = 0_u64;
    if length <= WALK {
        let mut at = 0;
        let mut buffer = vec![0; 1 << 20];
        while at < length {
            let got = read_full_at(file, &mut buffer, at)?;
            let (walked, held) = walk(&buffer[..got]);
            if walked == 0 {
                // Damaged or cut short: what follows can't be read either.
                break;
            }
            at += walked as u64;
            content += held;
        }
        return Ok(ContentSize {
            bytes: content,
            exact: true,
        });
    }
    let mut buffer = vec![0; STRETCH];
    for i in 0..STRETCHES {
        let at = (length - STRETCH as u64) / STRETCHES * i;
        let got = read_full_at(file, &mut buffer, at)?;
        for start in memchr::memmem::find_iter(&buffer[..got], &[0x1f, 0x8b, 8, 4]) {
            let (walked, held) = walk(&buffer[start..got]);
            // Chance resemblances don't lead to a next block.
            if walked > 64 << 10 || (walked > 0 && walked + start + (64 << 10) >= got) {
                compressed += walked as u64;
                content += held;
                break;
            }
        }
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, never negative"
    )]
    let bytes = (content as f64 / compressed.max(1) as f64 * length as f64).round() as u64;
    Ok(ContentSize {
        bytes,
        exact: false,
    })
}

/// Follows the whole blocks in `buffer`; returns their compressed and uncompressed bytes.
fn walk(buffer: &[u8]) -> (usize, u64) {
    let mut at = 0;
    let mut content = 0;
    while let Some(size) = bgzf_block_size(&buffer[at..]) {
        let Some(tail) = buffer.get(at + size - 4..at + size) else {
            break;
        };
        content += u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
        at += size;
    }
    (at, content)
}

fn read_full_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    struct At<'a>(&'a File, u64);
    impl io::Read for At<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.read_at(buf, self.1)?;
            self.1 += n as u64;
            Ok(n)
        }
    }
    read_full(&mut At(file, at), buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn zstd_frames_state_size_and_window() {
        let data = zstd::bulk::compress(&[7; 100_000], 3).unwrap();
        assert_eq!(parse_zstd_frame(&data).0, Some(100_000));
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(24).unwrap();
        encoder.write_all(&[7; 100_000]).unwrap();
        let data = encoder.finish().unwrap();
        assert_eq!(parse_zstd_frame(&data), (None, Some(24)));
        assert_eq!(parse_zstd_frame(b"\x28\xb5"), (None, None));
    }
}
