//! A VEN that decides by the rules in its configuration.

fn main() -> std::process::ExitCode {
    openadr_ven::main_by_rules()
}
