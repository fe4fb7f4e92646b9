//! Rows of text in columns.

use std::fmt;

/// Writes one line a row, every column as wide as its widest cell: the first two to the left, as names are, the others to the
/// right, as numbers are.
pub(crate) fn write<const COLUMNS: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; COLUMNS]]) -> fmt::Result {
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or_default()
    });
    for row in rows {
        let cells = row.iter().zip(widths).enumerate();
        let line = cells.map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        writeln!(f, "{}", line.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// As [`write`], with a header before the rows and their total behind.
pub(super) fn write_totalled<const COLUMNS: usize>(
    f: &mut fmt::Formatter<'_>,
    header: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
    total: [String; COLUMNS],
) -> fmt::Result {
    let header = std::iter::once(header.map(str::to_owned));
    let rows: Vec<_> = header.chain(rows).chain(std::iter::once(total)).collect();
    write(f, &rows)
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number as [`grouped`] writes it, or `?` for one that is not known.
pub(super) fn known(number: Option<u64>) -> String {
    number.map_or_else(|| "?".to_owned(), grouped)
}

/// A text from a file as it may be shown: on one line, without control characters, of bounded length.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut escaped = text.chars().flat_map(char::escape_debug);
    let mut shown: String = escaped.by_ref().take(LONGEST).collect();
    if escaped.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_083_040_768, "1,083,040,768"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!((known(Some(1000)).as_str(), known(None).as_str()), ("1,000", "?"));
    }

    #[test]
    fn a_text_of_a_file_stays_on_one_short_line() {
        assert_eq!(shown("layer1.0/conv"), "layer1.0/conv");
        let hostile = shown(&"\n\u{1b}[2J".repeat(1000));
        assert!(!hostile.contains('\n') && !hostile.contains('\u{1b}'), "{hostile}");
        assert!(hostile.chars().count() <= 81);
    }
}
