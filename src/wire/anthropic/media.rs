//! Images and documents. Data passes undecoded (rule L5), references as references (rule N2); only
//! a text document that came as base64 is decoded, because the vendor takes text as text.
//!
//! Source: "Vision" and "PDF support" (platform.claude.com/docs, read November 2026).

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::body::{Block, CacheControl, Source};
use crate::{
    error::{Error, Result},
    ir,
};

const IMAGE: &str = "messages[].content[].image_url";
const FILE: &str = "messages[].content[].file";

pub(super) fn image(source: &ir::Source, cache_control: Option<CacheControl>) -> Result<Block<'_>> {
    let source = match source {
        ir::Source::Url(url) => Source::Url { url },
        ir::Source::File(file_id) => Source::File { file_id },
        ir::Source::Base64 { media_type, data } => Source::Base64 { media_type: image_type(media_type), data },
        ir::Source::Text(_) => return Err(unsupported("An image cannot be given as text.", IMAGE)),
    };
    Ok(Block::Image { source, cache_control })
}

pub(super) fn document<'a>(
    source: &'a ir::Source,
    title: Option<&'a str>,
    cache_control: Option<CacheControl>,
) -> Result<Block<'a>> {
    let source = match source {
        ir::Source::Url(url) => Source::Url { url },
        ir::Source::File(file_id) => Source::File { file_id },
        ir::Source::Text(text) => plain(Cow::Borrowed(text)),
        ir::Source::Base64 { media_type, data } => match media_type.split(['/', ';']).next() {
            Some("image") => return image(source, cache_control),
            Some("text") => plain(Cow::Owned(decoded(data)?)),
            _ if media_type == "application/json" => plain(Cow::Owned(decoded(data)?)),
            _ if media_type == "application/pdf" => Source::Base64 { media_type, data },
            _ => {
                return Err(unsupported(&format!("Files of type {media_type} are not supported by this model."), FILE));
            }
        },
    };
    Ok(Block::Document { source, title, cache_control })
}

/// `image/jpg` is what many clients write and no registered type.
fn image_type(media_type: &str) -> &str {
    if media_type == "image/jpg" { "image/jpeg" } else { media_type }
}

fn plain(data: Cow<'_, str>) -> Source<'_> {
    Source::Text { media_type: "text/plain", data }
}

fn decoded(data: &str) -> Result<String> {
    let bytes = STANDARD.decode(data).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| unsupported("A text file must be base64 of UTF-8.", FILE))
}

fn unsupported(message: &str, field: &str) -> Error {
    Error::invalid(message, field, "invalid_value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(source: &ir::Source) -> String {
        document(source, Some("a"), None)
            .map_or_else(|error| error.kind().param.unwrap_or_default(), |block| serde_json::to_string(&block).unwrap())
    }

    #[test]
    fn documents_are_told_apart_by_type() {
        let base64 = |media_type: &str| ir::Source::Base64 { media_type: media_type.into(), data: "aMOp".into() };
        for (source, expected) in [
            (
                base64("application/pdf"),
                r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"aMOp"},"title":"a"}"#,
            ),
            (
                base64("text/csv"),
                r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hé"},"title":"a"}"#,
            ),
            (
                base64("image/jpg"),
                r#"{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"aMOp"}}"#,
            ),
            (base64("application/zip"), FILE),
            (
                ir::Source::File("file_1".into()),
                r#"{"type":"document","source":{"type":"file","file_id":"file_1"},"title":"a"}"#,
            ),
        ] {
            assert_eq!(written(&source), expected);
        }
    }
}
