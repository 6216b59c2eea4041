//! The tables of errors in docs/endpoints.md against `Error` itself (rule M1).

use std::{collections::BTreeSet, time::Duration};

use http::StatusCode;
use sluis::error::{Class, Clock, Error, UpstreamError};

use super::{read, rows, sources};

/// One of each. A variant that is missing here is missed by the match below.
fn samples() -> Vec<Error> {
    let message = String::new;
    let limited = |retry_after| Error::RateLimited { what: "requests per minute", whose: message(), retry_after };
    let clocks = [Clock::Connect, Clock::FirstEvent, Clock::Idle, Clock::Total];
    let mut all = vec![
        Error::Invalid { message: message(), param: None, code: None },
        Error::BodyTooLarge { limit_bytes: 1 },
        Error::UnsupportedMedia { message: message() },
        Error::Unauthenticated { message: message() },
        Error::ModelNotFound { model: message(), near: Vec::new() },
        Error::RouteNotFound { method: message(), path: message() },
        Error::MethodNotAllowed { method: message(), path: message() },
        limited(Some(Duration::from_secs(1))),
        limited(None),
        Error::Network { message: message(), stale: false },
        Error::BadReply { message: message() },
        Error::Interrupted { message: message() },
        Error::NoTarget { message: message(), retry_after: None },
        Error::ShuttingDown,
        Error::StoreUnavailable,
        Error::NotFound { message: message() },
        Error::UpgradeRefused { message: message() },
        Error::Internal { message: message() },
    ];
    all.extend(clocks.map(Error::Timeout));
    let classes = [
        (Class::Invalid, 422),
        (Class::ContextLength, 400),
        (Class::ContentPolicy, 400),
        (Class::Credentials, 401),
        (Class::Quota, 429),
        (Class::RateLimit, 429),
        (Class::NotFound, 404),
        (Class::TooLarge, 413),
        (Class::Transient, 408),
        (Class::Conflict, 409),
        (Class::Overloaded, 529),
        (Class::Server, 500),
    ];
    all.extend(classes.map(|(class, status)| {
        let status = StatusCode::from_u16(status).unwrap();
        Error::from(UpstreamError { class, ..UpstreamError::new(status, "") })
    }));
    all
}

/// Fails to compile when there is a new error; then [`samples`] needs it too.
fn is_own(error: &Error) -> bool {
    match error {
        Error::Upstream(error) => match error.class {
            // The upstream's status is what the client sees.
            Class::Invalid | Class::Transient | Class::Conflict | Class::Server => false,
            Class::ContextLength
            | Class::ContentPolicy
            | Class::Credentials
            | Class::Quota
            | Class::RateLimit
            | Class::NotFound
            | Class::TooLarge
            | Class::Overloaded => true,
        },
        Error::Invalid { .. }
        | Error::BodyTooLarge { .. }
        | Error::UnsupportedMedia { .. }
        | Error::Unauthenticated { .. }
        | Error::ModelNotFound { .. }
        | Error::RouteNotFound { .. }
        | Error::MethodNotAllowed { .. }
        | Error::RateLimited { .. }
        | Error::Timeout(_)
        | Error::Network { .. }
        | Error::BadReply { .. }
        | Error::Interrupted { .. }
        | Error::NoTarget { .. }
        | Error::ShuttingDown
        | Error::StoreUnavailable
        | Error::NotFound { .. }
        | Error::UpgradeRefused { .. }
        | Error::Internal { .. } => true,
    }
}

/// Status, type, code, and whether OpenAI's SDKs retry by themselves.
type Row = [String; 4];

fn row_of(error: &Error) -> Row {
    let (status, kind) = (error.status().as_u16(), error.kind());
    // The SDKs' own rule (openai-python and openai-node, `shouldRetry`, read November 2026).
    let retries = (matches!(status, 408 | 409 | 429) || status >= 500) && !error.forbids_client_retry();
    let is_told_below = matches!(error, Error::Invalid { .. });
    let code = if is_told_below { "see below".into() } else { kind.code.unwrap_or_else(|| "null".into()) };
    let status = if is_own(error) { status.to_string() } else { "as it came".into() };
    [status, kind.kind, code, if retries { "yes" } else { "no" }.into()]
}

#[test]
fn every_error_is_documented() {
    let coded: BTreeSet<Row> = samples().iter().map(row_of).collect();
    let documented: BTreeSet<Row> = rows(&read("docs/endpoints.md"))
        .into_iter()
        .filter(|row| row.len() == 5 && matches!(row[4].as_str(), "yes" | "no"))
        .map(|row| [row[0].clone(), row[1].clone(), row[2].clone(), row[4].clone()])
        .collect();
    assert_eq!(coded, documented);
}

#[test]
fn every_code_has_its_remedy() {
    let page = read("docs/operations.md");
    for row in samples().iter().filter(|error| is_own(error)).map(row_of) {
        let code = &row[2];
        // What only the prompt's author can cure is no operator's business.
        let is_clients = matches!(code.as_str(), "see below" | "method_not_supported")
            || (code.starts_with("con") && row[0] == "400");
        assert!(is_clients || page.contains(&format!("{} `{code}`", row[0])), "{row:?}");
    }
}

#[test]
fn every_code_of_a_400_is_documented() {
    let page = read("docs/endpoints.md");
    let (_, list) = page.split_once("Codes of a 400 of ours:").expect("the list");
    let list = list.split("`param`").next().unwrap_or_default();
    let documented: BTreeSet<String> = list.split('`').skip(1).step_by(2).map(Into::into).collect();
    let coded: BTreeSet<String> = sources().iter().flat_map(|file| codes(&file.text)).collect();
    assert_eq!(coded, documented);
}

/// The code is the last text of `Error::invalid(...)`, or the one of `code: Some("...")`.
fn codes(source: &str) -> Vec<String> {
    let last = |call: &str| texts(call).pop().filter(|text| is_code(text));
    let invalid = source.split("Error::invalid(").skip(1).filter_map(|rest| last(arguments(rest)));
    let fields = source.split("code: Some(\"").skip(1).filter_map(|rest| rest.split("\")").next());
    invalid.chain(fields.filter(|text| is_code(text)).map(Into::into)).collect()
}

fn is_code(text: &str) -> bool {
    text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Up to the parenthesis that closes the call.
fn arguments(rest: &str) -> &str {
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text && depth == 0 => return &rest[..at],
            ')' if !in_text => depth -= 1,
            _ => {}
        }
    }
    rest
}

/// The string literals of a piece of code.
fn texts(code: &str) -> Vec<String> {
    code.split('"').skip(1).step_by(2).map(Into::into).collect()
}
