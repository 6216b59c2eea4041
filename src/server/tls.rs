//! TLS for the listener: certificate and key from PEM files, HTTP/2 and HTTP/1.1 by ALPN.

use std::{io, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use tokio_rustls::TlsAcceptor;

/// Reads a certificate chain and its key. Blocks on the disk; the error names the file.
pub fn acceptor(certificates: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let named = |path: &Path, error: &dyn std::fmt::Display| {
        let message =
            format!("TLS cannot be served with {}: {error}\n  fix: see [tls] in the configuration", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| named(certificates, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        if let pem::Error::Io(error) = error {
            return named(key, &error);
        }
        // The parser's other errors may quote a line of the key (rule X4).
        named(key, &"it holds no private key in PEM form")
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| named(certificates, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X4: what is wrong with a key file is told without a line of it.
    #[test]
    fn a_broken_key_is_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&paths[0], made.cert.pem()).unwrap();
        for broken in ["-----BEGIN CANARY-7f3a\n", "CANARY-7f3a", "-----BEGIN PRIVATE KEY-----\nCANARY-7f3a\n"] {
            std::fs::write(&paths[1], broken).unwrap();
            let Err(error) = acceptor(&paths[0], &paths[1]) else { panic!("{broken}") };
            let message = error.to_string();
            assert!(message.contains("key.pem") && !message.contains("CANARY"), "{message}");
        }
    }
}
