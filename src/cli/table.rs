//! Tables for the terminal.

use std::io::{self, Write};

/// On which side the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Writes a heading and rows of as many cells, each column as wide as its widest cell.
pub fn print(
    out: &mut impl Write,
    heading: &[(&str, Side)],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| width(cell)).fold(width(heading[column].0), usize::max)
        })
        .collect();
    let names = heading.iter().map(|(name, _)| (*name).to_owned()).collect();
    for row in std::iter::once(&names).chain(rows) {
        let mut line = String::new();
        for ((cell, (_, side)), width) in row.iter().zip(heading).zip(&widths) {
            line += &match side {
                Side::Left => format!("{cell:<width$}  "),
                Side::Right => format!("{cell:>width$}  "),
            };
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
