//! The names of the wire formats. What each looks like is `wire/`.

/// A wire format. Every dialect is spoken by clients, by upstreams or by both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI chat completions.
    OpenAiChat,
    /// OpenAI's legacy completions.
    OpenAiCompletions,
    /// OpenAI Responses.
    OpenAiResponses,
    /// Anthropic Messages.
    Anthropic,
    /// Ollama's own chat API.
    Ollama,
    /// Gemini's `generateContent`.
    Gemini,
    /// Cohere chat, version 2.
    Cohere,
    /// Amazon Bedrock's Converse.
    BedrockConverse,
}
