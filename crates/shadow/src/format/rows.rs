//! Files of rows of one size behind a header that counts them: arrays, sound, pictures.

use super::npy;

/// Where the rows lie, and how a header for fewer of them is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLayout {
    /// Bytes before the first row.
    pub header: usize,
    /// Bytes of one row: all along the first axis of an array, a moment of sound, a line of a
    /// picture.
    pub row: u64,
    /// Rows that the header speaks of.
    pub rows: u64,
    pub(crate) head: Head,
}

/// What a header consists of besides the number of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// The parts of the dictionary before and after the number.
    Npy {
        version: u8,
        before: String,
        after: String,
    },
    /// The header itself.
    Wav(Vec<u8>),
    /// What is before and after the number.
    Pnm { before: Vec<u8>, after: Vec<u8> },
}

impl RowLayout {
    /// `npy`, `wav` or `pnm`.
    pub(crate) fn name(&self) -> &'static str {
        match self.head {
            Head::Npy { .. } => "npy",
            Head::Wav(_) => "wav",
            Head::Pnm { .. } => "pnm",
        }
    }

    /// A header for the same with another number of rows.
    pub(crate) fn header_for(&self, rows: u64) -> Vec<u8> {
        match &self.head {
            Head::Npy {
                version,
                before,
                after,
            } => npy::header_for(*version, before, after, rows),
            Head::Wav(header) => {
                let data = u32::try_from(rows * self.row).unwrap_or(u32::MAX);
                let mut out = header.clone();
                let end = out.len();
                // The sizes of the whole but its first eight bytes, and of the data.
                let whole = data.saturating_add(u32::try_from(end - 8).unwrap_or(u32::MAX));
                out[4..8].copy_from_slice(&whole.to_le_bytes());
                out[end - 4..].copy_from_slice(&data.to_le_bytes());
                out
            }
            Head::Pnm { before, after } => [before, rows.to_string().as_bytes(), after].concat(),
        }
    }

    /// Reads the head of a RIFF WAVE file of plain samples.
    pub(crate) fn wav(head: &[u8]) -> Option<Self> {
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?))
        };
        if !head.starts_with(b"RIFF") || head.get(8..12)? != b"WAVE" {
            return None;
        }
        let mut at = 12;
        let mut block = None;
        loop {
            let size = usize::try_from(word(at + 4)?).ok()?;
            match head.get(at..at + 4)? {
                b"fmt " => {
                    let kind = u16::from_le_bytes(head.get(at + 8..at + 10)?.try_into().ok()?);
                    let align = u16::from_le_bytes(head.get(at + 20..at + 22)?.try_into().ok()?);
                    // Integers, floats, and their extensible form; others are compressed.
                    block = matches!(kind, 1 | 3 | 0xfffe).then_some(u64::from(align));
                }
                b"data" => {
                    let row = block.filter(|b| *b > 0)?;
                    let header = at + 8;
                    let rows = size as u64 / row;
                    return (rows > 0).then(|| RowLayout {
                        header,
                        row,
                        rows,
                        head: Head::Wav(head[..header].to_vec()),
                    });
                }
                _ => {}
            }
            at = at
                .checked_add(8)?
                .checked_add(size)?
                .checked_add(size & 1)?;
        }
    }

    /// Reads the head of a binary portable pixmap, graymap or bitmap (`P4`, `P5`, `P6`).
    pub(crate) fn pnm(head: &[u8]) -> Option<Self> {
        let kind = match head.get(..2)? {
            b"P4" => 4,
            b"P5" => 5,
            b"P6" => 6,
            _ => return None,
        };
        let mut at = 2;
        let mut numbers = Vec::new();
        let wanted = if kind == 4 { 2 } else { 3 };
        while numbers.len() < wanted {
            match head.get(at)? {
                b'#' => at += memchr::memchr(b'\n', &head[at..])?,
                b if b.is_ascii_whitespace() => at += 1,
                b if b.is_ascii_digit() => {
                    let length = head[at..].iter().position(|b| !b.is_ascii_digit())?;
                    let text = std::str::from_utf8(&head[at..at + length]).ok()?;
                    numbers.push((at..at + length, text.parse::<u64>().ok()?));
                    at += length;
                }
                _ => return None,
            }
        }
        // One white space, and the pixels.
        head.get(at).filter(|b| b.is_ascii_whitespace())?;
        let header = at + 1;
        let width = numbers[0].1;
        let (place, rows) = numbers[1].clone();
        let row = match kind {
            4 => width.div_ceil(8),
            _ => {
                let depth = if numbers[2].1 > 255 { 2 } else { 1 };
                width.checked_mul(depth * if kind == 6 { 3 } else { 1 })?
            }
        };
        (row > 0 && rows > 0).then(|| RowLayout {
            header,
            row,
            rows,
            head: Head::Pnm {
                before: head[..place.start].to_vec(),
                after: head[place.end..header].to_vec(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lose_lines() {
        let layout = RowLayout::pnm(b"P6\n# by hand\n40 30\n255\n\x01\x02").unwrap();
        assert_eq!((layout.row, layout.rows, layout.header), (120, 30, 23));
        assert_eq!(layout.header_for(4), b"P6\n# by hand\n40 4\n255\n");
        let bits = RowLayout::pnm(b"P4 9 3\n\0").unwrap();
        assert_eq!((bits.row, bits.rows), (2, 3));
        assert_eq!(RowLayout::pnm(b"P6 what"), None);
        assert_eq!(RowLayout::pnm(b"P5 1"), None);
    }

    #[test]
    fn sound_is_cut_between_moments() {
        let mut head = b"RIFF\x24\x10\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
        head.extend(48_000_u32.to_le_bytes());
        head.extend(192_000_u32.to_le_bytes());
        head.extend([4, 0, 16, 0]);
        head.extend(b"data\x00\x10\0\0");
        let layout = RowLayout::wav(&head).unwrap();
        assert_eq!((layout.header, layout.row, layout.rows), (44, 4, 1024));
        let out = layout.header_for(10);
        assert_eq!(out[4..8], 76_u32.to_le_bytes());
        assert_eq!(out[40..], 40_u32.to_le_bytes());
        head[20] = 0x55;
        assert_eq!(RowLayout::wav(&head), None);
    }
}
