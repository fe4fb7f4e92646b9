//! Distillation methods: each is an [`Objective`](crate::train::Objective) of the one training loop.

mod shared_head;

pub use shared_head::SharedHead;
