//! `sluis check`: is the configuration right, what does it come to, which value comes from where.

use std::{
    fmt,
    io::{self, Write},
    time::Duration,
};

use super::{CheckArgs, Outcome, Place, files};
use crate::config::{self, Config, Credentials, Known, ProviderConfig, nearest};

/// What a provider answered when it was asked for its models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// How many models it listed; `None` when it answered in a form that could not be counted.
    pub models: Option<usize>,
    /// From asking to the whole answer.
    pub took: Duration,
}

/// What a check asks of the rooms it does not know.
#[derive(Debug, Clone, Copy)]
pub struct Asks<P> {
    /// Asks a provider for its list of models and calls none of them (rule K6); for `--probe` only.
    pub probe: P,
    /// What becomes of each field of a chat completion at a target; empty where there is none of
    /// that name.
    pub carried: fn(&Config, &str) -> Vec<(&'static str, &'static str)>,
}

/// Checks a configuration and writes what it comes to, or everything that is wrong with it. A
/// provider that does not answer when probed makes the outcome ill.
pub async fn check<P>(
    place: &Place,
    args: &CheckArgs,
    known: &Known,
    asks: Asks<P>,
    out: &mut dyn Write,
) -> io::Result<Outcome>
where
    P: AsyncFn(&Config, &ProviderConfig) -> Result<Probed, String>,
{
    let config = match config::load(place.path.as_deref(), &place.env, known, &place.overrides) {
        Ok(config) => config,
        Err(report) => {
            write!(out, "{report}")?;
            return Ok(Outcome::Ill);
        }
    };
    if let Some(name) = &args.explain {
        return explain(&config, name, &(asks.carried)(&config, name), out);
    }
    summary(place, &config, out)?;
    let problems = files::problems(&config);
    problems.iter().try_for_each(|problem| writeln!(out, "problem    {problem}"))?;
    let outcome = if args.probe { probe_all(&config, asks.probe, out).await? } else { Outcome::Well };
    Ok(if problems.is_empty() { outcome } else { Outcome::Ill })
}

