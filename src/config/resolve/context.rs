//! What every section needs while it is resolved: the environment, the directory, and a place to
//! put problems. Its methods give single values their meaning.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path as FilePath, PathBuf},
    time::Duration,
};

use http::{HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{
    Env, Known, Limits, Rules,
    document::Path,
    file,
    report::{Draft, Fault},
    value::{FromEnv, Hidden, Secret, SecretFrom, Size, Text, parse_size},
};

pub(super) struct Context<'a> {
    pub(super) env: &'a Env,
    pub(super) known: &'a Known,
    /// Where relative paths start.
    pub(super) dir: &'a FilePath,
    pub(super) draft: Draft,
    pub(super) warnings: Vec<String>,
}

/// Headers the gateway and its HTTP client write themselves.
const OWN_HEADERS: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::CONTENT_TYPE,
    header::UPGRADE,
];

impl Context<'_> {
    pub(super) fn invalid(&mut self, path: &Path, message: impl Into<String>, fix: impl Into<String>) {
        self.draft.add(path, Fault::Invalid { message: message.into(), fix: fix.into() });
    }

    /// Text, wherever it is kept. `None` has been reported.
    pub(super) fn text(&mut self, path: &Path, text: &Text) -> Option<String> {
        match text {
            Text::Plain(text) => Some(text.clone()),
            Text::From(FromEnv { env, default }) => self.variable(path, env.as_deref(), default.as_deref()),
        }
    }

    /// A secret, wherever it is kept. `None` has been reported.
    pub(super) fn secret(&mut self, path: &Path, secret: &Secret) -> Option<SecretString> {
        let value = match secret {
            Secret::Literal(Hidden(value)) => Some(value.clone()),
            Secret::From(SecretFrom { env: None, default: None, file: Some(name) }) => self.secret_file(path, name),
            Secret::From(SecretFrom { env, default, file: None }) => {
                self.variable(path, env.as_deref(), default.as_ref().map(|Hidden(value)| value.as_str()))
            }
            Secret::From(SecretFrom { file: Some(_), .. }) => {
                self.invalid(path, "a secret has one source", "keep either `env` or `file`");
                None
            }
        }?;
        // Files and variables often end in a line break that is no part of it.
        let value = value.trim();
        if value.is_empty() {
            self.invalid(path, "the secret is empty", "give it as `{ env = \"NAME\" }` or `{ file = \"path\" }`");
            return None;
        }
        if value.contains(char::is_control) {
            self.invalid(path, "the secret holds a line break or the like", "it must be one line of plain text");
            return None;
        }
        Some(value.into())
    }

    /// The same, with a warning when it is written out in the file.
    pub(super) fn kept_secret(&mut self, path: &Path, secret: &Secret) -> Option<SecretString> {
        if matches!(secret, Secret::Literal(_)) {
            self.warnings.push(format!(
                "{path}: the secret is written out in the file; `{{ env = \"NAME\" }}` or `{{ file = \"path\" }}` keeps it out"
            ));
        }
        self.secret(path, secret)
    }

    fn variable(&mut self, path: &Path, name: Option<&str>, default: Option<&str>) -> Option<String> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            let fix = "write `{ env = \"NAME\" }`".to_owned();
            self.draft.add_unless_known(path, Fault::Missing { field: "env", fix });
            return None;
        };
        let value = self.env.get(name).or_else(|| default.map(str::to_owned));
        if value.is_none() {
            self.draft.add(path, Fault::NoVariable { name: name.to_owned() });
        }
        value
    }

    fn secret_file(&mut self, path: &Path, name: &str) -> Option<String> {
        match fs::read_to_string(self.file(name)) {
            Ok(text) => Some(text),
            Err(error) => {
                self.draft.add(path, Fault::NoSecretFile { file: name.to_owned(), why: error.to_string() });
                None
            }
        }
    }

    /// A path from the file, which may be relative to it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A value read from text. `None` is absent, or has been reported.
    pub(super) fn parsed<T>(
        &mut self,
        path: &Path,
        text: Option<&Text>,
        message: &str,
        fix: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(path, text?)?;
        let value = read(&text);
        if value.is_none() {
            self.invalid(path, message, fix);
        }
        value
    }

    pub(super) fn duration(&mut self, path: &Path, text: Option<&Text>) -> Option<Duration> {
        let read = |text: &str| humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
        self.parsed(
            path,
            text,
            "not a length of time above zero",
            "write it with a unit, like `250ms`, `60s`, `10m`",
            read,
        )
    }

    pub(super) fn size(&mut self, path: &Path, size: Option<&Size>) -> Option<u64> {
        let (message, fix) = ("not a number of bytes above zero", "write it with a unit, like `32MiB`");
        match size? {
            Size::Bytes(0) => {
                self.invalid(path, message, fix);
                None
            }
            Size::Bytes(bytes) => Some(*bytes),
            Size::Text(text) => {
                self.parsed(path, Some(text), message, fix, |text| parse_size(text).filter(|bytes| *bytes > 0))
            }
        }
    }

    /// The clocks and tries that the section at `path` sets.
    pub(super) fn rules(&mut self, path: &Path, deadlines: &file::Deadlines, retry: &file::Retry) -> Rules {
        let clocks = path.key("deadlines");
        let tries = path.key("retry");
        let backoff = tries.key("backoff");
        Rules {
            connect: self.duration(&clocks.key("connect"), deadlines.connect.as_ref()),
            first_event: self.duration(&clocks.key("first-event"), deadlines.first_event.as_ref()),
            idle: self.duration(&clocks.key("idle"), deadlines.idle.as_ref()),
            total: self.duration(&clocks.key("total"), deadlines.total.as_ref()),
            attempts: retry.attempts.map(Into::into),
            base: self.duration(&backoff.key("base"), retry.backoff.base.as_ref()),
            max: self.duration(&backoff.key("max"), retry.backoff.max.as_ref()),
            max_retry_after: self.duration(&tries.key("max-retry-after"), retry.max_retry_after.as_ref()),
        }
    }

    /// Headers, all marked sensitive: any of them may hold a secret.
    pub(super) fn headers(&mut self, path: &Path, all: &BTreeMap<String, Secret>) -> Vec<(HeaderName, HeaderValue)> {
        all.iter().filter_map(|(name, value)| self.header(&path.key(name), name, value)).collect()
    }

    fn header(&mut self, path: &Path, name: &str, value: &Secret) -> Option<(HeaderName, HeaderValue)> {
        let value = self.secret(path, value);
        let Ok(name) = HeaderName::try_from(name) else {
            self.invalid(path, "not a header name", "use letters, digits and `-`");
            return None;
        };
        if OWN_HEADERS.contains(&name) {
            self.invalid(path, format!("the gateway writes `{name}` itself"), "remove it");
            return None;
        }
        let Ok(mut value) = HeaderValue::try_from(value?.expose_secret()) else {
            self.invalid(path, "not a header value", "use one line of plain text");
            return None;
        };
        value.set_sensitive(true);
        Some((name, value))
    }
}

pub(super) fn limits(limits: &file::Limits) -> Limits {
    Limits {
        requests_per_minute: limits.requests_per_minute.map(Into::into),
        tokens_per_minute: limits.tokens_per_minute.map(Into::into),
        concurrent: limits.concurrent.map(Into::into),
    }
}
