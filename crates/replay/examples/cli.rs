use clap::Parser;
#[derive(Parser)]
struct A { #[command(flatten)] a: foreshadow_replay::cli::ReplayArgs }
fn main() -> std::process::ExitCode { foreshadow_replay::cli::run(&A::parse().a).into() }
