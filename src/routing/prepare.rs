//! One call's request in the words of one target.
//!
//! Same dialect on both sides: the client's bytes with named edits ([`crate::wire::json`]).
//! Different dialects: through the canonical form, decoded at most once per call; and so the same
//! dialect, where reasoning must be taken out of the answer's text (`think-tags`).
//!
//! Cost of the byte path: one borrowed pass over the body and one copy of it, none when nothing
//! differs.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{
    replay::{Memory, Owner, Replay},
    table::Route,
};
use crate::{
    call::{Dialect, Inbound},
    error::{Error, Result},
    ir,
    providers::{Ask, catalogue::ReasoningBack},
    wire::{self, ClientDialect, Facts, Loss, Memo, Weight, json, sealed::unseal, signature},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The client's request, ready to be written for any target.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) inbound: Inbound,
    decoded: Option<ir::Request>,
    replay: Arc<Replay>,
    /// What proves where reasoning came from goes along.
    has_proofs: bool,
}

/// A request for one target, unsigned.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) dialect: Dialect,
    pub(super) request: http::Request<Bytes>,
    pub(super) way_back: WayBack,
    /// Fields that were dropped, for `x-sluis-dropped`.
    pub(super) dropped: Vec<String>,
}

/// How the answer returns.
#[derive(Debug)]
pub(super) enum WayBack {
    /// `memory` where the answer's reasoning is to be remembered.
    Passthrough { memory: Option<Memory> },
    /// The same.
    Translate { memo: Memo, memory: Option<Memory> },
}

// === impl Source ===

impl Source {
    pub(super) fn new(inbound: Inbound, replay: Arc<Replay>) -> Self {
        Self { inbound, decoded: None, replay, has_proofs: true }
    }

    /// Writes the request for `route`. Fails with a 400 naming the field when the target cannot
    /// carry what the client asked for.
    pub(super) fn prepare(&mut self, route: &Route) -> Result<Prepared> {
        self.prepare_in(route, None)
    }

    /// The same in this dialect, whatever the target would rather be asked in.
    pub(super) fn prepare_in(&mut self, route: &Route, wanted: Option<Dialect>) -> Result<Prepared> {
        let provider = route.upstream.provider;
        let model = &route.base;
        let facts = Facts {
            model,
            stream: self.inbound.stream,
            max_output_tokens: route.facts.and_then(|facts| facts.max_output_tokens),
            host: provider.host(),
            is_bare: provider.is_bare(),
            has_custom_tools: provider.has_custom_tools(),
        };
        let speaks = wanted
            .as_ref()
            .map_or_else(|| provider.speaks(model, &route.upstream.config.settings), std::slice::from_ref);
        let dialect = if speaks.contains(&self.inbound.dialect) { Some(&self.inbound.dialect) } else { speaks.first() };
        let dialect = *dialect.ok_or_else(|| Error::Internal { message: format!("{model}: no dialect") })?;

        let (dialect, mut written) = if dialect == self.inbound.dialect {
            let object = json::Object::parse(&self.inbound.body)?;
            match provider.reroute(dialect, model, &object).filter(|other| speaks.contains(other)) {
                Some(other) => (other, self.translate(route, other, &facts)?),
                None if splits(route, dialect) => (dialect, self.translate(route, dialect, &facts)?),
                None => (dialect, self.pass(route, dialect, &facts, object)),
            }
        } else if wanted.is_some() {
            (dialect, self.translate(route, dialect, &facts)?)
        } else {
            self.translate_to_any(route, dialect, &facts)?
        };
        let mut request = self.request(route, dialect, written.body, written.headers)?;
        written.losses.extend(provider.complete(dialect, &mut request)?);
        let dropped = self.weigh(written.losses, &route.target.label)?;
        Ok(Prepared { dialect, request, way_back: written.way_back, dropped })
    }

    /// The same without the proofs of its reasoning, for a target that found one which was none of its
    /// own (rule R2). `None` where that makes no difference.
    pub(super) fn prepare_without_proofs(&mut self, route: &Route, refused: &Prepared) -> Result<Option<Prepared>> {
        self.has_proofs = false;
        let prepared = self.prepare(route);
        self.has_proofs = true;
        Ok(Some(prepared?).filter(|prepared| prepared.request.body() != refused.request.body()))
    }

