//! `[keys]`: who may call.

use std::net::SocketAddr;

use secrecy::ExposeSecret;

use super::context::{Context, limits};
use crate::config::{
    KeyConfig,
    document::Path,
    file::{self, File},
    key::{hash_key, parse_hash},
    report::Fault,
};

/// Without keys only this machine may knock (rule X1).
pub(super) fn refuse_open_door(listen: SocketAddr, cx: &mut Context<'_>) {
    let root = Path::default();
    let open = !listen.ip().to_canonical().is_loopback();
    if open && !cx.draft.touches(&root.key("keys")) {
        let message = format!("{listen} can be reached from other machines, and no key is configured");
        let fix = "make a key with `sluis key new` and paste what it prints, or listen on 127.0.0.1";
        cx.invalid(&root.key("listen"), message, fix);
    }
}

pub(super) fn keys(file: &File, cx: &mut Context<'_>) -> Vec<KeyConfig> {
    let mut all: Vec<KeyConfig> = Vec::new();
    for (name, section) in &file.keys {
        let path = Path::default().key("keys").key(name);
        let Some(key) = key(name, section, &path, cx) else { continue };
        match all.iter().find(|other| other.hash == key.hash) {
            Some(other) => {
                let message = format!("the same key as [keys.{}]", other.name);
                cx.invalid(&path, message, "give each its own: `sluis key new`");
            }
            None => all.push(key),
        }
    }
    all
}

fn key(name: &str, set: &file::Key, path: &Path, cx: &mut Context<'_>) -> Option<KeyConfig> {
    if name.trim().is_empty() {
        cx.invalid(path, "not a name", "give the key a name: it stands in logs and metrics");
    }
    let models = models(set, path, cx);
    let hash = hash(set, path, cx)?;
    Some(KeyConfig { name: name.to_owned(), hash, models, limits: limits(&set.limits) })
}

fn hash(set: &file::Key, path: &Path, cx: &mut Context<'_>) -> Option<[u8; 32]> {
    match (&set.secret, &set.hash) {
        (Some(secret), None) => {
            let secret = cx.kept_secret(&path.key("secret"), secret)?;
            Some(hash_key(secret.expose_secret()))
        }
        (None, Some(hash)) => {
            let fix = "write `sha256:` and 64 hexadecimal digits, as `sluis key new` prints it";
            cx.parsed(&path.key("hash"), Some(hash), "not the hash of a key", fix, parse_hash)
        }
        (Some(_), Some(_)) => {
            cx.invalid(path, "a key has either `secret` or `hash`", "remove one of them");
            None
        }
        (None, None) => {
            let fix = "write `secret = { env = \"NAME\" }`, or paste what `sluis key new` prints".to_owned();
            cx.draft.add_unless_known(path, Fault::Missing { field: "secret", fix });
            None
        }
    }
}

fn models(set: &file::Key, path: &Path, cx: &mut Context<'_>) -> Vec<String> {
    let Some(listed) = &set.models else { return vec!["*".into()] };
    let path = path.key("models");
    if listed.is_empty() {
        cx.invalid(&path, "a key that may call nothing", "name models, or leave `models` out for all of them");
    }
    let mut patterns = Vec::new();
    for (at, text) in listed.iter().enumerate() {
        let Some(pattern) = cx.text(&path.item(at), text) else { continue };
        if pattern.trim_end_matches('*').contains('*') || pattern.ends_with("**") {
            cx.invalid(&path.item(at), format!("`{pattern}` is no pattern"), "one `*`, at the end");
        }
        patterns.push(pattern);
    }
    patterns
}
