//! What tests ask of every page.

/// Elements that have no end.
const VOID: [&str; 3] = ["meta", "!DOCTYPE", "br"];

/// What a page that stands alone does not have.
const FOREIGN: [&str; 8] = [
    "<script", "<link", "<iframe", "src=", "http:", "https:", "url(", "@import",
];

/// What is wrong with a page, for tests: an element that does not end where it should, which browsers would guess at, something
/// that would be fetched or run, or a number that is none. None if the page is sound.
pub fn fault(html: &str) -> Option<String> {
    if let Some(found) = FOREIGN.iter().find(|text| html.contains(*text)) {
        return Some(format!("it has {found}"));
    }
    // The style sheet has no markup, and its selectors look like some.
    let (head, rest) = html.split_once("<style>")?;
    let Some((_, body)) = rest.split_once("</style>") else {
        return Some("a style sheet without end".to_owned());
    };
    if let Some(found) = ["NaN", ",inf", ">inf<", "\"inf\""]
        .iter()
        .find(|text| body.contains(*text))
    {
        return Some(format!("it has {found}"));
    }
    let text = format!("{head}{body}");
    let mut open: Vec<&str> = Vec::new();
    for part in text.split('<').skip(1) {
        let Some((tag, text)) = part.split_once('>') else {
            return Some(format!("<{part}"));
        };
        if text.contains('>') {
            return Some(format!("> in {part}"));
        }
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return Some(format!("</{name}> in {part}"));
            }
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    open.pop().map(|name| format!("<{name}> without end"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Page;

    #[test]
    fn each_fault_is_found() {
        let page = |body: &str| {
            let mut page = Page::new("t", "n");
            page.add(body);
            fault(&page.finish())
        };
        assert_eq!(page("<p>1 &lt; 2<br>x</p>"), None);
        for body in [
            "<p>",
            "</p>",
            "<b><i></b></i>",
            "a > b",
            "<script>1</script>",
            "<img src=\"a\"/>",
            "<p>http://host</p>",
            "<p>NaN</p>",
            "<p>inf</p>",
        ] {
            assert!(page(body).is_some(), "{body}");
        }
    }
}
