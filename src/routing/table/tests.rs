use super::*;
use crate::routing::testing::{caller, config, table};

const TEXT: &str = r#"
[providers.openai]
api-key = "sk-one"
[providers.lab]
type = "openai-compatible"
base-url = "http://127.0.0.1:1/v1/"
models = ["org/qwen3:4b", "shared"]
limits = { concurrent = 2 }
deadlines = { connect = "1s" }
[providers.twin]
type = "openai-compatible"
base-url = "http://127.0.0.1:2/v1"
models = ["shared", "twin/auto"]
[models.fast]
targets = ["lab/org/qwen3:4b", "openai/gpt-5-mini"]
limits = { requests-per-minute = 3 }
deadlines = { connect = "3s" }
[models.alias]
targets = ["openai/gpt-5-mini"]
[models."gpt-5"]
targets = ["lab/x"]
"#;

fn labels(table: &Table, model: &str, pinned: Option<&str>, patterns: &[&str]) -> Result<Vec<String>> {
    let plan = table.plan(model, pinned, &caller(patterns))?;
    Ok(plan.routes.iter().map(|route| route.target.label.to_string()).collect())
}

fn near(table: &Table, model: &str, pinned: Option<&str>) -> Vec<String> {
    match labels(table, model, pinned, &["*"]) {
        Err(Error::ModelNotFound { near, .. }) => near,
        other => panic!("{other:?}"),
    }
}

/// Design section 3: a name of the operator's own wins, then `provider/model`, then a bare id that
/// exactly one provider offers; everything after the first slash is the upstream's own.
#[test]
fn names_lead_to_targets() {
    let table = table(TEXT);
    for (model, expected) in [
        ("fast", &["lab/org/qwen3:4b", "openai/gpt-5-mini"][..]),
        ("gpt-5", &["lab/x"]),
        ("openai/gpt-5", &["openai/gpt-5"]),
        ("lab/org/qwen3:4b", &["lab/org/qwen3:4b"]),
        ("lab/anything/at:all", &["lab/anything/at:all"]),
        ("org/qwen3:4b", &["lab/org/qwen3:4b"]),
        ("gpt-5-mini", &["openai/gpt-5-mini"]),
        ("builtin/echo", &["builtin/echo"]),
        ("echo", &["builtin/echo"]),
    ] {
        assert_eq!(labels(&table, model, None, &["*"]).unwrap(), expected, "{model}");
    }
    let plan = table.plan("lab/org/qwen3:4b", None, &caller(&["*"])).unwrap();
    assert_eq!(&*plan.routes[0].target.model, "org/qwen3:4b");
    assert_eq!(plan.routes[0].upstream.base_url, "http://127.0.0.1:1/v1");
}

#[test]
fn names_that_lead_nowhere_tell_what_was_near() {
    let table = table(TEXT);
    assert_eq!(near(&table, "shared", None), ["lab/shared", "twin/shared"], "ambiguous");
    assert_eq!(near(&table, "fsat", None), ["fast"]);
    assert_eq!(near(&table, "org/qwen3:4", None)[0], "lab/org/qwen3:4b");
    assert!(near(&table, "gpt-5-mni", None).contains(&"openai/gpt-5-mini".to_owned()));
    assert_eq!(near(&table, "openai/", None).len(), NEAR_MISSES);
    for nothing in ["", "/", "zzzzzzzz"] {
        assert_eq!(near(&table, nothing, None), Vec::<String>::new(), "{nothing}");
    }
    let long = "x".repeat(513);
    assert!(matches!(labels(&table, &long, None, &["*"]), Err(Error::Invalid { .. })));
}

