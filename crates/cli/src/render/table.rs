//! Columns of text.

use crate::term::{Paint, Style};

/// One cell: its text, and how it is set off.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    paint: Option<Paint>,
    right: bool,
}

impl Cell {
    pub(super) fn left(text: impl Into<String>) -> Self {
        Cell {
            text: text.into(),
            ..Cell::default()
        }
    }

    pub(super) fn right(text: impl Into<String>) -> Self {
        Cell {
            right: true,
            ..Cell::left(text)
        }
    }

    pub(super) fn paint(mut self, paint: Paint) -> Self {
        self.paint = Some(paint);
        self
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

const GAP: usize = 2;

/// How wide [`table`] will be.
pub(super) fn table_width(rows: &[Vec<Cell>], indent: usize) -> usize {
    let widths = column_widths(rows);
    indent + widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

fn column_widths(rows: &[Vec<Cell>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    (0..columns)
        .map(|c| {
            rows.iter()
                .filter_map(|r| r.get(c))
                .map(Cell::width)
                .max()
                .unwrap_or(0)
        })
        .collect()
}

/// The rows, each column as wide as its widest cell; no spaces at the ends of lines.
pub(super) fn table(rows: &[Vec<Cell>], indent: usize, style: &Style) -> String {
    let widths = column_widths(rows);
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        let mut pending = indent;
        for (cell, width) in row.iter().zip(&widths) {
            let space = width - cell.width();
            if cell.text.is_empty() {
                pending += width + GAP;
                continue;
            }
            let (before, after) = if cell.right { (space, 0) } else { (0, space) };
            line.push_str(&" ".repeat(pending + before));
            match cell.paint {
                Some(paint) => line.push_str(&style.paint(paint, &cell.text)),
                None => line.push_str(&cell.text),
            }
            pending = after + GAP;
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let style = Style {
            width: 80,
            color: false,
            unicode: false,
        };
        let rows = vec![
            vec![Cell::left("a"), Cell::right("1"), Cell::left("x")],
            vec![Cell::left("long"), Cell::right("100"), Cell::left("")],
            vec![Cell::left(""), Cell::right("5"), Cell::left("y")],
        ];
        assert_eq!(
            table(&rows, 2, &style),
            "  a       1  x\n  long  100\n          5  y\n"
        );
        assert_eq!(table_width(&rows, 2), 2 + 4 + 2 + 3 + 2 + 1);
        assert_eq!(table(&[], 2, &style), "");
    }
}
