//! The header of NumPy's array files (NEP 1): a magic number, a version, and a Python dictionary
//! with the element type, the order of the axes and the shape.

use super::rows::{Head, RowLayout};

/// Reads a header; `Err` says why the array can't be cut into rows. `file_length` helps where the
/// type of the elements doesn't tell their size.
pub(crate) fn parse(head: &[u8], file_length: Option<u64>) -> Result<RowLayout, &'static str> {
    const BAD: &str = "NumPy array with a header that can't be read";
    let version = *head.get(6).ok_or(BAD)?;
    let (start, length) = if version == 1 {
        let n = head.get(8..10).ok_or(BAD)?;
        (10, usize::from(u16::from_le_bytes([n[0], n[1]])))
    } else {
        let n = head.get(8..12).ok_or(BAD)?;
        let n = u32::from_le_bytes([n[0], n[1], n[2], n[3]]);
        (12, usize::try_from(n).map_err(|_| BAD)?)
    };
    let header = start + length;
    let text = head.get(start..header).ok_or(BAD)?;
    let text = std::str::from_utf8(text).map_err(|_| BAD)?.trim_end();
    if text.contains("'O'") || text.contains("'|O'") {
        return Err("NumPy array of Python objects");
    }
    let shape_key = text.find("'shape'").ok_or(BAD)?;
    let open = shape_key + text[shape_key..].find('(').ok_or(BAD)?;
    let close = open + text[open..].find(')').ok_or(BAD)?;
    let mut shape = Vec::new();
    for part in text[open + 1..close].split(',').map(str::trim) {
        if !part.is_empty() {
            shape.push(part.parse::<u64>().map_err(|_| BAD)?);
        }
    }
    let Some((&rows, rest)) = shape.split_first() else {
        return Err("NumPy array of a single value");
    };
    if !rest.is_empty() && text.contains("'fortran_order': True") {
        return Err("NumPy array in Fortran order: its rows are scattered");
    }
    let first_end = text[open..close].find(',').map_or(close, |i| open + i);
    let row = match (item_size(text), file_length) {
        (Some(item), _) => rest
            .iter()
            .try_fold(item, |n, &d| n.checked_mul(d))
            .ok_or(BAD)?,
        // A record type: what the file holds must divide evenly.
        (None, Some(length)) if rows > 0 => {
            let data = length.saturating_sub(header as u64);
            if !data.is_multiple_of(rows) {
                return Err(BAD);
            }
            data / rows
        }
        _ => return Err(BAD),
    };
    if row == 0 || rows == 0 {
        return Err("NumPy array without elements");
    }
    Ok(RowLayout {
        header,
        row,
        rows,
        head: Head::Npy {
            version,
            before: text[..=open].to_owned(),
            after: text[first_end..].trim_end().to_owned(),
        },
    })
}

/// A header for an array with this number of rows.
pub(crate) fn header_for(version: u8, before: &str, after: &str, rows: u64) -> Vec<u8> {
    let mut text = format!("{before}{rows}{after}");
    let start = if version == 1 { 10 } else { 12 };
    // The data begins at a multiple of 64, behind spaces and a newline.
    let total = (start + text.len() + 1).next_multiple_of(64);
    while start + text.len() + 1 < total {
        text.push(' ');
    }
    text.push('\n');
    let mut out = b"\x93NUMPY".to_vec();
    out.extend([version, 0]);
    if version == 1 {
        out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    } else {
        out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    out.extend(text.bytes());
    out
}

/// The size of a simple element type such as `'<f8'`, `'|S10'` or `'<U4'`.
fn item_size(text: &str) -> Option<u64> {
    let at = text.find("'descr'")? + "'descr'".len();
    let value = text[at..].trim_start_matches([':', ' ']);
    let value = value.strip_prefix('\'')?;
    let value = &value[..value.find('\'')?];
    let value = value.trim_start_matches(['<', '>', '|', '=']);
    let mut chars = value.chars();
    let kind = chars.next()?;
    let digits: String = chars.take_while(char::is_ascii_digit).collect();
    let size: u64 = digits.parse().ok()?;
    Some(if kind == 'U' { size * 4 } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(dict: &str) -> Vec<u8> {
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend(u16::try_from(dict.len()).unwrap().to_le_bytes());
        out.extend(dict.bytes());
        out
    }

    #[test]
    fn shape_is_rewritten_and_read_back() {
        let head =
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000, 3, 2), }      \n");
        let layout = parse(&head, None).unwrap();
        assert_eq!(
            (layout.rows, layout.row, layout.header),
            (1000, 24, head.len())
        );
        let small = parse(&layout.header_for(7), None).unwrap();
        assert_eq!((small.rows, small.row), (7, 24));
        assert_eq!(small.header % 64, 0);
    }

    #[test]
    fn one_axis_keeps_its_comma() {
        let head = header("{'descr': '<i8', 'fortran_order': True, 'shape': (12,), }\n");
        let layout = parse(&head, None).unwrap();
        assert!(String::from_utf8_lossy(&layout.header_for(5)).contains("(5,)"));
    }

    #[test]
    fn what_has_no_rows_is_refused() {
        for dict in [
            "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 3), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (), }",
            "nonsense",
        ] {
            assert!(parse(&header(dict), Some(100)).is_err(), "{dict}");
        }
    }
}
