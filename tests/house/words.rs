//! Names that people type or read: metrics, headers, flags, routes, log fields. Each stands in the
//! docs, and the docs name no metric that is not there.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};
use sluis::{cli::Cli, providers::catalogue::Catalogue};

use super::{read, sources};

/// The words of a text that begin so.
fn words(text: &str, start: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let word = |at: usize| {
        let (begun, rest) = text[at..].split_at(start.len());
        begun.to_owned() + rest.split(|c| !is_part(c)).next().unwrap_or_default()
    };
    text.match_indices(start).map(|(at, _)| word(at)).collect()
}

#[test]
fn metrics_are_those_documented() {
    let telemetry = sources().into_iter().filter(|file| file.path.starts_with("src/telemetry/"));
    let quoted = telemetry.flat_map(|file| words(&file.text, "\"sluis_"));
    let coded: BTreeSet<String> = quoted.map(|name| name.trim_matches('"').to_owned()).collect();
    assert!(coded.len() >= 5, "{coded:?}");
    assert_eq!(coded, words(&read("docs/operations.md"), "sluis_"));
}

/// Every label of a metric is in its row.
#[test]
fn labels_are_documented() {
    let page = read("docs/operations.md");
    let calls = read("src/telemetry/calls.rs");
    for label in ["endpoint", "model", "target", "outcome", "status", "kind"] {
        assert!(calls.contains(&format!("\"{label}\"")), "{label} is no label any more");
        assert!(page.contains(&format!("`{label}`")), "{label}");
    }
}

/// Every name under which an encoder drops a field is one that is counted.
#[test]
fn dropped_fields_have_labels() {
    let counted = read("src/routing/dropped.rs");
    let is_encoder =
        |file: &super::File| ["src/wire/", "src/providers/"].iter().any(|room| file.path.starts_with(room));
    let mut count = 0;
    for file in sources().into_iter().filter(is_encoder) {
        for noted in file.text.split("losses.").skip(1) {
            let literal = ["hint(\"", "field(\""].iter().find_map(|call| noted.strip_prefix(call));
            let Some(field) = literal.and_then(|rest| rest.split('"').next()) else { continue };
            assert!(counted.contains(&format!("\"{field}\"")), "{}: {field}", file.path);
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn log_fields_are_documented() {
    let calls = read("src/telemetry/calls.rs");
    let (_, line) = calls.split_once("target: \"sluis::call\",").expect("the line");
    let line = line.split("\"call\"").next().unwrap_or_default();
    let fields: Vec<&str> =
        line.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.trim()).collect();
    assert!(fields.len() > 10, "{fields:?}");
    let page = read("docs/operations.md");
    for field in fields {
        assert!(page.contains(&format!("`{field}`")), "{field}");
    }
}

#[test]
fn headers_are_documented() {
    let page = read("docs/endpoints.md");
    let sources = sources().into_iter().filter(|file| file.path.starts_with("src/server/"));
    let literals: BTreeSet<String> = sources
        .flat_map(|file| file.text.split('"').skip(1).step_by(2).map(Into::into).collect::<Vec<String>>())
        .filter(|text| ["x-", "retry-after"].iter().any(|start| text.starts_with(start)) && !text.contains([' ', '{']))
        .filter(|text| text != "x-gzip" && !text.ends_with('-'))
        .collect();
    assert!(literals.len() > 12, "{literals:?}");
    for header in literals {
        assert!(page.contains(&format!("`{header}`")), "{header}");
    }
}

#[test]
fn routes_are_documented() {
    let page = read("docs/endpoints.md");
    let routes = read("src/server/routes.rs");
    let mut count = 0;
    let literals = [".route(\"", "&at(\""].into_iter().flat_map(|call| routes.split(call).skip(1));
    for route in literals.filter_map(|rest| rest.split('"').next()) {
        let route = route.trim_start_matches("/{provider}").trim_start_matches("/v1").replace("{*id}", "{id}");
        let is_there = ["", "/v1"]
            .iter()
            .any(|prefix| ["GET", "POST"].iter().any(|verb| page.contains(&format!("`{verb} {prefix}{route}`"))));
        assert!(is_there, "{route}");
        count += 1;
    }
    assert!(count >= 10, "only {count} routes were found");
}

/// The README names every vendor; what is said of each is proven beside the catalogue.
#[test]
fn vendors_are_in_the_readme() {
    let page = read("README.md");
    let catalogue = Catalogue::embedded().expect("the catalogue");
    for row in &catalogue.rows {
        let is_there = page.contains(&row.title) || page.contains(&format!("`type = \"{}\"`", row.name));
        assert!(is_there, "{}", row.title);
    }
}

#[test]
fn commands_and_flags_are_documented() {
    let pages = read("docs/configuration.md") + &read("docs/operations.md");
    let mut missing = Vec::new();
    check(&Cli::command(), "sluis", &pages, &mut missing);
    assert!(missing.is_empty(), "{missing:?}");
}

fn check(command: &Command, name: &str, pages: &str, missing: &mut Vec<String>) {
    for argument in command.get_arguments() {
        let flags = argument.get_long_and_visible_aliases().unwrap_or_default();
        let flags = flags.into_iter().map(|flag| format!("--{flag}"));
        let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
        let words = flags.filter(|flag| !matches!(flag.as_str(), "--help" | "--version")).chain(variable);
        missing.extend(words.filter(|word| !pages.contains(&format!("`{word}"))));
    }
    for inner in command.get_subcommands() {
        let name = format!("{name} {}", inner.get_name());
        if !pages.contains(&format!("`{name}")) {
            missing.push(name.clone());
        }
        check(inner, &name, pages, missing);
    }
}
