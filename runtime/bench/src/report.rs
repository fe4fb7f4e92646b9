//! A run's report as a page: one HTML file that needs no network and no script.
//!
//! What matters is on the first screen; below it are the plots, drawn as SVG for wide and for narrow screens.

mod page;
mod plots;
mod sections;

use crate::run::RunReport;

/// The page for `report`. Text from files and flags is escaped in it.
pub fn html(report: &RunReport) -> String {
    page::page(report)
}

#[cfg(test)]
mod tests;
