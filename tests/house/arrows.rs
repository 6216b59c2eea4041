//! Rooms use each other in one direction.

use std::collections::BTreeMap;

use super::sources;

/// What each room may use. A room that is missing here fails, and so does an arrow that is. The
/// table stands in docs/architecture.md too, in words.
const ARROWS: &[(&str, &[&str])] = &[
    ("dialect", &[]),
    ("error", &["dialect"]),
    ("ir", &[]),
    ("framing", &[]),
    ("telemetry", &[]),
    ("config", &[]),
    ("call", &["config", "dialect", "error", "framing", "ir", "telemetry"]),
    ("wire", &["call", "dialect", "error", "framing", "ir"]),
    ("providers", &["call", "error", "ir", "wire"]),
    ("layers", &["call", "config", "error", "framing", "ir", "telemetry"]),
    ("upstream", &["call", "error", "framing", "providers", "wire"]),
    ("routing", &["call", "config", "error", "framing", "ir", "layers", "providers", "telemetry", "upstream", "wire"]),
    ("store", &["config", "error", "telemetry"]),
    ("server", &["call", "dialect", "error", "framing", "store", "telemetry", "wire"]),
    ("cli", &["config"]),
    ("app", &["call", "config", "error", "layers", "routing", "server", "telemetry", "upstream"]),
    ("run", &["app", "cli", "config", "routing", "telemetry", "upstream"]),
    ("main", &["cli", "config", "routing", "run"]),
    ("lib", &[]),
];

#[test]
fn rooms_use_only_what_they_may() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for file in sources() {
        let room = room_of(&file.path);
        let uses = allowed.get(room).unwrap_or_else(|| panic!("{}: a room without arrows", file.path));
        for used in used(&file.path, &file.text) {
            seen.push((room.to_owned(), used.clone()));
            if used != room && !uses.contains(&used.as_str()) {
                wrong.push(format!("{}: {room} may not use {used}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (room, uses) in ARROWS {
        for used in *uses {
            assert!(seen.contains(&((*room).into(), (*used).into())), "{room} no longer uses {used}: narrow the table");
        }
    }
}

/// `src/routing/table.rs` belongs to `routing`, `src/app.rs` to `app`.
fn room_of(path: &str) -> &str {
    let inner = path.strip_prefix("src/").expect("a source");
    inner.split('/').next().expect("a name").trim_end_matches(".rs")
}

/// The rooms a file names, by `crate::` (in the program by `sluis::`).
fn used(path: &str, text: &str) -> Vec<String> {
    let krate = if path == "src/main.rs" { "sluis::" } else { "crate::" };
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices(krate) {
        let rest = &code[at + krate.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group)),
            None => found.extend(name(rest)),
        }
    }
    found
}

/// The first names in a use group, up to its closing brace.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut is_start = true;
    let mut found = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            _ if is_start && !c.is_whitespace() => {
                found.extend(name(&group[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    found
}

/// Macros and items of the crate's root are no rooms; there are none, so every name counts.
fn name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

#[test]
fn uses_are_found_in_every_spelling() {
    let text = "use crate::{\n    call::{Call, Reply},\n    error::Error, ir,\n};\n// crate::server\nlet x = crate::wire::json();";
    assert_eq!(used("src/x.rs", text), ["call", "error", "ir", "wire"]);
    assert_eq!(used("src/main.rs", "use sluis::{\n    cli::{self, Cli},\n    run,\n};"), ["cli", "run"]);
}
