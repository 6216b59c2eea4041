//! The room as a whole: a file goes in, a configuration or a report comes out.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use secrecy::ExposeSecret;

use super::*;

mod clouds;

/// A few kinds as the catalogue would give them.
fn known() -> Known {
    let kind = |name: &str, variable: Option<&str>, url: Option<&str>, local: bool| KnownKind {
        name: name.into(),
        key_env: variable.map(Into::into).into_iter().collect(),
        default_base_url: url.map(Into::into),
        needs_key: variable.is_some(),
        local,
        responses: name == "openai-compatible",
        credentials: vec![CredentialKind::Key],
        ..KnownKind::default()
    };
    Known {
        kinds: vec![
            kind("openai", Some("OPENAI_API_KEY"), Some("https://api.openai.com/v1"), false),
            kind("anthropic", Some("ANTHROPIC_API_KEY"), Some("https://api.anthropic.com/v1"), false),
            kind("azure", Some("AZURE_OPENAI_API_KEY"), None, false),
            kind("openai-compatible", None, None, false),
            kind("ollama", None, Some("http://127.0.0.1:11434"), true),
        ],
    }
}

struct Loaded {
    _dir: tempfile::TempDir,
    path: PathBuf,
    result: Result<Config, Report>,
}

fn load_text<const N: usize>(text: &str, env: [(&str, &str); N]) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sluis.toml");
    fs::write(&path, text).unwrap();
    let result = load(Some(&path), &Env::of(env), &known(), &Overrides::default());
    Loaded { _dir: dir, path, result }
}

fn config<const N: usize>(text: &str, env: [(&str, &str); N]) -> Config {
    load_text(text, env).result.unwrap_or_else(|report| panic!("{report}"))
}

/// The report as a user sees it, without the temporary directory's name.
fn report<const N: usize>(text: &str, env: [(&str, &str); N]) -> String {
    let loaded = load_text(text, env);
    let report = loaded.result.expect_err("a report").to_string();
    report.replace(&loaded.path.display().to_string(), "sluis.toml")
}

const EXAMPLE: &str = r#"
listen = "127.0.0.1:7878"

[providers.openai]
api-key = { env = "OPENAI_API_KEY" }

[providers.lab]
type = "openai-compatible"
base-url = "http://127.0.0.1:8000/v1"

[models.fast]
targets = ["openai/gpt-5-mini", "anthropic/claude-haiku-4-5"]

[models.big]
strategy = "weighted"
targets = [{ to = "openai/gpt-5", weight = 3 }, { to = "lab/qwen3-235b", weight = 1 }]

[keys.ci]
secret = { env = "SLUIS_KEY_CI" }
models = ["fast", "openai/*"]
limits = { requests-per-minute = 60, tokens-per-minute = 100_000, concurrent = 8 }

[deadlines]
connect = "2s"
first-event = "60s"
idle = "60s"
total = "10m"

[retry]
attempts = 3
backoff = { base = "250ms", max = "8s" }

[keep-alive]
interval = "15s"
"#;

const KEYS: [(&str, &str); 3] =
    [("OPENAI_API_KEY", "sk-one"), ("ANTHROPIC_API_KEY", "sk-two"), ("SLUIS_KEY_CI", "sk-sluis-ci")];

#[test]
fn the_documented_example_loads() {
    let config = config(EXAMPLE, KEYS);
    assert_eq!(config.listen.to_string(), "127.0.0.1:7878");
    let names: Vec<&str> = config.providers.keys().map(String::as_str).collect();
    assert_eq!(names, ["anthropic", "lab", "openai"]);
    assert_eq!(config.providers["anthropic"].discovered.as_deref(), Some("ANTHROPIC_API_KEY"));
    assert_eq!(config.providers["openai"].api_keys[0].expose_secret(), "sk-one");
    assert_eq!(config.providers["lab"].base_url.as_deref(), Some("http://127.0.0.1:8000/v1"));
    assert!(config.providers["lab"].api_keys.is_empty());
    assert_eq!(config.models["big"].strategy, Strategy::Weighted);
    assert_eq!(config.models["big"].targets[0], TargetConfig { to: "openai/gpt-5".into(), weight: 3 });
    assert_eq!(config.keys[0].hash, hash_key("sk-sluis-ci"));
    assert_eq!(config.keys[0].limits.tokens_per_minute, Some(100_000));
    let mut defaults = Policy::default();
    // The example sets the first-event clock, so it holds for whole answers too.
    defaults.deadlines.whole = Some(defaults.deadlines.first_event);
    assert_eq!(config.policy("openai", Some("fast")), defaults);
    assert_eq!(config.warnings, Vec::<String>::new());
}

