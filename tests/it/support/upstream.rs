//! A scripted upstream: it says every byte of an answer, every pause and every cut, and remembers
//! what it was asked and when the other side left.
//!
//! Scripts are used in the order of the requests (those with a mark in the order of the requests that
//! hold it, so that many conversations can go on at once), but for the list of models, which the gateway asks
//! for in the background when it likes: that has an answer of its own on a connection of its own, and
//! is not recorded. A request beyond the last script, a script nobody
//! asked for, and an answer that was refused before its end all fail the test when the upstream is
//! dropped.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

use super::{
    http::{self, Head, Reader},
    until,
};

/// What one request gets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    steps: Vec<Step>,
    framing: Framing,
}

#[derive(Debug, Clone)]
enum Step {
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// A piece of the body, in the framing of the head.
    Frame(Vec<u8>),
    /// Each byte of the body in a write of its own.
    Slowly(Vec<u8>),
    /// A piece of the body again and again, with this pause before each, until the other side
    /// leaves.
    Repeat(Vec<u8>, Duration),
    Wait(Duration),
    /// Until the test says go on.
    Gate(Gate),
    /// The end of the body, told as the framing tells it.
    End,
    /// A clean close, whatever was promised.
    Close,
    /// A TCP reset.
    Cut,
    /// Nothing more until the other side leaves.
    Hang,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Framing {
    #[default]
    Chunked,
    Length,
    UntilClose,
}

/// Holds a script at one place until the test opens it.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// One request and what became of its answer.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) request: Request,
    /// That of its script.
    mark: String,
    /// Counts connections from 0.
    pub(crate) connection: usize,
    /// When the other side was seen to close, while an answer was under way.
    pub(crate) closed: Option<Instant>,
}

const MODELS: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\
                      connection: close\r\n\r\n\
                      {\"object\":\"list\",\"data\":[]}";

/// A scripted server on 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Upstream {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accept: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Each with the mark of its request; without one it fits any.
    scripts: Mutex<VecDeque<(String, Script)>>,
    exchanges: Mutex<Vec<Exchange>>,
    complaints: Mutex<Vec<String>>,
}

// === impl Script ===