fn explain(config: &Config, name: &str, carried: &[(&str, &str)], out: &mut dyn Write) -> io::Result<Outcome> {
    let Some(lines) = config.explain(name) else {
        let names = config.models.keys().chain(config.providers.keys()).chain(config.keys.iter().map(|key| &key.name));
        let hint = nearest(name, names.map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
        writeln!(out, "there is no model name, provider or key `{name}`{}", hint.unwrap_or_default())?;
        return Ok(Outcome::Ill);
    };
    for line in lines {
        writeln!(out, "{line}")?;
    }
    fates(carried, out)?;
    Ok(Outcome::Well)
}

/// The fields of a chat completion, by what becomes of them.
fn fates(carried: &[(&str, &str)], out: &mut dyn Write) -> io::Result<()> {
    if carried.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nfields of a chat completion")?;
    for (fate, means) in [
        ("carried", ""),
        ("dropped", ", and named in x-sluis-dropped"),
        ("refused", ", with a 400 that names the field"),
    ] {
        let fields: Vec<&str> = carried.iter().filter(|(_, of)| *of == fate).map(|(field, _)| *field).collect();
        if !fields.is_empty() {
            writeln!(out, "{fate}{means}\n    {}", fields.join(", "))?;
        }
    }
    Ok(())
}

fn summary(place: &Place, config: &Config, out: &mut dyn Write) -> io::Result<()> {
    match &place.path {
        Some(path) => writeln!(out, "{} is valid", path.display())?,
        None => writeln!(out, "no configuration file; the environment alone")?,
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    writeln!(out, "\nlisten     {scheme}://{}", config.listen)?;
    for provider in config.providers.values() {
        let url = provider.base_url.as_deref().unwrap_or("no address");
        let origin = provider.discovered.as_ref().map(|name| format!(" (found by {name})")).unwrap_or_default();
        let keys = match &provider.credentials {
            Credentials::Keys => count(provider.api_keys.len(), "key"),
            Credentials::Client => "the client's own credentials".to_owned(),
            other @ (Credentials::Google(_) | Credentials::Aws(_) | Credentials::Entra(_)) => {
                format!("credentials of {}", other.name())
            }
        };
        writeln!(out, "provider   {}: {} at {url}, {keys}{origin}", provider.name, provider.kind)?;
    }
    for model in config.models.values() {
        let targets: Vec<&str> = model.targets.iter().map(|target| target.to.as_str()).collect();
        writeln!(out, "model      {}: {}, {}", model.name, model.strategy.name(), targets.join(" -> "))?;
    }
    for key in &config.keys {
        writeln!(out, "key        {}: {}", key.name, key.models.join(", "))?;
    }
    if config.keys.is_empty() {
        writeln!(out, "key        none: anybody on this machine may call")?;
    }
    config.warnings.iter().try_for_each(|warning| writeln!(out, "warning    {warning}"))
}

async fn probe_all<P>(config: &Config, probe: P, out: &mut dyn Write) -> io::Result<Outcome>
where
    P: AsyncFn(&Config, &ProviderConfig) -> Result<Probed, String>,
{
    writeln!(out)?;
    let asked = config.providers.values().map(async |provider| (provider, probe(config, provider).await));
    let mut outcome = Outcome::Well;
    for (provider, answer) in futures_util::future::join_all(asked).await {
        match answer {
            Ok(probed) => writeln!(out, "probe      {}: {probed}", provider.name)?,
            Err(why) => {
                outcome = Outcome::Ill;
                writeln!(out, "probe      {}: failed: {why}", provider.name)?;
            }
        }
    }
    Ok(outcome)
}

fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.models {
            Some(models) => write!(f, "{} in {} ms", count(models, "model"), self.took.as_millis()),
            None => write!(f, "reached in {} ms", self.took.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, KnownKind, Overrides};

    async fn run(env: Env, args: CheckArgs, answer: Result<Probed, String>) -> (Outcome, String) {
        let kind = KnownKind {
            name: "openai".into(),
            key_env: vec!["OPENAI_API_KEY".into()],
            default_base_url: Some("https://api.openai.com/v1".into()),
            needs_key: true,
            ..KnownKind::default()
        };
        let place = Place { path: None, env, overrides: Overrides::default() };
        let mut out = Vec::new();
        let carried = |_: &Config, _: &str| vec![("stop", "carried"), ("n", "refused"), ("top_p", "carried")];
        let probe = async |_: &Config, _: &ProviderConfig| answer.clone();
        let outcome =
            check(&place, &args, &Known { kinds: vec![kind] }, Asks { probe, carried }, &mut out).await.unwrap();
        (outcome, String::from_utf8(out).unwrap())
    }

    fn keyed() -> Env {
        Env::of([("OPENAI_API_KEY", "sk-canary")])
    }

    /// X4 besides: no output holds the key.
    #[tokio::test]
    async fn the_summary_names_what_is_there() {
        let (outcome, out) = run(keyed(), CheckArgs::default(), Err("not asked".into())).await;
        assert_eq!(outcome, Outcome::Well);
        assert!(out.contains("openai: openai at https://api.openai.com/v1, 1 key (found by OPENAI_API_KEY)"), "{out}");
        assert!(!out.contains("canary") && !out.contains("not asked"), "{out}");
    }

    #[tokio::test]
    async fn a_probe_that_fails_is_ill() {
        let args = CheckArgs { probe: true, explain: None };
        let took = Duration::from_millis(12);
        let (outcome, out) = run(keyed(), args.clone(), Ok(Probed { models: Some(3), took })).await;
        assert_eq!(outcome, Outcome::Well);
        assert!(out.ends_with("probe      openai: 3 models in 12 ms\n"), "{out}");
        let (outcome, out) = run(keyed(), args, Err("refused".into())).await;
        assert_eq!(outcome, Outcome::Ill);
        assert!(out.ends_with("probe      openai: failed: refused\n"), "{out}");
    }

    /// A file that cannot be used is told before the first call fails on it.
    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_ill() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sluis.toml");
        std::fs::write(&path, "[providers.openai]\nca-file = \"gone.pem\"\n[tls]\ncert = \"c\"\nkey = \"k\"").unwrap();
        let kind = KnownKind {
            name: "openai".into(),
            default_base_url: Some("https://api.openai.com/v1".into()),
            ..KnownKind::default()
        };
        let place = Place { path: Some(path), env: Env::of([]), overrides: Overrides::default() };
        let mut out = Vec::new();
        let probe = async |_: &Config, _: &ProviderConfig| Err(String::new());
        let known = Known { kinds: vec![kind] };
        let outcome =
            check(&place, &CheckArgs::default(), &known, Asks { probe, carried: |_, _| Vec::new() }, &mut out)
                .await
                .unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(outcome, Outcome::Ill);
        for field in ["providers.openai.ca-file", "tls.cert", "tls.key"] {
            assert!(out.contains(&format!("problem    {field}: ")), "{field}: {out}");
        }
        assert!(out.contains("gone.pem cannot be read"), "{out}");
    }

    /// K2: the source of a value can be shown.
    #[tokio::test]
    async fn an_explanation_names_the_origin() {
        let explain = |name: &str| CheckArgs { probe: false, explain: Some(name.into()) };
        let (outcome, out) = run(keyed(), explain("openai/gpt-5"), Err(String::new())).await;
        assert_eq!(outcome, Outcome::Well);
        assert!(out.contains("environment (OPENAI_API_KEY)") && !out.contains("canary"), "{out}");
        let told = "carried\n    stop, top_p\nrefused, with a 400 that names the field\n    n\n";
        assert!(out.ends_with(told), "{out}");
        let (outcome, out) = run(keyed(), explain("opnai"), Err(String::new())).await;
        assert_eq!((outcome, out.contains("did you mean `openai`?")), (Outcome::Ill, true), "{out}");
    }
}
