//! Each source against a server that says what it was asked.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use super::*;
use crate::{
    call::{Entra, Google},
    providers::Grant,
    telemetry::testing::Lines,
};

const TOKEN: &str = r#"{"access_token":"canary-token","expires_in":3599,"token_type":"Bearer"}"#;

/// A server that gives every question the next answer.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

#[expect(clippy::disallowed_methods, reason = "a test owns its servers")]
async fn server<const N: usize>(answers: [(u16, &'static str); N]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        for (status, body) in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            while !is_whole(&text) {
                let mut piece = [0; 4096];
                let read = socket.read(&mut piece).await.unwrap();
                assert!(read > 0, "the request broke off");
                text.extend_from_slice(&piece[..read]);
            }
            seen.lock().unwrap().push(String::from_utf8(text).unwrap());
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            socket.write_all((head + body).as_bytes()).await.unwrap();
        }
    });
    Server { url, asked }
}

fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

impl Server {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn connection() -> Connection {
    Connection { connect_timeout: Duration::from_secs(2), http2_prior_knowledge: false, ca_file: None }
}

async fn fetch(from: &Credentials) -> Result<Fetched, String> {
    let (clients, connection) = (Clients::default(), connection());
    let source = source(from).unwrap();
    source.fetch(&Wire { clients: &clients, connection: &connection }).await
}

/// Writes a key file and fetches by it.
async fn by_file(json: &str) -> Result<Fetched, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    std::fs::write(&path, json).unwrap();
    fetch(&Credentials::Google(Google { file: Some(path), ..Google::default() })).await
}

fn bearer(fetched: &Fetched) -> &str {
    fetched.credential.bearer().unwrap().expose_secret()
}

fn token(fetched: &Fetched) -> &crate::providers::Token {
    let Grant::Token(token) = &fetched.credential.grant else { panic!("no token") };
    token
}

fn account(token_uri: &str) -> String {
    let key = include_str!("../../../tests/keys/rsa.pem");
    serde_json::json!({
        "type": "service_account", "project_id": "team-a", "private_key_id": "key-1", "private_key": key,
        "client_email": "bot@team-a.iam.gserviceaccount.com", "client_id": "1", "token_uri": token_uri,
    })
    .to_string()
}

fn life(fetched: &Fetched) -> u64 {
    fetched.expires.unwrap().duration_since(SystemTime::now()).unwrap().as_secs() + 1
}

#[tokio::test]
async fn a_service_account_signs_for_its_token() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let server = server([(200, TOKEN)]).await;
    let fetched = by_file(&account(&format!("{}/token", server.url))).await.unwrap();
    assert_eq!((bearer(&fetched), token(&fetched).project.as_deref()), ("canary-token", Some("team-a")));
    assert_eq!(life(&fetched), 3599);
    let asked = server.asked().pop().unwrap();
    assert!(asked.starts_with("POST /token HTTP/1.1"), "{asked}");
    assert!(asked.contains("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="), "{asked}");
    let assertion = asked.rsplit_once("assertion=").unwrap().1;
    let parts: Vec<&str> = assertion.split('.').collect();
    let read =
        |part: &str| -> serde_json::Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    assert_eq!(read(parts[0]), serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
    let claims = read(parts[1]);
    assert_eq!(claims["iss"], "bot@team-a.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], format!("{}/token", server.url));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    assert_eq!(URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len(), 256);
}

#[tokio::test]
async fn a_user_refreshes_and_pays_by_its_own_project() {
    let server = server([(200, TOKEN)]).await;
    let json = serde_json::json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "quota_project_id": "payer", "token_uri": server.url,
    });
    let fetched = by_file(&json.to_string()).await.unwrap();
    assert_eq!(token(&fetched).quota_project.as_deref(), Some("payer"));
    let asked = server.asked().pop().unwrap();
    assert!(asked.ends_with("grant_type=refresh_token&client_id=c&client_secret=s&refresh_token=r"), "{asked}");
}

