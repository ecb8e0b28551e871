//! The `inferlog` program: a thin user of the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    inferlog::cli::main()
}
