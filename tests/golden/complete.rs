//! Nothing is forgotten: no provider without fixtures, no fixture without a test, no snapshot
//! without a fixture.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
};

use sluis::providers::{PROVIDERS, builtin};

use crate::fixtures::{all, entries, root};

const FILES: [&str; 7] =
    ["SOURCE.md", "error.json", "request.json", "response.json", "stream.events", "stream.ndjson", "stream.sse"];

#[test]
fn every_provider_has_fixtures() {
    let folders: BTreeSet<String> = entries(&root()).into_iter().map(|(name, _)| name).collect();
    let providers: BTreeSet<String> = PROVIDERS.iter().map(|provider| provider.name().to_owned()).collect();
    assert_eq!(providers.len(), PROVIDERS.len(), "a name twice");
    assert_eq!(folders, providers);
}

#[test]
fn every_fixture_is_used_and_names_its_source() {
    for fixture in all() {
        let files = fixture.files();
        assert!(files.iter().all(|file| FILES.contains(&&**file)), "{fixture:?}: {files:?}");
        assert!(files.len() > 1, "{fixture:?}: only a source");
        let source = fixture.read("SOURCE.md").unwrap_or_default();
        assert!(source.len() > 40, "{fixture:?}: names no source");
        let is_error = files.iter().any(|file| file == "error.json");
        assert!(!is_error || (files.len() == 2 && fixture.status().as_u16() >= 400), "{fixture:?}");
    }
}

/// What the embedded model writes today is what its fixtures hold.
#[test]
fn the_builtin_model_is_recorded() {
    for fixture in all().iter().filter(|fixture| fixture.provider == "builtin") {
        let request = fixture.read("request.json").unwrap();
        let said = |request: &str| -> String {
            let script = builtin::answer(request.as_bytes(), 1_795_000_000, "chatcmpl-1");
            script.steps.iter().map(|step| crate::text(&step.bytes)).collect()
        };
        let request = crate::text(&request);
        assert_eq!(said(request), crate::text(&fixture.read("stream.sse").unwrap()), "{fixture:?}");
        let whole = request.replace("\"stream\":true", "\"stream\":false");
        assert_eq!(said(&whole), crate::text(&fixture.read("response.json").unwrap()).trim_end(), "{fixture:?}");
    }
}

/// Every snapshot has the test that made it: here a fixture, elsewhere a name in its source.
#[test]
fn no_snapshot_is_left_over() {
    let here: HashSet<PathBuf> = all()
        .iter()
        .map(|fixture| {
            Path::new("tests/golden/snapshots").join(&fixture.provider).join(format!("{}.snap", fixture.case))
        })
        .collect();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = 0;
    for path in snapshots(&repository.join("src")).into_iter().chain(snapshots(&repository.join("tests"))) {
        let relative = path.strip_prefix(repository).unwrap();
        found += 1;
        let is_known =
            if relative.starts_with("tests/golden") { here.contains(relative) } else { is_named(&path, repository) };
        assert!(is_known, "{}: no test makes this", relative.display());
    }
    assert!(found >= here.len(), "{} fixtures, {found} snapshots", here.len());
}

fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (name, path) in entries(folder) {
        if path.is_dir() {
            found.extend(snapshots(&path));
        } else if name.ends_with(".snap") {
            found.push(path);
        }
    }
    found
}

/// Whether the source a snapshot tells of makes one of its name: named outright, after its test, or
/// by a prefix and a fixture or another name.
fn is_named(snapshot: &Path, repository: &Path) -> bool {
    let content = fs::read_to_string(snapshot).unwrap();
    let source = content.lines().find_map(|line| line.strip_prefix("source: ")).unwrap();
    let Ok(source) = fs::read_to_string(repository.join(source)) else { return false };
    let file = snapshot.file_stem().unwrap().to_str().unwrap();
    let name = file.rsplit("__").next().unwrap();
    let cases: HashSet<String> = all().into_iter().map(|fixture| fixture.case).collect();
    let is_composed = name.match_indices('_').any(|(at, _)| {
        let (prefix, rest) = name.split_at(at + 1);
        let is_case = cases.contains(rest) || source.contains(&format!("\"{rest}\""));
        is_case && source.contains(&format!("\"{prefix}{{"))
    });
    source.contains(&format!("\"{name}\"")) || source.contains(&format!("fn {name}()")) || is_composed
}
