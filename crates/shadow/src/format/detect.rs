//! Tells a file's format from the first bytes of its content, and its name second.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memmem};

use super::delimited::delimited;
use super::names::{self, Name, Named};
use super::{
    Container, Content, Doubt, Format, Reader, RowLayout, XmlLayout, json, npy, read_full, tar,
};

/// How much of the content is looked at.
pub(crate) const HEAD: usize = 256 << 10;

/// Tells the format of the regular file at `path`, reading at most its first few hundred KiB.
///
/// # Errors
/// Where the file can't be opened or read. Damaged content is no error but a [`Doubt`].
pub fn detect(path: &Path) -> io::Result<Format> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let name = path.file_name().unwrap_or_default();
    Ok(detect_file(&Arc::new(file), length, name)?.0)
}

/// As [`detect`], also returning the head of the content (all of it where it is shorter than
/// [`HEAD`]).
pub(crate) fn detect_file(
    file: &Arc<File>,
    length: u64,
    name: &OsStr,
) -> io::Result<(Format, Vec<u8>)> {
    let name = names::read(name);
    let mut head = vec![0; HEAD];
    let mut plain = Reader::open(Arc::clone(file), Container::Plain, 0, length)?;
    let got = read_full(&mut plain, &mut head)?;
    head.truncate(got);
    let container = Container::of(&head);
    let mut doubt = None;
    if container == Container::Plain {
        if let Some(suffix) = name.compressed.filter(|_| !head.is_empty()) {
            doubt = Some(Doubt::NameDisagrees { suffix });
        }
    } else if container.is_decoded() {
        let reader = Reader::open(Arc::clone(file), container, 0, length)?;
        (head, doubt) = decoded_head(reader);
    } else {
        let what = match container {
            Container::Xz => "xz data",
            _ => "bzip2 data",
        };
        return Ok((
            Format {
                container,
                content: Content::Opaque(what),
                doubt: None,
            },
            head,
        ));
    }
    let whole = (container == Container::Plain).then_some(length);
    let complete = head.len() < HEAD;
    let content = content(&head, complete, name, whole);
    if doubt.is_none()
        && let Some((suffix, named)) = name.content
        && disagrees(named, &content)
    {
        doubt = Some(Doubt::NameDisagrees { suffix });
    }
    let format = Format {
        container,
        content,
        doubt,
    };
    Ok((format, head))
}

fn decoded_head(mut reader: Reader) -> (Vec<u8>, Option<Doubt>) {
    use std::io::Read;
    let mut head = vec![0; HEAD];
    let mut filled = 0;
    let mut doubt = None;
    while filled < HEAD {
        match reader.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                doubt = Some(Doubt::Truncated);
                break;
            }
            Err(e) => {
                doubt = Some(Doubt::Corrupt(e.to_string()));
                break;
            }
        }
    }
    head.truncate(filled);
    (head, doubt)
}

fn disagrees(named: Named, content: &Content) -> bool {
    if *content == Content::Empty {
        return false;
    }
    match named {
        Named::Delimited(_) => !matches!(content, Content::Delimited { .. }),
        Named::JsonLines => !matches!(content, Content::JsonLines),
        Named::Json => !matches!(
            content,
            Content::JsonLines | Content::JsonArray { .. } | Content::Opaque(_)
        ),
        Named::Fasta => *content != Content::Fasta,
        Named::Fastq => *content != Content::Fastq,
        Named::Text | Named::Source | Named::Counted => {
            matches!(content, Content::Binary | Content::Rows(_) | Content::Bam)
        }
    }
}

