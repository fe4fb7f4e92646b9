//! Text that comes from a file, made fit for an error: on one short line.

use std::fmt::Display;

/// The beginning of `text`, in quotes, escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    format!("{short:?}")
}

/// A parser's words, into which a file may have put its own: escaped, and without the middle if they are long, since the
/// place is at the end.
pub(crate) fn one_line(words: impl Display) -> String {
    const HEAD: usize = 200;
    const TAIL: usize = 60;
    let mut line = String::new();
    for character in words.to_string().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    let length = line.chars().count();
    if length <= HEAD + TAIL {
        return line;
    }
    let head: String = line.chars().take(HEAD).collect();
    let tail: String = line.chars().skip(length - TAIL).collect();
    format!("{head} ... {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_words_stay_as_they_are() {
        assert_eq!(
            one_line("missing field `schema` at line 1 column 2"),
            "missing field `schema` at line 1 column 2"
        );
        assert_eq!(one_line("é \n\x1b[31m"), "é \\n\\u{1b}[31m");
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
    }

    #[test]
    fn long_words_keep_both_ends() {
        let line = one_line(format!("unknown `{}` at line 7", "é".repeat(10_000)));
        assert!(line.starts_with("unknown `é") && line.ends_with("é` at line 7"));
        assert!(line.chars().count() < 300);
        assert_eq!(quoted(&"x".repeat(81)), format!("\"{}...\"", "x".repeat(80)));
    }
}
