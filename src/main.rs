use std::process::ExitCode;

fn main() -> ExitCode {
    siskin::cli::main()
}
