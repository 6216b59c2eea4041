//! The shape of `sluis.toml`, and nothing else: what may be written where. The doc comments are
//! the descriptions in the JSON schema; each says unit, default and meaning.
//!
//! Every field is optional here. What must be there, and what values mean, is decided in
//! `resolve`, where all problems can be collected instead of the first.

use std::{collections::BTreeMap, num::NonZeroU32};

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde::Deserialize;

use super::value::{OneOrMany, Secret, Size, Text};

/// The configuration of sluis.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[schemars(title = "sluis.toml")]
pub(super) struct File {
    /// The address to serve on, `host:port`. Default `127.0.0.1:7878`. Any other than a loopback
    /// address needs at least one key in `[keys]`.
    pub(super) listen: Option<Text>,
    /// Whether providers are enabled by the key variables found in the environment
    /// (`OPENAI_API_KEY` and its like). Default `true`.
    pub(super) discover: Option<bool>,
    /// Whether local model servers (Ollama, LM Studio, vLLM, llama.cpp, mlx_lm) are looked for in
    /// the background. Default `true`.
    pub(super) probe_local: Option<bool>,
    /// Serve HTTPS with this certificate. Default: plain HTTP.
    pub(super) tls: Option<Tls>,
    /// Bounds of the server.
    pub(super) server: Server,
    /// What keeps an idle stream open.
    pub(super) keep_alive: KeepAlive,
    /// The four clocks of a call, for all providers and models.
    pub(super) deadlines: Deadlines,
    /// Tries of the same target, for all providers and models.
    pub(super) retry: Retry,
    /// Limits of each provider that sets none of its own.
    pub(super) limits: Limits,
    /// Headers added to every upstream request. A nearer section wins name by name.
    pub(super) headers: BTreeMap<String, Secret>,
    /// What is remembered between calls.
    pub(super) store: Store,
    /// Upstreams, by a name of your own. A name the catalogue knows needs nothing but its key.
    pub(super) providers: BTreeMap<String, Provider>,
    /// Model names of your own, each with the targets behind it.
    pub(super) models: BTreeMap<String, Model>,
    /// Who may call. Without any, only a loopback address is served, to anybody there.
    pub(super) keys: BTreeMap<String, Key>,
    /// What models cost, by `provider/model`; a `*` at the end matches the rest. Default: the
    /// catalogue's prices.
    pub(super) prices: BTreeMap<String, Prices>,
}

/// HTTPS on the gateway's own side.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Tls {
    /// The certificate chain, a PEM file. Required.
    pub(super) cert: Option<Text>,
    /// Its private key, a PEM file. Required.
    pub(super) key: Option<Text>,
}

/// Bounds of the server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Server {
    /// The largest request body, decompressed, in bytes or with a unit. Default `"32MiB"`. A
    /// larger one gets 413.
    pub(super) body_limit: Option<Size>,
    /// How long open answers may go on after a signal to stop. Default `"30s"`.
    pub(super) drain: Option<Text>,
    /// The largest single event of an upstream's stream, in bytes or with a unit. Default
    /// `"64MiB"`.
    pub(super) max_frame: Option<Size>,
    /// The largest answer of an upstream that does not stream, in bytes or with a unit. Default
    /// `"64MiB"`.
    pub(super) max_reply: Option<Size>,
}

/// What is remembered between calls: stored responses, their events, and conversations.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Store {
    /// Whether anything is remembered. Default `true`.
    pub(super) enabled: Option<bool>,
    /// A PostgreSQL database that gateways share, `postgres://user:password@host/database`.
    /// Default: none, a file. Either this or `path`.
    pub(super) url: Option<Secret>,
    /// The SQLite file, or `":memory:"`. Default: `sluis/sluis.db` in the user's data folder
    /// (`$XDG_DATA_HOME`, else `~/.local/share`); in memory where there is none.
    pub(super) path: Option<Text>,
    /// How long what nobody uses is kept. Default `"30d"`.
    pub(super) retention: Option<Text>,
    /// How much is kept, in bytes or with a unit; the least recently used goes first. Default
    /// `"1GiB"`.
    pub(super) max_size: Option<Size>,
    /// How much is kept of each key. Default: as much as `max-size`.
    pub(super) max_size_per_key: Option<Size>,
    /// Background responses that are made at once. Default `32`; further ones wait.
    pub(super) background: Option<NonZeroU32>,
    /// Signs the ids of responses that an upstream keeps, so that no other key can use them. The
    /// same for all gateways that serve one another's ids. Default: made of the provider's keys.
    pub(super) id_secret: Option<Secret>,
}

/// What keeps an idle stream open.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct KeepAlive {
    /// No client stream is silent for longer. Default `"15s"`.
    pub(super) interval: Option<Text>,
}

