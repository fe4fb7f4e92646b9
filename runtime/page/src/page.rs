//! The page as a whole.

use crate::escape;

const STYLE: &str = include_str!("style.css");

/// A page that is being put together, from top to bottom.
#[derive(Debug)]
pub struct Page(String);

impl Page {
    /// A page with nothing but its heading and a note below it, both plain text.
    pub fn new(title: &str, note: &str) -> Self {
        let (title, note) = (escape(title), escape(note));
        Self(format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\"><title>{title}</title>\n<style>{STYLE}</style></head><body><main>\n\
             <h1>{title}</h1><p class=\"note\">{note}</p>\n"
        ))
    }

    /// Adds what belongs to no section; `html` is markup.
    pub fn add(&mut self, html: &str) {
        self.0 += html;
        self.0.push('\n');
    }

    /// Adds a section; `body` is markup.
    pub fn section(&mut self, title: &str, body: &str) {
        self.add(&format!("<section><h2>{}</h2>{body}</section>", escape(title)));
    }

    /// The whole of it.
    pub fn finish(mut self) -> String {
        self.0 += "</main></body></html>\n";
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault;

    #[test]
    fn titles_are_no_markup() {
        let mut page = Page::new("<script>1</script>", "a & b");
        page.section("x < y", "<p>text</p>");
        let html = page.finish();
        assert_eq!(fault(&html), None);
        assert!(
            html.contains("<h1>&lt;script&gt;1&lt;/script&gt;</h1><p class=\"note\">a &amp; b</p>"),
            "{html}"
        );
        assert!(html.contains("<h2>x &lt; y</h2><p>text</p>"), "{html}");
    }
}
