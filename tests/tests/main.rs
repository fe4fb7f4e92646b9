//! Cross-crate tests, one module a subject.

mod bundle;
mod cli;
mod damage;
mod damaged_data;
mod estimate;
mod export;
mod onnx_checker;
mod pilot;
mod pipeline;
mod pretrained;
mod refusals;
mod resume;
mod several_teachers;
