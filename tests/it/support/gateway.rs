//! The gateway under test: the very binary that ships, in a process of its own, with an empty
//! environment, a directory of its own and a port the system chose. Not within the test's process,
//! because metrics, log and signals belong to a process and each test wants its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use serde_json::Value;

use super::{Client, Reply, Upstream, until};

/// In front of every configuration of a test: nothing of the machine it runs on gets in.
const PREAMBLE: &str = "listen = \"127.0.0.1:0\"\nprobe-local = false\n";

/// A running gateway. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    process: Process,
}

/// The binary at work, whatever it does.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    dir: tempfile::TempDir,
    /// All it printed so far, both streams.
    log: Arc<Mutex<String>>,
    pipes: Vec<JoinHandle<()>>,
}

/// One provider's table. The name is also its type, where that is one of ours.
pub(crate) fn provider(name: &str, kind: &str, upstream: &Upstream) -> String {
    let base = upstream.url("/v1");
    format!("[providers.{name}]\ntype = \"{kind}\"\nbase-url = \"{base}\"\napi-key = \"sk-{name}\"\n")
}

/// A configuration with the OpenAI-compatible provider `up`, that tries once.
pub(crate) fn openai(upstream: &Upstream) -> String {
    format!("[retry]\nattempts = 1\n{}", provider("up", "openai-compatible", upstream))
}

/// A configuration with the Anthropic provider `ant`, that tries once.
pub(crate) fn anthropic(upstream: &Upstream) -> String {
    format!("[retry]\nattempts = 1\n{}", provider("ant", "anthropic", upstream))
}

// === impl Process ===

impl Process {
    /// Runs the binary with these arguments in a directory that holds `config` as `sluis.toml`.
    pub(crate) fn run(args: &[&str], config: Option<&str>, env: &[(&str, &str)]) -> Self {
        let mut process = Self::spawn(args, config, env);
        let err = process.child.stderr.take().expect("a pipe");
        process.pipes.push(collect(err, process.log.clone()));
        process
    }

    /// The same with nobody at the other end of its standard error, which is open all the same.
    fn spawn(args: &[&str], config: Option<&str>, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        if let Some(config) = config {
            fs::write(dir.path().join("sluis.toml"), config).expect("a config file");
        }
        Self::spawn_in(dir, args, env)
    }

    fn spawn_in(dir: tempfile::TempDir, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
        command.args(args).current_dir(dir.path()).env_clear().env("HOME", dir.path());
        command.envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let out = collect(child.stdout.take().expect("a pipe"), log.clone());
        Self { child, dir, log, pipes: vec![out] }
    }

    /// Another process in the directory of one that has ended.
    fn again(&mut self, args: &[&str]) -> Self {
        let empty = tempfile::tempdir().expect("a directory");
        let dir = std::mem::replace(&mut self.dir, empty);
        let mut process = Self::spawn_in(dir, args, &[]);
        let err = process.child.stderr.take().expect("a pipe");
        process.pipes.push(collect(err, process.log.clone()));
        process
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// All it printed in its life; it must have ended.
    pub(crate) fn said(&mut self) -> String {
        for pipe in self.pipes.drain(..) {
            pipe.join().expect("a pipe that was read to its end");
        }
        self.log()
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.dir.path().join("sluis.toml")
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill runs").success(), "the gateway is gone:\n{}", self.log());
    }

    /// Waits for its end.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let child = Mutex::new(&mut self.child);
        until("the gateway to exit", async || child.lock().unwrap().try_wait().expect("a status")).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the gateway said:\n{}", self.log());
        }
    }
}