/// I1: no file at all is a configuration.
#[test]
fn without_a_file_the_environment_decides() {
    let env = Env::of([("OPENAI_API_KEY", "sk-one"), ("ANTHROPIC_API_KEY", "")]);
    let config = load(None, &env, &known(), &Overrides::default()).unwrap();
    let names: Vec<&String> = config.providers.keys().collect();
    assert_eq!(names, ["openai"]);
    assert_eq!(config.server, Server::default());
    assert!(config.probe_local && config.keys.is_empty());
    let empty = load(None, &Env::of([]), &known(), &Overrides::default()).unwrap();
    assert!(empty.providers.is_empty());
}

#[test]
fn the_file_wins_over_discovery() {
    let env = [("OPENAI_API_KEY", "sk-env"), ("ANTHROPIC_API_KEY", "sk-two")];
    let own = config("[providers.main]\ntype = \"openai\"\napi-key = { env = \"OPENAI_API_KEY\" }", env);
    assert_eq!(own.providers.keys().collect::<Vec<_>>(), ["anthropic", "main"], "one way to one upstream");
    let off = config("discover = false\n[providers.openai]", env);
    assert_eq!(off.providers.keys().collect::<Vec<_>>(), ["openai"]);
    assert_eq!(off.providers["openai"].api_keys[0].expose_secret(), "sk-env");
}

/// X3: a key of the environment goes to its vendor, not to wherever `base-url` points.
#[test]
fn a_standing_key_goes_home_only() {
    let elsewhere = "[providers.openai]\nbase-url = \"http://127.0.0.1:1/v1\"";
    let report = report(elsewhere, [("OPENAI_API_KEY", "sk-env")]);
    assert!(report.contains("`api-key` is missing"), "{report}");
    let azure = "[providers.azure]\nbase-url = \"https://x.example/openai/v1\"";
    let config = config(azure, [("AZURE_OPENAI_API_KEY", "sk-az")]);
    assert_eq!(config.providers["azure"].api_keys.len(), 1, "a vendor without an address of its own");
}

#[test]
fn a_variable_without_an_address_is_a_warning() {
    let config = config("", [("AZURE_OPENAI_API_KEY", "sk-az")]);
    assert!(config.providers.is_empty());
    assert!(config.warnings[0].contains("azure"), "{:?}", config.warnings);
}

/// K1: every problem is told at once, each with its line and a way out.
#[test]
fn all_problems_are_in_one_report() {
    let text = r#"listen = "0.0.0.0:7878"
discovery = true

[tls]
cert = "cert.pem"

[deadlines]
idle = 60
total = "soon"

[retry]
attempts = 0
backoff = { bse = "1s" }

[providers.openai]
api-key = { env = "OPENAI_KEY" }
limits = { concurrent = 0 }

[providers.lab]
type = "openai-compatble"
base_url = "http://127.0.0.1:8000/v1"

[providers.site]
type = "openai-compatible"
base-url = "ftp://site"

[providers.bare]
type = "openai-compatible"

[providers."a/b"]
type = "anthropic"
http2 = "yes"

[models.fast]
strategy = "wieghted"
targets = ["opnai/gpt-5", "gpt-5-mini", { to = "openai/gpt-5", wait = 2 }, { weight = 2 }]

[models.none]
targets = []

[models.odd]
targets = ["lab/x", 5]
"#;
    insta::assert_snapshot!(report(text, []));
}

#[test]
fn keys_are_checked_together() {
    let text = r#"
[keys.a]
secret = { env = "ONE" }
budget = { usd = 20.0, every = "month" }

[keys.b]
secret = { env = "TWO" }
models = ["*/x"]

[keys.c]
hash = "sha256:12"

[keys.d]

[keys.e]
secret = { file = "gone" }
hash = "sha256:12"

[keys.f]
secret = { file = "gone" }
models = []
limits = { requests-per-minute = 5_000_000_000 }
"#;
    insta::assert_snapshot!(report(text, [("ONE", "same"), ("TWO", "same")]));
}

