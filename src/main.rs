//! The `allo` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    allo::cli::main()
}