    fn pass(&self, route: &Route, dialect: Dialect, facts: &Facts<'_>, body: json::Object<'_>) -> Written {
        let mut edits = body.edit();
        name(route, &mut edits);
        if let Some(client) = wire::client(dialect) {
            client.pass_on(&mut edits);
        }
        let memory = self.say_again(route, dialect, &mut edits);
        let losses = route.upstream.provider.adjust(dialect, facts, &mut edits);
        let body = edits.into_bytes(&self.inbound.body);
        Written { body, headers: HeaderMap::new(), way_back: WayBack::Passthrough { memory }, losses }
    }

    /// Puts back the reasoning that a client has dropped and this model wants (rule R3). `None` where it
    /// wants none.
    fn say_again(&self, route: &Route, dialect: Dialect, body: &mut json::Edits<'_>) -> Option<Memory> {
        let wanted = route.upstream.provider.reasoning_back(&route.base).filter(|_| dialect == Dialect::OpenAiChat)?;
        Some(self.replay.say_again(self.owner(route), wanted == ReasoningBack::Throughout, body))
    }

    /// Into the preferred dialect, or into the one that the vendor wants such a request in.
    fn translate_to_any(&mut self, route: &Route, dialect: Dialect, facts: &Facts<'_>) -> Result<(Dialect, Written)> {
        let (provider, model) = (route.upstream.provider, &route.base);
        let speaks = provider.speaks(model, &route.upstream.config.settings);
        let written = self.translate(route, dialect, facts)?;
        if speaks.len() < 2 {
            return Ok((dialect, written));
        }
        let object = json::Object::parse(&written.body)?;
        match provider.reroute(dialect, model, &object).filter(|other| speaks.contains(other)) {
            Some(other) => Ok((other, self.translate(route, other, facts)?)),
            None => Ok((dialect, written)),
        }
    }

    fn translate(&mut self, route: &Route, dialect: Dialect, facts: &Facts<'_>) -> Result<Written> {
        let upstream = wire::upstream(dialect);
        let owner = upstream.wants_reasoning_back().then(|| self.owner(route));
        let (replay, has_proofs) = (Arc::clone(&self.replay), self.has_proofs);
        let request = self.decoded()?;
        let unsealed = unseal(request, &route.target.label);
        let request = unsealed.as_ref().unwrap_or(request);
        let request = match &owner {
            Some(owner) if has_proofs => replay.restore(owner, request),
            Some(_) | None => Cow::Borrowed(request),
        };
        let encoded = if dialect == Dialect::Gemini && has_proofs {
            upstream.encode(&request, facts)?
        } else {
            upstream.encode(&signature::stripped(&request), facts)?
        };
        let (mut losses, mut body, mut said) = (encoded.losses, encoded.body, None);
        if route.upstream.provider.adjusts(dialect) || route.wire_model() != facts.model {
            let mut edits = json::Object::parse(&body)?.edit();
            name(route, &mut edits);
            said = self.say_again(route, dialect, &mut edits);
            losses.extend(route.upstream.provider.adjust(dialect, facts, &mut edits));
            body = edits.into_bytes(&body);
        }
        let memo = Memo { think_tags: splits(route, dialect), ..encoded.memo };
        let way_back = WayBack::Translate { memo, memory: owner.map(Memory::signed).or(said) };
        Ok(Written { body, headers: encoded.headers, way_back, losses })
    }

    fn owner(&self, route: &Route) -> Owner {
        Owner { caller: Arc::clone(&self.inbound.caller.name), target: Arc::clone(&route.target.label) }
    }

    /// The request in canonical form.
    pub(super) fn decoded(&mut self) -> Result<&ir::Request> {
        if self.decoded.is_none() {
            // Not every dialect has both in its body.
            self.decoded = Some(ir::Request {
                model: self.inbound.model.clone(),
                stream: self.inbound.stream,
                ..client(self.inbound.dialect)?.decode(&self.inbound.body)?
            });
        }
        self.decoded.as_ref().ok_or_else(|| Error::Internal { message: "the request was not decoded".into() })
    }

    /// Refuses what would change the meaning, and in strict mode any loss; names the rest.
    pub(super) fn weigh(&self, losses: Vec<Loss>, target: &str) -> Result<Vec<String>> {
        let refused = losses.iter().find(|loss| self.inbound.strict || loss.weight == Weight::Meaning);
        if let Some(loss) = refused {
            let field = client(self.inbound.dialect)?.spelled(&loss.field);
            let message = format!("`{field}` is not supported by {target}.");
            return Err(Error::invalid(message, field, "unsupported_parameter"));
        }
        let mut dropped: Vec<String> = Vec::with_capacity(losses.len());
        for loss in losses {
            if !dropped.contains(&loss.field) {
                dropped.push(loss.field);
            }
        }
        Ok(dropped)
    }

