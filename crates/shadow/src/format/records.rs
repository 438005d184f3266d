//! Where records begin and end, for each kind of content. All functions are pure and look only at
//! the bytes they are given; `eof` says whether the content ends with them.

use memchr::{memchr, memchr_iter, memmem};

use super::{Content, csv, json, tar};

/// What lies at a position where a record may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole record; the next is looked for at `end`.
    Record { start: usize, end: usize },
    /// The record, or what is before it, doesn't end within the bytes.
    More,
    /// No record follows.
    Done,
    /// This is no record of this kind.
    Broken(&'static str),
}

/// Comment lines at the top of a text are its header, up to this many bytes.
const MAX_COMMENTS: usize = 64 << 10;

impl Content {
    /// The length of what stands before the first record; `None` where it doesn't end in `buf`.
    pub(crate) fn header_length(&self, buf: &[u8], eof: bool) -> Option<usize> {
        let bom = if buf.starts_with(&[0xef, 0xbb, 0xbf]) {
            3
        } else {
            0
        };
        match self {
            Content::Lines { terminator: b'\n' } | Content::JsonLines => {
                match leading_lines(buf, bom, b'#', eof) {
                    Some(n) if n - bom <= MAX_COMMENTS => Some(n),
                    None if !eof && buf.len() <= MAX_COMMENTS => None,
                    _ => Some(bom),
                }
            }
            Content::Delimited {
                delimiter, quoted, ..
            } => {
                let comments = leading_lines(buf, bom, b'#', eof)?;
                if comments == buf.len() {
                    return eof.then_some(comments);
                }
                csv::record_end(buf, comments, *delimiter, *quoted, eof)
            }
            Content::Vcf => leading_lines(buf, bom, b'#', eof),
            Content::Sam => leading_lines(buf, bom, b'@', eof),
            Content::JsonArray { open, .. } => Some(open + 1),
            Content::Xml(layout) => Some(layout.header),
            Content::Bam => bam_header(buf),
            Content::Fasta => memchr(b'>', buf),
            _ => Some(0),
        }
    }

    /// The record that begins at `from`.
    pub(crate) fn next(&self, buf: &[u8], from: usize, eof: bool) -> Next {
        if from >= buf.len() {
            return if eof { Next::Done } else { Next::More };
        }
        let found = |end: Option<usize>| match end {
            Some(end) => Next::Record { start: from, end },
            None if eof => Next::Record {
                start: from,
                end: buf.len(),
            },
            None => Next::More,
        };
        match self {
            Content::Lines { terminator } => {
                found(memchr(*terminator, &buf[from..]).map(|i| from + i + 1))
            }
            Content::JsonLines | Content::Sam | Content::Vcf => {
                found(memchr(b'\n', &buf[from..]).map(|i| from + i + 1))
            }
            Content::Delimited {
                delimiter, quoted, ..
            } => found(csv::record_end(buf, from, *delimiter, *quoted, eof)),
            Content::Fasta => {
                if buf[from] != b'>' {
                    return Next::Broken("a FASTA record must begin with '>'");
                }
                found(memmem::find(&buf[from..], b"\n>").map(|i| from + i + 1))
            }
            Content::Fastq => fastq_next(buf, from, eof),
            Content::Bam => bam_next(buf, from, eof),
            Content::JsonArray { .. } => json::next_element(buf, from, eof),
            Content::Xml(layout) => layout.next(buf, from, eof),
            Content::Tar => tar::next_member(buf, from, eof),
            // Without records, any stretch of bytes will do.
            _ => Next::Record {
                start: from,
                end: buf.len().min(from + 4096),
            },
        }
    }

    /// The first record start after `buf`'s first byte, where `buf` begins anywhere in the body.
    pub(crate) fn sync(&self, buf: &[u8], eof: bool) -> Option<usize> {
        let after = |i: Option<usize>| i.map(|i| i + 1).filter(|&i| i < buf.len());
        match self {
            Content::Lines { terminator } => after(memchr(*terminator, buf)),
            Content::JsonLines | Content::Sam | Content::Vcf => after(memchr(b'\n', buf)),
            Content::Delimited {
                delimiter,
                columns,
                quoted,
                ..
            } => csv::sync(buf, *delimiter, *columns, *quoted, eof),
            Content::Fasta => after(memmem::find(buf, b"\n>")),
            Content::Fastq => fastq_sync(buf, eof),
            Content::JsonArray { indent, .. } => json::sync(buf, indent.as_deref()?),
            Content::Xml(layout) => layout.sync(buf),
            Content::Binary => (buf.len() > 1).then_some(1),
            _ => None,
        }
    }

    /// Whether records can be found from the middle of the content.
    pub(crate) fn has_sync(&self) -> bool {
        match self {
            Content::JsonArray { indent, .. } => indent.is_some(),
            Content::Bam | Content::Tar => false,
            _ => true,
        }
    }

