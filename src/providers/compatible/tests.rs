//! One table per vendor: exact bytes in, exact bytes out, and what was lost.

use proptest::prelude::*;

use super::*;
use crate::{
    error::Class,
    providers::{catalogue::Catalogue, provider, tests::credential},
    wire::{Weight, json::Object},
};

/// The body after `vendor`'s adjustments, with the losses; those that change the meaning have a
/// `!` behind them.
fn adjusted(vendor: &str, model: &str, stream: bool, body: &str) -> (String, Vec<String>) {
    let facts = Facts { model, stream, ..Facts::default() };
    let mut edits = Object::parse(body.as_bytes()).unwrap().edit();
    let losses = provider(vendor).unwrap().adjust(Dialect::OpenAiChat, &facts, &mut edits);
    let losses = losses.into_iter().map(|loss| match loss.weight {
        Weight::Meaning => format!("{}!", loss.field),
        Weight::Hint => loss.field,
    });
    (edits.apply(), losses.collect())
}

#[track_caller]
fn check(vendor: &str, model: &str, cases: &[(&str, &str, &[&str])]) {
    for (body, expected, losses) in cases {
        let (got, lost) = adjusted(vendor, model, false, body);
        assert_eq!(&got, expected, "{vendor} {model}");
        assert_eq!(&lost, losses, "{vendor} {model} {body}");
    }
}

/// S2, C1: a request that breaks no rule is not written anew for any vendor: unknown fields, key
/// order, number spelling and spaces stay, without a copy.
#[test]
fn what_breaks_no_rule_keeps_its_bytes() {
    let body = r#"{ "x_new" : [1.0e2, {"b":2,"a":1}], "messages":[ {"content":"hi","role":"user"} ],"temperature":0.70 , "model":"m" }"#;
    for row in &Catalogue::embedded().unwrap().rows {
        let facts = Facts { model: "m", stream: false, ..Facts::default() };
        let mut edits = Object::parse(body.as_bytes()).unwrap().edit();
        let losses = provider(&row.name).unwrap().adjust(Dialect::OpenAiChat, &facts, &mut edits);
        assert!(edits.is_empty() && losses.is_empty(), "{}: {}", row.name, edits.apply());
    }
}

