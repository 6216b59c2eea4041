//! Providers whose address and credentials are made of settings.

use super::*;

/// A cloud by region, one by location and project, one by resource.
fn known() -> Known {
    let setting = |setting, env: &[&str], default: Option<&str>| KnownSetting {
        setting,
        env: env.iter().map(|name| (*name).to_owned()).collect(),
        default: default.map(Into::into),
    };
    let amazon = KnownKind {
        name: "amazon".into(),
        key_env: vec!["AMAZON_KEY".into()],
        default_base_url: Some("https://llm.{region}.amazon.test".into()),
        placed_base_urls: vec![("cn-*".into(), "https://llm.{region}.amazon.test.cn".into())],
        credentials: vec![CredentialKind::Aws, CredentialKind::Key],
        settings: vec![setting(Setting::Region, &["AWS_REGION", "AWS_DEFAULT_REGION"], None)],
        ..KnownKind::default()
    };
    let google = KnownKind {
        name: "google".into(),
        default_base_url: Some("https://{location}.google.test/v1".into()),
        placed_base_urls: vec![("global".into(), "https://google.test/v1".into())],
        credentials: vec![CredentialKind::Google, CredentialKind::Key],
        settings: vec![
            setting(Setting::Project, &["GOOGLE_CLOUD_PROJECT"], None),
            setting(Setting::Location, &["GOOGLE_CLOUD_LOCATION"], Some("global")),
        ],
        ..KnownKind::default()
    };
    let azure = KnownKind {
        name: "azure".into(),
        key_env: vec!["AZURE_KEY".into()],
        default_base_url: Some("https://{resource}.azure.test/v1".into()),
        credentials: vec![CredentialKind::Key, CredentialKind::Entra],
        settings: vec![setting(Setting::Resource, &[], None), setting(Setting::ApiVersion, &["API_VERSION"], None)],
        deployments: true,
        knows: Some(|kind, model| kind == "azure" && model.starts_with("gpt-")),
        ..KnownKind::default()
    };
    let plain = KnownKind {
        name: "plain".into(),
        key_env: vec!["PLAIN_KEY".into()],
        default_base_url: Some("https://plain.test/v1".into()),
        needs_key: true,
        credentials: vec![CredentialKind::Key],
        ..KnownKind::default()
    };
    Known { kinds: vec![amazon, google, azure, plain] }
}

fn load_text<const N: usize>(text: &str, env: [(&str, &str); N]) -> Result<Config, Report> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sluis.toml");
    fs::write(&path, text).unwrap();
    load(Some(&path), &Env::of(env), &known(), &Overrides::default())
}

fn provider<const N: usize>(text: &str, env: [(&str, &str); N]) -> ProviderConfig {
    let config = load_text(text, env).unwrap_or_else(|report| panic!("{report}"));
    let provider = config.providers.values().next().unwrap();
    ProviderConfig::clone(provider)
}

fn complaint<const N: usize>(text: &str, env: [(&str, &str); N]) -> String {
    load_text(text, env).expect_err("a report").to_string()
}

#[test]
fn an_address_is_made_of_settings() {
    let url = |text: &str| provider(text, [("AWS_DEFAULT_REGION", "eu-west-1")]).base_url.unwrap();
    assert_eq!(url("[providers.amazon]"), "https://llm.eu-west-1.amazon.test");
    assert_eq!(url("[providers.amazon]\nregion = \"cn-north-1\""), "https://llm.cn-north-1.amazon.test.cn");
    assert_eq!(url("[providers.google]"), "https://google.test/v1");
    assert_eq!(url("[providers.google]\nlocation = \"us-east5\""), "https://us-east5.google.test/v1");
    assert_eq!(url("[providers.google]\nbase-url = \"http://127.0.0.1:1/v1\""), "http://127.0.0.1:1/v1");
    let text = "[providers.mine]\ntype = \"azure\"\nresource = { env = \"R\" }\napi-key = { env = \"R\" }";
    assert_eq!(provider(text, [("R", "team-a")]).base_url.unwrap(), "https://team-a.azure.test/v1");
}