    /// What stands between records, and after the last, beyond the records' own bytes.
    pub(crate) fn joints(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Content::JsonArray { depth, .. } => {
                let tail = [&b"\n]"[..], &b"}".repeat(*depth), b"\n"].concat();
                (b",\n".to_vec(), tail)
            }
            Content::Xml(layout) => (Vec::new(), layout.tail()),
            // Two blocks of zeros end an archive.
            Content::Tar => (Vec::new(), vec![0; 1024]),
            _ => (Vec::new(), Vec::new()),
        }
    }

    /// Where a record that is too long may be cut so that the rest stays valid: the end of its
    /// last whole line for texts that allow it.
    pub(crate) fn cut(&self, buf: &[u8]) -> Option<usize> {
        match self {
            Content::Fasta => memchr::memrchr(b'\n', buf).map(|i| i + 1),
            Content::Lines { .. } | Content::Binary => Some(buf.len()),
            _ => None,
        }
    }
}

/// The length of the leading lines that begin with `mark`, counted from the start of `buf`; `None`
/// where they might go on beyond it.
fn leading_lines(buf: &[u8], from: usize, mark: u8, eof: bool) -> Option<usize> {
    let mut at = from;
    loop {
        match buf.get(at) {
            Some(&b) if b == mark => match memchr(b'\n', &buf[at..]) {
                Some(i) => at += i + 1,
                None => return eof.then_some(buf.len()),
            },
            Some(_) => return Some(at),
            None => return eof.then_some(at),
        }
    }
}

/// The four lines of the FASTQ record at `from`, as offsets of their ends (newlines included).
fn fastq_lines(buf: &[u8], from: usize, eof: bool) -> Option<[usize; 4]> {
    let mut ends = [0; 4];
    let mut at = from;
    for end in &mut ends {
        *end = match memchr(b'\n', buf.get(at..)?) {
            Some(i) => at + i + 1,
            None if eof && at < buf.len() => buf.len(),
            None => return None,
        };
        at = *end;
    }
    Some(ends)
}

fn trimmed(line: &[u8]) -> usize {
    line.len()
        - line
            .iter()
            .rev()
            .take_while(|b| matches!(b, b'\n' | b'\r'))
            .count()
}

fn is_fastq_record(buf: &[u8], from: usize, ends: [usize; 4]) -> bool {
    buf[from] == b'@'
        && buf.get(ends[1]) == Some(&b'+')
        && trimmed(&buf[ends[0]..ends[1]]) == trimmed(&buf[ends[2]..ends[3]])
}

fn fastq_next(buf: &[u8], from: usize, eof: bool) -> Next {
    match fastq_lines(buf, from, eof) {
        Some(ends) if is_fastq_record(buf, from, ends) => Next::Record {
            start: from,
            end: ends[3],
        },
        Some(_) => Next::Broken("a FASTQ record must be four lines: @name, bases, +, qualities"),
        // Blank lines at the end are common; half a record is not a record.
        None if eof && buf[from..].iter().all(u8::is_ascii_whitespace) => Next::Done,
        None if eof => Next::Broken("the file ends inside a FASTQ record"),
        None => Next::More,
    }
}

fn fastq_sync(buf: &[u8], eof: bool) -> Option<usize> {
    // A quality line may begin with '@', but then the line two below it is made of bases.
    memchr_iter(b'\n', buf).map(|i| i + 1).take(8).find(|&at| {
        fastq_lines(buf, at, eof).is_some_and(|ends| {
            is_fastq_record(buf, at, ends) && buf.get(ends[3]).is_none_or(|&b| b == b'@')
        })
    })
}

fn le_i32(buf: &[u8], at: usize) -> Option<usize> {
    let bytes = buf.get(at..at + 4)?;
    usize::try_from(i32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

/// `BAM\1`, the text header, and the list of reference sequences.
fn bam_header(buf: &[u8]) -> Option<usize> {
    let mut at = 8 + le_i32(buf, 4)?;
    let references = le_i32(buf, at)?;
    at += 4;
    for _ in 0..references {
        at += 8 + le_i32(buf, at)?;
    }
    (at <= buf.len()).then_some(at)
}

fn bam_next(buf: &[u8], from: usize, eof: bool) -> Next {
    match le_i32(buf, from) {
        Some(size) if size < 32 => Next::Broken("an alignment record shorter than its fixed part"),
        Some(size) if from + 4 + size <= buf.len() => Next::Record {
            start: from,
            end: from + 4 + size,
        },
        _ if eof => Next::Broken("the file ends inside an alignment record"),
        _ => Next::More,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fastq_sync_skips_a_quality_line_that_begins_with_at() {
        let text = b"CGT\n+\n@III\n@r2\nACGT\n+\n@@@@\n@r3\nAC\n+\nII\n";
        let at = Content::Fastq.sync(text, true).unwrap();
        assert!(text[at..].starts_with(b"@r2"));
    }

    #[test]
    fn headers_of_text_formats() {
        let vcf = b"##a\n#CHROM\n1\t2\n";
        assert_eq!(Content::Vcf.header_length(vcf, false), Some(11));
        assert_eq!(Content::Vcf.header_length(&vcf[..11], false), None);
        let lines = Content::Lines { terminator: b'\n' };
        assert_eq!(lines.header_length(b"\xef\xbb\xbfa\n", false), Some(3));
        let csv = Content::Delimited {
            delimiter: b',',
            columns: Some(2),
            header: true,
            quoted: true,
        };
        assert_eq!(csv.header_length(b"a,\"b\nc\"\n1,2\n", false), Some(8));
    }
}