/// Keeps reading a pipe, so that the writer never blocks.
fn collect(pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

// === impl Gateway ===

impl Gateway {
    /// Starts with this configuration and waits until it is ready.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_with(config, &[]).await
    }

    pub(crate) async fn start_with(config: &str, env: &[(&str, &str)]) -> Self {
        let whole = format!("{PREAMBLE}{config}");
        Self::of(Process::run(&["--config", "sluis.toml"], Some(&whole), env), config).await
    }

    /// Starts with no file at all.
    pub(crate) async fn start_bare(env: &[(&str, &str)]) -> Self {
        Self::of(Process::run(&["--listen", "127.0.0.1:0", "--no-probe"], None, env), "").await
    }

    /// Starts with a log that nobody reads.
    pub(crate) async fn start_unheard() -> Self {
        Self::of(Process::spawn(&["--listen", "127.0.0.1:0", "--no-probe"], None, &[]), "").await
    }

    /// Kills it as a power cut would, and starts another in the same directory with the same
    /// configuration.
    pub(crate) async fn killed_and_started_again(self, config: &str) -> Self {
        self.signal("KILL");
        let mut killed = self;
        killed.exit().await;
        killed.started_again(config).await
    }

    /// Another one in the directory of this one, which has ended.
    pub(crate) async fn started_again(mut self, config: &str) -> Self {
        let process = self.process.again(&["--config", "sluis.toml"]);
        Self::of(process, config).await
    }

    async fn of(mut process: Process, config: &str) -> Self {
        let address = async || announced(&process.log(), config);
        let addr = until("the gateway to say where it is", address).await;
        assert!(process.child.try_wait().expect("a status").is_none(), "it ended at once:\n{}", process.log());
        let gateway = Self { addr, process };
        until("readiness", async || (gateway.get("/readyz").await.status == 200).then_some(())).await;
        gateway
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Its resident memory in bytes. Linux tells it in `/proc`.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.child.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    /// Replaces the configuration file in one step, as editors and config managers do.
    pub(crate) fn rewrite(&self, config: &str) {
        let file = self.process.config_file();
        let draft = file.with_extension("draft");
        fs::write(&draft, format!("{PREAMBLE}{config}")).expect("a draft");
        fs::rename(draft, file).expect("a new config file");
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub(crate) async fn exit(&mut self) -> ExitStatus {
        self.process.exit().await
    }

    /// Sends any request.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Client {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {length}\r\n{lines}\r\n");
        Client::send(self.addr, &head, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"").await.whole().await
    }

    pub(crate) async fn get_as(&self, path: &str, key: &str) -> Reply {
        self.send("GET", path, &[("authorization", &format!("Bearer {key}"))], b"").await.whole().await
    }

    /// Sends a request with a JSON body, or none, under a key. Without keys in the configuration any
    /// will do.
    pub(crate) async fn send_json(&self, key: &str, method: &str, path: &str, body: &Value) -> Client {
        let authorization = format!("Bearer {key}");
        let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &headers, body.as_bytes()).await
    }

    /// Sends a chat request and waits for nothing.
    pub(crate) async fn chat(&self, body: &Value) -> Client {
        self.chat_with(&[], body).await
    }

    pub(crate) async fn chat_with(&self, headers: &[(&str, &str)], body: &Value) -> Client {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send("POST", "/v1/chat/completions", &all, body.to_string().as_bytes()).await
    }

    /// Sends a chat request and reads the whole answer.
    pub(crate) async fn ask(&self, body: &Value) -> Reply {
        self.chat(body).await.whole().await
    }

    pub(crate) async fn ask_as(&self, key: &str, body: &Value) -> Reply {
        self.chat_with(&[("authorization", &format!("Bearer {key}"))], body).await.whole().await
    }

    /// The value of a metric: the sum over all series of this name whose labels hold `labels`.
    /// Without keys in the configuration any `key` will do.
    pub(crate) async fn metric(&self, key: &str, name: &str, labels: &str) -> f64 {
        let reply = self.get_as("/metrics", key).await;
        assert_eq!(reply.status, 200);
        let text = reply.text();
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let lines = text.lines().filter(of_name).filter(|line| line.contains(labels));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// The first address of ours in what was printed; the ones the configuration names are upstreams'.
fn announced(log: &str, config: &str) -> Option<SocketAddr> {
    let mut rest = log;
    while let Some((_, tail)) = rest.split_once("127.0.0.1:") {
        let digits: String = tail.chars().take_while(char::is_ascii_digit).collect();
        let whole = tail.len() > digits.len();
        let addr = format!("127.0.0.1:{digits}");
        if whole && digits != "0" && !config.contains(&addr) {
            return addr.parse().ok();
        }
        rest = tail;
    }
    None
}
