//! The house itself: its arrows and sizes, and that README and docs say what the code does. Reads
//! the sources; starts the binary only where a documented command is run.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod adding;
mod arrows;
mod commands;
mod configs;
mod errors;
mod files;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of the repository.
struct File {
    /// From the repository's root, with `/` between.
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All text files below a folder, sorted, without what is built or fetched.
fn files(below: &str) -> Vec<File> {
    let mut found = Vec::new();
    walk(&root().join(below), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "nothing in {below}");
    found
}

fn walk(folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if matches!(name, ".git" | "target" | "node_modules" | ".venv" | "__pycache__" | "results") {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push(File { path: relative(&path), text });
        }
    }
}

fn relative(path: &Path) -> String {
    let parts = path.strip_prefix(root()).expect("below the root").components();
    parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// The Rust sources without their tests: inline test items are left out, and so are files that
/// exist for tests only.
fn sources() -> Vec<File> {
    let all: Vec<File> = files("src").into_iter().filter(|file| file.path.ends_with(".rs")).collect();
    let for_tests: Vec<PathBuf> = all.iter().flat_map(|file| test_files(&file.path, &file.text)).collect();
    let is_code = |file: &File| {
        let path = Path::new(&file.path);
        !for_tests.iter().any(|test| path == test || path.starts_with(test.with_extension("")))
    };
    all.into_iter().filter(is_code).map(|file| File { text: without_tests(&file.text), ..file }).collect()
}

/// The files that `#[cfg(test)] mod name;` lines declare.
fn test_files(path: &str, text: &str) -> Vec<PathBuf> {
    let path = Path::new(path);
    let folder = match path.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().expect("a folder").to_owned(),
        _ => path.with_extension(""),
    };
    let mut lines = text.lines().map(str::trim);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let declared = if line == "#[cfg(test)]" { lines.next() } else { None };
        let name = declared.and_then(|line| line.rsplit_once("mod ")).and_then(|(_, rest)| rest.strip_suffix(';'));
        found.extend(name.map(|name| folder.join(format!("{name}.rs"))));
    }
    found
}

/// The text without items under `#[cfg(test)]`, which rustfmt closes at their own indentation.
fn without_tests(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut item = lines.by_ref().skip_while(|line| line.trim_start().starts_with("#["));
        if item.next().is_some_and(|first| first.ends_with('{')) {
            let close = format!("{indent}}}");
            while lines.next().is_some_and(|line| line != close) {}
        }
    }
    out
}

/// The pages people read: README and everything in docs.
fn pages() -> Vec<File> {
    let readme = File { path: "README.md".into(), text: read("README.md") };
    std::iter::once(readme).chain(files("docs").into_iter().filter(|file| file.path.ends_with(".md"))).collect()
}

/// The contents of a page's fenced blocks in one language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let mut rest = page;
    let mut found = Vec::new();
    while let Some((_, after)) = rest.split_once(&fence) {
        let (block, after) = after.split_once("\n```").expect("a closed block");
        found.push(block);
        rest = after;
    }
    found
}

/// The cells of every table row of a page, without heads and rules.
fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect()
    };
    page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--")).map(cells).collect()
}

#[test]
fn tests_are_left_out_of_the_sources() {
    let text = "a\n#[cfg(test)]\nmod mock;\nb\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n    c {\n    }\n}\nd\n";
    assert_eq!(without_tests(text), "a\nb\nd\n");
    assert_eq!(test_files("src/server/mod.rs", text), [PathBuf::from("src/server/mock.rs")]);
    assert_eq!(test_files("src/framing/sse.rs", text), [PathBuf::from("src/framing/sse/mock.rs")]);
    let paths: Vec<String> = sources().into_iter().map(|file| file.path).collect();
    assert!(paths.contains(&"src/layers/retry.rs".into()));
    for path in ["src/layers/mock.rs", "src/server/testing.rs", "src/wire/openai_chat/passthrough/tests.rs"] {
        assert!(!paths.contains(&path.into()), "{path}");
    }
}