/// The four clocks of a call. Each ends with 504 and a code that names it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Deadlines {
    /// Name lookup, TCP and TLS together. Default `"2s"`.
    pub(super) connect: Option<Text>,
    /// From sending a request to the first event of its stream. Default `"60s"`. Where it is set,
    /// a call that does not stream has as long for its whole answer; where it is not, such a call
    /// has only `total`.
    pub(super) first_event: Option<Text>,
    /// Between two events, counted only while waiting for the upstream. Default `"60s"`.
    pub(super) idle: Option<Text>,
    /// From the arrival of a call to its end, retries and fallbacks included. Default `"10m"`.
    pub(super) total: Option<Text>,
}

/// Tries of the same target, before the first event.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Retry {
    /// Tries per target, the first included. Default `3`; `1` never retries.
    pub(super) attempts: Option<NonZeroU32>,
    /// The waits between tries.
    pub(super) backoff: Backoff,
    /// An upstream that asks for a longer wait than this is not waited for: the call moves on.
    /// Default `"10s"`.
    pub(super) max_retry_after: Option<Text>,
}

/// Exponential waits with full jitter. The upstream's `retry-after` wins over them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Backoff {
    /// The first wait is a random time up to this; it doubles with each try. Default `"250ms"`.
    pub(super) base: Option<Text>,
    /// No wait is longer. Default `"8s"`.
    pub(super) max: Option<Text>,
}

/// How much at once and how much in a minute. Default: unlimited.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Limits {
    /// Calls in a minute. Default: unlimited.
    pub(super) requests_per_minute: Option<NonZeroU32>,
    /// Tokens in a minute, prompt and answer together. Default: unlimited.
    pub(super) tokens_per_minute: Option<NonZeroU32>,
    /// Calls open at the same time. Default: unlimited.
    pub(super) concurrent: Option<NonZeroU32>,
}

/// An upstream.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Provider {
    /// What it is: a name of the catalogue, or `openai-compatible`. Default: the section's name.
    #[serde(rename = "type")]
    pub(super) kind: Option<Text>,
    /// Where it is, up to and including the version (`https://api.openai.com/v1`). Default: the
    /// catalogue's address; required where it has none.
    pub(super) base_url: Option<Text>,
    /// Its key, or a list of keys that are rotated. Default: the catalogue's variables, when the
    /// address is the catalogue's own too.
    pub(super) api_key: Option<OneOrMany<Secret>>,
    /// How requests are authorized: `key`; `google`, `aws` or `entra` where the type takes that;
    /// or `client`, which sends the client's own `authorization` or `x-api-key` on, beside a key to
    /// the gateway in `x-sluis-key`. Default: a key where there is one, else the type's own way.
    pub(super) credentials: Option<Text>,
    /// A cloud region, like `us-east-1`. Default: the catalogue's variables.
    pub(super) region: Option<Text>,
    /// A cloud project. Default: the catalogue's variables.
    pub(super) project: Option<Text>,
    /// A cloud location: a region, a multi-region or `global`. Default: the catalogue's variables.
    pub(super) location: Option<Text>,
    /// The name of the cloud resource that serves the models, the first part of its host's name.
    /// Default: the catalogue's variables.
    pub(super) resource: Option<Text>,
    /// The version of the interface, where it is asked for with each request. Default: the
    /// catalogue's variables, else none.
    pub(super) api_version: Option<Text>,
    /// The names under which models are deployed, by model id. Default: their own ids.
    pub(super) deployments: BTreeMap<String, Text>,
    /// The model that an id stands for, by id, where the id does not say: the alias of a deployment, an ARN.
    /// What is known of that model holds. Default: the id says it.
    pub(super) base_models: BTreeMap<String, Text>,
    /// With `aws` credentials, the profile of its files. Default: `AWS_PROFILE`.
    pub(super) profile: Option<Text>,
    /// With `google` credentials, a JSON key file. Default: `GOOGLE_APPLICATION_CREDENTIALS`, else
    /// the file of the `gcloud` tool, else the machine's metadata server.
    pub(super) credentials_file: Option<Text>,
    /// With `entra` credentials, the tenant. Default: `AZURE_TENANT_ID`.
    pub(super) tenant_id: Option<Text>,
    /// With `entra` credentials, the application or managed identity. Default: `AZURE_CLIENT_ID`.
    pub(super) client_id: Option<Text>,
    /// With `entra` credentials, the application's secret. Default: `AZURE_CLIENT_SECRET`.
    pub(super) client_secret: Option<Secret>,
    /// With `entra` credentials, a file with a federated token, instead of a secret. Default:
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub(super) token_file: Option<Text>,
    /// With `entra` credentials, where Entra is. Default: `AZURE_AUTHORITY_HOST`, else
    /// `https://login.microsoftonline.com`.
    pub(super) authority: Option<Text>,
    /// With `entra` credentials, what the token is for. Default: the type's own scope.
    pub(super) scope: Option<Text>,
    /// Headers added to its requests.
    pub(super) headers: BTreeMap<String, Secret>,
    /// Speak HTTP/2 without TLS, by prior knowledge. Default `false`; with TLS it is negotiated.
    pub(super) http2: Option<bool>,
    /// A PEM file of further certificate authorities to trust. Default: none.
    pub(super) ca_file: Option<Text>,
    /// Its chat models leave their reasoning in the text, between `<think>` and `</think>`: take it
    /// out, into the place of reasoning. Default `false`.
    pub(super) think_tags: Option<bool>,
    /// Whether it speaks OpenAI's Responses: `true`, `false`, or a list of the models it speaks them for (a `*`
    /// at either end matches the rest). Default: as the catalogue knows; `false` for a type it does not know.
    pub(super) responses: Option<Responses>,
    /// The ids of its models, where it cannot list them itself. Default: asked from it.
    pub(super) models: Vec<Text>,
    /// The clocks of calls to it.
    pub(super) deadlines: Deadlines,
    /// Tries of it.
    pub(super) retry: Retry,
    /// How much it may be given.
    pub(super) limits: Limits,
}

