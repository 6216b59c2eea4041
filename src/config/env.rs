//! The process environment, behind a seam. Nothing else in the house reads it, so that a test can
//! say what is set and never depends on the machine it runs on.

use std::{collections::BTreeMap, fmt};

/// Where environment variables come from.
#[derive(Clone)]
pub enum Env {
    /// The environment of this process.
    Process,
    /// Exactly these variables.
    Fixed(BTreeMap<String, String>),
}

// === impl Env ===

impl Env {
    /// Exactly these variables, and no others.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self::Fixed(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    /// The value of a variable. One that is set but empty, as compose files like to leave them,
    /// counts as unset; so does one that is no UTF-8.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Process => process(name),
            Self::Fixed(all) => all.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }
}

/// Values may be secrets: only the kind is shown (rule X4).
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "Process",
            Self::Fixed(_) => "Fixed",
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
