//! Images, documents, video and audio. Data passes undecoded (rule L5) and objects in S3 as
//! references (rule N2); other addresses are refused, because the service fetches none.
//!
//! A document's name is shown to the model, so the vendor allows little in it: letters, digits,
//! single spaces, hyphens, parentheses and brackets, each name once per request.
//!
//! Source: "ImageBlock", "DocumentBlock", "VideoBlock", "AudioBlock" (docs.aws.amazon.com/bedrock,
//! read November 2026).

use std::{borrow::Cow, collections::HashSet};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::body::{Block, Document, Media, Source};
use crate::{
    error::{Error, Result},
    ir,
};

const IMAGE: &str = "messages[].content[].image_url";
const FILE: &str = "messages[].content[].file";

const NAME_LIMIT: usize = 200;

/// The names of a request's documents.
#[derive(Debug, Default)]
pub(super) struct Titles(HashSet<String>);

pub(super) fn image(source: &ir::Source) -> Result<Block<'_>> {
    let (format, source) = match source {
        ir::Source::Base64 { media_type, data } => (image_format(media_type), bytes(data)),
        ir::Source::Url(uri) | ir::Source::File(uri) => (image_format(extension(uri)), stored(uri, IMAGE)?),
        ir::Source::Text(_) => return Err(unsupported("An image cannot be given as text.", IMAGE)),
    };
    let format = format.ok_or_else(|| unsupported("Images must be PNG, JPEG, GIF or WebP.", IMAGE))?;
    Ok(Block::Image(Media { format, source }))
}

pub(super) fn document<'a>(source: &'a ir::Source, name: Option<&str>, titles: &mut Titles) -> Result<Block<'a>> {
    let (kind, location) = match source {
        ir::Source::Text(text) => ("text/plain", Source::Bytes(Cow::Owned(STANDARD.encode(text)))),
        ir::Source::Base64 { media_type, data } => (media_type.as_str(), bytes(data)),
        ir::Source::Url(uri) | ir::Source::File(uri) => (extension(uri), stored(uri, FILE)?),
    };
    if image_format(kind).is_some() {
        return image(source);
    }
    if let Some(format) = video_format(kind) {
        return Ok(Block::Video(Media { format, source: location }));
    }
    if let Some(format) = document_format(kind) {
        return Ok(Block::Document(Document { format, name: titles.take(name), source: location }));
    }
    Err(unsupported(&format!("Files of type {kind} are not supported by this model."), FILE))
}

pub(super) fn audio<'a>(data: &'a str, format: &'a str) -> Block<'a> {
    Block::Audio(Media { format, source: bytes(data) })
}

// === impl Titles ===

impl Titles {
    /// The name in the vendor's characters, and unlike those before.
    fn take(&mut self, name: Option<&str>) -> String {
        let stem = name.map(|name| name.rsplit_once('.').map_or(name, |(stem, _)| stem));
        let allowed = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
        let spaced: String = stem.unwrap_or_default().chars().map(allowed).collect();
        let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
        let mut wish = words.join(" ");
        wish.truncate(NAME_LIMIT - 10);
        if wish.is_empty() {
            wish = format!("document-{}", self.0.len() + 1);
        }
        let mut title = wish.trim_end().to_owned();
        let mut round = 2;
        while !self.0.insert(title.clone()) {
            title = format!("{} ({round})", wish.trim_end());
            round += 1;
        }
        title
    }
}

// === free functions ===

fn bytes(data: &str) -> Source<'_> {
    Source::Bytes(Cow::Borrowed(data))
}

/// N2: an object in S3 is read by the service itself.
fn stored<'a>(uri: &'a str, field: &str) -> Result<Source<'a>> {
    if uri.starts_with("s3://") {
        return Ok(Source::S3Location { uri });
    }
    let message = "This model reads no addresses but those of S3 (`s3://...`); send the data itself as a data URL.";
    Err(unsupported(message, field))
}

fn extension(uri: &str) -> &str {
    uri.rsplit(['/', '.']).next().filter(|_| uri.contains('.')).unwrap_or_default()
}

