//! Distillation methods: each is an [`Objective`](crate::train::Objective) of the one training loop, with its settings beside
//! it.

mod divergence;
mod dml;
mod guard;
mod kd;
mod latency;
mod max_overhead;
mod method;
mod official_code;
mod projector_cost;
mod settings;
mod shared_head;
#[cfg(test)]
mod testing;

pub use dml::{Dml, MutualLearning};
pub use guard::{Guarded, Incident, Trigger};
pub use kd::{Kd, KnowledgeDistillation};
pub use max_overhead::{MaxOverhead, Overhead};
pub use method::{METHODS, Method, MethodFacts};
pub use official_code::OfficialCode;
pub use projector_cost::ProjectorCost;
pub use settings::{Distillation, Teacher, Weighting};
pub use shared_head::{Adaptation, AdaptationDecay, Guard, Mode, Normalise, Projector, SharedHead, SharedHeadSettings};
