//! A VTN to test against.

fn main() -> std::process::ExitCode {
    openadr_ven::mock_vtn_main()
}