#[test]
fn a_file_that_is_no_toml_is_one_report() {
    insta::assert_snapshot!(report("listen = 127.0.0.1:7878\n[keys.ci]\nsecret = \"sk-canary\n", []));
}

#[test]
fn a_named_file_must_exist() {
    let gone = std::path::Path::new("/nowhere/sluis.toml");
    let report = load(Some(gone), &Env::of([]), &known(), &Overrides::default()).unwrap_err();
    assert!(matches!(report.problems[0].fault, Fault::Unreadable { .. }), "{report}");
}

/// X1: with no key configured only a loopback address is served, whoever names the address.
#[test]
fn an_open_door_needs_a_key() {
    let with = |text: &str, listen: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sluis.toml");
        fs::write(&path, text).unwrap();
        let overrides = Overrides { listen: Some(listen.parse().unwrap()), probe_local: None };
        load(Some(&path), &Env::of([("KEY", "sk-k")]), &known(), &overrides)
    };
    for open in ["0.0.0.0:1", "[::]:1", "192.168.0.1:1"] {
        let report = with("", open).unwrap_err().to_string();
        assert!(report.contains("sluis key new"), "{report}");
        assert_eq!(with("[keys.a]\nsecret = { env = \"KEY\" }", open).unwrap().listen, open.parse().unwrap());
    }
    for closed in ["127.0.0.1:1", "[::1]:1", "127.8.8.8:1", "[::ffff:127.0.0.1]:1"] {
        assert!(with("", closed).is_ok(), "{closed}");
    }
    assert_eq!(with("listen = \"127.0.0.1:5\"", "127.0.0.1:6").unwrap().listen.port(), 6);
}

/// K2: the nearest value is in force, and its origin can be shown.
#[test]
fn the_nearest_value_wins_and_says_where_it_is_from() {
    let text = r#"
headers = { x-a = "global", x-b = "global", x-c = "global" }
[deadlines]
connect = "1s"
first-event = "11s"
idle = { env = "IDLE" }
[limits]
concurrent = 100
requests-per-minute = 10
[providers.ollama]
headers = { x-b = "provider", X-C = "provider" }
deadlines = { first-event = "22s", total = "22m" }
limits = { concurrent = 2 }
[models.m]
targets = ["ollama/x"]
headers = { x-c = "model" }
deadlines = { total = "33m" }
retry = { attempts = 7 }
"#;
    let config = config(text, [("IDLE", "44s")]);
    let policy = config.policy("ollama", Some("m"));
    assert_eq!(policy.deadlines.connect, Duration::from_secs(1));
    assert_eq!(policy.deadlines.first_event, Duration::from_secs(22));
    assert_eq!(policy.deadlines.idle, Duration::from_secs(44));
    assert_eq!(policy.deadlines.total, Duration::from_secs(33 * 60));
    assert_eq!(policy.retry, Retry { attempts: 7, ..Retry::default() });
    assert_eq!(config.policy("ollama", None).deadlines.total, Duration::from_secs(22 * 60));
    assert_eq!(config.policy("other", None).deadlines.first_event, Duration::from_secs(11));

    let limits = config.providers["ollama"].limits;
    assert_eq!((limits.concurrent, limits.requests_per_minute), (Some(2), Some(10)));
    let mut headers: Vec<String> = config
        .headers("ollama", Some("m"))
        .iter()
        .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    assert_eq!(headers, ["x-a=global", "x-b=provider", "x-c=model"]);

    let explained = config.explain("m").unwrap();
    let from = |field: &str| {
        let line = explained.iter().find(|line| line.field == field).unwrap();
        line.from.replace(config.sources.file.as_deref().unwrap(), "sluis.toml")
    };
    assert_eq!(from("ollama: deadlines.total"), "models.m.deadlines.total (sluis.toml:17)");
    assert_eq!(from("ollama: deadlines.first-event"), "providers.ollama.deadlines.first-event (sluis.toml:12)");
    assert_eq!(from("ollama: deadlines.idle"), "deadlines.idle (sluis.toml:6, from IDLE)");
    assert_eq!(from("ollama: retry.max-retry-after"), "default");
    assert_eq!(explained.iter().filter(|line| line.value.contains("streams only")).count(), 0);
    assert!(config.explain("ollama/anything").is_some() && config.explain("nothing").is_none());
}

