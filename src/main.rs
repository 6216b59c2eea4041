//! The program: reads the command line and hands over.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use sluis::{
    cli::{self, Cli, Command, KeyCommand, Outcome},
    config::Env,
    routing::known::known,
    run,
};

/// Fewer pauses and less time per request than the system's (bench/RESULTS.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(outcome) => outcome.into(),
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if even this cannot be written.
            let _ = writeln!(io::stderr(), "sluis: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> io::Result<Outcome> {
    let env = Env::Process;
    let out = &mut io::stdout();
    match &cli.command {
        None | Some(Command::Serve(_)) => run::serve(cli.serve_options(env)).await,
        Some(Command::Check(args)) => {
            let asks = cli::Asks { probe: run::probe, carried: run::carried };
            cli::check(&cli.place.resolve(env), args, &known(), asks, out).await
        }
        Some(Command::Schema) => cli::schema(out),
        Some(Command::Key { command: KeyCommand::New { name } }) => cli::new_key(name, out),
        Some(Command::Health(args)) => cli::health(&cli.place.resolve(env), args, out).await,
    }
}
