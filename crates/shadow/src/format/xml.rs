//! XML documents that are lists: a root element whose children each begin a line.

use memchr::memmem;

use super::records::Next;

/// Where the children of an XML document's root lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlLayout {
    /// Bytes before the line of the first child that is one of many.
    pub header: usize,
    /// The name of the root element.
    pub root: Vec<u8>,
    /// A newline, the indent of each child, and `<`.
    marker: Vec<u8>,
}

/// So many children must be in sight.
const CHILDREN: usize = 3;

impl XmlLayout {
    /// Reads the head of a document; `None` where its children aren't on lines of their own.
    pub(crate) fn parse(head: &[u8]) -> Option<Self> {
        let mut at = if head.starts_with(&[0xef, 0xbb, 0xbf]) {
            3
        } else {
            0
        };
        // Declarations and comments before the root element.
        loop {
            at += head[at..].iter().position(|b| !b.is_ascii_whitespace())?;
            let rest = &head[at..];
            if rest.starts_with(b"<?") {
                at += memmem::find(rest, b"?>")? + 2;
            } else if rest.starts_with(b"<!--") {
                at += memmem::find(rest, b"-->")? + 3;
            } else if rest.starts_with(b"<!") {
                let end = memchr::memchr(b'>', rest)?;
                if rest[..end].contains(&b'[') {
                    return None;
                }
                at += end + 1;
            } else {
                break;
            }
        }
        let root = name_at(head, at)?.to_vec();
        if root.eq_ignore_ascii_case(b"html") {
            return None;
        }
        let open = at + tag_end(&head[at..])?;
        let space = head[open..].iter().position(|b| !b.is_ascii_whitespace())?;
        let line = memchr::memrchr(b'\n', &head[open..open + space])? + open;
        let mut marker = head[line..open + space].to_vec();
        marker.push(b'<');
        let mut layout = XmlLayout {
            header: line + 1,
            root,
            marker,
        };
        // The header holds children that are there once, such as a description of the whole.
        let mut from = layout.header;
        let mut last: Option<(usize, &[u8])> = None;
        let mut repeated = None;
        let mut seen = 0;
        while let Next::Record { start, end } = layout.next(head, from, false) {
            let name = name_at(head, start + layout.marker.len() - 2)?;
            if let Some((before, other)) = last
                && other == name
            {
                repeated.get_or_insert(before);
            }
            last = Some((start, name));
            from = end;
            seen += 1;
            if seen >= 64 {
                break;
            }
        }
        layout.header = repeated?;
        (seen >= CHILDREN).then_some(layout)
    }

    /// The child whose line begins at `from`.
    pub(crate) fn next(&self, buf: &[u8], from: usize, eof: bool) -> Next {
        let Some(first) = buf[from..].iter().position(|b| !b.is_ascii_whitespace()) else {
            return if eof { Next::Done } else { Next::More };
        };
        if self.closes(&buf[from + first..]) {
            return Next::Done;
        }
        // The next child, or the end of the root if that comes first.
        let next = self.child(&buf[from..]);
        let range = &buf[from..next.map_or(buf.len(), |n| from + n + 1)];
        let close = [b"\n</".as_slice(), &self.root].concat();
        let end = memmem::find(range, &close).or(next);
        match end {
            Some(end) => Next::Record {
                start: from,
                end: from + end + 1,
            },
            None if eof => Next::Broken("the file ends inside an XML element"),
            None => Next::More,
        }
    }

    pub(crate) fn sync(&self, buf: &[u8]) -> Option<usize> {
        self.child(buf).map(|i| i + 1)
    }

    pub(crate) fn tail(&self) -> Vec<u8> {
        [b"</".as_slice(), &self.root, b">\n"].concat()
    }

    /// The newline before the first child in `buf`.
    fn child(&self, buf: &[u8]) -> Option<usize> {
        memmem::find_iter(buf, &self.marker)
            .find(|i| name_at(buf, i + self.marker.len() - 1).is_some())
    }

    fn closes(&self, buf: &[u8]) -> bool {
        buf.strip_prefix(b"</")
            .is_some_and(|b| b.starts_with(&self.root))
    }
}

/// The name of the element whose `<` is at `at`.
fn name_at(buf: &[u8], at: usize) -> Option<&[u8]> {
    let rest = buf.get(at..)?.strip_prefix(b"<")?;
    let length = rest
        .iter()
        .position(|&b| !(b.is_ascii_alphanumeric() || b >= 0x80 || b"_-.:".contains(&b)))
        .unwrap_or(rest.len());
    let starts = rest
        .first()
        .is_some_and(|&b| b.is_ascii_alphabetic() || b == b'_' || b >= 0x80);
    starts.then(|| &rest[..length])
}

/// Past the `>` of the tag that `buf` begins with; `None` for an element without content.
fn tag_end(buf: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (i, &b) in buf.iter().enumerate() {
        match (quote, b) {
            (Some(q), _) if b == q => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(b),
            (None, b'>') => return (buf[i - 1] != b'/').then_some(i + 1),
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"<?xml version=\"1.0\"?>\n<!-- x -->\n<list a='>'>\n  <about>\n    \
        <b/>\n  </about>\n  <row id=\"1\"/>\n  <row id=\"2\">\n    text\n  </row>\n  <other/>\n\
        </list>\n";

    #[test]
    fn children_are_records() {
        let layout = XmlLayout::parse(TEXT).unwrap();
        assert_eq!(layout.root, b"list");
        assert!(TEXT[..layout.header].ends_with(b"</about>\n"));
        let mut at = layout.header;
        let mut seen = Vec::new();
        while let Next::Record { start, end } = layout.next(TEXT, at, true) {
            seen.push(std::str::from_utf8(&TEXT[start..end]).unwrap());
            at = end;
        }
        assert_eq!(
            seen,
            [
                "  <row id=\"1\"/>\n",
                "  <row id=\"2\">\n    text\n  </row>\n",
                "  <other/>\n"
            ]
        );
        assert_eq!(layout.next(TEXT, at, true), Next::Done);
        let cut = at - 3;
        assert!(matches!(
            layout.next(&TEXT[..cut], at - 11, true),
            Next::Broken(_)
        ));
    }

    #[test]
    fn what_is_no_list_of_lines_is_none() {
        for text in [
            &b"<a><b/><b/><b/></a>"[..],
            b"<a>\n  <b/>\n</a>",
            b"<html>\n  <b/>\n  <b/>\n  <b/>\n</html>",
            b"<a/>",
            b"<",
            b"<!DOCTYPE a [ <!ENTITY x 'y'> ]>\n<a>\n<b/>\n<b/>\n<b/>\n</a>",
            b"x < y",
        ] {
            assert_eq!(XmlLayout::parse(text), None, "{}", text.escape_ascii());
        }
    }
}
