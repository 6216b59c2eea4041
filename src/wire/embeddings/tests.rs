use serde_json::{Value, json};

use super::*;
use crate::ir::{Encoding, Vector};

fn request(json: &str) -> EmbeddingRequest {
    openai::request(json.as_bytes()).unwrap()
}

fn body(format: Format, json: &str, model: &str) -> (Value, Vec<String>) {
    let request = request(json);
    let part = format.encode(&request, &request.inputs, model).unwrap();
    let losses = part.losses.into_iter().map(|loss| loss.field).collect();
    (serde_json::from_slice(&part.body).unwrap(), losses)
}

fn decoded(format: Format, json: &str) -> Embeddings {
    format.decode(&HeaderMap::new(), json.as_bytes()).unwrap()
}

fn numbers(text: &str) -> Vector {
    Vector::Numbers(text.into())
}

/// N1: all four forms of an input, and `null` where nothing is meant.
#[test]
fn every_form_of_input_is_read() {
    let text = |text: &str| EmbeddingInput::Text(text.into());
    for (json, inputs) in [
        (r#"{"input":"a","encoding_format":null}"#, vec![text("a")]),
        (r#"{"input":["a","b"]}"#, vec![text("a"), text("b")]),
        (r#"{"input":[1,2]}"#, vec![EmbeddingInput::Tokens(vec![1, 2])]),
        (r#"{"input":[[1],[2,3]]}"#, vec![EmbeddingInput::Tokens(vec![1]), EmbeddingInput::Tokens(vec![2, 3])]),
    ] {
        assert_eq!(request(json).inputs, inputs, "{json}");
        assert_eq!(request(json).encoding, Encoding::Float);
    }
}

/// M1: what is wrong is named.
#[test]
fn a_wrong_request_names_its_field() {
    for (json, param) in [
        (r#"{"input":[]}"#, "input"),
        (r#"{"input":{"a":1}}"#, "input"),
        (r#"{"input":["a",1]}"#, "input"),
        (r#"{"input":"a","dimensions":0}"#, "dimensions"),
        (r#"{"input":"a","dimensions":"x"}"#, "dimensions"),
        (r#"{"input":"a","encoding_format":"hex"}"#, "encoding_format"),
        (r#"{"input":"a","user":7}"#, "user"),
    ] {
        let kind = openai::request(json.as_bytes()).unwrap_err().kind();
        assert_eq!(kind.param.as_deref(), Some(param), "{json}");
    }
}

/// N1: each vendor's own words.
#[test]
fn requests_are_written_in_the_vendors_words() {
    let full = r#"{"model":"x","input":["a","b"],"dimensions":8,"encoding_format":"base64","user":"u",
        "input_type":"search_query","task_type":"CLUSTERING","odd":1}"#;
    let (openai, losses) = body(Format::OpenAi, full, "m");
    assert_eq!(
        openai,
        json!({"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":8,"user":"u",
            "input_type":"search_query","odd":1,"task_type":"CLUSTERING"})
    );
    assert!(losses.is_empty());
    let (gemini, losses) = body(Format::Gemini, full, "gemini-embedding-001");
    let one = |text: &str| {
        json!({"model":"models/gemini-embedding-001","content":{"parts":[{"text":text}]},"taskType":"CLUSTERING",
            "outputDimensionality":8})
    };
    assert_eq!(gemini, json!({"requests":[one("a"), one("b")]}));
    assert_eq!(losses, ["input_type", "odd", "user"]);
    let (predict, _) = body(Format::VertexPredict, r#"{"input":"a"}"#, "m");
    assert_eq!(predict, json!({"instances":[{"content":"a"}],"parameters":{}}));
    let (embed, _) = body(Format::VertexEmbed, r#"{"input":"a","dimensions":4}"#, "m");
    assert_eq!(embed, json!({"content":{"parts":[{"text":"a"}]},"embedContentConfig":{"outputDimensionality":4}}));
    let (cohere, losses) = body(Format::Cohere, full, "embed-v4.0");
    assert_eq!(
        cohere,
        json!({"model":"embed-v4.0","input_type":"search_query","embedding_types":["base64"],"output_dimension":8,
            "texts":["a","b"]})
    );
    assert_eq!(losses, ["odd", "task_type", "user"]);
    let (cohere, _) = body(Format::BedrockCohere, r#"{"input":"a","encoding_format":"base64"}"#, "m");
    assert_eq!(cohere, json!({"input_type":"search_document","embedding_types":["float"],"texts":["a"]}));
    let (ollama, _) = body(Format::Ollama, r#"{"input":"a","keep_alive":"5m"}"#, "nomic");
    assert_eq!(ollama, json!({"model":"nomic","keep_alive":"5m","input":["a"]}));
    let (titan, _) = body(Format::Titan, r#"{"input":"a","dimensions":256}"#, "m");
    assert_eq!(titan, json!({"dimensions":256,"inputText":"a"}));
    let (nova, _) = body(Format::Nova, r#"{"input":"a"}"#, "m");
    assert_eq!(
        nova,
        json!({"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"GENERIC_INDEX",
            "text":{"truncationMode":"END","value":"a"}}})
    );
}

/// N1: tokens go where a vendor takes them, and nowhere else.
#[test]
fn tokens_are_not_guessed_into_text() {
    let (openai, _) = body(Format::OpenAi, r#"{"input":[[1,2],[3]]}"#, "m");
    assert_eq!(openai["input"], json!([[1, 2], [3]]));
    let request = request(r#"{"input":[1,2]}"#);
    for format in [Format::Gemini, Format::VertexEmbed, Format::Cohere, Format::Ollama, Format::Titan] {
        let kind = format.encode(&request, &request.inputs, "m").unwrap_err().kind();
        assert_eq!((kind.param.as_deref(), kind.code.as_deref()), (Some("input"), Some("unsupported_parameter")));
    }
}

/// C2, N1: vectors digit by digit, and the counts of whoever counts.
#[test]
fn answers_are_read_in_every_form() {
    let exact = numbers("[-0.023421520367264748,1e-3]");
    for (format, json, tokens) in [
        (
            Format::OpenAi,
            r#"{"data":[{"index":0,"embedding":[-0.023421520367264748,1e-3]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#,
            Some(3),
        ),
        (Format::Gemini, r#"{"embeddings":[{"values":[-0.023421520367264748,1e-3]}]}"#, None),
        (
            Format::VertexPredict,
            r#"{"predictions":[{"embeddings":{"values":[-0.023421520367264748,1e-3],"statistics":{"token_count":4,"truncated":false}}}]}"#,
            Some(4),
        ),
        (
            Format::VertexEmbed,
            r#"{"embedding":{"values":[-0.023421520367264748,1e-3]},"usageMetadata":{"promptTokenCount":5}}"#,
            Some(5),
        ),
        (
            Format::Cohere,
            r#"{"embeddings":{"float":[[-0.023421520367264748,1e-3]]},"meta":{"billed_units":{"input_tokens":6}}}"#,
            Some(6),
        ),
        (
            Format::BedrockCohere,
            r#"{"embeddings":[[-0.023421520367264748,1e-3]],"response_type":"embeddings_floats"}"#,
            None,
        ),
        (Format::Ollama, r#"{"embeddings":[[-0.023421520367264748,1e-3]],"prompt_eval_count":7}"#, Some(7)),
        (Format::Titan, r#"{"embedding":[-0.023421520367264748,1e-3],"inputTextTokenCount":8}"#, Some(8)),
        (
            Format::Nova,
            r#"{"embeddings":[{"embeddingType":"TEXT","embedding":[-0.023421520367264748,1e-3]}],"inputTokenCount":9}"#,
            Some(9),
        ),
    ] {
        let read = decoded(format, json);
        assert_eq!(read.vectors, std::slice::from_ref(&exact), "{format:?}");
        assert_eq!(read.usage.map(|usage| usage.prompt()), tokens, "{format:?}");
        for broken in ["{}", "[]", "null", "", "<html>", r#"{"data":null,"embeddings":7}"#] {
            let error = format.decode(&HeaderMap::new(), broken.as_bytes());
            assert!(matches!(error, Err(Error::BadReply { .. })), "{format:?} {broken}");
        }
    }
    let base64 = decoded(Format::Cohere, r#"{"embeddings":{"base64":["AACAPw=="]}}"#);
    assert_eq!(base64.vectors, [Vector::Base64("AACAPw==".into())]);
    let headers = [("x-amzn-bedrock-input-token-count", "11")];
    let headers: HeaderMap = headers
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
        .into_iter()
        .collect();
    let counted = Format::BedrockCohere.decode(&headers, br#"{"embeddings":[[1]]}"#).unwrap();
    assert_eq!(counted.usage.unwrap().prompt(), 11);
}

/// N1, regression 66: both encodings from either, little-endian, and floats that were floats keep
/// their digits.
#[test]
fn an_answer_is_in_the_encoding_asked_for() {
    let answer = |vector: Vector, wanted| {
        let embeddings = Embeddings { vectors: vec![vector], usage: Some(prompt_tokens(3)) };
        serde_json::from_slice::<Value>(&openai::answer(&embeddings, wanted, "mine").unwrap()).unwrap()
    };
    let base64 = answer(numbers("[1, 2.0]"), Encoding::Base64);
    assert_eq!(
        base64,
        json!({"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAEA="}],"model":"mine",
            "usage":{"prompt_tokens":3,"total_tokens":3}})
    );
    let floats = answer(Vector::Base64("AACAPwAAAEDNzMy9".into()), Encoding::Float);
    assert_eq!(floats["data"][0]["embedding"].to_string(), "[1,2,-0.1]");
    let embeddings = Embeddings { vectors: vec![numbers("[-0.023421520367264748]")], usage: None };
    let kept = openai::answer(&embeddings, Encoding::Float, "m").unwrap();
    assert!(String::from_utf8(kept.to_vec()).unwrap().contains("[-0.023421520367264748]"));
    for broken in ["AAA=", "!", "AADAfw=="] {
        let embeddings = Embeddings { vectors: vec![Vector::Base64(broken.into())], usage: None };
        assert!(openai::answer(&embeddings, Encoding::Float, "m").is_err(), "{broken}");
    }
}

/// An answer goes through as it came only when nothing in it need differ.
#[test]
fn an_answer_passes_when_it_fits() {
    let floats = br#"{"data":[{"embedding":[1]},{"embedding":[2]}],"usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    assert_eq!(openai::passes(floats, Encoding::Float, 2), Some(Some(prompt_tokens(2))));
    assert_eq!(openai::passes(floats, Encoding::Base64, 2), None);
    assert_eq!(openai::passes(floats, Encoding::Float, 3), None);
    assert_eq!(openai::passes(br#"{"data":[{"embedding":"AA=="}]}"#, Encoding::Base64, 1), Some(None));
    assert_eq!(openai::passes(b"<html>", Encoding::Float, 1), None);
}

/// A shortened vector of the one model that does not normalise is brought to length one.
#[test]
fn shortened_vectors_are_normalised() {
    let settled = |json: &str, model: &str| {
        let mut embeddings = Embeddings { vectors: vec![numbers("[3.0,4.0]")], usage: None };
        Format::Gemini.settle(&mut embeddings, &request(json), model);
        embeddings.vectors.remove(0)
    };
    assert_eq!(settled(r#"{"input":"a","dimensions":2}"#, "gemini-embedding-001"), numbers("[0.6000000000000001,0.8]"));
    assert_eq!(settled(r#"{"input":"a"}"#, "gemini-embedding-001"), numbers("[3.0,4.0]"));
    assert_eq!(settled(r#"{"input":"a","dimensions":2}"#, "gemini-embedding-2"), numbers("[3.0,4.0]"));
}

proptest::proptest! {
    /// Any 32-bit float survives the way there and back.
    #[test]
    fn floats_survive_both_encodings(floats in proptest::collection::vec(-1e6f32..1e6, 1..20)) {
        let text = serde_json::to_string(&floats).unwrap();
        let base64: String = serde_json::from_str(&vectors::json(&numbers(&text), Encoding::Base64).unwrap()).unwrap();
        let back: Vec<f32> = serde_json::from_str(&vectors::json(&Vector::Base64(base64), Encoding::Float).unwrap()).unwrap();
        proptest::prop_assert_eq!(back, floats);
    }

    /// No bytes make a reader panic.
    #[test]
    fn no_bytes_can_make_it_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
        let _ = openai::request(&body);
        for format in [Format::OpenAi, Format::Gemini, Format::VertexPredict, Format::Cohere, Format::Titan, Format::Nova] {
            let _ = format.decode(&HeaderMap::new(), &body);
        }
    }
}
