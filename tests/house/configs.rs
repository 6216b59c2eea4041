//! Configurations in README and docs load as they stand. (Those in config/ are proven beside the
//! configuration's own tests.)

use std::{collections::BTreeMap, fs};

use sluis::{
    config::{self, Env, Overrides},
    routing::known::known,
};

use super::{blocks, pages};

#[test]
fn documented_configurations_load() {
    let mut count = 0;
    for page in pages() {
        for block in blocks(&page.text, "toml") {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("sluis.toml");
            fs::write(&path, block).expect("a file");
            let loaded = config::load(Some(&path), &env(block), &known(), &Overrides::default());
            let loaded = loaded.unwrap_or_else(|report| panic!("{}:\n{block}\n{report}", page.path));
            assert!(loaded.warnings.is_empty(), "{}:\n{block}\n{:?}", page.path, loaded.warnings);
            count += 1;
        }
    }
    assert!(count >= 5, "only {count} blocks were found");
}

/// Every variable that a configuration names, set to something.
fn env(block: &str) -> Env {
    let names = block.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    Env::Fixed(names.map(|name| (name.to_owned(), format!("value-of-{name}-0123456789"))).collect::<BTreeMap<_, _>>())
}