const MAGIC: &[(usize, &[u8], &str)] = &[
    (0, b"SQLite format 3\0", "SQLite database"),
    (0, b"PAR1", "Parquet"),
    (0, b"ORC", "ORC"),
    (0, b"Obj\x01", "Avro"),
    (0, b"ARROW1\0\0", "Arrow"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5"),
    (0, b"CDF\x01", "NetCDF"),
    (0, b"CDF\x02", "NetCDF"),
    (0, b"PK\x03\x04", "zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip archive"),
    (0, b"Rar!\x1a\x07", "RAR archive"),
    (0, b"\x04\x22\x4d\x18", "lz4 data"),
    (0, b"\x7fELF", "ELF program"),
    (0, b"!<arch>\n", "ar archive"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG image"),
    (0, b"\xff\xd8\xff", "JPEG image"),
    (0, b"GIF8", "GIF image"),
    (0, b"II*\0", "TIFF image"),
    (0, b"MM\0*", "TIFF image"),
    (0, b"%PDF-", "PDF document"),
    (0, b"OggS", "Ogg media"),
    (0, b"fLaC", "FLAC audio"),
    (0, b"ID3", "MP3 audio"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska video"),
    (4, b"ftyp", "MP4 video"),
    (8, b"WAVE", "WAV audio"),
    (8, b"AVI ", "AVI video"),
    (8, b"WEBP", "WebP image"),
    (0, b"CRAM", "CRAM"),
    (0, b"GGUF", "GGUF model"),
    (0, b"!BDN", "Outlook mail store"),
    (0, b"%!PS", "PostScript"),
];

fn content(head: &[u8], complete: bool, name: Name, whole: Option<u64>) -> Content {
    if head.is_empty() {
        return Content::Empty;
    }
    if head.starts_with(b"\x93NUMPY") {
        return match npy::parse(head, whole) {
            Ok(layout) => Content::Rows(layout),
            Err(why) => Content::Opaque(why),
        };
    }
    if let Some(layout) = RowLayout::wav(head).or_else(|| RowLayout::pnm(head)) {
        return Content::Rows(layout);
    }
    if head.starts_with(b"BAM\x01") {
        return Content::Bam;
    }
    for (at, magic, what) in MAGIC {
        if head.get(*at..).is_some_and(|h| h.starts_with(magic)) {
            return Content::Opaque(what);
        }
    }
    if head.get(257..262) == Some(b"ustar") && tar::is_header(head) {
        return Content::Tar;
    }
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Content::Opaque("UTF-16 text");
    }
    match text_terminator(head) {
        Some(b'\n') => text(head, complete, name),
        Some(terminator) => Content::Lines { terminator },
        None => Content::Binary,
    }
}

/// What ends the lines, where the bytes are text: hardly any control characters among them.
fn text_terminator(head: &[u8]) -> Option<u8> {
    let mut control = 0_usize;
    let mut nul = 0_usize;
    let mut newline = 0_usize;
    let mut carriage = 0_usize;
    for &b in head {
        match b {
            b'\n' => newline += 1,
            b'\r' => carriage += 1,
            0 => nul += 1,
            // Tab, form feed, backspace (in captured terminal output), escape.
            b'\t' | 0x0c | 0x08 | 0x1b => {}
            0x01..0x20 | 0x7f => control += 1,
            _ => {}
        }
    }
    // Bytes above 0x7f are UTF-8 or an 8-bit alphabet in texts, and a good half of random data.
    let high = head.iter().filter(|&&b| b >= 0x80).count();
    let few = head.len() / 1000;
    if high > head.len() / 3 && std::str::from_utf8(&head[..head.len().min(4096)]).is_err() {
        // Valid UTF-8, but for a character cut at 4096.
        let valid = match std::str::from_utf8(&head[..head.len().min(4096)]) {
            Ok(_) => true,
            Err(e) => e.error_len().is_none(),
        };
        if !valid {
            return None;
        }
    }
    if control > few {
        return None;
    }
    if nul > few {
        // A list with NUL at the end of each item, and nothing else odd.
        let average = head.len() / nul;
        let runs = memmem::find(head, b"\0\0").is_some();
        return (!runs && (2..4096).contains(&average) && newline <= nul).then_some(0);
    }
    if newline == 0 && carriage > 1 {
        return Some(b'\r');
    }
    Some(b'\n')
}

fn text(head: &[u8], complete: bool, name: Name) -> Content {
    let body = head.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(head);
    let start = body.trim_ascii_start();
    let named = name.content.map(|(_, named)| named);
    if body.starts_with(b"%%MatrixMarket") || named == Some(Named::Counted) {
        return Content::Opaque("text that counts its own lines");
    }
    if let Some(layout) = XmlLayout::parse(head) {
        return Content::Xml(layout);
    }
    if named == Some(Named::Source) || body.starts_with(b"#!") || is_markup(start) {
        return Content::Source;
    }
    if body.starts_with(b"##fileformat=VCF") {
        return Content::Vcf;
    }
    if is_sam(body) {
        return Content::Sam;
    }
    if start.first() == Some(&b'[') {
        match json_array(head, complete) {
            Some(content) => return content,
            None if is_json_lines(start) => return Content::JsonLines,
            None => {}
        }
    }
    if start.first() == Some(&b'{') {
        if is_json_lines(start) {
            return Content::JsonLines;
        }
        if named == Some(Named::Json) || looks_like_object(start) {
            if let Some((open, depth)) = json::main_array(head, complete) {
                return Content::JsonArray {
                    open,
                    depth,
                    indent: json::element_indent(head, open),
                };
            }
            return Content::Opaque("one JSON object");
        }
    }
    if body.first() == Some(&b'>') && is_fasta(body, named == Some(Named::Fasta)) {
        return Content::Fasta;
    }
    if body.first() == Some(&b'@') && is_fastq(body, complete) {
        return Content::Fastq;
    }
    delimited(body, complete, named).unwrap_or(Content::Lines { terminator: b'\n' })
}

fn is_markup(start: &[u8]) -> bool {
    let lower = start[..start.len().min(16)].to_ascii_lowercase();
    [&b"<?xml"[..], b"<!doctype", b"<html", b"<svg"]
        .iter()
        .any(|m| lower.starts_with(m))
}

fn is_sam(body: &[u8]) -> bool {
    ["@HD\t", "@SQ\t", "@RG\t", "@PG\t", "@CO\t"]
        .iter()
        .any(|tag| body.starts_with(tag.as_bytes()))
}

/// Several lines that each are a whole value in braces or brackets.
fn is_json_lines(start: &[u8]) -> bool {
    let mut lines = 0;
    for end in memchr_iter(b'\n', start).take(8) {
        let begin = memchr::memrchr(b'\n', &start[..end]).map_or(0, |i| i + 1);
        let line = start[begin..end].trim_ascii();
        if line.is_empty() {
            continue;
        }
        let whole = matches!((line[0], line[line.len() - 1]), (b'{', b'}') | (b'[', b']'));
        if !whole {
            return false;
        }
        lines += 1;
    }
    lines > 0
}

fn looks_like_object(start: &[u8]) -> bool {
    start[1..].trim_ascii_start().first() == Some(&b'"')
}

fn json_array(head: &[u8], complete: bool) -> Option<Content> {
    let open = memchr(b'[', head)?;
    let mut at = open + 1;
    let mut elements = 0;
    loop {
        match json::next_element(head, at, complete) {
            super::Next::Record { start, end } => {
                // After an element there is a comma or the end; else this isn't JSON.
                let value = head[start];
                if !(matches!(value, b'{' | b'[' | b'"' | b'-' | b't' | b'f' | b'n')
                    || value.is_ascii_digit())
                {
                    return None;
                }
                if let Some(b) = head[end..].iter().find(|b| !b.is_ascii_whitespace())
                    && !matches!(b, b',' | b']')
                {
                    return None;
                }
                elements += 1;
                at = end;
                if elements >= 64 {
                    break;
                }
            }
            super::Next::More => break,
            super::Next::Done => {
                // `[1, 2]` on the first line of several is JSON lines.
                let close = memchr(b']', &head[at..]).map(|i| at + i)?;
                if !head[close + 1..].trim_ascii().is_empty() {
                    return None;
                }
                break;
            }
            super::Next::Broken(_) => return None,
        }
    }
    (elements > 0 || !complete).then(|| Content::JsonArray {
        open,
        depth: 0,
        indent: json::element_indent(head, open),
    })
}

fn is_fasta(body: &[u8], named: bool) -> bool {
    // The second line is a sequence: letters, '-' and '*' only.
    let Some(end) = memchr(b'\n', body) else {
        return named;
    };
    let rest = &body[end + 1..];
    let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
    let line = line.trim_ascii_end();
    named
        || (!line.is_empty()
            && line
                .iter()
                .all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'*' | b'.')))
}

fn is_fastq(body: &[u8], complete: bool) -> bool {
    let mut at = 0;
    let mut seen = 0;
    while seen < 4 {
        match Content::Fastq.next(body, at, complete) {
            super::Next::Record { end, .. } => {
                at = end;
                seen += 1;
            }
            super::Next::Broken(_) => return false,
            super::Next::More | super::Next::Done => break,
        }
    }
    seen > 0
}
