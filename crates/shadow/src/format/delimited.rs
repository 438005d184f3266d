//! Tells tables from other texts: by rows of the same width.

use memchr::memchr;

use super::names::Named;
use super::{Content, csv};

/// Rows of the head that are looked at, and how many of a hundred must have the same width.
const ROWS: usize = 200;

/// The kind of table that a text is, if it is one.
pub(crate) fn delimited(body: &[u8], complete: bool, named: Option<Named>) -> Option<Content> {
    let (candidates, sure): (&[u8], bool) = match named {
        Some(Named::Delimited(Some(b'\t'))) => (b"\t", true),
        Some(Named::Delimited(Some(_))) => (b"|", true),
        Some(Named::Delimited(None)) => (b",;\t|", true),
        // A comma or a bar in prose proves little; only even rows do.
        _ => (b"\t,;|", false),
    };
    let mut best: Option<(usize, Content)> = None;
    for &delimiter in candidates {
        for quoted in [true, false] {
            let Some(shape) = Shape::of(body, delimiter, quoted, complete) else {
                continue;
            };
            let even = shape.common * 100 >= shape.rows * 98;
            if shape.width < 2 || (!sure && (!even || shape.rows < 3 || !shape.sound)) {
                continue;
            }
            if !even && shape.common * 2 < shape.rows {
                continue;
            }
            let score = shape.common * 1000 / shape.rows * 10
                + usize::from(quoted) * 5
                + shape.width.min(4);
            if best.as_ref().is_none_or(|(s, _)| score > *s) {
                best = Some((
                    score,
                    Content::Delimited {
                        delimiter,
                        columns: (shape.common == shape.rows).then_some(shape.width),
                        header: has_header(body, delimiter, quoted, complete),
                        quoted,
                    },
                ));
            }
        }
    }
    match best {
        Some((_, content)) => Some(content),
        // One column is a CSV too, if the name says so.
        None if named == Some(Named::Delimited(None)) && memchr(b'\n', body).is_some() => {
            Some(Content::Delimited {
                delimiter: b',',
                columns: None,
                header: has_header(body, b',', true, complete),
                quoted: true,
            })
        }
        None => None,
    }
}

struct Shape {
    rows: usize,
    /// The most frequent number of fields, and how many rows have it.
    width: usize,
    common: usize,
    sound: bool,
}

impl Shape {
    fn of(body: &[u8], delimiter: u8, quoted: bool, complete: bool) -> Option<Shape> {
        let mut widths = Vec::new();
        let mut sound = true;
        let mut at = 0;
        while at < body.len() && widths.len() < ROWS {
            let Some(row) = csv::row(body, at, delimiter, quoted, complete) else {
                break;
            };
            let blank = body[at..row.end].trim_ascii().is_empty();
            let comment = widths.is_empty() && body[at] == b'#';
            if !blank && !comment {
                widths.push(row.fields);
                sound &= row.sound;
            }
            at = row.end;
        }
        let mut sorted = widths.clone();
        sorted.sort_unstable();
        let (width, common) = sorted
            .chunk_by(|a, b| a == b)
            .map(|c| (c[0], c.len()))
            .max_by_key(|&(width, n)| (n, width))?;
        Some(Shape {
            rows: widths.len(),
            width,
            common,
            sound,
        })
    }
}

/// Whether the first row names the columns: no field of it is a number, while a later row has one,
/// or where there are no numbers at all its fields are short, different words.
fn has_header(body: &[u8], delimiter: u8, quoted: bool, complete: bool) -> bool {
    let fields = |from: usize| -> Option<(usize, Vec<&[u8]>)> {
        let row = csv::row(body, from, delimiter, quoted, complete)?;
        let record = body[from..row.end].trim_ascii_end();
        Some((row.end, record.split(|&b| b == delimiter).collect()))
    };
    let is_number = |f: &&[u8]| {
        std::str::from_utf8(f).is_ok_and(|s| s.trim_matches([' ', '"']).parse::<f64>().is_ok())
    };
    let mut at = 0;
    while body.get(at) == Some(&b'#') {
        match memchr(b'\n', &body[at..]) {
            Some(i) => at += i + 1,
            None => return false,
        }
    }
    let Some((mut at, first)) = fields(at) else {
        return false;
    };
    if first.iter().any(is_number) {
        return false;
    }
    let mut others = 0;
    while others < 20 {
        let Some((end, row)) = fields(at).filter(|_| at < body.len()) else {
            break;
        };
        if row.iter().any(is_number) {
            return true;
        }
        at = end;
        others += 1;
    }
    let mut names = first.clone();
    names.sort_unstable();
    names.dedup();
    others > 0
        && names.len() == first.len()
        && first.iter().all(|f| {
            let f = f.trim_ascii();
            !f.is_empty() && f.len() <= 64 && !f.iter().any(u8::is_ascii_digit)
        })
}
