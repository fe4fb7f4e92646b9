//! Plots as SVG, coloured by the page's style sheet.

use std::fmt::{self, Write};

use super::axis::Axis;

/// Space for the numbers and titles beside the axes, in units of the picture.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;

/// The size of a picture. It is drawn twice, and the page shows the one that suits the screen, so that text is readable on
/// both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
    /// The class that the page shows or hides it by.
    pub(super) class: &'static str,
}

impl Size {
    /// For a screen of a desk, and for that of a phone.
    pub(super) const fn both(height: f64) -> [Self; 2] {
        [
            Self {
                width: 880.0,
                height,
                class: "wide",
            },
            Self {
                width: 350.0,
                height,
                class: "narrow",
            },
        ]
    }
}

/// A plot that is being drawn.
pub(super) struct Plot {
    size: Size,
    x: Axis,
    y: Axis,
    body: String,
    label: String,
}

impl Plot {
    /// An empty one; `label` says to those who don't see it what is in it.
    pub(super) fn new(size: Size, x: Axis, y: Axis, label: &str) -> Self {
        Self {
            size,
            x,
            y,
            body: String::new(),
            label: label.to_owned(),
        }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let width = self.size.width - LEFT - RIGHT;
        let height = self.size.height - TOP - BOTTOM;
        (LEFT + width * self.x.place(x), TOP + height * (1.0 - self.y.place(y)))
    }

    fn draw(&mut self, text: fmt::Arguments<'_>) {
        // To a string, which takes everything.
        let _ = self.body.write_fmt(text);
    }

    /// A line through points.
    pub(super) fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let points: Vec<_> = points.into_iter().map(|(x, y)| self.at(x, y)).collect();
        let text: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.draw(format_args!(
            r#"<polyline class="line {class}" points="{}"/>"#,
            text.join(" ")
        ));
    }

    /// A dot at each point: lines of no length, whose ends are round.
    pub(super) fn dots(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let points = points.into_iter().map(|(x, y)| self.at(x, y));
        let path: String = points.map(|(x, y)| format!("M{x:.1} {y:.1}h0")).collect();
        self.draw(format_args!(r#"<path class="dots {class}" d="{path}"/>"#));
    }

    /// A bar from `x[0]` to `x[1]`, as high as `y`.
    pub(super) fn bar(&mut self, class: &str, x: [f64; 2], y: f64) {
        let (left, top) = self.at(x[0], y);
        let (right, _) = self.at(x[1], y);
        let width = (right - left).max(1.0);
        let height = self.size.height - BOTTOM - top;
        self.draw(format_args!(
            r#"<rect class="bar {class}" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    /// Upright lines, each with a text at its upper end; a text that has no room beside the one before goes a line lower.
    pub(super) fn upright(&mut self, class: &str, lines: &[(f64, &str)]) {
        let foot = self.size.height - BOTTOM;
        for (value, _) in lines {
            let (x, _) = self.at(*value, 0.0);
            self.draw(format_args!(
                r#"<line class="upright {class}" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{foot}"/>"#
            ));
        }
        let mut ends = [f64::NEG_INFINITY; 5];
        for (value, text) in lines {
            let (x, _) = self.at(*value, 0.0);
            // Letters are about 6 units wide. Near the right end the text goes to the line's left.
            let width = 6.0 * text.chars().count() as f64 + 6.0;
            let left = x + width > self.size.width - RIGHT;
            let (begin, end) = if left { (x - width, x) } else { (x, x + width) };
            let row = ends.iter().position(|taken| *taken <= begin).unwrap_or(ends.len() - 1);
            ends[row] = end;
            let y = TOP + 9.0 + 12.0 * row as f64;
            let (x, anchor) = if left { (x - 4.0, "end") } else { (x + 4.0, "start") };
            self.draw(format_args!(
                r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
            ));
        }
    }

    /// The picture.
    pub(super) fn finish(mut self) -> String {
        let Size { width, height, class } = self.size;
        let inside = std::mem::take(&mut self.body);
        self.grid();
        let grid = self.body;
        format!(
            r#"<svg class="{class}" viewBox="0 0 {width} {height}" role="img" aria-label="{}">{grid}{inside}</svg>"#,
            escape(&self.label)
        )
    }

    fn grid(&mut self) {
        let right = self.size.width - RIGHT;
        let foot = self.size.height - BOTTOM;
        for (value, text) in self.y.ticks() {
            let (_, y) = self.at(0.0, value);
            let baseline = y + 4.0;
            self.draw(format_args!(
                r#"<line class="grid" x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}"/><text x="{:.1}" y="{baseline:.1}" text-anchor="end">{text}</text>"#,
                LEFT - 6.0
            ));
        }
        let mut end = f64::NEG_INFINITY;
        for (value, text) in self.x.ticks() {
            let (x, _) = self.at(value, 0.0);
            self.draw(format_args!(
                r#"<line class="grid" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{foot}"/>"#
            ));
            let half = 3.5 * text.chars().count() as f64;
            if x - half > end {
                end = x + half + 8.0;
                let y = self.size.height - 6.0;
                self.draw(format_args!(
                    r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">{text}</text>"#
                ));
            }
        }
    }
}

/// Text, fit for HTML, also within quotes.
pub(super) fn escape(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 156.0,
        height: 132.0,
        class: "wide",
    };

    #[test]
    fn points_lie_where_their_values_say() {
        let mut plot = Plot::new(SIZE, Axis::exact(0.0, 10.0), Axis::exact(0.0, 1.0), "a \"b\" <c>");
        plot.line("p50", [(0.0, 0.0), (10.0, 1.0), (5.0, 0.5)]);
        plot.bar("all", [0.0, 5.0], 0.5);
        let svg = plot.finish();
        assert!(svg.contains(r#"points="46.0,110.0 146.0,10.0 96.0,60.0""#), "{svg}");
        assert!(svg.contains(r#"x="46.0" y="60.0" width="50.0" height="50.0""#), "{svg}");
        assert!(svg.contains(r#"aria-label="a &quot;b&quot; &lt;c&gt;""#), "{svg}");
    }

    #[test]
    fn texts_of_lines_that_are_close_lie_below_each_other() {
        let mut plot = Plot::new(SIZE, Axis::exact(0.0, 10.0), Axis::exact(0.0, 1.0), "");
        plot.upright("mark", &[(1.0, "p50 1"), (1.5, "p90 1"), (9.9, "p99 1")]);
        let svg = plot.finish();
        assert!(svg.contains(r#"y="19.0" text-anchor="start">p50"#), "{svg}");
        assert!(svg.contains(r#"y="31.0" text-anchor="start">p90"#), "{svg}");
        assert!(svg.contains(r#"y="19.0" text-anchor="end">p99"#), "{svg}");
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(
            escape("<a href='x'>&\u{1b}\n"),
            "&lt;a href=&#39;x&#39;&gt;&amp;\u{fffd}\n"
        );
    }
}
