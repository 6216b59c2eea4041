//! The documented commands work when pasted, against the binary that ships. (The banner's own line
//! is proven in tests/it.)

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::{blocks, pages};

/// The address all pages use.
const DOCUMENTED: &str = "127.0.0.1:7878";

/// A gateway of no configuration, killed when dropped.
struct Gateway {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Gateway {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_sluis"))
            .args(["--listen", "127.0.0.1:0", "--no-probe"])
            .current_dir(folder.path())
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let banner = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut lines = banner.lines().map_while(Result::ok);
        let base = lines.find_map(|line| Some(line.split_once("http://")?.1.to_owned()));
        lines.find(|line| line.starts_with("curl ")).expect("the end of the banner");
        let address = base.expect("a base URL in the banner").trim_end_matches("/v1").to_owned();
        Self { child, address, _folder: folder }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn documented_curl_commands_work() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: curl is not installed, so no documented command was tried");
        return;
    }
    let gateway = Gateway::start();
    let mut count = 0;
    for page in pages() {
        for command in blocks(&page.text, "sh").into_iter().filter(|block| block.starts_with("curl ")) {
            let here = command.replace(DOCUMENTED, &gateway.address).replacen("curl ", "curl --fail -sS ", 1);
            let output = Command::new("sh").args(["-c", &here]).output().expect("a shell");
            let answer = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}:\n{here}\n{said}", page.path);
            let is_answer = ["\"chat.completion", "\"candidates\""].into_iter().any(|word| answer.contains(word));
            assert!(is_answer, "{}:\n{here}\n{answer}", page.path);
            count += 1;
        }
    }
    assert!(count >= 2, "only {count} commands were found");
}