/// A model name of the operator's own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Model {
    /// How a target is picked: `ordered`, `weighted`, `least-busy`, `fastest` or `cheapest`.
    /// Default `ordered`: the first is used, the rest are fallbacks.
    pub(super) strategy: Option<Text>,
    /// The models behind this name, each `"provider/model"` or `{ to = "provider/model", weight =
    /// 3 }`. Required.
    pub(super) targets: Vec<Target>,
    /// Headers added to the requests of this name.
    pub(super) headers: BTreeMap<String, Secret>,
    /// The clocks of calls to this name.
    pub(super) deadlines: Deadlines,
    /// Tries of each of its targets.
    pub(super) retry: Retry,
    /// How much this name takes, all callers together.
    pub(super) limits: Limits,
}

/// Whether a provider speaks OpenAI's Responses, or for which of its models.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Responses {
    For(Vec<Text>),
    Every(bool),
}

/// A target: `"provider/model"`, or a table with its weight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Target {
    Plain(Text),
    Weighted(WeightedTarget),
}

/// A target with its weight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WeightedTarget {
    /// `provider/model`; everything after the first slash is the upstream's own id. Required.
    pub(super) to: Option<Text>,
    /// Its share under `strategy = "weighted"`, relative to the others. Default `1`.
    pub(super) weight: Option<NonZeroU32>,
}

/// Who may call.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Key {
    /// The key itself. Either this or `hash`.
    pub(super) secret: Option<Secret>,
    /// The key's SHA-256, `sha256:` and 64 hexadecimal digits, as `sluis key new` prints it.
    /// Either this or `secret`.
    pub(super) hash: Option<Text>,
    /// The model names it may call; a `*` at the end matches the rest. Default `["*"]`.
    pub(super) models: Option<Vec<Text>>,
    /// How much it may call.
    pub(super) limits: Limits,
}

/// What a model costs, in USD per million tokens. Prices given here hold for prompts of any length;
/// what is left out is the catalogue's.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Prices {
    /// Prompt tokens. Default: the catalogue's, else unknown.
    pub(super) input: Option<f64>,
    /// Prompt tokens read from a cache. Default: the catalogue's, else as `input`.
    pub(super) cached_input: Option<f64>,
    /// Prompt tokens written to a cache. Default: the catalogue's, else as `input`.
    pub(super) cache_write: Option<f64>,
    /// Prompt tokens written to a cache that lives an hour. Default: twice `input`.
    #[serde(rename = "cache-write-1h")]
    pub(super) cache_write_1h: Option<f64>,
    /// Generated tokens, reasoning included. Default: the catalogue's, else unknown.
    pub(super) output: Option<f64>,
    /// Prompt tokens of sound. Default: unknown, and a call with sound is unpriced.
    pub(super) audio_input: Option<f64>,
    /// Generated tokens of sound. Default: unknown, and a call with sound is unpriced.
    pub(super) audio_output: Option<f64>,
}

/// The JSON schema of the file, with shared definitions, for editors and other tools.
pub fn schema() -> Schema {
    generate(false)
}

/// The same without references, easy to walk.
pub(super) fn inlined_schema() -> Schema {
    generate(true)
}

fn generate(inline: bool) -> Schema {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = inline)
        .with_transform(without_null)
        .into_generator()
        .into_root_schema_for::<File>()
}

/// TOML has no null: a field that may be absent is simply left out.
fn without_null(schema: &mut Schema) {
    transform_subschemas(&mut without_null, schema);
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("default");
    if let Some(types) = object.get_mut("type")
        && let Some(list) = types.as_array_mut()
    {
        list.retain(|name| name != "null");
        if let [only] = list.as_slice() {
            *types = only.clone();
        }
    }
    let Some(branches) = object.get_mut("anyOf").and_then(|any| any.as_array_mut()) else { return };
    branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
    // A branch that was optional only is the value itself; its own description stays.
    if branches.len() == 1
        && let Some(serde_json::Value::Object(only)) = branches.pop()
    {
        object.remove("anyOf");
        for (name, value) in only {
            object.entry(name).or_insert(value);
        }
    }
}
