//! Text for people: lines of a terminal's width, and numbers in words.

use std::fmt;

/// Columns of a line.
const WIDTH: usize = 80;

/// Writes `text` behind `head`, with further lines indented by the head's width. A word that is too long stays whole.
pub(crate) fn write_wrapped(f: &mut fmt::Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    let indent = head.chars().count();
    let mut column = indent;
    f.write_str(head)?;
    for (index, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            write!(f, "\n{:indent$}", "")?;
            column = indent;
        } else if index > 0 {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(word)?;
        column += length;
    }
    f.write_str("\n")
}

/// `n` bytes in the largest binary unit that makes it 1 or more.
pub(crate) fn bytes(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut name = "B";
    for unit in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        name = unit;
    }
    if name == "B" {
        format!("{n} B")
    } else {
        format!("{value:.1} {name}")
    }
}

/// `value` with so many decimals; a dash where there is none.
pub(crate) fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// So many of what is called `one` or, if they are not one, `many`.
pub(crate) fn counted<N: fmt::Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    let name = if count == N::from(1) { one } else { many };
    format!("{count} {name}")
}

/// Writes columns as wide as their widest cell: the first to the left, the others to the right.
pub(crate) fn write_table<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    head: [&str; N],
    rows: Vec<[String; N]>,
) -> fmt::Result {
    let head = head.map(str::to_owned);
    let mut widths = [0; N];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in [&head].into_iter().chain(&rows) {
        let mut line = format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            line += &format!("  {cell:>width$}");
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Text from a file, fit for a line: what is no visible character is escaped, as Rust does, but for quotes.
pub(crate) fn printable(text: &str) -> String {
    const QUOTES: [char; 2] = ['\'', '"'];
    let mut printable = String::new();
    for piece in text.split_inclusive(QUOTES) {
        let before = piece.trim_end_matches(QUOTES);
        printable.extend(before.escape_debug());
        printable += &piece[before.len()..];
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Wrapped(&'static str, String);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_wrapped(f, self.0, &self.1)
        }
    }

    #[test]
    fn lines_end_by_column_80_and_long_words_stay_whole() {
        let text = Wrapped("head ", "word ".repeat(40)).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines.len() == 3 && lines.iter().all(|line| line.len() <= WIDTH),
            "{text}"
        );
        assert!(lines.iter().skip(1).all(|line| line.starts_with("     word")), "{text}");
        let path = "x".repeat(100);
        assert_eq!(
            Wrapped("h ", format!("a {path} b")).to_string(),
            format!("h a\n  {path}\n  b\n")
        );
    }

    #[test]
    fn bytes_are_told_in_the_largest_unit() {
        for (n, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn text_from_a_file_stays_on_its_line_and_keeps_its_quotes() {
        for (text, shown) in [
            ("it's \"so\"", "it's \"so\""),
            ("a\n'\x1b[31m", "a\\n'\\u{1b}[31m"),
            ("\u{202e}x \\", "\\u{202e}x \\\\"),
            ("caf\u{e9}''", "caf\u{e9}''"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn one_is_not_many() {
        let processes = [0u16, 1, 2].map(|count| counted(count, "process", "processes"));
        assert_eq!(processes, ["0 processes", "1 process", "2 processes"]);
    }
}
