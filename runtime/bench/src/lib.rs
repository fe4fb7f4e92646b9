//! Looks at the device that a bundle is to run on. The program `askd-bench` is a thin front of this library.
//!
//! [`machine::Machine`] is what the system tells of itself without root; [`doctor::examine`] judges it, the engine and
//! a bundle together.

pub mod doctor;
pub mod machine;
