//! The events within the bytes of a stream.

use bytes::Bytes;
use serde::Deserialize;

/// One event of a stream, as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamEvent {
    pub sequence_number: u64,
    /// The event's JSON.
    pub json: Bytes,
}

/// The events within a stretch of a stream, which holds whole events as all that a relay or an
/// encoder gives out does. A mark of the end and keep-alives are none.
pub(super) fn events(bytes: &Bytes) -> Vec<StreamEvent> {
    #[derive(Deserialize)]
    struct Numbered {
        sequence_number: u64,
    }
    let mut found = Vec::new();
    let mut at = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        let start = at;
        at += line.len() + 1;
        let Some(json) = line.strip_prefix(b"data: ") else { continue };
        let Ok(Numbered { sequence_number }) = serde_json::from_slice(json) else { continue };
        let json = bytes.slice(start + line.len() - json.len()..start + line.len());
        found.push(StreamEvent { sequence_number, json });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_in_a_stream() {
        let bytes = Bytes::from_static(
            b": keepalive\nevent: a\ndata: {\"sequence_number\":3,\"x\":1}\n\nevent: b\ndata: {\"sequence_number\":4}\n\ndata: [DONE]\n\n",
        );
        let events = events(&bytes);
        assert_eq!(events.iter().map(|event| event.sequence_number).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(&*events[0].json, b"{\"sequence_number\":3,\"x\":1}");
    }
}