#[test]
fn a_missing_part_of_an_address_is_named_with_its_variable() {
    let text = complaint("[providers.amazon]", []);
    assert!(text.contains("`region` is missing") && text.contains("set AWS_REGION, or write `region"), "{text}");
    let text = complaint("[providers.azure]\napi-key = { env = \"K\" }", [("K", "k")]);
    assert!(text.contains("`resource` is missing") && text.contains("or give a `base-url`"), "{text}");
}

#[test]
fn a_setting_must_mean_something_and_fit_into_an_address() {
    let text = complaint("[providers.amazon]\nregion = \"eu/../x\"", []);
    assert!(text.contains("not a usable name"), "{text}");
    let text = complaint(
        "[providers.amazon]\nregion = \"eu\"\nlocation = \"eu\"\n[providers.amazon.deployments]\na = \"b\"",
        [],
    );
    assert!(text.contains("`location` means nothing to a provider of type `amazon`"), "{text}");
    assert!(text.contains("a provider of type `amazon` has no deployments"), "{text}");
    let text = complaint("[providers.amazon]\nregoin = \"eu\"", []);
    assert!(text.contains("did you mean `region`?"), "{text}");
}

#[test]
fn a_key_is_used_where_there_is_one_and_the_kinds_own_way_otherwise() {
    let name = |text: &str, env: [(&str, &str); 2]| provider(text, env).credentials.name();
    let none = [("AWS_REGION", "eu"), ("X", "x")];
    let key = [("AWS_REGION", "eu"), ("AMAZON_KEY", "k")];
    assert_eq!(name("[providers.amazon]", none), "aws");
    assert_eq!(name("[providers.amazon]", key), "key");
    assert_eq!(name("[providers.amazon]\ncredentials = \"aws\"", key), "aws");
    assert_eq!(name("[providers.amazon]\ncredentials = \"client\"", key), "client");
    assert_eq!(name("[providers.plain]\ncredentials = \"client\"", none), "client");
    assert_eq!(name("[providers.azure]\nresource = \"r\"", none), "entra");
    assert_eq!(name("[providers.azure]\nresource = \"r\"", [("AZURE_KEY", "k"), ("X", "x")]), "key");
    let forgone = provider("[providers.amazon]\ncredentials = \"client\"", key);
    assert!(forgone.api_keys.is_empty(), "a key that is not used is not kept");
}

/// A cloud's resource has no other address than the operator's, so its key goes there however the
/// address is written; a vendor's own key goes to the vendor only.
#[test]
fn the_standing_key_goes_to_a_resource_wherever_it_is() {
    let text = "[providers.azure]\nbase-url = \"https://mine.test/v1\"";
    assert_eq!(provider(text, [("AZURE_KEY", "k")]).api_keys.len(), 1);
    let text = complaint("[providers.plain]\nbase-url = \"https://mine.test/v1\"", [("PLAIN_KEY", "k")]);
    assert!(text.contains("`api-key` is missing"), "{text}");
}

#[test]
fn credentials_are_chosen_among_what_the_kind_takes() {
    let text = complaint("[providers.plain]\ncredentials = \"aws\"", [("PLAIN_KEY", "k")]);
    assert!(text.contains("there is no such way for this provider, credentials `aws`"), "{text}");
    assert!(text.contains("one of key, client"), "{text}");
    let text = complaint("[providers.plain]\ncredentials = \"clint\"", []);
    assert!(text.contains("did you mean `client`?"), "{text}");
    let text = complaint("[providers.plain]\ncredentials = \"client\"\napi-key = { env = \"K\" }", [("K", "k")]);
    assert!(text.contains("`api-key` is not used with the credentials of kind `client`"), "{text}");
    let text = complaint("[providers.plain]\nclient-id = \"x\"", [("PLAIN_KEY", "k")]);
    assert!(text.contains("`client-id` is not used with the credentials of kind `key`"), "{text}");
}

