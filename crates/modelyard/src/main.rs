//! The program `modelyard`.

use std::process::ExitCode;

/// Requests allocate and free many small pieces on every thread; mimalloc does that in about a
/// third of the time that the system's allocator takes (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    modelyard::main()
}
