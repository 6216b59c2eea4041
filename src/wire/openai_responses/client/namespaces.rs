//! Tools in groups. An agent declares some of its tools within a `namespace`, and expects calls that
//! name both; other dialects know tools one by one. So each tool of a group is offered under a joined
//! name, and a call of one is taken apart again by what the request declared.
//!
//! Source: "Create a model response", tools (OpenAI's API reference, specification 2.3.0) and the
//! requests Codex CLI sends (November 2026).

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

/// The joined names of a request's grouped tools.
#[derive(Debug, Default)]
pub(super) struct Namespaces(HashMap<String, (String, String)>);

/// The name one tool of a group is offered under.
pub(super) fn joined(namespace: &str, name: &str) -> String {
    format!("{namespace}__{name}")
}

// === impl Namespaces ===

impl Namespaces {
    /// Reads a request's body, if it has groups at all.
    pub(super) fn of(request: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Request {
            #[serde(default)]
            tools: Option<Vec<Value>>,
            #[serde(default)]
            input: Value,
        }
        let mut groups = Self::default();
        if memchr::memmem::find(request, b"namespace").is_none() {
            return groups;
        }
        let Ok(request) = serde_json::from_slice::<Request>(request) else { return groups };
        let late = request.input.as_array().into_iter().flatten().filter_map(|item| item.get("tools")?.as_array());
        for tool in request.tools.iter().chain(late).flatten() {
            groups.add(tool);
        }
        groups
    }

    /// The group and the tool of a joined name.
    pub(super) fn apart(&self, joined: &str) -> Option<(&str, &str)> {
        self.0.get(joined).map(|(namespace, name)| (namespace.as_str(), name.as_str()))
    }

    fn add(&mut self, tool: &Value) {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        if text(tool, "type").as_deref() != Some("namespace") {
            return;
        }
        let Some(namespace) = text(tool, "name") else { return };
        for name in
            tool.get("tools").and_then(Value::as_array).into_iter().flatten().filter_map(|one| text(one, "name"))
        {
            self.0.insert(joined(&namespace, &name), (namespace.clone(), name));
        }
    }
}