/// R4: taking reasoning out of the text is the operator's choice, and is explained where it is made.
#[test]
fn think_tags_are_off_unless_set() {
    let config = config("[providers.ollama]\nthink-tags = true\n[providers.openai]\napi-key = \"sk-1\"\n", []);
    assert!(config.providers["ollama"].think_tags && !config.providers["openai"].think_tags);
    let line = |name: &str| config.explain(name).unwrap().into_iter().find(|line| line.field == "think-tags");
    assert!(line("ollama/m").unwrap().from.starts_with("providers.ollama.think-tags ("));
    assert!(line("openai/m").is_none());
}

#[test]
fn responses_are_for_all_models_for_none_or_for_some() {
    let lab = "[providers.lab]\ntype = \"openai-compatible\"\nbase-url = \"http://127.0.0.1:8000/v1\"\n";
    let text = |set: &str| format!("{lab}responses = {set}\n");
    let shown = |set: &str| {
        let config = config(&text(set), []);
        let line = config.explain("lab/m").unwrap().into_iter().find(|line| line.field == "responses").unwrap();
        assert!(line.from.starts_with("providers.lab.responses ("));
        line.value
    };
    assert_eq!([shown("true"), shown("false"), shown("[\"*oss*\", \"b\"]")], ["true", "false", "*oss*, b"]);
    assert_eq!(config(lab, []).providers["lab"].settings.responses, None);
    let wrong = report(&text("\"yes\""), []);
    assert!(wrong.contains("providers.lab.responses"), "{wrong}");
    let never = report("[providers.ollama]\nresponses = true\n", []);
    assert!(never.contains("a provider of type `ollama` is never asked for Responses"), "{never}");
}

/// F3: a provider may have any number of keys.
#[test]
fn a_list_of_keys_may_have_any_length() {
    for count in 1..6 {
        let keys: Vec<String> = (1..=count).map(|key| format!("\"sk-{key}\"")).collect();
        let config = config(&format!("[providers.openai]\napi-key = [{}]\n", keys.join(", ")), []);
        let found: Vec<&str> = config.providers["openai"].api_keys.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(found.join(","), keys.join(",").replace('"', ""));
    }
}

/// O1: a clock nobody set does not cut off a whole answer, and the nearest one that was set does.
#[test]
fn whole_answers_have_the_first_event_clock_only_where_it_is_set() {
    let text = r#"
[providers.ollama]
[providers.openai]
deadlines = { first-event = "3m" }
[models.m]
targets = ["openai/a", "ollama/a"]
deadlines = { total = "1h" }
[models.n]
targets = ["openai/a"]
deadlines = { first-event = "30s" }
"#;
    let config = config(text, [("OPENAI_API_KEY", "sk-one")]);
    let whole = |provider, model| config.policy(provider, model).deadlines.whole.map(|time| time.as_secs());
    assert_eq!(whole("ollama", None), None);
    assert_eq!(whole("ollama", Some("m")), None);
    assert_eq!(whole("openai", Some("m")), Some(180));
    assert_eq!(whole("openai", Some("n")), Some(30));
    let first = |name: &str| {
        let lines = config.explain(name).unwrap();
        lines.into_iter().find(|line| line.field.ends_with("first-event")).unwrap().value
    };
    assert_eq!((first("ollama"), first("openai")), ("1m (streams only)".into(), "3m".into()));
}

