//! The program `modelyard`.

use std::process::ExitCode;

fn main() -> ExitCode {
    modelyard::main()
}
