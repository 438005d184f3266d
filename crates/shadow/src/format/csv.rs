//! Records of delimited text (RFC 4180): a quoted field may hold delimiters, quotes and newlines.

/// A quoted field longer than this is taken for a stray quote: its record ends at the first
/// newline, as if nothing were quoted.
const MAX_QUOTED: usize = 1 << 20;

/// One record, looked at field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Where the record ends, its newline included.
    pub end: usize,
    /// How many fields it has.
    pub fields: usize,
    /// Whether every quote stands where the format allows one.
    pub sound: bool,
}

/// Where the record that begins at `from` ends, its newline included; `None` where `buf` holds no
/// end of it.
pub(crate) fn record_end(
    buf: &[u8],
    from: usize,
    delimiter: u8,
    quoted: bool,
    eof: bool,
) -> Option<usize> {
    let line_end = |from: usize| {
        memchr::memchr(b'\n', &buf[from..]).map_or_else(
            || (eof && from < buf.len()).then_some(buf.len()),
            |i| Some(from + i + 1),
        )
    };
    if !quoted {
        return line_end(from);
    }
    let mut at = from;
    loop {
        let Some(hit) = memchr::memchr2(b'\n', b'"', &buf[at..]) else {
            return (eof && from < buf.len()).then_some(buf.len());
        };
        let hit = at + hit;
        if buf[hit] == b'\n' {
            return Some(hit + 1);
        }
        if hit != from && buf[hit - 1] != delimiter {
            // A quote in the middle of a field is a character like any other.
            at = hit + 1;
            continue;
        }
        match closing_quote(buf, hit + 1) {
            Closing::At(close) => at = close + 1,
            Closing::Missing if eof => return line_end(from),
            Closing::Missing if buf.len() - hit > MAX_QUOTED => return line_end(from),
            Closing::Missing => return None,
        }
    }
}

enum Closing {
    At(usize),
    Missing,
}

fn closing_quote(buf: &[u8], from: usize) -> Closing {
    let limit = buf.len().min(from.saturating_add(MAX_QUOTED));
    let mut at = from;
    loop {
        let Some(hit) = memchr::memchr(b'"', &buf[at..limit]) else {
            return Closing::Missing;
        };
        let hit = at + hit;
        match buf.get(hit + 1) {
            Some(b'"') => at = hit + 2,
            // Doubled or closing: unknown until the next byte is here.
            None => return Closing::At(hit),
            Some(_) => return Closing::At(hit),
        }
    }
}

/// The record at `from` with its number of fields, where `buf` holds all of it.
pub(crate) fn row(buf: &[u8], from: usize, delimiter: u8, quoted: bool, eof: bool) -> Option<Row> {
    let end = record_end(buf, from, delimiter, quoted, eof)?;
    let record = &buf[from..end];
    let mut fields = 1;
    let mut sound = true;
    let mut at = 0;
    while at < record.len() {
        let starts_field = at == 0 || record[at - 1] == delimiter;
        if quoted && starts_field && record[at] == b'"' {
            match closing_quote(record, at + 1) {
                Closing::At(close) => {
                    let next = record.get(close + 1).copied();
                    sound &= next.is_none_or(|b| b == delimiter || b == b'\n' || b == b'\r');
                    at = close + 1;
                }
                Closing::Missing => {
                    return Some(Row {
                        end,
                        fields,
                        sound: false,
                    });
                }
            }
            continue;
        }
        if record[at] == delimiter {
            fields += 1;
        } else if quoted && record[at] == b'"' {
            sound = false;
        }
        at += 1;
    }
    Some(Row { end, fields, sound })
}

/// The first record start after `buf`'s first byte that is borne out by the records that follow:
/// text inside a quoted field may look like a line, but hardly like several sound rows of the
/// right width.
pub(crate) fn sync(
    buf: &[u8],
    delimiter: u8,
    columns: Option<usize>,
    quoted: bool,
    eof: bool,
) -> Option<usize> {
    const CONFIRM: usize = 32;
    let no_quotes = memchr::memchr(b'"', buf).is_none();
    let mut first = None;
    for newline in memchr::memchr_iter(b'\n', buf) {
        let start = newline + 1;
        if start >= buf.len() {
            break;
        }
        first.get_or_insert(start);
        if !quoted || (no_quotes && columns.is_none()) {
            return Some(start);
        }
        let mut at = start;
        let mut good = true;
        let mut confirmed = 0;
        while confirmed < CONFIRM && at < buf.len() {
            let Some(row) = row(buf, at, delimiter, quoted, eof) else {
                // Cut by the window: nothing against it, if something spoke for it.
                good = confirmed > 0 || no_quotes;
                break;
            };
            if !row.sound || columns.is_some_and(|n| n != row.fields) {
                good = false;
                break;
            }
            confirmed += 1;
            at = row.end;
        }
        if good && (confirmed > 0 || no_quotes) {
            return Some(start);
        }
    }
    // Rows of uneven width: without quotes in sight, any line will do.
    if no_quotes { first } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_newlines_stay_inside_a_record() {
        let text = b"1,\"a\nb\",\"say \"\"hi\"\"\"\n2,c,d\n";
        let row = row(text, 0, b',', true, false).unwrap();
        assert_eq!((row.fields, row.sound), (3, true));
        assert_eq!(&text[row.end..], b"2,c,d\n");
    }

    #[test]
    fn a_quote_inside_a_field_is_a_character() {
        let text = b"5\" pipe,2\n6,7\n";
        assert_eq!(record_end(text, 0, b',', true, false), Some(10));
    }

    #[test]
    fn an_unclosed_quote_ends_at_the_line() {
        let text = b"\"stray,2\n6,7\n";
        assert_eq!(record_end(text, 0, b',', true, true), Some(9));
        assert_eq!(record_end(text, 0, b',', true, false), None);
    }

    #[test]
    fn sync_is_not_fooled_by_lines_in_quotes() {
        let mut text = b"xx\nnot,a\nrow\",9\n".to_vec();
        let start = text.len();
        for i in 0..6 {
            text.extend(format!("{i},\"q\nz\",{i}\n").bytes());
        }
        assert_eq!(sync(&text, b',', Some(3), true, false), Some(start));
    }
}
