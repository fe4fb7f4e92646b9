//! Reports as pages: one HTML file that needs no network and no script, with plots as SVG, for wide and narrow screens, light
//! and dark.
//!
//! ```
//! use askd_page::{Axis, Page, Plot, Size, figure};
//!
//! let pictures = Size::both(200.0).map(|size| {
//!     let mut plot = Plot::new(size, Axis::exact(0.0, 2.0), Axis::linear([1.0, 3.0]), "a rising line");
//!     plot.line("c1", [(0.0, 1.0), (2.0, 3.0)]);
//!     plot.finish()
//! });
//! let mut page = Page::new("Title <as it is>", "made by hand");
//! page.section("A plot", &figure("it rises", &pictures.concat()));
//! assert_eq!(askd_page::fault(&page.finish()), None);
//! ```
//!
//! Text from files and flags goes through [`escape`]; [`Page::new`], [`facts`] and a plot's texts do it themselves.

mod axis;
mod elements;
mod fault;
mod page;
mod plot;

pub use axis::{Axis, short};
pub use elements::{card, cards, escape, facts, figure};
pub use fault::fault;
pub use page::Page;
pub use plot::{Plot, Point, Size};
