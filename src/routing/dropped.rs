//! The names under which dropped request fields are counted: no more of them than stand here,
//! whatever clients send (rule L4).

/// What any other name is counted as.
const OTHER: &str = "other";

/// Every field that an encoder or the catalogue drops by name, and those of OpenAI's chat
/// completions (API reference, "Create chat completion") and of Gemini's requests ("Generating
/// content", both read November 2026) that a target of another dialect may have no place for.
const FIELDS: &[&str] = &[
    "anthropic_beta",
    "betas",
    "billing_policy",
    "cache_control",
    "cache_control.ttl",
    "compaction",
    "container",
    "contents[].parts[].partMetadata",
    "contents[].parts[].toolCall",
    "contents[].parts[].toolResponse",
    "contents[].parts[].videoMetadata",
    "context_management",
    "diagnostics",
    "extra_body",
    "fallbacks",
    "frequency_penalty",
    "generationConfig.audioTimestamp",
    "generationConfig.enableEnhancedCivicAnswers",
    "generationConfig.imageConfig",
    "generationConfig.mediaResolution",
    "generationConfig.modelConfig",
    "generationConfig.routingConfig",
    "generationConfig.speechConfig",
    "include",
    "include[]",
    "inference_geo",
    "input[].phase",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "mcp_servers",
    "messages[].audio",
    "messages[].clear_at",
    "messages[].content",
    "messages[].content[].cache_control",
    "messages[].content[].citations",
    "messages[].content[].context",
    "messages[].content[].image_url",
    "messages[].content[].image_url.detail",
    "messages[].content[].input_audio",
    "messages[].content[].is_error",
    "messages[].content[].transformations",
    "messages[].extra_content",
    "messages[].images",
    "messages[].name",
    "messages[].output_config",
    "messages[].reasoning_content",
    "messages[].role",
    "messages[].thinking_blocks",
    "messages[].tool_calls",
    "metadata",
    "modelArmorConfig",
    "n",
    "output_config",
    "output_config.task_budget",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "response_format.json_schema",
    "response_format.json_schema.schema",
    "safetySettings",
    "safety_identifier",
    "seed",
    "service_tier",
    "speed",
    "stop",
    "store",
    "temperature",
    "thinking.block_binding",
    "thinking.display",
    "thread",
    "toolConfig.functionCallingConfig.streamFunctionCallArguments",
    "toolConfig.retrievalConfig",
    "tool_choice",
    "tools[]",
    "tools[].allowed_callers",
    "tools[].cache_control",
    "tools[].custom.format",
    "tools[].defer_loading",
    "tools[].eager_input_streaming",
    "tools[].function.parameters",
    "tools[].function.strict",
    "tools[].functionDeclarations[].behavior",
    "tools[].functionDeclarations[].response",
    "tools[].functionDeclarations[].responseJsonSchema",
    "tools[].input_examples",
    "tools[].type",
    "top_k",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "verbosity",
    "web_search_options",
];

/// The name a dropped field is counted under: its own without array indices, or `other`.
pub(super) fn label(field: &str) -> &'static str {
    let mut bare = String::with_capacity(field.len());
    let mut in_brackets = false;
    for c in field.chars() {
        if !(in_brackets && c.is_ascii_digit()) {
            bare.push(c);
        }
        in_brackets = c == '[' || (in_brackets && c != ']');
    }
    FIELDS.iter().copied().find(|known| *known == bare).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers;

    /// L4: indices go, and a name that only a client made up is no label.
    #[test]
    fn labels_are_bounded() {
        for (field, expected) in [
            ("seed", "seed"),
            ("messages[3].name", "messages[].name"),
            ("messages[12].content[0].cache_control", "messages[].content[].cache_control"),
            ("tools[].function.strict", "tools[].function.strict"),
            ("made_up", OTHER),
            ("messages[3].content[0].made_up", OTHER),
            ("seed7", OTHER),
            ("[[7]][", OTHER),
            ("", OTHER),
        ] {
            assert_eq!(label(field), expected, "{field}");
        }
    }

    #[test]
    fn whatever_the_catalogue_drops_has_a_label() {
        let mut count = 0;
        for row in &providers::catalogue().unwrap().rows {
            let of_models = row.models.iter().flat_map(|model| &model.drop);
            let of_responses = row.responses.iter().flat_map(|responses| &responses.drop);
            for field in row.quirks.drop.iter().chain(of_models).chain(of_responses).chain(row.quirks.clamp.keys()) {
                assert_eq!(label(field), field, "{}", row.name);
                count += 1;
            }
        }
        assert!(count > 20, "{count}");
    }
}