impl Script {
    /// A head and a body of known length.
    pub(crate) fn body(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let length = body.len().to_string();
        let mut all = vec![("content-length", length.as_str())];
        all.extend_from_slice(headers);
        let script = Self { framing: Framing::Length, ..Self::default() };
        script.head("HTTP/1.1", status, &all).frame(body)
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::body(status, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// The head of an event stream, chunked.
    pub(crate) fn sse() -> Self {
        Self::sse_with(&[])
    }

    pub(crate) fn sse_with(headers: &[(&str, &str)]) -> Self {
        let mut all = vec![("content-type", "text/event-stream; charset=utf-8")];
        all.extend_from_slice(headers);
        Self::chunked(&all)
    }

    /// The head of a stream of any type, chunked.
    pub(crate) fn chunked(headers: &[(&str, &str)]) -> Self {
        let mut all = vec![("transfer-encoding", "chunked")];
        all.extend_from_slice(headers);
        Self::default().head("HTTP/1.1", 200, &all)
    }

    /// The head of a stream of JSON lines, chunked.
    pub(crate) fn ndjson() -> Self {
        let headers = [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")];
        Self::default().head("HTTP/1.1", 200, &headers)
    }

    /// The head of an event stream as an HTTP/1.0 server sends it: its end is the close.
    pub(crate) fn sse_http10() -> Self {
        let script = Self { framing: Framing::UntilClose, ..Self::default() };
        script.head("HTTP/1.0", 200, &[("content-type", "text/event-stream")])
    }

    /// Not a byte.
    pub(crate) fn silent() -> Self {
        Self::default().hang()
    }

    /// The connection breaks before a byte of an answer. The gateway cannot tell such a one from a
    /// kept connection that had died, so it tries once more for free (F7): one call takes two.
    pub(crate) fn dead() -> Self {
        Self::default().cut()
    }

    fn head(self, version: &str, status: u16, headers: &[(&str, &str)]) -> Self {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.raw(format!("{version} {status} Scripted\r\n{lines}\r\n"))
    }

    /// Bytes as they are, whatever they mean.
    pub(crate) fn raw(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Bytes(bytes.as_ref().to_vec()))
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn frame(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Frame(bytes.as_ref().to_vec()))
    }

    pub(crate) fn frames<T: AsRef<[u8]>>(self, frames: impl IntoIterator<Item = T>) -> Self {
        frames.into_iter().fold(self, |script, frame| script.frame(frame))
    }

    pub(crate) fn slowly(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Slowly(bytes.as_ref().to_vec()))
    }

    pub(crate) fn repeat(self, bytes: impl AsRef<[u8]>, pause: Duration) -> Self {
        self.step(Step::Repeat(bytes.as_ref().to_vec(), pause))
    }

    /// The same script, and this pause before it.
    pub(crate) fn after(mut self, time: Duration) -> Self {
        self.steps.insert(0, Step::Wait(time));
        self
    }

    pub(crate) fn wait(self, time: Duration) -> Self {
        self.step(Step::Wait(time))
    }

    pub(crate) fn gate(self, gate: &Gate) -> Self {
        self.step(Step::Gate(gate.clone()))
    }

    pub(crate) fn end(self) -> Self {
        self.step(Step::End)
    }

    pub(crate) fn close(self) -> Self {
        self.step(Step::Close)
    }

    pub(crate) fn cut(self) -> Self {
        self.step(Step::Cut)
    }

    pub(crate) fn hang(self) -> Self {
        self.step(Step::Hang)
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one script pass once.
    pub(crate) fn open(&self) {
        self.0.add_permits(1);
    }

    async fn pass(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

// === impl Request ===

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Whether the mark is in its body; no mark is in every one.
    fn holds(&self, mark: &str) -> bool {
        mark.is_empty() || http::find(&self.body, mark.as_bytes()).is_some()
    }

    fn asks_for_models(&self) -> bool {
        self.method == "GET" && self.path.split('?').next().is_some_and(|path| path.ends_with("/models"))
    }
}

// === impl Upstream ===

impl Upstream {
    /// Serves these scripts, one per request, in this order.
    pub(crate) async fn scripted(scripts: impl IntoIterator<Item = Script>) -> Self {
        let scripts: VecDeque<_> = scripts.into_iter().map(|script| (String::new(), script)).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared { scripts: scripts.into(), ..Shared::default() });
        let accept = tokio::spawn(accept(listener, shared.clone()));
        Self { addr, shared, accept }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT` and the path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// One more script, for the next request without one.
    pub(crate) fn push(&self, script: Script) {
        self.push_for("", script);
    }

    /// One more script, for the next request that holds this mark.
    pub(crate) fn push_for(&self, mark: &str, script: Script) {
        self.shared.scripts.lock().unwrap().push_back((mark.to_owned(), script));
    }

    /// The numbers of the requests that got a script of this mark.
    pub(crate) fn marked(&self, mark: &str) -> Vec<usize> {
        let exchanges = self.shared.exchanges.lock().unwrap();
        let is_marked = |(number, exchange): (usize, &Exchange)| (exchange.mark == mark).then_some(number);
        exchanges.iter().enumerate().filter_map(is_marked).collect()
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.shared.exchanges.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.exchanges.lock().unwrap().len()
    }

    /// The request that came as number `index`, from 0. It must have come.
    pub(crate) fn request(&self, index: usize) -> Request {
        self.exchange(index).unwrap_or_else(|| panic!("request {index} has not come")).request
    }

    /// Waits until request number `index` has come.
    pub(crate) async fn asked(&self, index: usize) -> Request {
        until("a request", async || self.exchange(index)).await.request
    }

    /// Waits until the other side has closed exchange number `index`, and says when it did.
    pub(crate) async fn closed(&self, index: usize) -> Instant {
        until("the gateway to leave", async || self.exchange(index).and_then(|exchange| exchange.closed)).await
    }

    fn exchange(&self, index: usize) -> Option<Exchange> {
        self.shared.exchanges.lock().unwrap().get(index).cloned()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accept.abort();
        if std::thread::panicking() {
            return;
        }
        let left = self.shared.scripts.lock().unwrap().len();
        assert_eq!(left, 0, "{left} scripts were not asked for");
        let complaints = self.shared.complaints.lock().unwrap();
        assert!(complaints.is_empty(), "the upstream complains: {complaints:?}");
    }
}

// === impl Shared ===

impl Shared {
    fn next_script(&self, request: &Request) -> Option<(String, Script)> {
        let mut scripts = self.scripts.lock().unwrap();
        let at = scripts.iter().position(|(mark, _)| request.holds(mark))?;
        scripts.remove(at)
    }

    fn begin(&self, request: Request, mark: String, connection: usize) -> usize {
        let mut exchanges = self.exchanges.lock().unwrap();
        exchanges.push(Exchange { request, mark, connection, closed: None });
        exchanges.len() - 1
    }

    fn left(&self, index: usize) {
        self.exchanges.lock().unwrap()[index].closed = Some(Instant::now());
    }

    fn complain(&self, complaint: String) {
        self.complaints.lock().unwrap().push(complaint);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    for number in 0.. {
        let Ok((stream, _)) = listener.accept().await else { return };
        connections.spawn(serve(stream, number, shared.clone()));
    }
}

/// One connection: request, script, request, script, until somebody closes.
async fn serve(stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let reader = Reader::default();
    while let Ok(Some(head)) = reader.head(&stream).await {
        let Ok(body) = reader.body(&head, true).all(&stream).await else { return };
        let mut words = head.line.split(' ');
        let (method, path) = (words.next().unwrap_or_default().into(), words.next().unwrap_or_default().into());
        let request = Request { method, path, head, body };
        if request.asks_for_models() {
            let _ = http::write(&stream, MODELS.as_bytes()).await;
            return;
        }
        let Some((mark, script)) = shared.next_script(&request) else {
            shared.complain(format!("no script for {} {}", request.method, request.path));
            return;
        };
        let index = shared.begin(request, mark, connection);
        if !run(&stream, &reader, script, &shared, index).await {
            return;
        }
    }
}

/// Plays one script; whether the connection lives on.
async fn run(stream: &TcpStream, reader: &Reader, script: Script, shared: &Shared, index: usize) -> bool {
    let framing = script.framing;
    let mut keeps = framing != Framing::UntilClose;
    let mut left = script.steps.into_iter();
    while let Some(step) = left.next() {
        let closes = matches!(step, Step::Close | Step::Cut);
        let outcome = tokio::select! {
            outcome = play(stream, step, framing) => outcome,
            () = reader.closed(stream) => Err(io::ErrorKind::ConnectionReset.into()),
        };
        if outcome.is_err() {
            let unsaid = left.filter(|step| matches!(step, Step::Frame(_) | Step::Slowly(_))).count();
            if unsaid > 0 {
                shared.complain(format!("exchange {index} was left with {unsaid} frames unsaid"));
            }
            shared.left(index);
            return false;
        }
        keeps &= !closes;
    }
    keeps
}

async fn play(stream: &TcpStream, step: Step, framing: Framing) -> io::Result<()> {
    match step {
        Step::Bytes(bytes) => http::write(stream, &bytes).await,
        Step::Frame(bytes) => http::write(stream, &framed(&bytes, framing)).await,
        Step::Slowly(bytes) => {
            for byte in bytes {
                http::write(stream, &framed(&[byte], framing)).await?;
                // A turn for the other side, so that the kernel does not join the writes.
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            Ok(())
        }
        Step::Repeat(bytes, pause) => loop {
            tokio::time::sleep(pause).await;
            http::write(stream, &framed(&bytes, framing)).await?;
        },
        Step::Wait(time) => {
            tokio::time::sleep(time).await;
            Ok(())
        }
        Step::Gate(gate) => {
            gate.pass().await;
            Ok(())
        }
        Step::End if framing == Framing::Chunked => http::write(stream, b"0\r\n\r\n").await,
        Step::End | Step::Close => Ok(()),
        Step::Cut => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
        Step::Hang => std::future::pending().await,
    }
}

fn framed(bytes: &[u8], framing: Framing) -> Vec<u8> {
    match framing {
        Framing::Length | Framing::UntilClose => bytes.to_vec(),
        Framing::Chunked => [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
    }
}
