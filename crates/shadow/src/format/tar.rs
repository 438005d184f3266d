//! Members of a tar archive (POSIX ustar and GNU), each with the extension headers before it.

use super::records::Next;

const BLOCK: usize = 512;

/// Whether a block is a header of a member: its checksum is right.
pub(crate) fn is_header(block: &[u8]) -> bool {
    let Some(block) = block.get(..BLOCK) else {
        return false;
    };
    let Some(stored) = number(&block[148..156]) else {
        return false;
    };
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(i, &b)| u64::from(if (148..156).contains(&i) { b' ' } else { b }))
        .sum();
    stored == sum
}

/// A number of a header: octal digits, or base 256 where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        return field[1..]
            .iter()
            .try_fold(u64::from(field[0] & 0x7f), |n, &b| {
                n.checked_mul(256)?.checked_add(u64::from(b))
            });
    }
    let digits = field
        .iter()
        .skip_while(|&&b| b == b' ')
        .take_while(|b| b.is_ascii_digit());
    digits.into_iter().try_fold(0_u64, |n, &b| {
        n.checked_mul(8)?.checked_add(u64::from(b - b'0'))
    })
}

/// The member whose headers begin at `from`.
pub(crate) fn next_member(buf: &[u8], from: usize, eof: bool) -> Next {
    let mut at = from;
    loop {
        let Some(block) = buf.get(at..at + BLOCK) else {
            return if eof { Next::Done } else { Next::More };
        };
        if block.iter().all(|&b| b == 0) {
            return Next::Done;
        }
        if !is_header(block) {
            return Next::Broken("a tar header with a wrong checksum");
        }
        let size = number(&block[124..136]).unwrap_or(0);
        let kind = block[156];
        // Links, devices and directories have no data whatever their size field says.
        let data = if matches!(kind, b'1'..=b'6') { 0 } else { size };
        let Some(end) = usize::try_from(data)
            .ok()
            .and_then(|n| n.checked_next_multiple_of(BLOCK))
            .and_then(|n| n.checked_add(at + BLOCK))
        else {
            return Next::Broken("a tar member of an impossible size");
        };
        if end > buf.len() {
            return if eof {
                Next::Broken("the file ends inside a tar member")
            } else {
                Next::More
            };
        }
        at = end;
        // Extended headers and long names belong to the member after them.
        if !matches!(kind, b'x' | b'g' | b'L' | b'K') {
            return Next::Record {
                start: from,
                end: at,
            };
        }
    }
}
