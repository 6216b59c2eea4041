//! Signature Version 4: a request signed with a pair of AWS keys.
//!
//! The arithmetic is AWS's own crate's; here is what is signed: the path as it is sent (escaped once
//! more, as every service but S3 wants it), the host, the content type and the body. Headers that a
//! proxy may rewrite, and those that are nobody's business, are left out of the signature. It is good
//! for five minutes, so that a retry of the same target may carry it again; the next target's request
//! has its own.
//!
//! Without the feature `bedrock` there is no signing, only API keys.
//!
//! Source: "AWS Signature Version 4 for API requests" (docs.aws.amazon.com/IAM, read November 2026).

use std::time::SystemTime;

use bytes::Bytes;

use crate::{
    error::{Error, Result},
    providers::AwsKeys,
};

#[cfg(feature = "bedrock")]
pub(super) fn sign(keys: &AwsKeys, service: &str, now: SystemTime, request: &mut http::Request<Bytes>) -> Result<()> {
    use aws_credential_types::Credentials;
    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign},
        sign::v4,
    };
    use http::header::{CONTENT_TYPE, HOST};
    use secrecy::ExposeSecret;

    let token = keys.session_token.as_ref().map(|token| token.expose_secret().to_owned());
    let identity = Credentials::new(&keys.access_key, keys.secret_key.expose_secret(), token, None, "sluis").into();
    let mut settings = SigningSettings::default();
    // Nothing in our paths needs it, and the path must be the one that is sent.
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&keys.region)
        .name(service)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|_| unsigned())?;
    let uri = request.uri().to_string();
    let host = request.uri().authority().map(|authority| authority.as_str().to_owned()).ok_or_else(unsigned)?;
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let headers = std::iter::once((HOST.as_str(), host.as_str()))
        .chain(content_type.iter().map(|kind| ("content-type", kind.as_str())));
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(request.body()))
        .map_err(|_| unsigned())?;
    let (instructions, _) = sign(signable, &params.into()).map_err(|_| unsigned())?.into_parts();
    instructions.apply_to_request_http1x(request);
    for secret in ["authorization", "x-amz-security-token"] {
        if let Some(value) = request.headers_mut().get_mut(secret) {
            value.set_sensitive(true);
        }
    }
    Ok(())
}

#[cfg(not(feature = "bedrock"))]
pub(super) fn sign(_: &AwsKeys, _: &str, _: SystemTime, _: &mut http::Request<Bytes>) -> Result<()> {
    Err(unsigned())
}

fn unsigned() -> Error {
    Error::Internal { message: "a request to AWS could not be signed".into() }
}

#[cfg(test)]
#[cfg(feature = "bedrock")]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn keys(token: Option<&str>) -> AwsKeys {
        AwsKeys {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.map(Into::into),
            region: "us-east-1".into(),
        }
    }

    /// The signature, and which headers it covers.
    fn signed(
        method: &str,
        url: &str,
        content_type: Option<&str>,
        body: &'static str,
        token: Option<&str>,
        service: &str,
        seconds: u64,
    ) -> (String, String, http::Request<Bytes>) {
        let mut request = http::Request::builder().method(method).uri(url);
        if let Some(kind) = content_type {
            request = request.header("content-type", kind);
        }
        let mut request = request.header("user-agent", "x").body(Bytes::from_static(body.as_bytes())).unwrap();
        sign(&keys(token), service, UNIX_EPOCH + Duration::from_secs(seconds), &mut request).unwrap();
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let part = |name: &str| {
            let rest = authorization.split_once(name).unwrap().1;
            rest.split(", ").next().unwrap().to_owned()
        };
        let parts = (part("SignedHeaders="), part("Signature="));
        (parts.0, parts.1, request)
    }

    /// AWS's own test suite for Signature Version 4 (2015-08-30T12:36:00Z, service `service`): the
    /// cases get-vanilla, post-vanilla, post-x-www-form-urlencoded and post-sts-header-before.
    #[test]
    fn the_vendors_test_suite_passes() {
        const SUITE: u64 = 1_440_938_160;
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let form = Some("application/x-www-form-urlencoded");
        for (method, kind, body, token, covered, signature) in [
            (
                "GET",
                None,
                "",
                None,
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                None,
                "",
                None,
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "POST",
                form,
                "Param1=value1",
                None,
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "POST",
                None,
                "",
                Some(token),
                "host;x-amz-date;x-amz-security-token",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        ] {
            let (headers, got, _) =
                signed(method, "https://example.amazonaws.com/", kind, body, token, "service", SUITE);
            assert_eq!((headers.as_str(), got.as_str()), (covered, signature), "{method} {kind:?}");
        }
    }

    /// Paths with escapes: computed apart from this crate and reproduced with botocore's signer.
    #[test]
    fn escaped_paths_are_escaped_once_more() {
        const NOVEMBER: u64 = 1_793_491_200;
        let haiku = "us.anthropic.claude-haiku-4-5-20251001-v1%3A0";
        let arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123";
        for (model, token, signature) in [
            (haiku, None, "18362b6b7aa65226073c38f8c3de08103f4543fdcef6dc5a9829a468bc84fe3d"),
            (haiku, Some("TOKEN=="), "8d1d231e615f1f1e833736315093b1109cfc6048c8442674affd7942a561af67"),
            (arn, None, "f93c5821e27d3d728262000ae56144643cd8b7c4f8d4e1b25aca17b963723fe8"),
        ] {
            let url = format!("https://bedrock-runtime.us-east-1.amazonaws.com/model/{model}/converse");
            let body = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#;
            let (_, got, request) = signed("POST", &url, Some("application/json"), body, token, "bedrock", NOVEMBER);
            assert_eq!(got, signature, "{model} {token:?}");
            assert_eq!(request.headers()["x-amz-date"], "20261101T000000Z");
            assert_eq!(request.uri().to_string(), url);
        }
    }

    /// X4: nothing prints a signature or a token, and the keys print neither.
    #[test]
    fn nothing_secret_is_shown() {
        let (_, signature, request) =
            signed("POST", "http://127.0.0.1:1/model/m/converse", None, "", Some("canary"), "bedrock", 1);
        let shown = format!("{request:?} {:?}", keys(Some("canary")));
        assert!(!shown.contains("canary") && !shown.contains(&signature) && !shown.contains("wJalr"), "{shown}");
    }
}