/// X4: a secret shows in no Debug, no warning, no explanation and no report, wherever it stands.
#[test]
fn secrets_are_shown_nowhere() {
    let valid = r#"
headers = { x-h = "canary1" }
[providers.openai]
api-key = ["canary2", { env = "TWO" }]
[providers.lab]
type = "openai-compatible"
base-url = "http://127.0.0.1:1"
headers = { authorization = { env = "TWO", default = "canary3" } }
[keys.k]
secret = "canary4"
"#;
    let config = config(valid, [("TWO", "canary5")]);
    assert_eq!(config.warnings.len(), 2, "the literal keys: {:?}", config.warnings);
    let explained: Vec<_> = ["openai", "lab", "k"].map(|name| config.explain(name).unwrap()).into();
    let shown = format!("{config:?} {explained:?} {:?}", Env::of([("TWO", "canary5")]));
    assert!(!shown.contains("canary"), "{shown}");
    let hash = format!("{:?}", hash_key("canary4"));
    assert!(!shown.contains(hash.trim_matches(['[', ']'])), "{shown}");

    for broken in [
        "[providers.openai]\napi_key = \"canary\"",
        "[providers.openai]\napi-key = [\"canary\", 5]",
        "[providers.openai]\napi-key = [\n\"canary1\", 5,\n\"canary2\"]",
        "[providers.openai]\napi-key = \"canary",
        "[providers.openai]\napi-key = [\n \"canary\",\n \"canary\n]",
        "[providers.openai]\napi-key = \"\"\"\ncanary\\q\n\"\"\"",
        "[providers.openai]\nbase-url = \"https://u:canary@x\"",
        "[providers.openai.headers]\nx-plain = \"canary\\u0007\"",
        "[providers.openai.headers]\nx-plain = \"canary",
        "headers = { x-plain = { env = \"GONE\", file = \"canary\" } }",
        "[keys.k]\nsecert = \"canary\"",
        "[keys.k]\nsecret = { evn = \"X\", default = \"canary\" }",
        "[keys.k]\nhash = \"canary\"",
        "[keys.k]\nsecret = { default = \"canary\", file = 5 }",
    ] {
        let report = load_text(broken, []).result.unwrap_err();
        let shown = format!("{report} {report:?}");
        assert!(!shown.contains("canary"), "{broken}\n{shown}");
    }
}

#[test]
fn a_secret_may_be_kept_in_a_file_beside() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("openai.key"), "sk-file\n").unwrap();
    let path = dir.path().join("sluis.toml");
    fs::write(&path, "[providers.openai]\napi-key = { file = \"openai.key\" }").unwrap();
    let config = load(Some(&path), &Env::of([]), &known(), &Overrides::default()).unwrap();
    assert_eq!(config.providers["openai"].api_keys[0].expose_secret(), "sk-file");
    assert_eq!(config.warnings, Vec::<String>::new());
}

/// What a variable or a file ends in is no part of a secret; more lines than one are a mistake, which
/// would else show with the first call.
#[test]
fn a_secret_is_one_line() {
    let text = "[providers.openai]\n[providers.lab]\ntype = \"openai-compatible\"\nbase-url = \"http://h/v1\"\n\
                api-key = { env = \"LAB\" }\n[keys.k]\nsecret = { env = \"CLIENT\" }\n";
    let config = config(text, [("OPENAI_API_KEY", "sk-1\n"), ("LAB", " sk-2\r\n"), ("CLIENT", "sk-3\n")]);
    assert_eq!(config.providers["openai"].api_keys[0].expose_secret(), "sk-1");
    assert_eq!(config.providers["lab"].api_keys[0].expose_secret(), "sk-2");
    assert_eq!(config.keys[0].hash, hash_key("sk-3"));
    let report = report(text, [("OPENAI_API_KEY", "sk-1"), ("LAB", "canary\nmore"), ("CLIENT", "sk-3")]);
    assert!(report.contains("providers.lab.api-key: the secret holds a line break"), "{report}");
    assert!(!report.contains("canary"), "{report}");
}

