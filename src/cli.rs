//! The command line: what may be typed, and what each command does but `serve`, which is the
//! program itself and has its own room.
//!
//! Commands write to the stream they are given and answer with an exit code, so that a test can
//! read what a user would see.

mod any_certificate;
mod check;
mod files;
mod health;
mod key;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

pub use self::{
    check::{Asks, Probed, check},
    health::health,
    key::new_key,
};
use crate::config::{self, Env, Overrides};

/// An OpenAI-compatible gateway for large language models.
///
/// Without a command it serves. It needs no file: providers whose key variable is set
/// (OPENAI_API_KEY, ANTHROPIC_API_KEY and so on) are enabled, and local model servers are found by
/// themselves. With a file, `sluis check` says whether it is right.
#[derive(Debug, Parser)]
#[command(name = "sluis", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub serve: ServeArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command may need to know: which configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// The configuration file [default: sluis.toml in the working directory, if there is one]
    #[arg(long, short, global = true, value_name = "PATH", env = "SLUIS_CONFIG")]
    pub config: Option<PathBuf>,
    /// The address to serve on; wins over the file [default: 127.0.0.1:7878]
    #[arg(long, short, global = true, value_name = "ADDR", env = "SLUIS_LISTEN")]
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve. The default: `sluis` alone does the same
    Serve(ServeArgs),
    /// Say whether the configuration is right, and what it comes to
    ///
    /// Prints a summary and exits with 0, or prints every problem with its line and a way out and
    /// exits with 1.
    Check(CheckArgs),
    /// Print the JSON schema of the configuration file
    ///
    /// For editors: many complete and check TOML files by such a schema.
    Schema,
    /// Keys for those who call the gateway
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Ask a running gateway whether it is well: exit code 0 if so, else 1
    ///
    /// Made for the health checks of containers, which have no curl.
    Health(HealthArgs),
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it once, with the lines to paste into the configuration
    ///
    /// The configuration keeps a hash, from which the key cannot be found out again.
    New {
        /// Whose key it is; it names the key in logs and error messages
        #[arg(default_value = "default", value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}

#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// How log lines are written [default: text]
    #[arg(long, value_name = "FORMAT", env = "SLUIS_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged: a level, or levels by module, as in `info,sluis::routing=debug`
    /// [default: info]
    #[arg(long = "log", visible_alias = "log-level", value_name = "FILTER", env = "SLUIS_LOG")]
    pub log: Option<String>,
    /// Do not look for model servers on this machine
    #[arg(long)]
    pub no_probe: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub struct CheckArgs {
    /// Also connect to every provider. Asks for its list of models and calls none of them
    #[arg(long)]
    pub probe: bool,
    /// Show each value in force for a model name, `provider/model`, provider or key, and where it
    /// comes from
    #[arg(long, value_name = "NAME")]
    pub explain: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct HealthArgs {
    /// Where to ask [default: /healthz at the address the gateway listens on]. With `https` any
    /// certificate will do
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// Which configuration, once the command line has been read.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file to load, if there is one.
    pub path: Option<PathBuf>,
    pub env: Env,
    pub overrides: Overrides,
}

/// Everything `serve` is told from outside.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    pub place: Place,
    pub log_format: LogFormat,
    /// A `tracing` filter. Default `info`.
    pub log: String,
}

/// What a command came to; the process ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Well,
    Ill,
}

// === impl Cli ===

impl Cli {
    /// What `serve` is told: the flags before the command and those behind it together.
    pub fn serve_options(&self, env: Env) -> ServeOptions {
        let inner = match &self.command {
            Some(Command::Serve(args)) => args.clone(),
            _ => ServeArgs::default(),
        };
        let mut place = self.place.resolve(env);
        place.overrides.probe_local = (inner.no_probe || self.serve.no_probe).then_some(false);
        ServeOptions {
            place,
            log_format: inner.log_format.or(self.serve.log_format).unwrap_or_default(),
            log: inner.log.or_else(|| self.serve.log.clone()).unwrap_or_else(|| "info".to_owned()),
        }
    }
}

// === impl PlaceArgs ===

impl PlaceArgs {
    /// The file to load, found, and what comes before it. Blocks on the disk.
    pub fn resolve(&self, env: Env) -> Place {
        let overrides = Overrides { listen: self.listen, probe_local: None };
        Place { path: config::find(self.config.clone()), env, overrides }
    }
}

// === impl Outcome ===

impl From<Outcome> for std::process::ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Well => Self::SUCCESS,
            Outcome::Ill => Self::FAILURE,
        }
    }
}

/// Prints the JSON schema of the configuration file.
pub fn schema(out: &mut dyn Write) -> io::Result<Outcome> {
    writeln!(out, "{:#}", config::schema().as_value())?;
    Ok(Outcome::Well)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn cli(words: &str) -> Cli {
        Cli::try_parse_from(words.split(' ')).unwrap()
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// I1: `sluis --listen ...` serves; flags work on either side of the command.
    #[test]
    fn serve_is_the_default() {
        for words in [
            "sluis --listen 127.0.0.1:9 --no-probe --log debug --log-format json",
            "sluis serve --listen 127.0.0.1:9 --no-probe --log-level debug --log-format json",
            "sluis --no-probe --log debug serve --log-format json --listen 127.0.0.1:9",
        ] {
            let options = cli(words).serve_options(Env::of([]));
            assert_eq!(options.place.overrides.listen, Some("127.0.0.1:9".parse().unwrap()), "{words}");
            assert_eq!(options.place.overrides.probe_local, Some(false), "{words}");
            assert_eq!(options.log_format, LogFormat::Json, "{words}");
            assert_eq!(options.log, "debug", "{words}");
        }
        let plain = cli("sluis").serve_options(Env::of([]));
        assert_eq!((plain.log.as_str(), plain.place.overrides.probe_local), ("info", None));
    }

    #[test]
    fn every_command_takes_the_configuration() {
        for words in
            ["sluis check --config x.toml --explain fast", "sluis --config x.toml health", "sluis -c x.toml key new"]
        {
            assert_eq!(cli(words).place.config, Some("x.toml".into()), "{words}");
        }
        for wrong in [&["sluis", "checkk"][..], &["sluis", "key", "new", ""]] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_schema_is_json() {
        let mut out = Vec::new();
        assert_eq!(schema(&mut out).unwrap(), Outcome::Well);
        let schema: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        assert!(schema["properties"]["providers"]["description"].is_string());
    }
}
