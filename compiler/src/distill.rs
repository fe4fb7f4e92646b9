//! Distillation methods: each is an [`Objective`](crate::train::Objective) of the one training loop, with its settings beside
//! it.

mod at;
mod ca_mkd;
mod chain;
mod crd;
mod criterion;
mod divergence;
mod dkd;
mod dml;
mod ebkd;
mod fitnet;
mod guard;
mod imitation;
mod kd;
mod knowledge_distillation;
mod latency;
mod max_overhead;
mod method;
mod modules;
mod official_code;
mod projector_cost;
mod semckd;
mod settings;
mod shared_head;
mod sp;
mod srrl;
#[cfg(test)]
mod testing;
mod vid;

pub use at::AttentionTransfer;
pub use ca_mkd::ConfidenceAware;
pub use crd::Crd;
pub use criterion::{Criterion, Outputs, Seen, Term, TrainingImages};
pub use dkd::Dkd;
pub use dml::{Dml, MutualLearning};
pub use ebkd::EntropyBased;
pub use fitnet::FitNet;
pub use guard::{Adaptive, Guarded, Incident, Trigger};
pub use imitation::Imitation;
pub use kd::Kd;
pub use knowledge_distillation::KnowledgeDistillation;
pub use max_overhead::{MaxOverhead, Overhead};
pub use method::{METHODS, Method, MethodFacts};
pub use modules::Modules;
pub use official_code::OfficialCode;
pub use projector_cost::ProjectorCost;
pub use semckd::{SemCkd, SemanticCalibration};
pub use settings::{Distillation, Teacher, Weighting};
pub use shared_head::{Adaptation, AdaptationDecay, Guard, Mode, Normalise, Projector, SharedHead, SharedHeadSettings};
pub use sp::SimilarityPreserving;
pub use srrl::SoftmaxRegression;
pub use vid::VariationalInformation;
