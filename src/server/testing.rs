//! Stand-ins for the rest of the house, and a server on a real socket.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::{
    Directory, Errands, Front, IdKey, Lifecycle, Memory, ModelEntry, Reach, Server, Settings,
    auth::Keys,
    routes,
    serve::{bind, serve},
};
use crate::{
    call::{Answer, AnswerBody, ByteStream, Caller, Failure, Inbound, Limits, Notes},
    error::{Error, Result},
    telemetry::Metrics,
    wire::{ClientDialect, openai_chat::OpenAiChat},
};

pub(super) fn dialect() -> &'static dyn ClientDialect {
    &OpenAiChat
}

/// One key, `secret`, that may call `fast` and everything of `lab`; or none at all.
pub(super) struct Fake {
    pub keys: Keys,
    pub settings: Settings,
    /// The targets of every model.
    pub reach: Vec<Reach>,
}

impl Default for Fake {
    fn default() -> Self {
        let caller = |name: &str| Caller { name: name.into(), models: vec!["*".into()], limits: Limits::default() };
        let key = |secret: &str, name: &str| (Keys::hash(secret), Arc::new(caller(name)));
        Self {
            keys: Keys::new([key("secret", "ci"), key("another", "other")]),
            reach: Vec::new(),
            settings: Settings { body_limit: 10_000, keep_alive: Duration::from_millis(300) },
        }
    }
}

impl Directory for Fake {
    fn caller(&self, presented: Option<&str>) -> Result<Arc<Caller>> {
        self.keys.caller(presented)
    }
    fn models(&self, _: &Caller) -> Vec<ModelEntry> {
        ["fast", "lab/org/qwen3:4b"].map(|id| ModelEntry { id: id.into(), ..ModelEntry::default() }).into()
    }
    fn model_limits(&self, _: &str) -> Limits {
        Limits::default()
    }
    fn has_provider(&self, name: &str) -> bool {
        name == "lab" || self.reach.iter().any(|target| *target.provider == *name)
    }
    fn reach(&self, _: &Caller, _: &str, _: Option<&str>, _: &[u8]) -> Vec<Reach> {
        self.reach.clone()
    }
    fn id_keys(&self, _: &str) -> Vec<IdKey> {
        vec![[7; 32]]
    }
    fn settings(&self) -> Settings {
        self.settings
    }
    fn is_ready(&self) -> bool {
        true
    }
}

/// A front that does as `answer` says.
pub(super) fn front<F, Fut>(answer: F) -> Front
where
    F: Fn(Inbound) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Failure>> + Send + 'static,
{
    Front::new(service_fn(answer))
}

pub(super) fn whole(text: impl Into<Bytes>) -> Answer {
    Answer { notes: Notes::default(), body: AnswerBody::Whole(text.into()) }
}

pub(super) fn streamed(stream: ByteStream) -> Answer {
    Answer { notes: Notes::default(), body: AnswerBody::Stream(stream) }
}

/// A server on a port of its own.
pub(super) struct Running {
    pub address: SocketAddr,
    pub lifecycle: Lifecycle,
    pub task: JoinHandle<()>,
    /// What is remembered, and how to end it.
    pub working: JoinHandle<()>,
    pub stop: CancellationToken,
}

pub(super) fn start(front: Front) -> Running {
    start_with(front, Fake::default(), None, Duration::from_secs(5))
}

pub(super) fn start_with(
    front: Front,
    directory: Fake,
    tls: Option<tokio_rustls::TlsAcceptor>,
    drain_limit: Duration,
) -> Running {
    let errands = Errands::new(service_fn(|_| async { Err(Error::ShuttingDown.into()) }));
    start_server(front, errands, directory, crate::store::Settings::default(), tls, drain_limit)
}

#[expect(clippy::disallowed_methods, reason = "a test owns its server and its memory")]
pub(super) fn start_server(
    front: Front,
    errands: Errands,
    directory: Fake,
    store: crate::store::Settings,
    tls: Option<tokio_rustls::TlsAcceptor>,
    drain_limit: Duration,
) -> Running {
    let lifecycle = Lifecycle::default();
    let (memory, worker) = Memory::new(store, lifecycle.clone(), directory.settings.keep_alive);
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker.run(stop.clone()));
    let (directory, metrics) = (Arc::new(directory), Metrics::disabled());
    let server = Server { front, errands, memory, directory, lifecycle: lifecycle.clone(), metrics };
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let router = routes::router(Arc::new(server));
    lifecycle.set_ready();
    let task = tokio::spawn(serve(listener, router, tls, lifecycle.clone(), drain_limit));
    Running { address, lifecycle, task, working, stop }
}

/// A chat completion request, whole.
pub(super) fn chat(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

pub(super) const UNARY: &str = r#"{"model":"fast","messages":[{}]}"#;
pub(super) const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{}]}"#;

impl Running {
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends raw bytes, then reads until the server closes.
    pub(super) async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut connection = self.connect().await;
        connection.write_all(request.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> String {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret\r\nconnection: close\r\n\r\n");
        self.exchange(request).await
    }

    /// Posts a chat completion and closes.
    pub(super) async fn chat(&self, body: &str) -> String {
        self.exchange(chat("/v1/chat/completions", "connection: close\r\n", body)).await
    }
}

/// Reads until `end` has been seen, for at most two seconds.
pub(super) async fn read_until(connection: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&seen).contains(end) {
            let mut buffer = [0; 4096];
            let count = connection.read(&mut buffer).await.unwrap();
            if count == 0 {
                break;
            }
            seen.extend_from_slice(&buffer[..count]);
        }
    };
    let result = tokio::time::timeout(Duration::from_secs(2), read).await;
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(result.is_ok() && seen.contains(end), "no {end:?} in {seen:?}");
    seen
}
