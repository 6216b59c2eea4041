//! Anthropic Messages.

use http::{HeaderMap, StatusCode};

use super::{Encoded, Facts, Memo, StreamDecoder, UpstreamDialect};
use crate::{
    error::{Error, Result, UpstreamError},
    framing::Frame,
    ir,
};

#[derive(Debug)]
pub struct Anthropic;

fn unspoken() -> Error {
    Error::Internal { message: "the Anthropic dialect is not spoken yet".into() }
}

struct Silent;

impl StreamDecoder for Silent {
    fn frame(&mut self, _: &Frame, _: &mut Vec<ir::Event>) -> Result<()> {
        Err(unspoken())
    }

    fn finish(&mut self, _: &mut Vec<ir::Event>) -> Result<()> {
        Err(unspoken())
    }
}

impl UpstreamDialect for Anthropic {
    fn encode(&self, _: &ir::Request, _: &Facts<'_>) -> Result<Encoded> {
        Err(unspoken())
    }

    fn decode(&self, _: &[u8], _: &Memo) -> Result<ir::Response> {
        Err(unspoken())
    }

    fn decoder(&self, _: Memo) -> Box<dyn StreamDecoder> {
        Box::new(Silent)
    }

    fn error(&self, status: StatusCode, _: &HeaderMap, _: &[u8]) -> UpstreamError {
        UpstreamError::new(status, super::upstream_error::neutral_message(status))
    }

    fn accepts(&self, _: &Frame) -> Result<bool> {
        Err(unspoken())
    }
}