/// RFC 8693, and then a service account in the workload's place.
#[tokio::test]
async fn a_federated_workload_exchanges_and_impersonates() {
    let server = server([
        (200, r#"{"access_token":"sts","issued_token_type":"x","token_type":"Bearer","expires_in":60}"#),
        (200, r#"{"accessToken":"canary-token","expireTime":"2099-01-01T00:00:00Z"}"#),
    ])
    .await;
    let dir = tempfile::tempdir().unwrap();
    let subject = dir.path().join("subject");
    std::fs::write(&subject, r#"{"id_token":"workload"}"#).unwrap();
    let json = serde_json::json!({
        "type": "external_account", "audience": "//iam/pool", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/sts", server.url),
        "service_account_impersonation_url": format!("{}/bot:generateAccessToken", server.url),
        "credential_source": {"file": subject, "format": {"type": "json", "subject_token_field_name": "id_token"}},
    });
    let fetched = by_file(&json.to_string()).await.unwrap();
    assert_eq!(bearer(&fetched), "canary-token");
    let asked = server.asked();
    assert!(
        asked[0].contains("subject_token=workload") && asked[0].contains("audience=%2F%2Fiam%2Fpool"),
        "{}",
        asked[0]
    );
    assert!(asked[1].starts_with("POST /bot:generateAccessToken"), "{}", asked[1]);
    assert!(asked[1].contains("authorization: Bearer sts"), "{}", asked[1]);
}

#[tokio::test]
async fn the_machine_is_asked_where_there_is_no_file() {
    let server = server([(200, TOKEN), (200, "team-b\n")]).await;
    let nowhere = Some(std::path::PathBuf::from("does/not/exist.json"));
    let host = Some(server.url.trim_start_matches("http://").to_owned());
    let places = Google { file: None, well_known: nowhere, metadata_host: host };
    let fetched = fetch(&Credentials::Google(places)).await.unwrap();
    assert_eq!((bearer(&fetched), token(&fetched).project.as_deref()), ("canary-token", Some("team-b")));
    let asked = server.asked();
    assert!(asked[0].starts_with("GET /computeMetadata/v1/instance/service-accounts/default/token "), "{}", asked[0]);
    assert!(asked[0].contains("metadata-flavor: Google"), "{}", asked[0]);
}

/// X4: what goes wrong is told without a word of the file or of the server.
#[tokio::test]
async fn failures_tell_the_operator_what_to_do_and_no_secret() {
    let _log = Lines::listen();
    let server = server([(400, r#"{"error":"invalid_grant","error_description":"canary"}"#), (200, "canary")]).await;
    let user = |token_uri: &str| {
        serde_json::json!({
            "type": "authorized_user", "client_id": "c", "client_secret": "canary", "refresh_token": "canary",
            "token_uri": token_uri,
        })
        .to_string()
    };
    let refused = by_file(&user(&server.url)).await.unwrap_err();
    assert!(refused.starts_with("127.0.0.1 answered 400, invalid_grant; the key or token may be revoked"), "{refused}");
    let unread = by_file(&user(&server.url)).await.unwrap_err();
    assert_eq!(unread, "127.0.0.1 answered without a token");
    let plain = by_file(&user("http://evil.test/token")).await.unwrap_err();
    assert_eq!(plain, "the key file names a token server without TLS");
    let unknown = by_file(r#"{"type":"canary","private_key":"canary"}"#).await.unwrap_err();
    assert!(unknown.ends_with("is no key file of a kind that is known"), "{unknown}");
    let missing = fetch(&Credentials::Google(Google { file: Some("gone.json".into()), ..Google::default() })).await;
    assert_eq!(missing.unwrap_err(), "there is no credentials file gone.json");
    for text in [refused, unread, plain, unknown] {
        assert!(!text.contains("canary"), "{text}");
    }
}

fn entra(authority: &str) -> Entra {
    Entra {
        tenant: Some("tenant-1".into()),
        client: Some("app-1".into()),
        authority: Some(authority.into()),
        ..Entra::default()
    }
}

#[tokio::test]
async fn an_application_shows_its_secret_and_a_workload_its_token() {
    let server = server([(200, TOKEN), (200, TOKEN)]).await;
    let places = Entra { secret: Some("se&cret".into()), ..entra(&server.url) };
    assert_eq!(bearer(&fetch(&Credentials::Entra(places)).await.unwrap()), "canary-token");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "federated\n").unwrap();
    let places = Entra { token_file: Some(path), scope: Some("api://x/.default".into()), ..entra(&server.url) };
    fetch(&Credentials::Entra(places)).await.unwrap();
    let asked = server.asked();
    assert!(asked[0].starts_with("POST /tenant-1/oauth2/v2.0/token "), "{}", asked[0]);
    let form = "grant_type=client_credentials&client_id=app-1&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default\
                &client_secret=se%26cret";
    assert!(asked[0].ends_with(form), "{}", asked[0]);
    assert!(asked[1].contains("scope=api%3A%2F%2Fx%2F.default&client_assertion_type=urn"), "{}", asked[1]);
    assert!(asked[1].ends_with("&client_assertion=federated"), "{}", asked[1]);
}

#[tokio::test]
async fn a_managed_identity_asks_its_machine() {
    let answer = r#"{"access_token":"canary-token","expires_in":"86399","resource":"r","token_type":"Bearer"}"#;
    let server = server([(200, answer), (400, "{}")]).await;
    let places = Entra { client: Some("app 1".into()), identity_host: Some(server.url.clone()), ..Entra::default() };
    let fetched = fetch(&Credentials::Entra(places.clone())).await.unwrap();
    assert_eq!((bearer(&fetched), life(&fetched)), ("canary-token", 86_399));
    let asked = server.asked().pop().unwrap();
    assert!(asked.starts_with("GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource="), "{asked}");
    assert!(asked.contains("&client_id=app%201 ") && asked.contains("metadata: true"), "{asked}");
    let why = fetch(&Credentials::Entra(places)).await.unwrap_err();
    assert!(why.contains("127.0.0.1 answered 400; off Azure's machines give a key"), "{why}");
}

/// D1, O1: a token server that hangs costs a call its own clock and no more.
#[tokio::test]
async fn a_silent_token_server_is_left_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let places = Entra { secret: Some("s".into()), ..entra(&format!("http://{}", listener.local_addr().unwrap())) };
    let kept = Kept::new("azure", source(&Credentials::Entra(places)).unwrap());
    let (clients, connection) = (Clients::default(), connection());
    let began = Instant::now();
    let by = Wire { clients: &clients, connection: &connection };
    assert!(kept.get(&by, began + Duration::from_millis(50)).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(5));
}
