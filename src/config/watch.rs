//! Tells when the configuration file has changed, or when somebody asked with SIGHUP to have it
//! read again. What is done then, and what a broken file means, is the caller's (rule K1).
//!
//! A look at the file four times a second, rather than the system's file events: it costs nothing
//! that can be measured, follows a rename and Kubernetes' swap of a symbolic link alike, works on
//! network mounts, and is not woken by whatever else happens in the directory, such as a log being
//! written there. Only changed content counts, and only once two looks have found the same: a file that
//! is emptied and then written in place may well be valid halfway.

use std::{
    fmt, fs,
    hash::{DefaultHasher, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{sync::mpsc, time};

/// How often the file is looked at. Leaves time to load it within the second that is promised.
const POLL: Duration = Duration::from_millis(250);

/// Looks at one file. Made before the file is loaded, it misses no change made since.
pub struct Watch {
    path: PathBuf,
    /// At the last look.
    seen: Content,
    /// When it was last told of.
    told: Content,
    hangups: Hangups,
}

impl Watch {
    /// Begins to look. Must be called within a runtime, because of the signal.
    pub fn new(path: PathBuf) -> Self {
        let (hangups, seen) = (Hangups::new(), Content::read(&path));
        Self { path, seen, told: seen, hangups }
    }

    /// Sends on `changed` after each change of the file's content and after each SIGHUP. Ends when
    /// the receiver is gone; may be dropped at any time.
    pub async fn run(mut self, changed: mpsc::Sender<()>) {
        let mut poll = time::interval(POLL);
        loop {
            let asked = tokio::select! {
                () = changed.closed() => return,
                () = self.hangups.next() => true,
                _ = poll.tick() => false,
            };
            let now = Content::read(&self.path);
            let is_settled = now == self.seen;
            self.seen = now;
            if asked || (is_settled && now != self.told) {
                self.told = now;
                if changed.send(()).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The file as it was last seen; `None` when it is gone for a moment.
#[derive(Clone, Copy, PartialEq)]
struct Content(Option<u64>);

impl Content {
    fn read(path: &Path) -> Self {
        Self(fs::read(path).ok().map(|bytes| {
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            hasher.finish()
        }))
    }
}

/// SIGHUP, where there is one.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use tokio::time::timeout;

    use super::*;

    /// K1: the second in which a change must be known.
    const SECOND: Duration = Duration::from_secs(1);

    struct Watched {
        dir: tempfile::TempDir,
        changes: mpsc::Receiver<()>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Watched {
        /// Watches `sluis.toml` of a new directory, once `prepare` has put it there.
        async fn new(prepare: impl FnOnce(&Path)) -> Self {
            let dir = tempfile::tempdir().unwrap();
            prepare(dir.path());
            let (changed, changes) = mpsc::channel(1);
            #[expect(clippy::disallowed_methods, reason = "a test may")]
            let task = tokio::spawn(Watch::new(dir.path().join("sluis.toml")).run(changed));
            Self { dir, changes, task }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("sluis.toml")
        }

        async fn changed(&mut self) -> bool {
            timeout(SECOND, self.changes.recv()).await.is_ok()
        }
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
    }

    fn plain(dir: &Path) {
        write(&dir.join("sluis.toml"), "a = 1");
    }

    /// K1: a change is known within a second, however it is made; no change is no news.
    #[tokio::test]
    async fn a_change_is_known_within_a_second() {
        let mut watched = Watched::new(plain).await;
        write(&watched.path(), "a = 2");
        assert!(watched.changed().await, "written in place");

        let next = watched.dir.path().join("next");
        write(&next, "a = 3");
        fs::rename(&next, watched.path()).unwrap();
        assert!(watched.changed().await, "replaced by renaming");

        write(&watched.path(), "a = 3");
        write(&watched.dir.path().join("other"), "b = 1");
        assert!(!watched.changed().await, "the same content");
    }

    /// K1: Kubernetes mounts a configuration as links to links and swaps the middle one.
    #[tokio::test]
    async fn a_swapped_link_is_a_change() {
        let mut watched = Watched::new(|dir| {
            for (version, text) in [("v1", "a = 1"), ("v2", "a = 2")] {
                fs::create_dir(dir.join(version)).unwrap();
                write(&dir.join(version).join("sluis.toml"), text);
            }
            symlink("v1", dir.join("..data")).unwrap();
            symlink("..data/sluis.toml", dir.join("sluis.toml")).unwrap();
        })
        .await;
        symlink("v2", watched.dir.path().join("..tmp")).unwrap();
        fs::rename(watched.dir.path().join("..tmp"), watched.dir.path().join("..data")).unwrap();
        assert!(watched.changed().await);
    }

    /// K1: what an editor leaves for a moment, valid or not, is not taken for the new file.
    #[tokio::test(start_paused = true)]
    async fn a_file_halfway_is_no_change() {
        let mut watched = Watched::new(plain).await;
        time::sleep(POLL / 2).await;
        write(&watched.path(), "");
        time::sleep(POLL).await;
        write(&watched.path(), "a = 2");
        assert!(watched.changed().await);
        assert!(!watched.changed().await, "the empty file was a change of its own");
    }

    #[tokio::test]
    async fn it_ends_with_its_receiver() {
        let watched = Watched::new(plain).await;
        drop(watched.changes);
        timeout(SECOND, watched.task).await.unwrap().unwrap();
    }
}
