//! The names of lost fields in the words of each client's dialect.
//!
//! An encoder names what it cannot carry as OpenAI's chat has it, because that is what most requests are written in;
//! whoever wrote something else is told by the name of what it wrote. Names that are a dialect's own already stay.
//!
//! Cost: nothing where nothing was lost.

use std::borrow::Cow;

/// A chat's name without its indices, and what stands for it. The first that begins the name counts; what follows
/// it is left out, unless the entry ends in a full stop.
pub(super) type Words = &'static [(&'static str, &'static str)];

pub(super) const MESSAGES: Words = &[
    ("max_completion_tokens", "max_tokens"),
    ("stop", "stop_sequences"),
    ("user", "metadata.user_id"),
    ("safety_identifier", "metadata.user_id"),
    ("response_format", "output_config.format"),
    ("reasoning_effort", "thinking"),
    ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
    ("messages[].reasoning_content", "messages[].content[].thinking"),
    ("messages[].thinking_blocks", "messages[].content[].thinking"),
    ("messages[].tool_calls", "messages[].content[].tool_use"),
    ("messages[].images", "messages[].content[].image"),
    ("messages[].content[].image_url", "messages[].content[].image"),
    ("messages[].content[].file", "messages[].content[].document"),
    ("tools[].function.strict", "tools[].strict"),
    ("tools[].function.parameters", "tools[].input_schema"),
];

pub(super) const RESPONSES: Words = &[
    ("max_completion_tokens", "max_output_tokens"),
    ("reasoning_effort", "reasoning.effort"),
    ("verbosity", "text.verbosity"),
    ("response_format.json_schema.", "text.format."),
    ("response_format", "text.format"),
    ("logprobs", "include"),
    ("messages[].reasoning_content", "input[].encrypted_content"),
    ("messages[].thinking_blocks", "input[].encrypted_content"),
    ("messages[].tool_calls", "input[]"),
    ("messages[].content[].image_url.detail", "input[].content[].detail"),
    ("messages[].content[].image_url", "input[].content[].image_url"),
    ("messages[].content[].file", "input[].content[].file_data"),
    ("messages[].content", "input[].content"),
    ("messages[]", "input[]"),
    ("tools[].function.", "tools[]."),
    ("tools[].custom.", "tools[]."),
];

pub(super) const GEMINI: Words = &[
    ("max_completion_tokens", "generationConfig.maxOutputTokens"),
    ("temperature", "generationConfig.temperature"),
    ("top_p", "generationConfig.topP"),
    ("top_k", "generationConfig.topK"),
    ("stop", "generationConfig.stopSequences"),
    ("seed", "generationConfig.seed"),
    ("presence_penalty", "generationConfig.presencePenalty"),
    ("frequency_penalty", "generationConfig.frequencyPenalty"),
    ("logprobs", "generationConfig.responseLogprobs"),
    ("top_logprobs", "generationConfig.logprobs"),
    ("n", "generationConfig.candidateCount"),
    ("response_format", "generationConfig.responseSchema"),
    ("modalities", "generationConfig.responseModalities"),
    ("reasoning_effort", "generationConfig.thinkingConfig"),
    ("tool_choice", "toolConfig.functionCallingConfig"),
    ("web_search_options", "tools[].googleSearch"),
    ("metadata", "labels"),
    ("service_tier", "serviceTier"),
    ("task_type", "taskType"),
    ("messages[].reasoning_content", "contents[].parts[].thoughtSignature"),
    ("messages[].thinking_blocks", "contents[].parts[].thoughtSignature"),
    ("messages[].tool_calls", "contents[].parts[].functionCall"),
    ("messages[].content", "contents[].parts[]"),
    ("messages[]", "contents[]"),
    ("tools[].function.", "tools[].functionDeclarations[]."),
];

/// A chat's name in other words.
pub(super) fn spelled<'a>(field: &'a str, words: Words) -> Cow<'a, str> {
    let bare = bare(field);
    let fits = |(from, _): &&(&str, &str)| {
        let rest = bare.strip_prefix(from);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']) || from.ends_with('.'))
    };
    match words.iter().find(fits) {
        Some((from, to)) if from.ends_with('.') => format!("{to}{}", bare.get(from.len()..).unwrap_or_default()).into(),
        Some((_, to)) => (*to).into(),
        None => field.into(),
    }
}

/// Without the numbers in its brackets: a turn of a chat is not an item of the client's.
fn bare(field: &str) -> String {
    let mut bare = String::with_capacity(field.len());
    let mut in_brackets = false;
    for c in field.chars() {
        in_brackets = c == '[' || (in_brackets && c != ']');
        if !(in_brackets && c.is_ascii_digit()) {
            bare.push(c);
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_reads_its_own_names() {
        for (field, messages, responses, gemini) in [
            ("max_completion_tokens", "max_tokens", "max_output_tokens", "generationConfig.maxOutputTokens"),
            ("stop", "stop_sequences", "stop", "generationConfig.stopSequences"),
            (
                "messages[3].content[0].image_url.detail",
                "messages[].content[].image",
                "input[].content[].detail",
                "contents[].parts[]",
            ),
            ("messages[0].content", "messages[0].content", "input[].content", "contents[].parts[]"),
            ("tools[].function.strict", "tools[].strict", "tools[].strict", "tools[].functionDeclarations[].strict"),
            (
                "response_format.json_schema.schema",
                "output_config.format",
                "text.format.schema",
                "generationConfig.responseSchema",
            ),
            ("container", "container", "container", "container"),
            ("input[3]", "input[3]", "input[3]", "input[3]"),
            ("user_new", "user_new", "user_new", "user_new"),
            (
                "messages[].content[].citations",
                "messages[].content[].citations",
                "input[].content",
                "contents[].parts[]",
            ),
            ("n", "n", "n", "generationConfig.candidateCount"),
            ("metadata", "metadata", "metadata", "labels"),
            ("answer.images", "answer.images", "answer.images", "answer.images"),
        ] {
            let told = [MESSAGES, RESPONSES, GEMINI].map(|words| spelled(field, words).into_owned());
            assert_eq!(told, [messages, responses, gemini], "{field}");
        }
    }
}
