//! `[store]`: where things are kept, and for how long.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::context::Context;
use crate::config::{Store, StorePlace, document::Path, file, value::Secret};

pub(super) fn store(file: &file::Store, cx: &mut Context<'_>) -> Store {
    let path = Path::default().key("store");
    let default = Store::default();
    Store {
        place: place(file, &path, cx),
        retention: cx.duration(&path.key("retention"), file.retention.as_ref()).unwrap_or(default.retention),
        max_bytes: cx.size(&path.key("max-size"), file.max_size.as_ref()).unwrap_or(default.max_bytes),
        max_bytes_per_key: cx.size(&path.key("max-size-per-key"), file.max_size_per_key.as_ref()),
        background: file.background.and_then(|count| usize::try_from(count.get()).ok()).unwrap_or(default.background),
        id_secret: file.id_secret.as_ref().and_then(|secret| cx.kept_secret(&path.key("id-secret"), secret)),
    }
}

fn place(file: &file::Store, path: &Path, cx: &mut Context<'_>) -> StorePlace {
    if file.url.is_some() && file.path.is_some() {
        cx.invalid(&path.key("url"), "a store has one place", "keep either `url` or `path`");
    }
    let url = file.url.as_ref().and_then(|url| shared(&path.key("url"), url, cx));
    let named = file.path.as_ref().and_then(|name| cx.text(&path.key("path"), name));
    if file.enabled == Some(false) {
        return StorePlace::Off;
    }
    match (url, named.as_deref()) {
        (Some(url), _) => StorePlace::Postgres(url),
        (None, Some(":memory:")) => StorePlace::Memory,
        (None, Some(name)) => StorePlace::File(cx.file(name)),
        (None, None) => data_folder(cx).map_or(StorePlace::Memory, |folder| StorePlace::File(folder.join("sluis.db"))),
    }
}

fn shared(path: &Path, url: &Secret, cx: &mut Context<'_>) -> Option<SecretString> {
    let url = cx.secret(path, url)?;
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.expose_secret().starts_with(scheme)) {
        cx.invalid(path, "not the URL of a PostgreSQL database", "write it like `postgres://user:password@host/name`");
        return None;
    }
    if !cfg!(feature = "postgres") {
        cx.invalid(path, "this binary was built without PostgreSQL", "build it with the feature `postgres`");
        return None;
    }
    Some(url)
}

/// Where programs keep what is the user's (XDG Base Directory Specification 0.8).
fn data_folder(cx: &Context<'_>) -> Option<PathBuf> {
    let absolute = |name: &str| cx.env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("share")))?;
    Some(data.join("sluis"))
}