#[test]
fn entra_takes_what_its_environment_has() {
    let text = "[providers.azure]\nresource = \"r\"\nclient-secret = { env = \"S\" }";
    let text_of = complaint(text, [("S", "canary")]);
    assert!(text_of.contains("set AZURE_TENANT_ID, or write `tenant-id"), "{text_of}");
    assert!(text_of.contains("set AZURE_CLIENT_ID") && !text_of.contains("canary"), "{text_of}");

    let env = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "canary"),
        ("AZURE_AUTHORITY_HOST", "https://login.test/"),
    ];
    let provider = provider("[providers.azure]\nresource = \"r\"", env);
    let Credentials::Entra(entra) = &provider.credentials else { panic!("{:?}", provider.credentials) };
    assert_eq!((entra.tenant.as_deref(), entra.client.as_deref()), (Some("t"), Some("c")));
    assert_eq!(entra.authority.as_deref(), Some("https://login.test"));
    assert!(entra.secret.is_some() && !format!("{provider:?}").contains("canary"));
}

#[test]
fn google_looks_where_its_own_tools_do() {
    let google = |text: &str, env: [(&str, &str); 2]| {
        let Credentials::Google(google) = provider(text, env).credentials else { panic!("another kind") };
        google
    };
    let found = google("[providers.google]", [("GOOGLE_APPLICATION_CREDENTIALS", "/a.json"), ("HOME", "/u")]);
    assert_eq!(found.file.unwrap(), PathBuf::from("/a.json"));
    assert_eq!(found.well_known.unwrap(), PathBuf::from("/u/.config/gcloud/application_default_credentials.json"));
    let found = google("[providers.google]", [("CLOUDSDK_CONFIG", "/sdk"), ("GCE_METADATA_HOST", "h:1")]);
    assert_eq!(found.well_known.unwrap(), PathBuf::from("/sdk/application_default_credentials.json"));
    assert_eq!((found.file, found.metadata_host.as_deref()), (None, Some("h:1")));
}

/// A key variable enables its provider only where the address can be made.
#[test]
fn a_key_alone_does_not_make_an_address() {
    let config = load_text("", [("AMAZON_KEY", "k")]).unwrap();
    assert!(config.providers.is_empty());
    let expected = "AMAZON_KEY is set, but `amazon` needs `region` too: set AWS_REGION, or write `region = \"...\"`, \
                    or give a `base-url` in [providers.amazon]";
    assert_eq!(config.warnings, [expected]);
    let config = load_text("", [("AMAZON_KEY", "k"), ("AWS_REGION", "eu")]).unwrap();
    assert_eq!(config.providers["amazon"].base_url.as_deref(), Some("https://llm.eu.amazon.test"));
}

/// A model that nobody knows helps nobody: it is said, and taken all the same.
#[test]
fn a_base_model_that_is_not_known_is_warned_about() {
    let text = "[providers.azure]\nresource = \"r\"\nbase-models = { a = \"gpt-5\", b = \"gtp-5\" }";
    let config = load_text(text, []).unwrap();
    assert_eq!(config.providers["azure"].settings.base("b"), "gtp-5");
    let expected = "providers.azure.base-models.b: neither window nor price is known of `gtp-5`; is it spelled as `azure` spells it?";
    assert_eq!(config.warnings, [expected]);
}

/// K2: each setting tells where it came from, and nothing shows a secret or where one lies.
#[test]
fn settings_tell_where_they_came_from() {
    let text = "[providers.azure]\nresource = \"r\"\nclient-secret = { env = \"S\" }\ntenant-id = \"t\"\nclient-id = \"c\"\n\
                [providers.azure.deployments]\n\"gpt-5\" = \"prod\"\n[providers.azure.base-models]\nprod = { env = \"API_VERSION\" }";
    let config = load_text(text, [("S", "canary"), ("API_VERSION", "2024-10-21")]).unwrap();
    let lines: Vec<String> = config.explain("azure").unwrap().iter().map(ToString::to_string).collect();
    let line = |field: &str| lines.iter().find(|line| line.starts_with(field)).unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(line("credentials").contains("entra") && line("credentials").ends_with("the type's own way"));
    assert!(line("resource").contains("providers.azure.resource ("), "{}", line("resource"));
    assert!(line("api-version").ends_with("environment (API_VERSION)"));
    assert!(line("deployments.gpt-5").contains("prod"));
    assert!(line("base-models.prod").contains("2024-10-21") && line("base-models.prod").contains("from API_VERSION"));
    assert!(line("client-secret").contains("(not shown)") && !lines.concat().contains("canary"));
}
