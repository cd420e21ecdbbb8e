//! The program `belvedere`.

fn main() -> std::process::ExitCode {
    belvedere::run()
}
