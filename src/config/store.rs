//! What is remembered between calls, and where.

use std::{path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

/// The section `[store]`, resolved.
#[derive(Debug, Clone)]
pub struct Store {
    pub place: StorePlace,
    /// What nobody uses is kept for so long. Default 30 days.
    pub retention: Duration,
    /// Default 1 GiB.
    pub max_bytes: u64,
    /// Of one key; `None` is as much as all.
    pub max_bytes_per_key: Option<u64>,
    /// Background responses made at once. Default 32.
    pub background: usize,
    /// Signs the ids of what upstreams keep.
    pub id_secret: Option<SecretString>,
}

/// Where it is kept.
#[derive(Debug, Clone)]
pub enum StorePlace {
    /// Nothing is kept.
    Off,
    /// As long as the process lives.
    Memory,
    /// An SQLite file of this gateway alone.
    File(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(SecretString),
}

// === impl Store ===

impl Default for Store {
    fn default() -> Self {
        Self {
            place: StorePlace::Memory,
            retention: Duration::from_secs(30 * 24 * 3600),
            max_bytes: 1 << 30,
            max_bytes_per_key: None,
            background: 32,
            id_secret: None,
        }
    }
}

/// Secrets compare by what they hold; nothing is shown.
impl PartialEq for Store {
    fn eq(&self, other: &Self) -> bool {
        let secret = |store: &Self| store.id_secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        self.place == other.place
            && self.retention == other.retention
            && self.max_bytes == other.max_bytes
            && self.max_bytes_per_key == other.max_bytes_per_key
            && self.background == other.background
            && secret(self) == secret(other)
    }
}

impl PartialEq for StorePlace {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Off, Self::Off) | (Self::Memory, Self::Memory) => true,
            (Self::File(one), Self::File(two)) => one == two,
            (Self::Postgres(one), Self::Postgres(two)) => one.expose_secret() == two.expose_secret(),
            (Self::Off | Self::Memory | Self::File(_) | Self::Postgres(_), _) => false,
        }
    }
}
