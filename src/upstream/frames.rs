//! An upstream's body as frames.
//!
//! Cost per event: one poll of the body, one cut of the framer; the frame shares the memory of the
//! network read. No task and no channel: the client's poll pulls the upstream's bytes, and dropping
//! the stream drops the connection.
//!
//! A read that completes no frame gives a sign of life, for the clock that looks for silence: some
//! upstreams send comments while they think, and a large event may take long to come.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use http_body::Body;

use crate::{
    error::{Error, Result},
    framing::{Frame, Framer, Framing},
};

/// The frames of a response body, whatever its framing, and signs of life between them.
pub(super) struct BodyFrames<B> {
    body: Pin<Box<B>>,
    framer: Framer,
    /// One that was looked at and given back.
    first: Option<Frame>,
    /// What makes a frame of its dialect of one that wraps it.
    unwrap: Option<fn(&Frame) -> Result<Frame>>,
    ended: bool,
}

impl<B> BodyFrames<B> {
    pub(super) fn new(body: B, framing: Framing, max_frame_bytes: usize) -> Self {
        Self { body: Box::pin(body), framer: framing.framer(max_frame_bytes), first: None, unwrap: None, ended: false }
    }

    pub(super) fn unwrapped(self, unwrap: fn(&Frame) -> Result<Frame>) -> Self {
        Self { unwrap: Some(unwrap), ..self }
    }

    /// Gives back a frame, to come next again.
    pub(super) fn put_back(&mut self, frame: Frame) {
        self.first = Some(frame);
    }
}

impl<B> Stream for BodyFrames<B>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error,
{
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(frame) = self.first.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let mut has_read = false;
        loop {
            match self.framer.next() {
                Some(Ok(frame)) => {
                    let Some(unwrap) = self.unwrap else { return Poll::Ready(Some(Ok(frame))) };
                    let frame = unwrap(&frame);
                    self.ended |= frame.is_err();
                    return Poll::Ready(Some(frame));
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(Error::BadReply { message: error.to_string() })));
                }
                None if self.ended => return Poll::Ready(None),
                None if has_read => return Poll::Ready(Some(Ok(Frame::SIGN))),
                None => {}
            }
            match ready!(self.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.framer.push(bytes);
                        has_read = true;
                    }
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(interrupted(&error))));
                }
                None => {
                    self.ended = true;
                    if let Some(frame) = self.framer.finish() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
            }
        }
    }
}

/// The upstream's body broke off. The cause is told without any address or header.
pub(super) fn interrupted(error: &dyn std::error::Error) -> Error {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Error::Interrupted { message: format!("The upstream's answer broke off: {cause}.") }
}
