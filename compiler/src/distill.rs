//! Distillation methods: each is an [`Objective`](crate::train::Objective) of the one training loop, with its settings beside
//! it.

mod dml;
mod kd;
mod method;
mod settings;
mod shared_head;

pub use dml::Dml;
pub use kd::Kd;
pub use method::{METHODS, Method, MethodFacts};
pub use settings::{Distillation, Teacher, Weighting};
pub use shared_head::{Adaptation, AdaptationDecay, Guard, Mode, Normalise, SharedHead, SharedHeadSettings};