/// A6, case 74: reasoning models of OpenAI get `max_completion_tokens`; the others what they got.
#[test]
fn openai_names_the_limit_by_the_model() {
    let old = r#"{"model":"m","max_tokens":50,"messages":[]}"#;
    let new = r#"{"model":"m","max_completion_tokens":50,"messages":[]}"#;
    for model in
        ["gpt-5", "gpt-5-mini-2025-08-07", "gpt-6.2-sol", "gpt-10", "o3", "o4-mini", "ft:o3:x", "codex-mini-latest"]
    {
        check("openai", model, &[(old, new, &[]), (new, new, &[])]);
    }
    for model in ["gpt-4o", "gpt-4.1", "gpt-oss-120b", "omni-moderation-latest", "davinci"] {
        check("openai", model, &[(old, old, &[])]);
    }
    check(
        "openai",
        "gpt-5",
        &[
            (r#"{"max_tokens":1,"max_completion_tokens":2}"#, r#"{"max_completion_tokens":2}"#, &[]),
            (r#"{"a":1,"max_tokens":null}"#, r#"{"a":1}"#, &[]),
            (r#"{"max_tokens":1,"max_tokens":2}"#, r#"{"max_completion_tokens":2}"#, &[]),
            // The vendor's own 400 says more than we could; and `developer` is OpenAI's own word.
            (
                r#"{"temperature":0.1,"reasoning_effort":"high","messages":[{"role":"developer","content":"x"}]}"#,
                r#"{"temperature":0.1,"reasoning_effort":"high","messages":[{"role":"developer","content":"x"}]}"#,
                &[],
            ),
        ],
    );
}

/// A6: vendors that know only one of the two names.
#[test]
fn the_limit_has_the_vendors_name() {
    let (old, new) = (r#"{"max_tokens":5}"#, r#"{"max_completion_tokens":5}"#);
    for vendor in ["mistral", "deepseek", "together", "perplexity", "zai", "nvidia", "lmstudio"] {
        check(vendor, "m", &[(new, old, &[]), (old, old, &[])]);
        check(vendor, "m", &[(r#"{"max_tokens":1,"max_completion_tokens":2}"#, r#"{"max_tokens":2}"#, &[])]);
    }
    for vendor in ["groq", "xai", "cerebras", "moonshot", "minimax"] {
        check(vendor, "m", &[(old, new, &[]), (new, new, &[])]);
    }
    for vendor in ["vllm", "sglang", "llamacpp", "openrouter", "fireworks", "openai-compatible"] {
        check(vendor, "m", &[(old, old, &[]), (new, new, &[])]);
    }
}

#[test]
fn tools_that_are_none_are_left_out() {
    check(
        "vllm",
        "m",
        &[
            (r#"{"tools":[],"tool_choice":"auto","parallel_tool_calls":true,"a":1}"#, r#"{"a":1}"#, &[]),
            (r#"{"parallel_tool_calls":false,"a":1}"#, r#"{"a":1}"#, &[]),
            (r#"{"tool_choice":"none"}"#, "{}", &[]),
            // The vendor's own 400.
            (r#"{"tool_choice":"required"}"#, r#"{"tool_choice":"required"}"#, &[]),
            (
                r#"{"tools":[{"a":1}],"tool_choice":"auto","parallel_tool_calls":false}"#,
                r#"{"tools":[{"a":1}],"tool_choice":"auto","parallel_tool_calls":false}"#,
                &[],
            ),
        ],
    );
}

/// Mistral answers 422 to what it does not know; T7: its ids have nine characters.
#[test]
fn mistral() {
    check(
        "mistral",
        "mistral-large-latest",
        &[
            (
                r#"{"user":"u","seed":1,"temperature":2,"stream_options":{"include_usage":true},"tools":[{}],"tool_choice":"required"}"#,
                r#"{"random_seed":1,"temperature":1.5,"tools":[{}],"tool_choice":"any"}"#,
                &["user", "temperature"],
            ),
            (r#"{"logprobs":false,"n":2}"#, r#"{"n":2}"#, &[]),
            (r#"{"logprobs":true,"top_logprobs":3}"#, "{}", &["logprobs!", "top_logprobs!"]),
            (
                r#"{"messages":[{"role":"developer","content":"d"},{"role":"assistant","tool_calls":[{"id":"D681PevKs","function":{}}]}]}"#,
                r#"{"messages":[{"role":"system","content":"d"},{"role":"assistant","tool_calls":[{"id":"D681PevKs","function":{}}]}]}"#,
                &[],
            ),
        ],
    );
    let history = r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"call_1"},{"id":"call_2"}]},{"role":"tool","tool_call_id":"call_2"},{"tool_call_id":"call_1","role":"tool"}]}"#;
    let (body, _) = adjusted("mistral", "m", false, history);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let id = |path: &str| body.pointer(path).unwrap().as_str().unwrap();
    assert_eq!(id("/messages/0/tool_calls/0/id"), id("/messages/2/tool_call_id"));
    assert_eq!(id("/messages/0/tool_calls/1/id"), id("/messages/1/tool_call_id"));
    assert_ne!(id("/messages/1/tool_call_id"), id("/messages/2/tool_call_id"));
    assert_eq!(id("/messages/1/tool_call_id").len(), 9);
}

#[test]
fn groq() {
    check(
        "groq",
        "llama-3.3-70b-versatile",
        &[
            (
                r#"{"n":1,"logit_bias":{"1":2},"messages":[{"role":"user","name":"bob","content":"x"},{"role":"developer","content":"y"}]}"#,
                r#"{"messages":[{"role":"user","content":"x"},{"role":"developer","content":"y"}]}"#,
                &["logit_bias", "messages[0].name"],
            ),
            (r#"{"n":2}"#, "{}", &["n!"]),
        ],
    );
    check(
        "groq",
        "openai/gpt-oss-120b",
        &[
            (r#"{"reasoning_effort":"xhigh"}"#, r#"{"reasoning_effort":"high"}"#, &[]),
            (r#"{"reasoning_effort":"none"}"#, "{}", &["reasoning_effort!"]),
        ],
    );
    check(
        "groq",
        "qwen/qwen3-32b",
        &[
            (r#"{"reasoning_effort":"low"}"#, r#"{"reasoning_effort":"default"}"#, &[]),
            (r#"{"reasoning_effort":"none"}"#, r#"{"reasoning_effort":"none"}"#, &[]),
        ],
    );
}

/// J2: the schema goes into the prompt and that is reported; R3: reasoning of tool turns is never
/// absent; R5: efforts arrive in the vendor's words.
#[test]
fn deepseek() {
    let format = r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}"#;
    let asked = r#"Answer with one JSON object, and nothing else, that fits this JSON schema:\n{\"type\":\"object\"}"#;
    let with = |messages: &str| format!(r#"{{"messages":[{messages}],{format}}}"#);
    let expected =
        |messages: &str| format!(r#"{{"messages":[{messages}],"response_format":{{"type":"json_object"}}}}"#);
    let user = r#"{"role":"user","content":"x"}"#;
    check(
        "openai",
        "gpt-4.1",
        &[
            (
                r#"{"messages":[{"role":"assistant","content":"x","reasoning_content":"Hm.","thinking_blocks":[{}],"tool_calls":[{"id":"a","extra_content":{"google":{}}},{"id":"b"}]},{"role":"user","content":"reasoning_content"}]}"#,
                r#"{"messages":[{"role":"assistant","content":"x","tool_calls":[{"id":"a"},{"id":"b"}]},{"role":"user","content":"reasoning_content"}]}"#,
                &["messages[0].reasoning_content", "messages[0].thinking_blocks", "messages[0].extra_content"],
            ),
            (
                r#"{"messages":[{"role":"assistant","reasoning_content":null,"content":"x"}]}"#,
                r#"{"messages":[{"role":"assistant","content":"x"}]}"#,
                &[],
            ),
        ],
    );
    check(
        "deepseek",
        "deepseek-chat",
        &[
            (
                &with(user),
                &expected(&format!(r#"{{"role":"system","content":"{asked}"}},{user}"#)),
                &["response_format.json_schema"],
            ),
            (
                &with(&format!(r#"{{"role":"developer","content":"Be brief."}},{user}"#)),
                &expected(&format!(r#"{{"role":"system","content":"Be brief.\n\n{asked}"}},{user}"#)),
                &["response_format.json_schema"],
            ),
        ],
    );
    check(
        "deepseek",
        "deepseek-v4-pro",
        &[
            (r#"{"reasoning_effort":"xhigh"}"#, r#"{"reasoning_effort":"high"}"#, &[]),
            (r#"{"reasoning_effort":"none"}"#, r#"{"thinking":{"type":"disabled"}}"#, &[]),
            (r#"{"tools":[{}],"tool_choice":"required"}"#, r#"{"tools":[{}]}"#, &["tool_choice!"]),
            (
                r#"{"messages":[{"role":"assistant","tool_calls":[]},{"role":"assistant","content":"x"}]}"#,
                r#"{"messages":[{"role":"assistant","tool_calls":[],"reasoning_content":""},{"role":"assistant","content":"x","reasoning_content":""}]}"#,
                &[],
            ),
            (
                r#"{"messages":[{"role":"assistant","content":"x"},{"role":"user","content":"\"tool_calls\""}]}"#,
                r#"{"messages":[{"role":"assistant","content":"x"},{"role":"user","content":"\"tool_calls\""}]}"#,
                &[],
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{}}]},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"}]}]}"#,
                r#"{"messages":[{"role":"user","content":"a\nb"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"}]}]}"#,
                &["messages[0].content[1].cache_control"],
            ),
        ],
    );
    check(
        "openai",
        "gpt-4.1",
        &[
            (
                r#"{"messages":[{"role":"assistant","content":"x","reasoning_content":"Hm.","thinking_blocks":[{}],"tool_calls":[{"id":"a","extra_content":{"google":{}}},{"id":"b"}]},{"role":"user","content":"reasoning_content"}]}"#,
                r#"{"messages":[{"role":"assistant","content":"x","tool_calls":[{"id":"a"},{"id":"b"}]},{"role":"user","content":"reasoning_content"}]}"#,
                &["messages[0].reasoning_content", "messages[0].thinking_blocks", "messages[0].extra_content"],
            ),
            (
                r#"{"messages":[{"role":"assistant","reasoning_content":null,"content":"x"}]}"#,
                r#"{"messages":[{"role":"assistant","content":"x"}]}"#,
                &[],
            ),
        ],
    );
    check(
        "deepseek",
        "deepseek-chat",
        &[(
            r#"{"tools":[{}],"tool_choice":"required","messages":[{"role":"assistant","tool_calls":[]}]}"#,
            r#"{"tools":[{}],"tool_choice":"required","messages":[{"role":"assistant","tool_calls":[]}]}"#,
            &[],
        )],
    );
}

#[test]
fn xai() {
    let body = r#"{"stop":["x"],"presence_penalty":0.5,"frequency_penalty":0}"#;
    check("xai", "grok-4.6", &[(body, "{}", &["presence_penalty", "stop!"])]);
    check("xai", "grok-4.20-0309-non-reasoning", &[(body, body, &[])]);
}

#[test]
fn together_and_mlx_count_logprobs() {
    check(
        "together",
        "m",
        &[
            (r#"{"logprobs":true,"top_logprobs":4}"#, r#"{"logprobs":4}"#, &[]),
            (r#"{"logprobs":true,"user":"u"}"#, r#"{"logprobs":1}"#, &["user"]),
            (r#"{"logprobs":false}"#, "{}", &[]),
            (r#"{"logprobs":7}"#, r#"{"logprobs":7}"#, &[]),
            (r#"{"reasoning_effort":"none"}"#, r#"{"reasoning":{"enabled":false}}"#, &[]),
        ],
    );
    check(
        "mlx",
        "m",
        &[
            (r#"{"logprobs":true,"response_format":{"type":"text"}}"#, r#"{"logprobs":1}"#, &[]),
            (r#"{"response_format":{"type":"json_object"}}"#, "{}", &["response_format!"]),
        ],
    );
}

#[test]
fn moonshot() {
    check(
        "moonshot",
        "kimi-k3",
        &[
            (
                r#"{"temperature":0.3,"n":1,"tools":[{"type":"function","function":{"name":"f","strict":true}},{"function":{"strict":false}}],"tool_choice":{"type":"function"}}"#,
                r#"{"tools":[{"type":"function","function":{"name":"f"}},{"function":{}}],"tool_choice":{"type":"function"}}"#,
                &["temperature", "tools[].function.strict"],
            ),
            (r#"{"tools":[{}],"tool_choice":"required"}"#, r#"{"tools":[{}]}"#, &["tool_choice!"]),
            (r#"{"reasoning_effort":"medium"}"#, r#"{"reasoning_effort":"high"}"#, &[]),
            (r#"{"reasoning_effort":"none"}"#, "{}", &["reasoning_effort!"]),
        ],
    );
    // R3: a null says no more than nothing does.
    let turn = |said: &str| format!(r#"{{"messages":[{{"role":"assistant","tool_calls":[]{said}}}]}}"#);
    for model in ["kimi-k3", "kimi-k2.6", "kimi-k2-thinking-turbo"] {
        for said in ["", r#","reasoning_content":null"#, r#","reasoning_content":"""#] {
            check("moonshot", model, &[(&turn(said), &turn(r#","reasoning_content":"""#), &[])]);
        }
    }
    check("moonshot", "moonshot-v1-8k", &[(&turn(""), &turn(""), &[])]);
    let answer = r#"{"messages":[{"role":"assistant","tool_calls":[],"reasoning_content":"Hm."},{"role":"assistant","content":"x"}]}"#;
    check("moonshot", "kimi-k3", &[(answer, answer, &[])]);
    check("moonshot", "moonshot-v1-8k", &[(r#"{"temperature":0.3}"#, r#"{"temperature":0.3}"#, &[])]);
}

#[test]
fn zai() {
    check(
        "zai",
        "glm-5.2",
        &[
            (
                r#"{"user":"somebody","temperature":1.7,"stop":"x","tools":[{}],"tool_choice":"none","stream_options":{}}"#,
                r#"{"user_id":"somebody","temperature":1,"stop":["x"]}"#,
                &["temperature"],
            ),
            (r#"{"stop":["x"]}"#, r#"{"stop":["x"]}"#, &[]),
            (r#"{"stop":["x", "y"]}"#, r#"{"stop":["x"]}"#, &["stop!"]),
            (r#"{"reasoning_effort":"none","thinking":{"type":"enabled"}}"#, r#"{"thinking":{"type":"enabled"}}"#, &[]),
            (r#"{"tools":[{}],"tool_choice":{"type":"function"}}"#, r#"{"tools":[{}]}"#, &["tool_choice!"]),
        ],
    );
    check("zai", "glm-5.3", &[(r#"{"reasoning_effort":"none"}"#, "{}", &["reasoning_effort!"])]);
}

#[test]
fn smaller_differences() {
    check(
        "cerebras",
        "m",
        &[(
            r#"{"parallel_tool_calls":true,"tools":[{}],"temperature":1.6}"#,
            r#"{"tools":[{}],"temperature":1.5}"#,
            &["temperature"],
        )],
    );
    check(
        "minimax",
        "m",
        &[(
            r#"{"temperature":0,"reasoning_effort":"none"}"#,
            r#"{"temperature":0.01,"thinking":{"type":"disabled"}}"#,
            &["temperature"],
        )],
    );
    check("dashscope", "m", &[(r#"{"reasoning_effort":"none"}"#, r#"{"enable_thinking":false}"#, &[])]);
    check("fireworks", "m", &[(r#"{"reasoning_effort":"minimal"}"#, r#"{"reasoning_effort":"low"}"#, &[])]);
    check("tgi", "m", &[(r#"{"stop":"x"}"#, r#"{"stop":["x"]}"#, &[])]);
    let any =
        r#"{"response_format":{"type":"json_schema","json_schema":{"name":"object","schema":{"type":"object"}}}}"#;
    check("lmstudio", "m", &[(r#"{"response_format":{"type":"json_object"}}"#, any, &[]), (any, any, &[])]);
}

#[test]
fn templates_get_the_system_first() {
    let system = r#"{"role":"system","content":"s"}"#;
    let user = r#"{"role":"user","content":"u"}"#;
    let image = r#"{"role":"user","content":[{"type":"image_url","image_url":{}}]}"#;
    let body = |messages: &[&str]| format!(r#"{{"messages":[{}]}}"#, messages.join(","));
    let joined = r#"{"role":"system","content":"s\n\nlate"}"#;
    let late = r#"{"role":"developer","content":[{"type":"text","text":"late"}]}"#;
    for vendor in ["vllm", "llamacpp"] {
        check(
            vendor,
            "m",
            &[
                (&body(&[system, user, user]), &body(&[system, user, user]), &[]),
                (&body(&[system, user, late, image]), &body(&[joined, user, image]), &[]),
                (&body(&[user, system]), &body(&[system, user]), &[]),
            ],
        );
    }
    check("openrouter", "m", &[(&body(&[system, user, system]), &body(&[system, user, system]), &[])]);
    check(
        "perplexity",
        "m",
        &[
            (&body(&[system, user, user]), &body(&[system, r#"{"role":"user","content":"u\n\nu"}"#]), &[]),
            (&body(&[user, image, user]), &body(&[user, image, user]), &[]),
        ],
    );
}

/// S1's other half: the gateway always gets the counts of a stream, and the client's other options
/// stay.
#[test]
fn usage_of_a_stream_is_asked_for() {
    let cases = [
        (r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (r#"{"stream_options":null}"#, r#"{"stream_options":{"include_usage":true}}"#),
        (r#"{"stream_options":{"include_usage": true}}"#, r#"{"stream_options":{"include_usage": true}}"#),
        (r#"{"stream_options":{"include_usage":false,"x":1}}"#, r#"{"stream_options":{"include_usage":true,"x":1}}"#),
        (r#"{"stream_options":{"x":1}}"#, r#"{"stream_options":{"x":1,"include_usage":true}}"#),
        (r#"{"stream_options":3}"#, r#"{"stream_options":3}"#),
    ];
    for (body, expected) in cases {
        for vendor in ["openai", "vllm", "builtin"] {
            assert_eq!(adjusted(vendor, "gpt-5", true, body).0, expected, "{vendor}");
        }
        assert_eq!(adjusted("openai", "gpt-5", false, body).0, body);
        assert_eq!(adjusted("openrouter", "m", true, body).0, body);
        assert!(!adjusted("mistral", "m", true, body).0.contains("stream_options"));
    }
}

#[test]
fn keys_travel_as_the_row_says() {
    let signed = |vendor: &str, key: Option<&str>| {
        let mut request = http::Request::new(Bytes::new());
        let key = key.map(credential);
        provider(vendor).unwrap().sign(key.as_ref(), std::time::UNIX_EPOCH, &mut request).map(|()| request)
    };
    let request = signed("groq", Some("gsk")).unwrap();
    assert_eq!(request.headers()["authorization"], "Bearer gsk");
    assert!(request.headers()["authorization"].is_sensitive());
    assert!(signed("vllm", None).unwrap().headers().is_empty());
    assert!(signed("mlx", Some("x")).unwrap().headers().is_empty());
    let error = signed("groq", Some("se\ncret")).unwrap_err();
    assert!(!error.to_string().contains("cret"), "{error}");
}

/// F1, M3: what an error means is judged by the vendor's own codes.
#[test]
fn errors_are_classed_by_the_vendors_codes() {
    let cases = [
        ("zai", 429, "1302", "", "", Class::RateLimit),
        ("zai", 429, "1113", "", "", Class::Quota),
        ("zai", 400, "1261", "", "", Class::ContextLength),
        ("zai", 500, "1001", "", "", Class::Credentials),
        ("moonshot", 429, "", "exceeded_current_quota_error", "", Class::Quota),
        ("moonshot", 429, "", "engine_overloaded_error", "", Class::Overloaded),
        ("moonshot", 429, "", "rate_limit_reached_error", "", Class::RateLimit),
        ("minimax", 502, "1002", "", "", Class::RateLimit),
        ("minimax", 502, "1008", "", "", Class::Quota),
        ("xai", 400, "invalid-argument", "", "Incorrect API key provided", Class::Credentials),
        ("xai", 400, "invalid-argument", "", "bad temperature", Class::Invalid),
        ("together", 403, "", "", "", Class::ContextLength),
        ("openrouter", 403, "403", "", "", Class::ContentPolicy),
        ("groq", 400, "tool_use_failed", "", "", Class::Transient),
        ("groq", 498, "", "", "", Class::Overloaded),
        ("openai", 429, "credit_balance_exhausted", "", "", Class::Quota),
        ("openai", 429, "rate_limit_exceeded", "", "", Class::RateLimit),
        ("llamacpp", 501, "", "not_supported_error", "", Class::Invalid),
        ("sambanova", 410, "", "", "", Class::NotFound),
        (
            "anthropic",
            400,
            "",
            "invalid_request_error",
            "Your credit balance is too low to access the API",
            Class::Quota,
        ),
        ("anthropic", 400, "", "invalid_request_error", "messages: required", Class::Invalid),
    ];
    for (vendor, status, code, kind, message, expected) in cases {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut error = UpstreamError::new(http::StatusCode::from_u16(status).unwrap(), message);
        (error.code, error.kind) = (some(code), some(kind));
        assert_eq!(
            provider(vendor).unwrap().refine(error).class,
            expected,
            "{vendor} {status} {code} {kind} {message}"
        );
    }
}

/// Any JSON, deep enough to hold messages, parts and calls, with the fields the rules look at.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    const WORDS: &[&str] = &[
        "messages",
        "role",
        "content",
        "type",
        "text",
        "name",
        "tools",
        "tool_calls",
        "tool_choice",
        "id",
        "function",
        "tool_call_id",
        "strict",
        "stop",
        "n",
        "logprobs",
        "top_logprobs",
        "max_tokens",
        "max_completion_tokens",
        "response_format",
        "json_schema",
        "schema",
        "stream_options",
        "include_usage",
        "reasoning_effort",
        "thinking",
        "temperature",
        "seed",
        "random_seed",
        "user",
        "user_id",
        "system",
        "developer",
        "assistant",
        "none",
        "required",
        "json_object",
        "parallel_tool_calls",
        "other\"\\\u{1F30D}",
    ];
    let word = || proptest::sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-3.0..3.0f64).prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((word(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// No body makes a rule panic, and what comes out is JSON that the rules leave alone.
    #[test]
    fn any_object_stays_json(members in proptest::collection::vec(json(), 1..4), stream: bool) {
        let keys = ["messages", "tools", "tool_choice", "response_format"];
        let mut body = serde_json::Map::new();
        for (key, value) in keys.iter().zip(members) {
            // An object in the last place stands for further fields of the request.
            match value.as_object() {
                Some(members) if *key == "response_format" => body.extend(members.clone()),
                _ => drop(body.insert((*key).into(), value)),
            }
        }
        let body = serde_json::Value::Object(body).to_string();
        for row in &Catalogue::embedded().unwrap().rows {
            let (once, _) = adjusted(&row.name, "kimi-k3", stream, &body);
            prop_assert!(serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&once).is_ok(), "{} {}", row.name, once);
            let (twice, _) = adjusted(&row.name, "kimi-k3", stream, &once);
            prop_assert_eq!(&once, &twice, "{}", row.name);
        }
    }
}

#[test]
fn an_agent_is_asked_as_one() {
    let path = |name: &str| {
        let vendor = crate::providers::provider(name).unwrap();
        vendor.path(&crate::providers::tests::ask(Dialect::OpenAiChat, "m", false)).unwrap()
    };
    assert_eq!(path("digitalocean-agent"), "chat/completions?agent=true");
    assert_eq!(path("digitalocean"), "chat/completions");
}

/// P2: a Responses request goes as it is, to whoever speaks them; what only OpenAI has goes as a chat where
/// a chat has it too, unless the vendor itself remembers what came before.
#[test]
fn responses_are_put_as_a_chat_where_a_chat_carries_more() {
    let dialect = |vendor: &str, body: &str| {
        let object = Object::parse(body.as_bytes()).unwrap();
        provider(vendor).unwrap().reroute(Dialect::OpenAiResponses, "m", &object)
    };
    for (body, chat) in [
        (r#"{"input":"hi"}"#, false),
        (r#"{"input":"hi","tools":[]}"#, false),
        (r#"{"input":"hi","tools":[{"type":"function","name":"custom"},{"type":"web_search"}]}"#, false),
        (r#"{"input":"say \"custom_tool_call","tools":[{"type":"mcp"}]}"#, false),
        (r#"{"input":"hi","tools":[{"type":"function"},{"type":"custom"}]}"#, true),
        (r#"{"input":"hi","tools":[{"type":"namespace"}]}"#, true),
        (r#"{"input":[{"type":"custom_tool_call_output"}]}"#, true),
        (r#"{"input":[{"type":"additional_tools"}]}"#, true),
        (r#"{"previous_response_id":"r","input":"hi","tools":[{"type":"custom"}]}"#, false),
    ] {
        for vendor in ["xai", "openrouter", "groq", "fireworks"] {
            assert_eq!(dialect(vendor, body), chat.then_some(Dialect::OpenAiChat), "{vendor} {body}");
        }
        assert_eq!(dialect("openai", body), None);
    }
}

#[test]
fn what_was_said_before_gets_an_id_where_one_is_wanted() {
    let adjusted = |vendor: &str, body: &str| {
        let facts = Facts { model: "m", stream: false, ..Facts::default() };
        let mut edits = Object::parse(body.as_bytes()).unwrap().edit();
        let losses = provider(vendor).unwrap().adjust(Dialect::OpenAiResponses, &facts, &mut edits);
        (edits.apply(), losses.into_iter().map(|loss| loss.field).collect::<Vec<_>>())
    };
    let body = r#"{"x":1.0,"input":[{"role":"user","content":"a"}, {"role":"assistant","content":"b"},{"type":"reasoning","id":"r"},{"type":"function_call","id":"f"},{"type":"function_call_output"}]}"#;
    let expected = r#"{"x":1.0,"input":[{"role":"user","content":"a"}, {"role":"assistant","content":"b","id":"msg_1","status":"completed"},{"type":"reasoning","id":"r"},{"type":"function_call","id":"f","status":"completed"},{"type":"function_call_output"}]}"#;
    assert_eq!(adjusted("openrouter", body), (expected.into(), vec![]));
    assert_eq!(adjusted("openrouter", r#"{"input":"hi"}"#).0, r#"{"input":"hi"}"#);
    for vendor in ["openai", "xai", "fireworks", "groq"] {
        assert_eq!(adjusted(vendor, body), (body.into(), vec![]), "{vendor}");
    }
    let asked = r#"{"store":false,"include":["reasoning.encrypted_content"],"truncation":"disabled","input":"hi"}"#;
    assert_eq!(adjusted("groq", asked), (r#"{"input":"hi"}"#.into(), vec![]));
    let asked = r#"{"store":true,"include":["message.output_text.logprobs"],"truncation":"auto","input":"hi"}"#;
    let lost = ["store", "truncation", "include"].map(str::to_owned).to_vec();
    assert_eq!(adjusted("groq", asked), (r#"{"input":"hi"}"#.into(), lost));
}