    fn request(&self, route: &Route, dialect: Dialect, body: Bytes, extra: HeaderMap) -> Result<http::Request<Bytes>> {
        let (model, settings) = (&*route.target.model, &route.upstream.config.settings);
        let path = route.upstream.provider.path(&Ask { dialect, model, stream: self.inbound.stream, settings })?;
        self.request_to(route, dialect, &path, body, extra)
    }

    /// The request to a path of the target's vendor, unsigned.
    pub(super) fn request_to(
        &self,
        route: &Route,
        dialect: Dialect,
        path: &str,
        body: Bytes,
        extra: HeaderMap,
    ) -> Result<http::Request<Bytes>> {
        let mut request = http::Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = route.address.of(&route.upstream.base_url, path)?;
        let headers = request.headers_mut();
        headers.reserve(8);
        headers.extend(extra);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("sluis/", env!("CARGO_PKG_VERSION"))));
        // Compressed event streams arrive in lumps; a server that compresses unasked is still read.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self.forward(route, dialect, headers);
        for (name, value) in &route.headers {
            headers.insert(name, value.clone());
        }
        Ok(request)
    }

    /// The few client headers that travel on, by dialect and vendor (design section 6.9).
    fn forward(&self, route: &Route, dialect: Dialect, headers: &mut HeaderMap) {
        static TRACE: [HeaderName; 2] = [TRACEPARENT, TRACESTATE];
        static OPENAI: [HeaderName; 3] = [HeaderName::from_static("openai-beta"), TRACEPARENT, TRACESTATE];
        static ANTHROPIC: [HeaderName; 3] = [HeaderName::from_static("anthropic-version"), TRACEPARENT, TRACESTATE];
        let names: &[HeaderName] = match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::OpenAiResponses
                if &*route.target.kind == "openai" =>
            {
                &OPENAI
            }
            Dialect::OpenAiChat
            | Dialect::OpenAiCompletions
            | Dialect::OpenAiResponses
            | Dialect::Ollama
            | Dialect::Gemini
            | Dialect::Cohere
            | Dialect::BedrockConverse => &TRACE,
            // A translated request has a version of its own, that of its words.
            Dialect::Anthropic if self.inbound.dialect == dialect => &ANTHROPIC,
            Dialect::Anthropic => &TRACE,
        };
        for name in names {
            for value in self.inbound.headers.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        if dialect == Dialect::Anthropic {
            self.forward_betas(route, headers);
        }
    }

    /// The beta flags the target takes; none is ever added (rule A3).
    fn forward_betas(&self, route: &Route, headers: &mut HeaderMap) {
        static BETA: HeaderName = HeaderName::from_static("anthropic-beta");
        let takes = |flag: &str| route.upstream.provider.takes_beta(flag);
        for value in self.inbound.headers.get_all(&BETA) {
            let Ok(flags) = value.to_str() else { continue };
            let all = || flags.split(',').map(str::trim).filter(|flag| !flag.is_empty());
            if all().all(takes) {
                headers.append(&BETA, value.clone());
            } else if let Ok(kept) =
                HeaderValue::from_str(&all().filter(|flag| takes(flag)).collect::<Vec<_>>().join(","))
                && !kept.is_empty()
            {
                headers.append(&BETA, kept);
            }
        }
    }
}

/// Whether reasoning is to be taken out of the text of this target's answers (rule R4).
fn splits(route: &Route, dialect: Dialect) -> bool {
    dialect == Dialect::OpenAiChat && route.upstream.config.think_tags
}

/// Writes the model's name as the upstream wants it.
pub(super) fn name(route: &Route, body: &mut json::Edits<'_>) {
    let name = route.wire_model();
    let mut model = String::with_capacity(name.len() + 2);
    json::push_string(&mut model, &name);
    let is_foreign = |member: &json::Member<'_>| member.key == "model" && member.value.get() != model;
    // Every one of them, if there are several: not every parser takes the last (rule X1).
    if body.get("model").is_some_and(|written| written != model) || body.object().members().iter().any(is_foreign) {
        body.set("model", model);
    }
}

/// The client side of a call's dialect.
pub(super) fn client(dialect: Dialect) -> Result<&'static dyn ClientDialect> {
    wire::client(dialect).ok_or_else(|| Error::Internal { message: "no client speaks this dialect".into() })
}

struct Written {
    body: Bytes,
    headers: HeaderMap,
    way_back: WayBack,
    losses: Vec<Loss>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::routing::testing::{caller, hello, inbound, table};