fn image_format(kind: &str) -> Option<&'static str> {
    Some(match kind.strip_prefix("image/").unwrap_or(kind) {
        "png" => "png",
        "jpeg" | "jpg" => "jpeg",
        "gif" => "gif",
        "webp" => "webp",
        _ => return None,
    })
}

fn video_format(kind: &str) -> Option<&'static str> {
    Some(match kind.strip_prefix("video/").unwrap_or(kind) {
        "mp4" => "mp4",
        "quicktime" | "mov" => "mov",
        "x-matroska" | "matroska" | "mkv" => "mkv",
        "webm" => "webm",
        "x-flv" | "flv" => "flv",
        "mpeg" => "mpeg",
        "mpg" => "mpg",
        "x-ms-wmv" | "wmv" => "wmv",
        "3gpp" | "3gp" => "three_gp",
        _ => return None,
    })
}

fn document_format(kind: &str) -> Option<&'static str> {
    Some(match kind.split(';').next().unwrap_or_default().trim_end() {
        "application/pdf" | "pdf" => "pdf",
        "text/csv" | "csv" => "csv",
        "application/msword" | "doc" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" | "docx" => "docx",
        "application/vnd.ms-excel" | "xls" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" | "xlsx" => "xlsx",
        "text/html" | "html" | "htm" => "html",
        "text/markdown" | "md" => "md",
        "txt" | "application/json" | "json" => "txt",
        other if other.starts_with("text/") => "txt",
        _ => return None,
    })
}

fn unsupported(message: &str, field: &str) -> Error {
    Error::invalid(message, field, "invalid_value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(block: Result<Block<'_>>) -> String {
        block
            .map_or_else(|error| error.kind().param.unwrap_or_default(), |block| serde_json::to_string(&block).unwrap())
    }

    fn base64(media_type: &str) -> ir::Source {
        ir::Source::Base64 { media_type: media_type.into(), data: "aGk=".into() }
    }

    /// N2: bytes stay as they are, objects in S3 stay references, other addresses are refused.
    #[test]
    fn media_are_told_apart() {
        let url = |uri: &str| ir::Source::Url(uri.into());
        for (source, expected) in [
            (base64("image/jpg"), r#"{"image":{"format":"jpeg","source":{"bytes":"aGk="}}}"#),
            (
                url("s3://b/k/cat.webp"),
                r#"{"image":{"format":"webp","source":{"s3Location":{"uri":"s3://b/k/cat.webp"}}}}"#,
            ),
            (base64("image/bmp"), IMAGE),
            (url("https://example.com/cat.png"), IMAGE),
            (url("s3://b/cat"), IMAGE),
        ] {
            assert_eq!(written(image(&source)), expected);
        }
        for (source, expected) in [
            (base64("application/pdf"), r#"{"document":{"format":"pdf","name":"a b","source":{"bytes":"aGk="}}}"#),
            (ir::Source::Text("hi".into()), r#"{"document":{"format":"txt","name":"a b","source":{"bytes":"aGk="}}}"#),
            (base64("image/png"), r#"{"image":{"format":"png","source":{"bytes":"aGk="}}}"#),
            (url("s3://b/film.mov"), r#"{"video":{"format":"mov","source":{"s3Location":{"uri":"s3://b/film.mov"}}}}"#),
            (base64("application/zip"), FILE),
            (ir::Source::File("file-1".into()), FILE),
        ] {
            assert_eq!(written(document(&source, Some("a_b.pdf"), &mut Titles::default())), expected);
        }
    }

    #[test]
    fn names_of_documents_fit_and_differ() {
        let mut titles = Titles::default();
        let mut take = |name: Option<&str>| titles.take(name);
        assert_eq!(take(None), "document-1");
        assert_eq!(take(Some("Q3  report_(final)!.v2.pdf")), "Q3 report (final) v2");
        assert_eq!(take(Some("Q3 report (final) v2.docx")), "Q3 report (final) v2 (2)");
        assert_eq!(take(Some("\u{4f60}.pdf")), "document-4");
        assert!(take(Some(&"x ".repeat(300))).len() <= NAME_LIMIT);
    }
}
