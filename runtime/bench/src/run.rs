//! How long does a model take on this machine? One model, one configuration, many runs, and what they cost.

pub mod report;