    const TEXT: &str = r#"
headers = { x-all = "1" }
[providers.openai]
api-key = "sk-one"
headers = { x-own = "2", traceparent = "mine" }
[providers.anthropic]
api-key = "sk-two"
[providers.lab]
type = "openai-compatible"
base-url = "http://127.0.0.1:1/v1"
[models.named]
targets = ["openai/gpt-5-mini"]
headers = { x-own = "3" }
"#;

    fn replay() -> Arc<Replay> {
        Arc::new(Replay::new(crate::routing::replay::Bounds::default()))
    }

    fn route(model: &str) -> Arc<Route> {
        table(TEXT).plan(model, None, &caller(&["*"])).unwrap().routes.swap_remove(0)
    }

    fn prepare(inbound: Inbound, model: &str) -> Result<Prepared> {
        Source::new(inbound, replay()).prepare(&route(model))
    }

    /// S2, C1: a body that needs no edit is not even copied.
    #[test]
    fn what_need_not_differ_is_the_clients_own_memory() {
        let inbound =
            inbound("lab/m", false, r#"{ "x":1.0e2, "model" : "m", "messages":[{"role":"user","content":"é"}]}"#);
        let (start, body) = (inbound.body.as_ptr(), inbound.body.clone());
        let prepared = prepare(inbound, "lab/m").unwrap();
        assert_eq!(prepared.request.body(), &body);
        assert_eq!(prepared.request.body().as_ptr(), start);
        assert!(matches!(prepared.way_back, WayBack::Passthrough { memory: None }) && prepared.dropped.is_empty());
    }

    /// R4: where reasoning is to be taken out of the text, an answer cannot pass as it is.
    #[test]
    fn think_tags_are_split_on_a_translated_way_back() {
        let route = |set: &str| {
            let text =
                format!("[providers.lab]\ntype = \"openai-compatible\"\nbase-url = \"http://127.0.0.1:1/v1\"\n{set}");
            table(&text).plan("lab/m", None, &caller(&["*"])).unwrap().routes.swap_remove(0)
        };
        let way_back = |set: &str| {
            let prepared = Source::new(hello("lab/m", true), replay()).prepare(&route(set)).unwrap();
            assert_eq!(prepared.dialect, Dialect::OpenAiChat);
            prepared.way_back
        };
        assert!(matches!(way_back("think-tags = true"), WayBack::Translate { memo, .. } if memo.think_tags));
        assert!(matches!(way_back("think-tags = false"), WayBack::Passthrough { .. }));
    }

    /// S2, P2: only the model's name differs, wherever it stands and however it is spelled.
    #[test]
    fn the_model_is_spliced_and_nothing_else() {
        for (body, expected) in [
            (
                r#"{"n":1.50,"model":"lab/m","messages":[{"role":"user","content":"\u00e9"}],"z":null}"#,
                r#"{"n":1.50,"model":"m","messages":[{"role":"user","content":"\u00e9"}],"z":null}"#,
            ),
            (r#"{"model":"lab\/m","messages":[]}"#, r#"{"model":"m","messages":[]}"#),
            (r#"{"model":"other","messages":[],"model":"m"}"#, r#"{"model":"m","messages":[],"model":"m"}"#),
        ] {
            let prepared = prepare(inbound("lab/m", false, body), "lab/m").unwrap();
            assert_eq!(prepared.request.body(), expected);
        }
    }

    /// S4, regression 2: the gateway asks for the counts it needs itself, in streams only.
    #[test]
    fn usage_is_asked_for() {
        let ask = |stream| {
            let prepared = prepare(hello("openai/gpt-5-mini", stream), "openai/gpt-5-mini").unwrap();
            serde_json::from_slice::<serde_json::Value>(prepared.request.body()).unwrap()["stream_options"].clone()
        };
        assert_eq!(ask(true), serde_json::json!({"include_usage": true}));
        assert_eq!(ask(false), serde_json::Value::Null);
    }

    /// Design section 6.2: a loss that changes the meaning is a 400, any other is told, and in
    /// strict mode refused as well.
    #[test]
    fn losses_are_named_or_refused() {
        let body = |extra: &str| format!(r#"{{"model":"x","messages":[{{"role":"user","content":"hi"}}],{extra}}}"#);
        let call = |extra: &str, strict| {
            let mut inbound = inbound("x", false, &body(extra));
            inbound.strict = strict;
            prepare(inbound, "anthropic/claude-haiku-4-5")
        };
        let prepared = call(r#""seed":7,"logit_bias":{"1":2}"#, false).unwrap();
        assert!(prepared.dropped.contains(&"seed".to_owned()), "{:?}", prepared.dropped);
        let mut unique = prepared.dropped.clone();
        unique.dedup();
        assert_eq!(unique, prepared.dropped);
        assert!(matches!(prepared.way_back, WayBack::Translate { .. }));
        for (extra, strict, field) in [(r#""seed":7"#, true, "seed"), (r#""n":2"#, false, "n")] {
            let Err(Error::Invalid { message, param, code }) = call(extra, strict) else { panic!("{extra} passed") };
            assert_eq!((param.as_deref(), code), (Some(field), Some("unsupported_parameter")));
            assert!(message.contains("anthropic/claude-haiku-4-5"), "{message}");
        }
    }

    /// C1, R1, regression 40: what vendors share beyond OpenAI's fields goes to those that take it;
    /// OpenAI itself, which refuses the whole request for it, is asked without, and it is said so.
    #[test]
    fn openai_gets_its_own_fields_only() {
        let body = r#"{"model":"x","max_tokens":9,"top_k":5,
            "system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],
            "tools":[{"name":"f","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],
            "messages":[{"role":"user","content":"hi"},
              {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},
                {"type":"tool_use","id":"toolu_1","name":"f","input":{},"cache_control":{"type":"ephemeral"}}]},
              {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"r"}]}]}"#;
        let call = |target: &str| {
            let mut inbound = inbound(target, false, body);
            inbound.dialect = Dialect::Anthropic;
            let prepared = prepare(inbound, target).unwrap();
            (String::from_utf8(prepared.request.body().to_vec()).unwrap(), prepared.dropped)
        };
        let shared = ["cache_control", "top_k", "reasoning_content", "thinking_blocks"];
        let (sent, dropped) = call("openai/gpt-4o");
        assert!(shared.iter().all(|field| !sent.contains(field)), "{sent}");
        assert!(shared.iter().all(|field| dropped.iter().any(|name| name.contains(field))), "{dropped:?}");
        let (sent, dropped) = call("lab/m");
        assert!(shared.iter().all(|field| sent.contains(field)), "{sent}");
        assert!(dropped.is_empty(), "{dropped:?}");
    }

    /// Design section 6.9, X3: the few headers that travel, per target, and the operator's own;
    /// never a client's key, host or cookie.
    #[test]
    fn few_headers_travel() {
        let call = |target: &str| {
            let mut inbound = hello(target, false);
            for (name, value) in [
                ("openai-beta", "x=1"),
                ("anthropic-beta", "y-2"),
                ("traceparent", "00-1"),
                ("authorization", "Bearer client"),
                ("x-api-key", "client"),
                ("cookie", "client"),
                ("host", "evil"),
                ("x-stainless-lang", "python"),
                ("content-encoding", "gzip"),
                ("x-forwarded-host", "evil"),
            ] {
                inbound.headers.append(name, value.parse().unwrap());
            }
            prepare(inbound, target).unwrap().request
        };
        let names = |request: &http::Request<Bytes>| {
            let mut names: Vec<_> = request.headers().keys().map(ToString::to_string).collect();
            names.sort();
            names.join(" ")
        };
        let openai = call("named");
        assert_eq!(names(&openai), "accept-encoding content-type openai-beta traceparent user-agent x-all x-own");
        let header = |name: &str| openai.headers()[name].to_str().unwrap();
        assert_eq!([header("x-own"), header("traceparent"), header("x-all")], ["3", "mine", "1"], "the nearest wins");
        assert_eq!(openai.uri(), "https://api.openai.com/v1/chat/completions");
        assert_eq!(names(&call("lab/m")), "accept-encoding content-type traceparent user-agent x-all");
        let anthropic = names(&call("anthropic/claude-haiku-4-5"));
        assert!(anthropic.contains("anthropic-beta") && !anthropic.contains("openai-beta"), "{anthropic}");
    }

    /// X4: what a provider's key has signed shows it nowhere.
    #[test]
    fn a_signed_request_shows_no_secret() {
        let route = route("openai/gpt-5-mini");
        let mut request = Source::new(hello("x", false), replay()).prepare(&route).unwrap().request;
        let credential = crate::providers::Credential::new(1, route.upstream.config.api_keys[0].clone());
        route.upstream.provider.sign(Some(&credential), std::time::UNIX_EPOCH, &mut request).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer sk-one");
        assert!(request.headers()["authorization"].is_sensitive());
        assert!(!format!("{request:?} {route:?}").contains("sk-one"));
    }
}
