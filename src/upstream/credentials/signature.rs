//! The signature of a Google service account on an assertion (RFC 7515, RS256).

use serde_json::Value;

use super::google::Account;

/// A signed assertion of these claims. Fails with a sentence that shows nothing of the key.
#[cfg(feature = "vertex")]
pub(super) fn assertion(account: &Account, key_id: Option<&str>, claims: &Value) -> Result<String, String> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    let unusable = |_| "the private key of the service account is not usable".to_owned();
    let key = json!({
        "client_email": account.client_email,
        "private_key": account.private_key,
        // Only asked for by the library; what is signed are our own claims.
        "token_uri": account.token_uri.as_deref().unwrap_or_default(),
    });
    let signer = gcp_auth::CustomServiceAccount::from_json(&key.to_string()).map_err(unusable)?;
    let mut head = json!({"alg": "RS256", "typ": "JWT"});
    if let (Some(id), Some(head)) = (key_id, head.as_object_mut()) {
        head.insert("kid".into(), id.into());
    }
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", part(&head), part(claims));
    let signed = signer.signer().sign(text.as_bytes()).map_err(unusable)?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed)))
}

#[cfg(not(feature = "vertex"))]
pub(super) fn assertion(_: &Account, _: Option<&str>, _: &Value) -> Result<String, String> {
    Err("this binary was built without the feature `vertex`, which signs for service accounts".into())
}
