//! The files a configuration names and that are read when they are needed.

use std::path::PathBuf;

use super::{Config, Credentials, document::Path};

/// A file that will be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedFile {
    /// The field that names it, or stands for a variable that does.
    pub path: Path,
    pub file: PathBuf,
    pub holds: Holds,
}

/// What is expected in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Certificates, PEM.
    Certificates,
    /// A private key, PEM.
    PrivateKey,
    /// One of Google's JSON key files.
    GoogleKey,
    /// A token and nothing else.
    Token,
}

// === impl Config ===

impl Config {
    /// All of them. Those that only may be there are not among them.
    pub fn files(&self) -> Vec<UsedFile> {
        let root = Path::default();
        let mut all = Vec::new();
        if let Some(tls) = &self.tls {
            let path = root.key("tls");
            all.push(UsedFile { path: path.key("cert"), file: tls.cert.clone(), holds: Holds::Certificates });
            all.push(UsedFile { path: path.key("key"), file: tls.key.clone(), holds: Holds::PrivateKey });
        }
        for provider in self.providers.values() {
            let path = root.key("providers").key(&provider.name);
            let mut add = |field: &str, file: Option<&PathBuf>, holds| {
                all.extend(file.map(|file| UsedFile { path: path.key(field), file: file.clone(), holds }));
            };
            add("ca-file", provider.ca_file.as_ref(), Holds::Certificates);
            match &provider.credentials {
                Credentials::Google(google) => add("credentials-file", google.file.as_ref(), Holds::GoogleKey),
                Credentials::Entra(entra) if entra.secret.is_none() => {
                    add("token-file", entra.token_file.as_ref(), Holds::Token);
                }
                Credentials::Keys | Credentials::Client | Credentials::Aws(_) | Credentials::Entra(_) => {}
            }
        }
        all
    }
}
