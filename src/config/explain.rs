//! Which value came from where (rule K2): a line of the file, the environment, or a default.

use std::{collections::BTreeMap, fmt};

use super::{Config, Credentials, KeyConfig, Limits, ModelConfig, ProviderConfig, Setting, document::Path};

/// Where the values of a configuration came from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub(super) file: Option<String>,
    pub(super) lines: BTreeMap<Path, Source>,
}

/// Where one value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Counted from 1.
    pub line: usize,
    /// The variable it was read from.
    pub env: Option<String>,
}

/// One value in force, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    pub field: String,
    pub value: String,
    pub from: String,
}

// === impl Sources ===

impl Sources {
    /// The origin of a value that the first of these paths that the file has sets.
    fn nearest(&self, paths: &[Path], default: &str) -> String {
        let found = paths.iter().find_map(|path| self.lines.get(path).map(|source| (path, source)));
        let Some((path, source)) = found else { return default.to_owned() };
        let file = self.file.as_deref().unwrap_or("");
        let env = source.env.as_ref().map(|name| format!(", from {name}")).unwrap_or_default();
        format!("{path} ({file}:{}{env})", source.line)
    }
}

// === impl Config ===

impl Config {
    /// The values in force for a name: a model name of the file, `provider/model`, a provider or
    /// a key. `None` when there is nothing of that name. Never shows a secret.
    pub fn explain(&self, name: &str) -> Option<Vec<Explained>> {
        if let Some(model) = self.models.get(name) {
            return Some(self.explain_model(model));
        }
        let provider = name.split_once('/').map_or(name, |(provider, _)| provider);
        if let Some(provider) = self.providers.get(provider) {
            let mut all = self.explain_provider(provider);
            all.extend(self.explain_policy(&provider.name, None));
            all.extend(self.explain_prices(name));
            return Some(all);
        }
        self.keys.iter().find(|key| key.name == name).map(|key| self.explain_key(key))
    }

    fn explain_model(&self, model: &ModelConfig) -> Vec<Explained> {
        let section = Path::default().key("models").key(&model.name);
        let mut all = vec![self.line("strategy", model.strategy.name(), &[section.key("strategy")], "default")];
        let targets = section.key("targets");
        for (at, target) in model.targets.iter().enumerate() {
            let value = format!("{} (weight {})", target.to, target.weight);
            all.push(self.line(&format!("targets[{at}]"), value, &[targets.item(at)], "default"));
        }
        all.extend(self.explain_limits(&model.limits, &[section]));
        let mut providers: Vec<&str> =
            model.targets.iter().filter_map(|target| target.to.split_once('/')).map(|(provider, _)| provider).collect();
        providers.sort_unstable();
        providers.dedup();
        for provider in providers {
            let policy = self.explain_policy(provider, Some(&model.name));
            all.extend(
                policy.into_iter().map(|line| Explained { field: format!("{provider}: {}", line.field), ..line }),
            );
        }
        all
    }

    fn explain_provider(&self, provider: &ProviderConfig) -> Vec<Explained> {
        let section = Path::default().key("providers").key(&provider.name);
        let enabled = match &provider.discovered {
            Some(variable) => format!("environment ({variable})"),
            None => "environment".to_owned(),
        };
        let keys = format!("{} (not shown)", provider.api_keys.len());
        let url = provider.base_url.as_deref().unwrap_or("none");
        let mut all = vec![
            self.line("type", &provider.kind, &[section.key("type")], "the name"),
            self.line("base-url", url, &[section.key("base-url")], "catalogue"),
            self.line(
                "api-key",
                keys,
                &[section.key("api-key")],
                if provider.api_keys.is_empty() { "none" } else { &enabled },
            ),
        ];
        all.extend(self.explain_credentials(provider, &section));
        if provider.think_tags {
            all.push(self.line("think-tags", "true", &[section.key("think-tags")], "the file"));
        }
        if let Some(responses) = &provider.settings.responses {
            all.push(self.line("responses", responses.to_string(), &[section.key("responses")], "the file"));
        }
        for (name, _) in &provider.headers {
            let paths = [&section, &Path::default()].map(|section| section.key("headers").key(name.as_str()));
            all.push(self.line(&format!("headers.{name}"), "(not shown)", &paths, "the file"));
        }
        all.extend(self.explain_limits(&provider.limits, &[section, Path::default()]));
        all
    }

