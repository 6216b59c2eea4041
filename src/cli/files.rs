//! Whether the files a configuration names can be used: for `sluis check`, which would otherwise
//! call right what fails at the first call.
//!
//! Read here and not when the configuration is loaded: most of them may come and go while the
//! gateway runs (a certificate authority at its first use, a key file at each fetch).

use std::{fs, io::Read, path::Path as FilePath};

use rustls::{
    InconsistentKeys,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use serde::Deserialize;

use crate::config::{Config, Holds};

/// A key file is read up to here; the longest known one has a tenth of it.
const MAX_BYTES: u64 = 1 << 20;

/// What is wrong with the files, one sentence each, none with a word of their contents.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let problem = |used: crate::config::UsedFile| {
        let why = check(&used.file, used.holds).err()?;
        Some(format!("{}: {} {why}", used.path, used.file.display()))
    };
    let mut problems: Vec<String> = config.files().into_iter().filter_map(problem).collect();
    if problems.is_empty() {
        problems.extend(config.tls.as_ref().and_then(|tls| together(&tls.cert, &tls.key).err()));
    }
    problems
}

/// Whether the listener's certificate and key can be served: each alone does not tell.
fn together(cert: &FilePath, key: &FilePath) -> Result<(), String> {
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let (Ok(chain), Ok(secret)) = (chain, PrivateKeyDer::from_pem_file(key)) else {
        return Err(format!("tls.cert: {} cannot be read to its end", cert.display()));
    };
    let made = CertifiedKey::from_der(chain, secret, &rustls::crypto::ring::default_provider());
    match made {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(format!("tls.key: {} is not the key of {}", key.display(), cert.display()))
        }
        Err(error) => Err(format!("tls.cert: {} cannot be served: {error}", cert.display())),
    }
}

fn check(file: &FilePath, holds: Holds) -> Result<(), String> {
    let mut text = Vec::new();
    let opened = fs::File::open(file).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
    opened.map_err(|error| format!("cannot be read: {error}"))?;
    match holds {
        Holds::Certificates => {
            let mut certificates = CertificateDer::pem_slice_iter(&text);
            match certificates.next() {
                Some(Ok(_)) => Ok(()),
                Some(Err(_)) | None => Err("holds no certificate in PEM form".into()),
            }
        }
        Holds::PrivateKey => match PrivateKeyDer::from_pem_slice(&text) {
            Ok(_) => Ok(()),
            Err(_) => Err("holds no private key in PEM form".into()),
        },
        Holds::GoogleKey => {
            #[derive(Deserialize)]
            struct Typed {
                #[serde(rename = "type")]
                kind: String,
            }
            let kinds = ["service_account", "authorized_user", "external_account", "impersonated_service_account"];
            match serde_json::from_slice::<Typed>(&text) {
                Ok(typed) if kinds.contains(&typed.kind.as_str()) => Ok(()),
                Ok(_) => Err(format!("is of no kind that is known ({})", kinds.join(", "))),
                Err(_) => Err("is no JSON key file".into()),
            }
        }
        Holds::Token => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str, holds: Holds) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, text).unwrap();
        check(&file, holds).err().unwrap_or_default()
    }

    /// X4: no complaint holds a word of the file.
    #[test]
    fn files_are_told_apart_from_what_they_should_be() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        assert_eq!(says(&cert, Holds::Certificates), "");
        assert_eq!(says(&key, Holds::PrivateKey), "");
        assert_eq!(says(r#"{"type":"authorized_user"}"#, Holds::GoogleKey), "");
        assert_eq!(says("x", Holds::Token), "");
        for (text, holds) in [
            (key.as_str(), Holds::Certificates),
            ("canary", Holds::Certificates),
            ("canary", Holds::PrivateKey),
            ("canary", Holds::GoogleKey),
            (r#"{"type":"canary"}"#, Holds::GoogleKey),
        ] {
            let said = says(text, holds);
            assert!(!said.is_empty() && !said.contains("canary"), "{said}");
        }
        assert!(check(FilePath::new("nowhere/at/all"), Holds::Token).unwrap_err().starts_with("cannot be read: "));
    }

    /// What the listener would refuse at the start is told before.
    #[test]
    fn a_certificate_and_its_key_belong_together() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = dir.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        let [one, two] = [(); 2].map(|()| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
        let cert = write("cert.pem", &one.cert.pem());
        let (own, other) =
            (write("own.pem", &one.signing_key.serialize_pem()), write("other.pem", &two.signing_key.serialize_pem()));
        assert_eq!(together(&cert, &own), Ok(()));
        assert!(together(&cert, &other).unwrap_err().contains("other.pem is not the key of"));
        let junk = write("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(together(&junk, &own).unwrap_err().contains("junk.pem cannot be served"));
    }
}
