//! The signature of a Google service account on an assertion (RFC 7515, RS256).

use ::ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};

use super::google::Account;

/// A signed assertion of these claims. Fails with a sentence that shows nothing of the key.
pub(super) fn assertion(account: &Account, key_id: Option<&str>, claims: &Value) -> Result<String, String> {
    let mut head = json!({"alg": "RS256", "typ": "JWT"});
    if let (Some(id), Some(head)) = (key_id, head.as_object_mut()) {
        head.insert("kid".into(), id.into());
    }
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", part(&head), part(claims));
    let signed = sign(&account.private_key, text.as_bytes());
    let signed = signed.ok_or("the private key of the service account is not usable")?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed)))
}

/// By a PKCS #8 key in PEM, the form Google hands out. `None` when it is no such key.
fn sign(pem: &str, text: &[u8]) -> Option<Vec<u8>> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok()?;
    let mut signed = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signed).ok()?;
    Some(signed)
}
