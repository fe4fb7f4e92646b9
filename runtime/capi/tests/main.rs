//! Tests of the C ABI, in one binary.
#![expect(unsafe_code, reason = "what is tested is called by pointers, as from C")]

mod allocations;
mod calls;
#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/common/counting.rs"]
mod counting;
mod documents;
mod exports;
mod header;
mod misuse;
mod programs;
mod support;
