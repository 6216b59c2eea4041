//! The same on PostgreSQL: the one at `SLUIS_TEST_POSTGRES`, or one that is started here where
//! `initdb` and `postgres` are found.

#![cfg(feature = "postgres")]

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use secrecy::SecretString;

use super::*;

/// A server of the test's own, ended with it.
struct Server {
    child: Child,
    #[expect(dead_code, reason = "removed when dropped")]
    folder: tempfile::TempDir,
    port: u16,
}

/// With the deadline that calls have.
fn open_as_served(settings: Settings) -> Open {
    let mut open = open(settings);
    open.store.deadline = SHARED_DEADLINE;
    open
}

impl Server {
    /// `None` where PostgreSQL is not installed.
    fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        // It refuses to serve as root.
        let user = servant();
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).unwrap();
            chown(&data, Some(user), Some(group)).unwrap();
        }
        let command = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder.path());
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
            command
        };
        let made = command("initdb").args(["-A", "trust", "-U", "sluis", "-N", "-D"]).arg(&data).status();
        assert!(made.unwrap().success(), "initdb failed");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = command("postgres");
        server.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", "", "-F"]);
        let child = server.spawn().unwrap();
        Some(Self { child, folder, port })
    }

    fn url(&self) -> SecretString {
        format!("postgres://sluis@127.0.0.1:{}/postgres", self.port).into()
    }

    fn signal(&self, name: &str) {
        // Its workers are processes of their own, and they are the ones that answer.
        let children = Command::new("pgrep").arg("-P").arg(self.child.id().to_string()).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let own = self.child.id().to_string();
        for process in children.split_whitespace().chain([own.as_str()]) {
            let _ = Command::new("kill").args([&format!("-{name}"), process]).status();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that was stopped when its test failed would not hear anything else.
        self.signal("CONT");
        // An immediate end; what it kept is thrown away.
        let _ = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// The folder of its programs.
fn programs() -> Option<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = installed.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.extend(["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    folders.into_iter().rev().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// Whom the server runs as, when the test is root.
fn servant() -> Option<(u32, u32)> {
    let own = Command::new("id").arg("-u").output().unwrap().stdout;
    if String::from_utf8(own).unwrap().trim() != "0" {
        return None;
    }
    let users = fs::read_to_string(Path::new("/etc/passwd")).unwrap();
    let of = |name: &str| {
        let mut fields = users.lines().find(|line| line.starts_with(&format!("{name}:")))?.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    of("postgres").or_else(|| of("nobody"))
}

async fn ready(store: &Store) {
    let patience = Instant::now();
    while store.status("ci", "nothing").await.is_err() {
        assert!(patience.elapsed() < Duration::from_secs(30), "PostgreSQL does not come up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the one variable of the tests")]
async fn a_shared_store_keeps_its_promises() {
    let given = std::env::var("SLUIS_TEST_POSTGRES").ok();
    let server = if given.is_none() { Server::start() } else { None };
    let Some(url) = given.map(SecretString::from).or_else(|| server.as_ref().map(Server::url)) else {
        println!("PostgreSQL is not installed: skipped");
        return;
    };
    let settings = settings(StorePlace::Postgres(url));
    let first = super::open(settings.clone());
    ready(&first.store).await;
    suite(&first.store).await;

    // Two gateways, one memory.
    let second = super::open(settings.clone());
    ready(&second.store).await;
    first.store.begin(begin("shared", "ci")).await.unwrap();
    assert_eq!(second.store.status("ci", "shared").await.unwrap(), Some(Status::InProgress));
    assert!(second.store.stop("ci", "shared").await.unwrap());
    second.leave().await;
    assert_eq!(first.store.status("ci", "shared").await.unwrap(), Some(Status::InProgress), "its maker lives");
    first.leave().await;
    departure(&settings).await;
    limits(&settings).await;
    survival(&settings).await;
}

/// B1, B2, regressions 51 and 52: a store that hangs is told within the deadline, and one that
/// comes back needs no restart. The bounds have room for a busy machine; the deadline itself is 50 ms.
#[tokio::test]
async fn a_store_that_hangs_is_an_honest_error_and_heals() {
    let Some(server) = Server::start() else {
        println!("PostgreSQL is not installed: skipped");
        return;
    };
    let open = open_as_served(settings(StorePlace::Postgres(server.url())));
    ready(&open.store).await;
    server.signal("STOP");
    let mut longest = Duration::ZERO;
    for _ in 0..40 {
        let began = Instant::now();
        assert!(matches!(open.store.status("ci", "r").await, Err(Error::StoreUnavailable)));
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(open.store.is_down() && longest < Duration::from_secs(2), "{longest:?}");
    // The end of an answer that nobody could write is written when the store is back.
    server.signal("CONT");
    let healed = Instant::now();
    ready(&open.store).await;
    assert!(healed.elapsed() < Duration::from_secs(30), "{:?}", healed.elapsed());
    open.leave().await;
}

/// B1, B2: a store that is not there fails within the deadline, as what it is.
#[tokio::test]
async fn an_absent_store_is_told_at_once() {
    let url = SecretString::from("postgres://nobody:secret@127.0.0.1:1/none");
    let open = open_as_served(settings(StorePlace::Postgres(url)));
    for _ in 0..3 {
        let began = Instant::now();
        assert!(matches!(open.store.begin(begin("r", "ci")).await, Err(Error::StoreUnavailable)));
        assert!(matches!(open.store.status("ci", "r").await, Err(Error::StoreUnavailable)));
        assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
    }
    open.leave().await;
}