fn here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// I1: every example is a configuration that loads as it is, given its variables.
#[test]
fn every_example_loads() {
    let names = ["OPENAI_API_KEY", "OPENAI_API_KEY_2", "ANTHROPIC_API_KEY", "LAB_KEY", "LAB_TOKEN", "SLUIS_KEY_CI"];
    let azure = ["AZURE_OPENAI_API_KEY", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"];
    let of = |names: &mut dyn Iterator<Item = &&str>| {
        Env::Fixed(names.map(|name| ((*name).to_owned(), (*name).to_owned())).collect())
    };
    let (plain, cloudy) = (of(&mut names.iter()), of(&mut names.iter().chain(&azure)));
    let known = crate::routing::known::known();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("openai.key"), "sk-file").unwrap();
    let mut count = 0;
    for entry in fs::read_dir(here("config")).unwrap() {
        let source = entry.unwrap().path();
        let path = dir.path().join(source.file_name().unwrap());
        fs::copy(&source, &path).unwrap();
        let env = if source.ends_with("clouds.toml") { &cloudy } else { &plain };
        let config = load(Some(&path), env, &known, &Overrides::default());
        let config = config.unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(config.warnings, Vec::<String>::new(), "{}", source.display());
        count += 1;
    }
    assert!(count >= 5, "{count} examples");
}

/// What `full.toml` says is a default is one.
#[test]
fn the_full_example_tells_the_defaults() {
    let env = Env::of([("OPENAI_API_KEY", "a"), ("LAB_TOKEN", "b"), ("SLUIS_KEY_CI", "c")]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("openai.key"), "sk-file").unwrap();
    let path = dir.path().join("full.toml");
    fs::copy(here("config/full.toml"), &path).unwrap();
    let full = load(Some(&path), &env, &known(), &Overrides::default()).unwrap();
    let none = load(None, &Env::of([]), &known(), &Overrides::default()).unwrap();
    let mut defaults = none.policy("openai", None);
    defaults.deadlines.whole = Some(defaults.deadlines.first_event);
    assert_eq!(full.policy("openai", None), defaults, "but for the clock that is now set");
    assert_eq!((full.listen, &full.server, full.probe_local), (none.listen, &none.server, none.probe_local));
    assert_eq!(full.tls.unwrap().key, dir.path().join("tls/key.pem"));
}

/// Every field name of the schema, wherever it stands.
fn field_names(schema: &serde_json::Value, names: &mut BTreeSet<String>) {
    for (name, inner) in schema.get("properties").and_then(|all| all.as_object()).into_iter().flatten() {
        names.insert(name.clone());
        field_names(inner, names);
    }
    for branch in schema.get("anyOf").and_then(|all| all.as_array()).into_iter().flatten() {
        field_names(branch, names);
    }
    ["additionalProperties", "items"]
        .iter()
        .filter_map(|name| schema.get(*name))
        .for_each(|inner| field_names(inner, names));
}

fn all_field_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    field_names(file::inlined_schema().as_value(), &mut names);
    assert!(names.len() > 35, "{names:?}");
    names
}

