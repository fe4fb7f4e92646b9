//! `askd-compile`: from a teacher to a verified device model.

mod cli;

use std::process::ExitCode;

/// A training step allocates and frees the same large tensors over and over; the system's allocator gives such memory
/// back to the kernel each time, which halves the rate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    askd_runtime::disable_telemetry();
    askd_compiler::nn::kernels::memory::keep_freed_memory();
    cli::main()
}
