//! The way back when client and upstream both speak this dialect: the bytes pass.
//!
//! Every event reaches the client with the very JSON that came, unknown ones and unknown members
//! included (rules S2, P2); only its frame is written anew, in the vendor's way. A failure in the
//! stream ends it (E2), and so does an end without a terminal event (E1): what the client then gets
//! is [`super::minder`]'s, in both forms in which clients look for it.
//!
//! Deliberately absent: repairs. A vendor of this dialect that breaks its rules is seen as it is.
//!
//! Cost: one copy of the event's bytes for its frame; of a delta a borrowed parse for its length, and
//! the terminal event is read once.

use std::{borrow::Cow, collections::VecDeque};

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
    framing::Frame,
    wire::{
        Memo, Relay, Tally, UpstreamDialect,
        json::Edits,
        openai_responses::{
            OpenAiResponses,
            upstream::{Told, told, whole},
        },
        sealed, translate,
    },
};

/// One stream's way back.
#[derive(Debug, Default)]
pub(super) struct Passthrough {
    tally: Tally,
    done: bool,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    delta: Cow<'a, str>,
}

impl Relay for Passthrough {
    fn frame(&mut self, frame: Frame, out: &mut VecDeque<Bytes>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let (name, told) = told(&frame)?;
        match told {
            Told::Nothing => return Ok(()),
            Told::Progress => {}
            Told::Piece => {
                if let Ok(piece) = serde_json::from_slice::<Piece<'_>>(&frame.data) {
                    self.tally.output_bytes += piece.delta.len() as u64;
                }
            }
            Told::End(finish, usage) => {
                self.tally.finish = Some(finish);
                self.tally.usage = usage;
                self.done = true;
            }
        }
        out.push_back(framed(&name, &frame.data));
        Ok(())
    }

    fn finish(&mut self, _out: &mut VecDeque<Bytes>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        Err(Error::Interrupted { message: "The upstream's stream ended before its response did.".into() })
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// Judges a whole answer, counts it, and returns it as it came. One that is still under way is as
/// good as any: the client asked for it.
pub(super) fn pass(body: &Bytes) -> Result<(Bytes, Tally)> {
    let (finish, usage) = whole(body)?;
    let mut tally = Tally::default();
    if usage.is_none()
        && let Ok(response) = OpenAiResponses.decode(body, &Memo::default())
    {
        translate::unfold(&response).iter().for_each(|event| tally.note(event));
    }
    Ok((body.clone(), Tally { usage, finish, ..tally }))
}

/// Takes out of a request what an upstream of this dialect would refuse: reasoning that the gateway
/// sealed for another.
pub(super) fn strip_sealed(body: &mut Edits<'_>) {
    let Some(input) = body.get("input").filter(|input| sealed::is_in(input.as_bytes())) else { return };
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(input) else { return };
    let kept: Vec<&str> = items.iter().filter(|item| !is_sealed(item)).map(|item| item.get()).collect();
    if kept.len() < items.len() {
        let input = format!("[{}]", kept.join(","));
        body.set("input", input);
    }
}

fn is_sealed(item: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Item {
        encrypted_content: String,
    }
    serde_json::from_str::<Item>(item.get()).is_ok_and(|item| sealed::is_ours(&item.encrypted_content))
}

fn framed(name: &str, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(name.len() + data.len() + 16);
    for piece in [b"event: ", name.as_bytes(), b"\ndata: "] {
        out.extend_from_slice(piece);
    }
    let start = out.len();
    out.extend_from_slice(data);
    // Only white space between members can be a line end.
    for byte in out.iter_mut().skip(start).filter(|byte| matches!(**byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    out.extend_from_slice(b"\n\n");
    out.freeze()
}