#[test]
fn every_field_is_documented() {
    let docs = fs::read_to_string(here("docs/configuration.md")).unwrap();
    let missing: Vec<String> =
        all_field_names().into_iter().filter(|name| !docs.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// The report that the documentation shows is the one a user gets.
#[test]
fn the_documented_report_is_real() {
    let text = r#"[providers.lab]
type = "openai-compatible"
base_url = "http://127.0.0.1:8000/v1"

[models.fast]
targets = ["opnai/gpt-5-mini"]
"#;
    let docs = fs::read_to_string(here("docs/configuration.md")).unwrap();
    let report = report(text, [("OPENAI_API_KEY", "sk-one")]);
    assert!(docs.contains(&report), "{report}");
}

#[test]
fn the_full_example_has_every_field() {
    let full = fs::read_to_string(here("config/full.toml")).unwrap();
    let mut written = BTreeSet::new();
    fn collect(value: &toml::Value, written: &mut BTreeSet<String>) {
        for (name, inner) in value.as_table().into_iter().flatten() {
            written.insert(name.clone());
            collect(inner, written);
        }
        value.as_array().into_iter().flatten().for_each(|inner| collect(inner, written));
    }
    collect(&toml::from_str(&full).unwrap(), &mut written);
    // What only clouds have stands in an example of its own; a region's cloud is not among them.
    let clouds = fs::read_to_string(here("config/clouds.toml")).unwrap();
    collect(&toml::from_str(&clouds).unwrap(), &mut written);
    written.insert("region".to_owned());
    // A store has one place, and there it is a path.
    assert!(full.contains("# url = "));
    let missing = all_field_names().into_iter().filter(|name| !written.contains(name) && name != "url");
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<String>::new());
}

/// A store has one place; relative paths start at the file's directory, and without a word it is in
/// the user's data folder.
#[test]
fn a_store_has_one_place() {
    let loaded = load_text("[store]\npath = \"a/b.db\"\n", []);
    let expected = loaded.path.parent().unwrap().join("a/b.db");
    assert_eq!(loaded.result.unwrap().store.place, StorePlace::File(expected));
    let of = |text: &str, env: &[(&str, &str)]| {
        let env = Env::Fixed(env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sluis.toml");
        fs::write(&path, text).unwrap();
        load(Some(&path), &env, &known(), &Overrides::default()).map(|config| config.store.place)
    };
    let home = of("", &[("HOME", "/h")]).unwrap();
    assert_eq!(home, StorePlace::File("/h/.local/share/sluis/sluis.db".into()));
    let data = of("", &[("HOME", "/h"), ("XDG_DATA_HOME", "/d")]).unwrap();
    assert_eq!(data, StorePlace::File("/d/sluis/sluis.db".into()));
    assert_eq!(of("", &[]).unwrap(), StorePlace::Memory);
    assert_eq!(of("[store]\npath = \":memory:\"\n", &[("HOME", "/h")]).unwrap(), StorePlace::Memory);
    assert_eq!(of("[store]\nenabled = false\n", &[("HOME", "/h")]).unwrap(), StorePlace::Off);
    let url = "[store]\nurl = { env = \"DB\" }\n";
    let place = of(url, &[("DB", "postgres://u:p@h/d")]).unwrap();
    assert_eq!(place, StorePlace::Postgres("postgres://u:p@h/d".into()));
    assert!(!format!("{place:?}").contains("u:p"));
    let report = of(url, &[("DB", "mysql://h/d")]).unwrap_err().to_string();
    assert!(report.contains("not the URL of a PostgreSQL database") && !report.contains("mysql"), "{report}");
    let both = format!("{url}path = \"x\"\n");
    assert!(of(&both, &[("DB", "postgres://h/d")]).unwrap_err().to_string().contains("one place"));
}

/// Every field of the schema tells what it means.
#[test]
fn every_field_is_described() {
    fn walk(schema: &serde_json::Value, bare: &mut Vec<String>) {
        if let Some(fields) = schema.get("properties").and_then(|all| all.as_object()) {
            let silent = fields.iter().filter(|(_, field)| field.get("description").is_none());
            bare.extend(silent.map(|(name, _)| name.clone()));
        }
        match schema {
            serde_json::Value::Object(all) => all.values().for_each(|inner| walk(inner, bare)),
            serde_json::Value::Array(all) => all.iter().for_each(|inner| walk(inner, bare)),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => {}
        }
    }
    let mut bare = Vec::new();
    walk(schema().as_value(), &mut bare);
    assert_eq!(bare, Vec::<String>::new());
}

#[test]
fn a_broken_file_still_tells_the_address() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sluis.toml");
    fs::write(&path, "listen = \"127.0.0.1:9\"\n[providers.lab]\nbase-url = 5").unwrap();
    let ask = |overrides: &Overrides| listen_of(Some(&path), &Env::of([]), overrides).port();
    assert_eq!(ask(&Overrides::default()), 9);
    assert_eq!(ask(&Overrides { listen: "127.0.0.1:8".parse().ok(), probe_local: None }), 8);
    assert_eq!(listen_of(None, &Env::of([]), &Overrides::default()).port(), 7878);
}

proptest::proptest! {
    /// Whatever is in the file, the answer is a configuration or a report, and the report can be
    /// shown.
    #[test]
    fn no_file_panics(text in "[a-z\\[\\]{}=\".,#'\n \u{e9}0-9-]{0,60}", tail in proptest::sample::select(vec![
        "", "[providers.openai]\n", "[models.x]\ntargets = ", "[keys.a]\nsecret = ", "listen = ",
    ])) {
        let loaded = load_text(&format!("{tail}{text}"), []);
        if let Err(report) = loaded.result {
            proptest::prop_assert!(!report.problems.is_empty());
            proptest::prop_assert!(!report.to_string().is_empty());
        }
    }
}
