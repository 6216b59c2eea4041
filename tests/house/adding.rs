//! `docs/adding-a-provider.md` says what it takes to add a vendor; each vendor that is there took that.

use sluis::providers::{PROVIDERS, catalogue::Catalogue};

use super::{read, root};

const PAGE: &str = "docs/adding-a-provider.md";

/// The row on the page is one the catalogue would take.
#[test]
fn the_example_is_a_row() {
    let page = read(PAGE);
    let row = page.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let catalogue: Catalogue = toml::from_str(row).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(catalogue.rows.len(), 1);
    assert_eq!((catalogue.rows[0].name.as_str(), catalogue.rows[0].errors.len()), ("example", 1));
}

/// Every file and folder the page names is there, placeholders aside.
#[test]
fn what_the_page_names_is_there() {
    let page = read(PAGE);
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|word| is_path(word)).collect();
    assert!(named.len() > 8, "{named:?}");
    for path in named {
        assert!(root().join(path).exists(), "{path}");
    }
}

fn is_path(word: &str) -> bool {
    ["src/", "tests/", "fuzz/"].iter().any(|start| word.starts_with(start)) && !word.contains("NAME")
}

/// Each vendor has its fixtures with their sources, its line in the table, and no more code than its
/// own file and its own line.
#[test]
fn every_vendor_took_what_the_page_says() {
    let table = read("docs/providers.md");
    let rows = &Catalogue::embedded().expect("the catalogue").rows;
    assert_eq!(rows.len() + 1, PROVIDERS.len(), "the rows, and the built-in model");
    for provider in PROVIDERS.iter() {
        let name = provider.name();
        let folder = root().join("tests/fixtures").join(name);
        let cases: Vec<_> = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}")).collect();
        assert!(!cases.is_empty(), "{name} has no fixtures");
        for case in cases {
            let case = case.expect("a case").path();
            assert!(case.join("SOURCE.md").is_file(), "{} has no source", case.display());
        }
    }
    for row in rows {
        assert!(table.contains(&format!("| `{}` |", row.name)), "{} is not in the table", row.name);
    }
}
