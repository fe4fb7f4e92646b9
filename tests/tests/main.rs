//! Cross-crate tests, one module a subject.

mod bundle;
mod cli;
mod criterion_parity;
mod damage;
mod damaged_data;
mod distillation_parity;
mod estimate;
mod export;
mod gradients;
mod image_files;
mod logit_parity;
mod methods;
mod onnx_checker;
mod passes;
mod pilot;
mod pipeline;
mod pretrained;
mod projector;
mod quantize;
mod recipes;
mod refusals;
mod report;
mod resume;
mod robustness;
mod several_teachers;
mod study;
