//! What the tests of this room share.

use std::path::PathBuf;

/// A certificate for `localhost` and its key, in a folder that lives as long as the first.
pub(super) fn tls_files() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (dir, cert, key)
}
