//! Looks at the device that a bundle is to run on, and measures bundles there. The program `askd-bench` is a thin front of
//! this library.
//!
//! [`machine::Machine`] is what the system tells of itself without root; [`doctor::examine`] judges it, the engine and
//! a bundle together. [`run::run`] measures one model in one configuration, and [`compare::compare`] holds two such
//! runs against each other; [`suite::run`] makes many for a table. [`measure::measure`] times several in turn;
//! [`tune::tune`] finds by that the variant, the provider and the number of threads that serve the machine best.
//! [`watch::Watch`] tells the state of the machine while something is measured, [`profile::profile`] where a run's time goes,
//! and [`report::html`] shows a run as a page.

pub mod child;
pub mod compare;
pub mod doctor;
pub mod machine;
pub mod measure;
pub mod profile;
pub mod report;
pub mod run;
pub mod store;
pub mod suite;
mod text;
pub mod tune;
pub mod watch;
