//! The program: reads the command line and hands over.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use sluis::{
    cli::{self, Cli, Command, KeyCommand, Outcome, Probed, ServeOptions},
    config::{Env, Known, ProviderConfig},
};

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
        None | Some(Command::Serve(_)) => serve(cli.serve_options(env)).await,
        Some(Command::Check(args)) => cli::check(&cli.place.resolve(env), args, &known(), probe, out).await,
        Some(Command::Schema) => cli::schema(out),
        Some(Command::Key { command: KeyCommand::New { name } }) => cli::new_key(name, out),
        Some(Command::Health(args)) => cli::health(&cli.place.resolve(env), args, out).await,
    }
}

/// Serves until told to stop.
async fn serve(options: ServeOptions) -> io::Result<Outcome> {
    let _ = options;
    Err(io::Error::new(io::ErrorKind::Unsupported, "this build cannot serve yet"))
}

/// Asks a provider for its list of models.
async fn probe(provider: &ProviderConfig) -> Result<Probed, String> {
    Err(format!("this build cannot reach {} yet", provider.name))
}

/// The kinds of providers there are.
fn known() -> Known {
    Known::default()
}
