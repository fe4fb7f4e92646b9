//! Plots as SVG, coloured by the page's style sheet.

use std::fmt::{self, Write};

use crate::{Axis, escape};

/// Space for the numbers and titles beside the axes, in units of the picture.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;

/// The size of a picture, in units that are about a pixel. What is wide is drawn twice, and the page shows the one that suits the
/// screen, so that text is readable on both.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// The class that the page shows or hides it by.
    pub class: &'static str,
}

impl Size {
    /// For a screen of a desk, and for that of a phone.
    pub const fn both(height: f64) -> [Self; 2] {
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

    /// For a panel, several of which are beside each other on a wide screen: drawn once.
    pub const fn panel(height: f64) -> Self {
        Self {
            width: 300.0,
            height,
            class: "panel",
        }
    }
}

/// A point with a name.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// Its colour.
    pub class: &'a str,
    /// Where it lies.
    pub x: f64,
    /// Where it lies.
    pub y: f64,
    /// Its name, plain text; none is shown if it is empty.
    pub label: &'a str,
    /// What stands for the name where there is no room for it, plain text.
    pub mark: &'a str,
    /// What a pointer over it tells, plain text.
    pub title: &'a str,
}

/// Half the width of a point; width of a letter, a generous mean; height of a line of text. In units of the picture.
const POINT: f64 = 5.0;
const LETTER: f64 = 6.2;
const LINE: f64 = 13.0;

/// A part of the picture.
#[derive(Debug, Clone, Copy)]
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Area {
    fn around((x, y): (f64, f64), half: f64) -> Self {
        Self {
            left: x - half,
            right: x + half,
            top: y - half,
            bottom: y + half,
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn holds(&self, other: &Self) -> bool {
        self.left <= other.left && other.right <= self.right && self.top <= other.top && other.bottom <= self.bottom
    }
}

/// A plot that is being drawn. `class` is a class of the page's style sheet throughout: `c1` to `c8` are its colours.
#[derive(Debug)]
pub struct Plot {
    size: Size,
    x: Axis,
    y: Axis,
    body: String,
    label: String,
}

impl Plot {
    /// An empty one; `label` says to those who don't see it what is in it.
    pub fn new(size: Size, x: Axis, y: Axis, label: &str) -> Self {
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
    pub fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let points: Vec<_> = points.into_iter().map(|(x, y)| self.at(x, y)).collect();
        let text: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.draw(format_args!(
            r#"<polyline class="line {class}" points="{}"/>"#,
            text.join(" ")
        ));
    }

    /// A dot at each point: lines of no length, whose ends are round.
    pub fn dots(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let points = points.into_iter().map(|(x, y)| self.at(x, y));
        let path: String = points.map(|(x, y)| format!("M{x:.1} {y:.1}h0")).collect();
        self.draw(format_args!(r#"<path class="dots {class}" d="{path}"/>"#));
    }

    /// A large dot at each point, with its label beside it where there is room for that, else with its mark, else alone. The
    /// earlier ones choose first.
    pub fn points(&mut self, points: &[Point<'_>]) {
        let places: Vec<_> = points.iter().map(|point| self.at(point.x, point.y)).collect();
        let mut taken: Vec<Area> = places.iter().map(|at| Area::around(*at, POINT)).collect();
        for (point, (x, y)) in points.iter().zip(&places) {
            let title = escape(point.title);
            self.draw(format_args!(
                r#"<path class="point {}" d="M{x:.1} {y:.1}h0"><title>{title}</title></path>"#,
                point.class
            ));
        }
        for (point, at) in points.iter().zip(&places) {
            let texts = [point.label, point.mark].into_iter().filter(|text| !text.is_empty());
            let mut choices = texts.flat_map(|text| self.beside(*at, text).map(move |area| (text, area)));
            let Some((text, area)) = choices.find(|(_, area)| taken.iter().all(|other| !area.meets(other))) else {
                continue;
            };
            taken.push(area);
            let (x, y, text) = (area.left, area.bottom - 4.0, escape(text));
            self.draw(format_args!(
                r#"<text class="mark" x="{x:.1}" y="{y:.1}">{text}</text>"#
            ));
        }
    }

    /// Where a point's text can be without leaving the plot: to the right, to the left, above, below, and beside these.
    fn beside(&self, (x, y): (f64, f64), text: &str) -> impl Iterator<Item = Area> + use<> {
        let width = LETTER * text.chars().count() as f64;
        let (right, left, middle) = (x + POINT + 3.0, x - POINT - 3.0 - width, x - width / 2.0);
        let (above, below) = (y - POINT - LINE / 2.0, y + POINT + LINE / 2.0);
        let centres = [
            (right, y),
            (left, y),
            (middle, above),
            (middle, below),
            (right, above),
            (right, below),
            (left, above),
            (left, below),
        ];
        let inside = Area {
            left: LEFT,
            right: self.size.width,
            top: 0.0,
            bottom: self.size.height - BOTTOM,
        };
        let areas = centres.map(|(left, centre)| Area {
            left,
            right: left + width,
            top: centre - LINE / 2.0,
            bottom: centre + LINE / 2.0,
        });
        areas.into_iter().filter(move |area| inside.holds(area))
    }

    /// A bar from `x[0]` to `x[1]`, as high as `y`.
    pub fn bar(&mut self, class: &str, x: [f64; 2], y: f64) {
        let (left, top) = self.at(x[0], y);
        let (right, _) = self.at(x[1], y);
        let width = (right - left).max(1.0);
        let height = self.size.height - BOTTOM - top;
        self.draw(format_args!(
            r#"<rect class="bar {class}" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    /// Upright lines, each with a text at its upper end; a text that has no room beside the one before goes a line lower.
    pub fn upright(&mut self, class: &str, lines: &[(f64, &str)]) {
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
                r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
                escape(text)
            ));
        }
    }

    /// The picture.
    pub fn finish(mut self) -> String {
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
    fn a_name_goes_where_there_is_room() {
        let size = Size {
            width: 256.0,
            height: 132.0,
            class: "panel",
        };
        let mut plot = Plot::new(size, Axis::exact(0.0, 10.0), Axis::exact(0.0, 1.0), "");
        let point = |x, y, label| Point {
            class: "c1",
            x,
            y,
            label,
            mark: "7",
            title: "a < b",
        };
        let long = "a name as long as half the picture";
        plot.points(&[
            point(5.0, 0.5, "right"),
            point(10.0, 0.5, "left"),
            point(5.0, 0.45, "below"),
            point(0.0, 0.9, long),
            point(5.0, 0.9, long),
        ]);
        let svg = plot.finish();
        assert!(
            svg.contains(r#"<path class="point c1" d="M146.0 60.0h0"><title>a &lt; b</title>"#),
            "{svg}"
        );
        assert!(svg.contains(r#"x="154.0" y="62.5">right<"#), "{svg}");
        assert!(svg.contains(r#"x="213.2" y="62.5">left<"#), "{svg}");
        assert!(svg.contains(">below<"), "{svg}");
        // one of the two long ones has its mark
        assert_eq!((svg.matches(long).count(), svg.matches(">7<").count()), (0, 2), "{svg}");
    }
}