/// `/{provider}/v1`: the id with or without the provider before it, and no other provider's names.
#[test]
fn a_pinned_call_stays_with_its_provider() {
    let table = table(TEXT);
    let pinned = |model, provider| labels(&table, model, Some(provider), &["*"]).unwrap();
    assert_eq!(pinned("gpt-5", "openai"), ["openai/gpt-5"]);
    assert_eq!(pinned("openai/gpt-5", "openai"), ["openai/gpt-5"]);
    assert_eq!(pinned("fast", "lab"), ["lab/fast"], "a name of the operator's is none here");
    assert_eq!(pinned("twin/auto", "twin"), ["twin/twin/auto"], "an id that begins like its provider");
    assert!(labels(&table, "x", Some("nobody"), &["*"]).is_err());
    assert!(labels(&table, "lab/", Some("lab"), &["*"]).is_err());
    assert!(labels(&table, "fast", Some("lab"), &["fast"]).is_err(), "the key's `fast` is another model");
    let near = near(&table, "", Some("lab"));
    assert!(near.iter().all(|id| id.starts_with("lab/")), "{near:?}");
}

/// K7: what is listed can be called, and what is not listed of the known models cannot.
#[test]
fn the_list_is_exactly_what_a_key_may_call() {
    let table = table(TEXT);
    let known: Vec<String> = table.listed(&caller(&["*"])).into_iter().map(|listed| listed.id).collect();
    assert_eq!(known[..3], ["alias", "fast", "gpt-5"]);
    assert!(known.contains(&"builtin/echo".to_owned()) && known.contains(&"openai/gpt-5-mini".to_owned()));
    for patterns in [
        &["*"][..],
        &["fast"],
        &["openai/*"],
        &["lab/org/*", "builtin/echo"],
        &["gpt-5-mini"],
        &["gpt-5*"],
        &["shared"],
        &["org/qwen3:4b"],
        &[],
    ] {
        let caller = caller(patterns);
        let listed: Vec<String> = table.listed(&caller).into_iter().map(|listed| listed.id).collect();
        for id in &listed {
            assert!(table.plan(id, None, &caller).is_ok(), "{patterns:?}: {id} is listed");
        }
        for id in known.iter().filter(|id| !listed.contains(id)) {
            assert!(table.plan(id, None, &caller).is_err(), "{patterns:?}: {id} is not listed");
        }
    }
    let only = |patterns: &[&str]| -> Vec<String> {
        table.listed(&caller(patterns)).into_iter().map(|listed| listed.id).collect()
    };
    assert_eq!(only(&["gpt-5-mini"]), ["gpt-5-mini"]);
    assert_eq!(only(&["shared"]), Vec::<String>::new(), "two have it");
    assert_eq!(only(&["fast"]), ["fast"]);
}

/// A name is the key's only by its own pattern, whatever it leads to.
#[test]
fn a_name_is_not_opened_by_its_target() {
    let table = table(TEXT);
    assert!(labels(&table, "alias", None, &["openai/*"]).is_err());
    assert!(labels(&table, "gpt-5-mini", None, &["openai/*"]).is_ok());
    assert!(labels(&table, "openai/gpt-5", None, &["gpt-5"]).is_err(), "`gpt-5` is another model here");
}

/// The embedded provider is always there; local servers where they are looked for and the address
/// is not taken.
#[test]
fn some_providers_need_no_configuration() {
    let mut config =
        config("[providers.mine]\ntype = \"openai-compatible\"\nbase-url = \"http://127.0.0.1:11434/v1\"\n");
    let names = |config: &Config| -> Vec<String> {
        let table = Table::new(Arc::new(config.clone()));
        table.upstreams().filter(|upstream| upstream.is_implied).map(|upstream| upstream.config.name.clone()).collect()
    };
    assert_eq!(names(&config), ["builtin"]);
    config.probe_local = true;
    let found = names(&config);
    assert!(
        found.len() > 2 && found.contains(&"lmstudio".to_owned()) | found.contains(&"lm-studio".to_owned()),
        "{found:?}"
    );
    assert!(!found.contains(&"ollama".to_owned()), "the operator has that address: {found:?}");
    let table = Table::new(Arc::new(config));
    let remote: Vec<bool> = table.upstreams().filter(|u| u.config.name == "builtin").map(|u| u.is_remote()).collect();
    assert_eq!(remote, [false]);
}

