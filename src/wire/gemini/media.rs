//! Images, sound and documents. Data passes undecoded (rule L5) and references as references, which
//! the vendor fetches itself (rule N2).
//!
//! A file's id is a reference of the vendor's own file store (`files/ID`, or the address that its
//! upload answered with) or of a bucket (`gs://`); one of another vendor's means nothing here.
//!
//! Source: "Image understanding", "Document processing", "Audio understanding" and "Files API"
//! (ai.google.dev/gemini-api/docs, read November 2026).

use std::borrow::Cow;

use super::body::{Blob, File, Payload};
use crate::{
    error::{Error, Result},
    ir::Source,
    wire::Host,
};

const IMAGE: &str = "messages[].content[].image_url";
const FILE: &str = "messages[].content[].file";

pub(super) fn image(source: &Source, host: Host) -> Result<Payload<'_>> {
    match source {
        Source::Url(url) => reference(url, "image/jpeg", host, IMAGE),
        Source::File(id) => file(id, "image/jpeg", host, IMAGE),
        Source::Base64 { media_type, data } => Ok(inline(media_type, data)),
        Source::Text(_) => Err(unsupported("An image cannot be given as text.", IMAGE)),
    }
}

pub(super) fn document(source: &Source, host: Host) -> Result<Payload<'_>> {
    match source {
        Source::Url(url) => reference(url, "application/pdf", host, FILE),
        Source::File(id) => file(id, "application/pdf", host, FILE),
        Source::Base64 { media_type, data } => Ok(inline(media_type, data)),
        Source::Text(text) => Ok(Payload::Text(Cow::Borrowed(text))),
    }
}

pub(super) fn audio<'a>(data: &'a str, format: &str) -> Payload<'a> {
    let format = format.to_ascii_lowercase();
    let mime_type = match format.as_str() {
        "mpeg" | "mpga" => Cow::Borrowed("audio/mp3"),
        "pcm16" => Cow::Borrowed("audio/pcm"),
        _ => Cow::Owned(format!("audio/{format}")),
    };
    Payload::InlineData(Blob { mime_type, data })
}

/// `image/jpg` is what many clients write and no registered type.
fn inline<'a>(media_type: &'a str, data: &'a str) -> Payload<'a> {
    let mime_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
    Payload::InlineData(Blob { mime_type: Cow::Borrowed(mime_type), data })
}

fn file<'a>(id: &'a str, usual: &'static str, host: Host, field: &str) -> Result<Payload<'a>> {
    if id.contains("://") || id.starts_with("files/") {
        return reference(id, usual, host, field);
    }
    Err(unsupported("The file's id is not one of this vendor's file store.", field))
}

fn reference<'a>(uri: &'a str, usual: &'static str, host: Host, field: &str) -> Result<Payload<'a>> {
    if uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return Err(unsupported("A data URL must hold base64.", field));
    }
    // Vertex AI wants the type to be named; the vendor's own endpoint finds it out.
    let mime_type = media_type(uri).or((host == Host::Cloud).then_some(usual));
    Ok(Payload::FileData(File { mime_type, file_uri: uri }))
}

/// The type an address's ending tells of.
fn media_type(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next()?;
    let ending = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match ending.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        _ => return None,
    })
}

fn unsupported(message: &str, field: &str) -> Error {
    Error::invalid(message, field, "invalid_value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(data: Result<Payload<'_>>) -> String {
        data.map_or_else(|error| error.kind().param.unwrap_or_default(), |data| serde_json::to_string(&data).unwrap())
    }

    /// N2, L5: references stay references, data stays as it is.
    #[test]
    fn media_is_carried_as_it_came() {
        let base64 = |media_type: &str| Source::Base64 { media_type: media_type.into(), data: "aMOp".into() };
        for (source, expected) in [
            (base64("image/jpg"), r#"{"inlineData":{"mimeType":"image/jpeg","data":"aMOp"}}"#),
            (
                Source::Url("https://a.example/b.PNG?c=.pdf".into()),
                r#"{"fileData":{"mimeType":"image/png","fileUri":"https://a.example/b.PNG?c=.pdf"}}"#,
            ),
            (Source::Url("https://a.example/b".into()), r#"{"fileData":{"fileUri":"https://a.example/b"}}"#),
            (Source::File("files/abc".into()), r#"{"fileData":{"fileUri":"files/abc"}}"#),
            (Source::File("file-abc".into()), IMAGE),
            (Source::Url("data:image/svg+xml,<svg/>".into()), IMAGE),
        ] {
            assert_eq!(written(image(&source, Host::Vendor)), expected);
        }
        let bucket = Source::File("gs://b/c".into());
        assert_eq!(
            written(document(&bucket, Host::Cloud)),
            r#"{"fileData":{"mimeType":"application/pdf","fileUri":"gs://b/c"}}"#
        );
        assert_eq!(written(document(&Source::Text("T".into()), Host::Vendor)), r#"{"text":"T"}"#);
        assert_eq!(written(Ok(audio("QQ==", "WAV"))), r#"{"inlineData":{"mimeType":"audio/wav","data":"QQ=="}}"#);
    }
}