    /// The way of authorization and the settings, where there is more to say than the key.
    fn explain_credentials(&self, provider: &ProviderConfig, section: &Path) -> Vec<Explained> {
        let mut all = Vec::new();
        if !matches!(provider.credentials, Credentials::Keys) {
            let name = provider.credentials.name();
            all.push(self.line("credentials", name, &[section.key("credentials")], "the type's own way"));
        }
        let fields: &[(&str, bool)] = match &provider.credentials {
            Credentials::Keys | Credentials::Client => &[],
            Credentials::Aws(aws) => &[("profile", aws.profile.is_some())],
            Credentials::Google(google) => &[("credentials-file", google.file.is_some())],
            Credentials::Entra(entra) => &[
                ("tenant-id", entra.tenant.is_some()),
                ("client-id", entra.client.is_some()),
                ("client-secret", entra.secret.is_some()),
                ("token-file", entra.token_file.is_some()),
            ],
        };
        for (field, _) in fields.iter().filter(|(_, is_set)| *is_set) {
            all.push(self.line(field, "(not shown)", &[section.key(field)], "environment"));
        }
        for setting in Setting::ALL {
            let origin = provider.origins.get(setting.name()).map_or("the file", String::as_str);
            if let Some(value) = provider.settings.get(setting) {
                all.push(self.line(setting.name(), value, &[section.key(setting.name())], origin));
            }
        }
        let tables = [("deployments", &provider.settings.deployments), ("base-models", &provider.settings.base_models)];
        for (table, entries) in tables {
            for (model, name) in entries {
                let path = section.key(table).key(model);
                all.push(self.line(&format!("{table}.{model}"), name, &[path], "the file"));
            }
        }
        all
    }

    fn explain_key(&self, key: &KeyConfig) -> Vec<Explained> {
        let section = Path::default().key("keys").key(&key.name);
        let mut all = vec![self.line("models", key.models.join(", "), &[section.key("models")], "default")];
        all.extend(self.explain_limits(&key.limits, &[section]));
        all
    }

    /// The operator's own prices of a target.
    fn explain_prices(&self, target: &str) -> Vec<Explained> {
        let Some((name, prices)) = self.prices.entry(target) else { return Vec::new() };
        let section = Path::default().key("prices").key(name);
        let fields = [
            ("input", prices.input),
            ("cached-input", prices.cached_input),
            ("cache-write", prices.cache_write),
            ("cache-write-1h", prices.cache_write_1h),
            ("output", prices.output),
            ("audio-input", prices.audio_input),
            ("audio-output", prices.audio_output),
        ];
        let given = fields.into_iter().filter_map(|(field, price)| Some((field, price?)));
        given
            .map(|(field, price)| {
                let value = format!("{price} USD per million tokens");
                self.line(&format!("prices.{field}"), value, &[section.key(field)], "the file")
            })
            .collect()
    }

    fn explain_limits(&self, limits: &Limits, sections: &[Path]) -> Vec<Explained> {
        let fields = [
            ("requests-per-minute", limits.requests_per_minute),
            ("tokens-per-minute", limits.tokens_per_minute),
            ("concurrent", limits.concurrent),
        ];
        let line = |(field, value): (&str, Option<u32>)| {
            let paths: Vec<Path> = sections.iter().map(|section| section.key("limits").key(field)).collect();
            let value = value.map_or_else(|| "unlimited".to_owned(), |value| value.to_string());
            self.line(&format!("limits.{field}"), value, &paths, "default")
        };
        fields.into_iter().map(line).collect()
    }

    fn explain_policy(&self, provider: &str, model: Option<&str>) -> Vec<Explained> {
        let policy = self.policy(provider, model);
        let (deadlines, retry) = (policy.deadlines, policy.retry);
        let time = |time| humantime::format_duration(time).to_string();
        let first_event = match deadlines.whole {
            Some(_) => time(deadlines.first_event),
            None => format!("{} (streams only)", time(deadlines.first_event)),
        };
        let fields: [(&[&str], String); 8] = [
            (&["deadlines", "connect"], time(deadlines.connect)),
            (&["deadlines", "first-event"], first_event),
            (&["deadlines", "idle"], time(deadlines.idle)),
            (&["deadlines", "total"], time(deadlines.total)),
            (&["retry", "attempts"], retry.attempts.to_string()),
            (&["retry", "backoff", "base"], time(retry.base)),
            (&["retry", "backoff", "max"], time(retry.max)),
            (&["retry", "max-retry-after"], time(retry.max_retry_after)),
        ];
        let root = Path::default();
        let model = model.map(|name| root.key("models").key(name));
        let sections: Vec<Path> =
            model.into_iter().chain([root.key("providers").key(provider), root.clone()]).collect();
        let line = |(steps, value): (&[&str], String)| {
            let at = |section: &Path| steps.iter().fold(section.clone(), |path, step| path.key(step));
            let paths: Vec<Path> = sections.iter().map(at).collect();
            self.line(&steps.join("."), value, &paths, "default")
        };
        fields.into_iter().map(line).collect()
    }

    fn line(&self, field: &str, value: impl Into<String>, paths: &[Path], default: &str) -> Explained {
        Explained { field: field.to_owned(), value: value.into(), from: self.sources.nearest(paths, default) }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<32} {:<40} {}", self.field, self.value, self.from)
    }
}
