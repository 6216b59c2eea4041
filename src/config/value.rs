//! The forms a single value may take in the file: written out, taken from the environment, or
//! read from another file.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// Text: written out, or taken from the environment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Text {
    Plain(String),
    From(FromEnv),
}

/// Text from the environment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct FromEnv {
    /// The name of the variable. One that is set but empty counts as unset.
    pub(super) env: Option<String>,
    /// What to use when it is not set. Default: none, an unset variable is an error.
    pub(super) default: Option<String>,
}

/// A secret: from the environment, from a file, or (warned about) written out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Secret {
    Literal(Hidden),
    From(SecretFrom),
}

/// Where a secret is kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct SecretFrom {
    /// The name of the variable. One that is set but empty counts as unset.
    pub(super) env: Option<String>,
    /// What to use when it is not set. Default: none, an unset variable is an error.
    pub(super) default: Option<Hidden>,
    /// A file that holds the secret and nothing else; white space around it is cut off. A
    /// relative path starts at the configuration file's directory.
    pub(super) file: Option<String>,
}

/// Text that `Debug` does not show.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Hidden(pub(super) String);

/// One value, or a list of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum OneOrMany<T> {
    /// First, since a list of as many texts as a table has fields would pass for that table.
    Many(Vec<T>),
    One(T),
}

/// A number of bytes: `33554432`, or text with a unit, `"32MiB"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Size {
    Bytes(u64),
    Text(Text),
}

// === impl Hidden ===

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

// === impl OneOrMany ===

impl<T> OneOrMany<T> {
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Reads a size: a whole number and a unit (`B`, `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`).
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("32MiB"), Some(32 << 20));
        assert_eq!(parse_size("1 GB"), Some(1_000_000_000));
        assert_eq!(parse_size("77"), Some(77));
        assert_eq!((parse_size("5kB"), parse_size("5KB")), (Some(5000), Some(5000)));
        for wrong in ["", "MiB", "1.5MiB", "-1", "1mib", "99999999999GiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }
}
