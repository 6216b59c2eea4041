//! `sluis key new`: a key for somebody who calls the gateway.

use std::io::{self, Write};

use secrecy::ExposeSecret;

use super::Outcome;
use crate::config::{FreshKey, toml_key};

/// Makes a key and writes it, this once, with the lines that let it in.
pub fn new_key(name: &str, out: &mut dyn Write) -> io::Result<Outcome> {
    let key = FreshKey::mint().map_err(io::Error::other)?;
    writeln!(out, "{}\n", key.secret.expose_secret())?;
    writeln!(out, "# The key above is shown this once: hand it to whoever calls. Paste this into sluis.toml:")?;
    writeln!(out, "[keys.{}]\nhash = \"{}\"", toml_key(name), key.hash)?;
    Ok(Outcome::Well)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Known, Overrides, hash_key, load};

    /// X1: what is printed, pasted as it is, lets exactly the printed key in.
    #[test]
    fn the_snippet_is_a_configuration() {
        let mut out = Vec::new();
        new_key("team 7", &mut out).unwrap();
        let (secret, snippet) = std::str::from_utf8(&out).unwrap().split_once("\n\n").unwrap();

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), snippet).unwrap();
        let config = load(Some(file.path()), &Env::of([]), &Known::default(), &Overrides::default()).unwrap();
        assert_eq!(config.keys[0].name, "team 7");
        assert_eq!(config.keys[0].hash, hash_key(secret));
        assert_eq!(config.warnings, Vec::<String>::new());
    }
}