/// L4: ids that a client invents share one label, and cost no memory without end.
#[test]
fn labels_are_bounded() {
    let table = table(TEXT);
    let label = |model: &str| {
        let plan = table.plan(model, None, &caller(&["*"])).unwrap();
        format!("{:?}", plan.routes[0].metrics)
    };
    assert!(label("lab/org/qwen3:4b").contains("lab/org/qwen3:4b"));
    assert!(label("fast").contains("\"fast\""));
    for invented in 0..CACHED_TARGETS + 10 {
        let label = label(&format!("lab/invented-{invented}"));
        assert!(label.contains("lab/other") && !label.contains("invented"), "{label}");
    }
    assert!(table.ad_hoc.read().unwrap().len() <= CACHED_TARGETS);
}

#[test]
fn the_nearest_rules_are_the_targets() {
    let table = table(TEXT);
    let connect = |model: &str| {
        let plan = table.plan(model, None, &caller(&["*"])).unwrap();
        let target = &plan.routes[0].target;
        assert_eq!(target.connection.connect_timeout, target.policy.deadlines.connect);
        target.policy.deadlines.connect.as_secs()
    };
    assert_eq!([connect("openai/gpt-5"), connect("lab/x"), connect("fast")], [2, 1, 3]);
    let seconds: BTreeSet<u64> = table.connections().map(|connection| connection.connect_timeout.as_secs()).collect();
    assert_eq!(seconds, [1, 2, 3].into());
    assert_eq!(table.model_limits("fast").requests_per_minute, Some(3));
    assert!(table.model_limits("lab/x").is_empty());
}

/// K1, Q2: a reload keeps lists and slots of a provider that stayed, and forgets the rest.
#[test]
fn a_new_table_keeps_what_still_holds() {
    let old = table(TEXT);
    for upstream in old.upstreams() {
        upstream.listed.store(Arc::new(vec!["live".into()]));
    }
    let slots = |table: &Table| table.upstreams["lab"].slots.clone().unwrap();
    let held = slots(&old).try_acquire_owned().unwrap();
    let next = Table::after(Arc::new(config(TEXT)), Some(&old));
    assert!(next.upstreams["twin"].offers("live"));
    assert_eq!(slots(&next).available_permits(), 1);
    drop(held);
    assert_eq!(slots(&next).available_permits(), 2);
    let moved = TEXT.replace("127.0.0.1:2/v1", "127.0.0.1:3/v1").replace("concurrent = 2", "concurrent = 5");
    let moved = Table::after(Arc::new(config(&moved)), Some(&old));
    assert!(!moved.upstreams["twin"].offers("live"));
    assert_eq!(slots(&moved).available_permits(), 5);
}

/// C3, C5: the operator's price beats the catalogue's, which beats none; the model in the process is free.
#[test]
fn a_route_knows_its_price() {
    let table = table(
        "[providers.openai]\napi-key = \"k\"\n[providers.lab]\ntype = \"openai-compatible\"\nbase-url = \"http://127.0.0.1:1\"\n\
         [prices.\"lab/qwen*\"]\ninput = 1\noutput = 2.5\n[prices.\"openai/gpt-5\"]\noutput = 3\n",
    );
    let price = |model: &str| {
        let prices = table.plan(model, None, &caller(&["*"])).unwrap().routes[0].prices();
        (prices.input, prices.output)
    };
    assert_eq!(price("lab/qwen3"), (Some(1.0), Some(2.5)));
    assert_eq!(price("openai/gpt-5"), (Some(1.25), Some(3.0)));
    assert_eq!(price("openai/gpt-5-mini"), (Some(0.25), Some(2.0)));
    assert_eq!(price("lab/llama"), (None, None));
    assert_eq!(price("builtin/echo"), (Some(0.0), Some(0.0)));
}
