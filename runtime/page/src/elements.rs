//! Parts that pages have in common.

/// What stands for a value that is missing.
const MISSING: &str = "not readable";

/// Text, fit for HTML, also within quotes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // HTML has none of them, but for those that are space.
            c if c.is_control() && !c.is_whitespace() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A figure of the first screen: what it is, its value, and its unit or what it is to be held against; all markup.
pub fn card(name: &str, value: &str, unit: &str) -> String {
    format!("<div class=\"card\"><span>{name}</span><strong>{value}</strong><span>{unit}</span></div>")
}

/// Cards beside each other.
pub fn cards(cards: &[String]) -> String {
    format!("<div class=\"cards\">{}</div>", cards.concat())
}

/// Pictures with a caption, which is markup.
pub fn figure(caption: &str, pictures: &str) -> String {
    format!("<figure><figcaption>{caption}</figcaption>{pictures}</figure>")
}

/// A list of names and values, plain text; values that are missing are said to be.
pub fn facts(rows: &[(&str, Option<String>)]) -> String {
    let row = |(name, value): &(&str, Option<String>)| {
        let value = value.as_deref().map_or_else(|| format!("<em>{MISSING}</em>"), escape);
        format!("<dt>{}</dt><dd>{value}</dd>", escape(name))
    };
    format!("<dl>{}</dl>", rows.iter().map(row).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(
            escape("<a href='x'>&\u{1b}\n"),
            "&lt;a href=&#39;x&#39;&gt;&amp;\u{fffd}\n"
        );
    }

    #[test]
    fn a_missing_value_is_said_to_be() {
        let told = facts(&[("board", None), ("kernel", Some("<6>".to_owned()))]);
        assert_eq!(
            told,
            "<dl><dt>board</dt><dd><em>not readable</em></dd><dt>kernel</dt><dd>&lt;6&gt;</dd></dl>"
        );
    }
}
