//! Reads an upstream's whole answer: as a stream of one chunk, so that what holds for streams holds
//! here.

use super::{chunk::Chunk, decoder::Decoder};
use crate::{
    error::{Error, Result},
    ir::{self, Finish},
    wire::{Memo, translate},
};

pub(super) fn decode(body: &[u8], memo: &Memo) -> Result<ir::Response> {
    // DeepSeek sends blank lines while a request waits in its queue.
    let body = body.trim_ascii();
    if body.is_empty() {
        return Err(unusable("it is empty"));
    }
    let chunk = Chunk::parse(body)?;
    let choice = chunk.choice().ok_or_else(|| unusable("it has no choices"))?;
    let said =
        choice.message.as_ref().or(choice.delta.as_ref()).ok_or_else(|| unusable("its choice has no message"))?;
    let mut decoder = Decoder::new(memo.clone());
    let mut events = Vec::new();
    decoder.chunk(&chunk, Some((choice, said)), &mut events);
    let reason = choice.finish_reason.0.as_str();
    if reason.is_empty() {
        decoder.end(Finish::Stop, &mut events)?;
    } else {
        decoder.stop(reason, &mut events)?;
    }
    let mut response = translate::fold(events);
    if response.blocks.is_empty() && reason.is_empty() {
        return Err(unusable("its message is empty and has no finish reason"));
    }
    response.service_tier = Some(chunk.service_tier.0).filter(|tier| !tier.is_empty());
    Ok(response)
}

fn unusable(why: &str) -> Error {
    Error::BadReply { message: format!("The upstream's answer is not a chat completion: {why}.") }
}
