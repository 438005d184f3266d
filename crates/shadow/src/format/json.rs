//! Elements of a top-level JSON array.

use memchr::memmem;

use super::records::Next;

/// The element at or after `from`, past white space and the comma before it.
pub(crate) fn next_element(buf: &[u8], from: usize, eof: bool) -> Next {
    let Some(skip) = buf[from..]
        .iter()
        .position(|b| !b.is_ascii_whitespace() && *b != b',')
    else {
        return if eof { Next::Done } else { Next::More };
    };
    let start = from + skip;
    if buf[start] == b']' {
        return Next::Done;
    }
    match element_end(buf, start) {
        Some(end) => Next::Record { start, end },
        None if eof => Next::Broken("the file ends inside a JSON array"),
        None => Next::More,
    }
}

fn element_end(buf: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    while at < buf.len() {
        match buf[at] {
            b'"' => {
                at = string_end(buf, at + 1)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            // The array's own end, after a number or a word.
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b if depth == 0 && (b == b',' || b.is_ascii_whitespace()) => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Past the quote that ends the string whose content begins at `from`.
fn string_end(buf: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let hit = at + memchr::memchr2(b'"', b'\\', buf.get(at..)?)?;
        if buf[hit] == b'"' {
            return Some(hit + 1);
        }
        at = hit + 2;
    }
}

/// The first element start after `buf`'s first byte, in an array that puts every element on a
/// line of its own behind `indent`. Strings hold no raw newlines, so no string can look like it;
/// values nested deeper are indented further.
pub(crate) fn sync(buf: &[u8], indent: &[u8]) -> Option<usize> {
    for newline in memchr::memchr_iter(b'\n', buf) {
        let rest = &buf[newline + 1..];
        let before = buf[..newline]
            .iter()
            .rev()
            .find(|b| !b.is_ascii_whitespace());
        if before == Some(&b',')
            && rest.starts_with(indent)
            && matches!(rest.get(indent.len()), Some(b'{' | b'['))
        {
            return Some(newline + 1 + indent.len());
        }
    }
    None
}

/// The array that makes up most of a JSON object: where it opens, and how many objects it is
/// within. Collections such as GeoJSON's are built so.
pub(crate) fn main_array(head: &[u8], complete: bool) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < head.len() {
        match head[at] {
            b'"' => {
                at = string_end(head, at + 1)?;
                continue;
            }
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1).filter(|d| *d > 0)?,
            b'[' => match element_end(head, at) {
                Some(end) if complete && (end - at) * 2 > head.len() => return Some((at, depth)),
                Some(end) => {
                    at = end;
                    continue;
                }
                None if complete => return None,
                None => return Some((at, depth)),
            },
            _ => {}
        }
        at += 1;
    }
    None
}

/// The indent of the elements, where each of the first few is on a line of its own behind the
/// same one; `None` where elements can't be told from their lines.
pub(crate) fn element_indent(buf: &[u8], open: usize) -> Option<Vec<u8>> {
    let rest = &buf[open + 1..];
    let newline = memchr::memchr(b'\n', rest)?;
    if !rest[..newline].iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    let indent: Vec<u8> = rest[newline + 1..]
        .iter()
        .copied()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .collect();
    // Walk the elements truly, and see that the lines agree with them.
    let mut at = open + 1;
    let mut seen = 0;
    while let Next::Record { start, end } = next_element(buf, at, false) {
        let line = memmem::rfind(&buf[..start], b"\n")? + 1;
        if buf[line..start] != indent[..] || !matches!(buf[start], b'{' | b'[') {
            return None;
        }
        // A nested value at the same depth of indent would be taken for an element.
        let mut inner = buf[start..end].split(|&b| b == b'\n').skip(1);
        if inner.any(|l| l.starts_with(&indent) && matches!(l.get(indent.len()), Some(b'{' | b'[')))
        {
            return None;
        }
        at = end;
        seen += 1;
        if seen >= 64 {
            break;
        }
    }
    (seen >= 2).then_some(indent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_all_kinds() {
        let text = br#"[1, "a]\"b", {"x":[1,{"y":"}"}]} ,null, [2]]"#;
        let mut at = 1;
        let mut seen = Vec::new();
        while let Next::Record { start, end } = next_element(text, at, true) {
            seen.push(std::str::from_utf8(&text[start..end]).unwrap());
            at = end;
        }
        assert_eq!(
            seen,
            ["1", r#""a]\"b""#, r#"{"x":[1,{"y":"}"}]}"#, "null", "[2]"]
        );
        assert_eq!(next_element(text, at, true), Next::Done);
    }

    #[test]
    fn the_array_of_a_collection() {
        let text =
            br#"{"bbox":[1,2],"x":{"features":[{"a":[1]},{"a":[2]},{"b":"[[["},{"a":[3]}]},"z":1}"#;
        assert_eq!(main_array(text, true), Some((30, 2)));
        assert_eq!(main_array(&text[..45], false), Some((30, 2)));
        assert_eq!(
            main_array(br#"{"a":1,"b":[1],"c":"long enough to matter"}"#, true),
            None
        );
    }

    #[test]
    fn one_element_a_line_can_be_found_from_anywhere() {
        let text = b"[\n  {\"a\": [\n    {\"z\": 1}\n  ]},\n  {\"a\": 2},\n  {\"a\": 3}\n]\n";
        let indent = element_indent(text, 0).unwrap();
        assert_eq!(indent, b"  ");
        let at = sync(&text[6..], &indent).unwrap() + 6;
        assert!(text[at..].starts_with(b"{\"a\": 2}"));
        assert_eq!(element_indent(b"[{\"a\":1},{\"a\":2}]", 0), None);
    }
}
