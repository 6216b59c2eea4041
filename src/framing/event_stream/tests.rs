use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
use aws_smithy_types::{
    DateTime,
    event_stream::{Header as Theirs, HeaderValue, Message},
};
use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

/// The first example of the wire's documentation: an event of 157 bytes.
const EVENT: &str = "0000009d00000057b9bbf89f0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c7461\
    0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e74\
    7b22636f6e74656e74426c6f636b496e646578223a302c2264656c7461223a7b2274657874223a224869227d2c2270223a226162227d8b38b268";

/// The second: an exception of 136 bytes.
const EXCEPTION: &str = "0000008800000061de0175f40f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e\
    0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e\
    7b226d657373616765223a22736c6f7720646f776e227d832ee072";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn written(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_message_to(message, &mut bytes).unwrap();
    bytes
}

fn text(name: &'static str, value: &str) -> Theirs {
    Theirs::new(name, HeaderValue::String(value.to_owned().into()))
}

fn read(pieces: impl IntoIterator<Item = Vec<u8>>) -> Vec<Result<Frame, BadFrame>> {
    let mut framer = Framer::new(LIMIT);
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece.into());
        frames.extend(framer.by_ref());
    }
    assert_eq!(framer.finish(), None);
    frames
}

fn frame(event: &str, data: &str) -> Result<Frame, BadFrame> {
    Ok(Frame { raw: None, event: Some(event.to_owned().into()), data: data.to_owned().into() })
}

#[test]
fn documented_messages_are_read() {
    let data = r#"{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"ab"}"#;
    let expected =
        [frame("contentBlockDelta", data), frame("exception:throttlingException", r#"{"message":"slow down"}"#)];
    assert_eq!(read([[bytes(EVENT), bytes(EXCEPTION)].concat()]), expected);
}

/// An error has no payload, and its words stand in its headers.
#[test]
fn an_error_is_told_by_its_headers() {
    let message = Message::new(&b""[..])
        .add_header(text(":error-code", "InternalFailure"))
        .add_header(text(":error-message", "It broke."))
        .add_header(text(":message-type", "error"));
    assert_eq!(read([written(&message)]), [frame("error:InternalFailure", "It broke.")]);
    let bare = Message::new(&b"x"[..]).add_header(text(":message-type", "exception"));
    assert_eq!(read([written(&bare)]), [frame("exception:", "x")]);
    let nameless = Frame { raw: None, event: None, data: Bytes::from_static(b"y") };
    assert_eq!(read([written(&Message::new(&b"y"[..]))]), [Ok(nameless)]);
}

#[test]
fn a_message_in_one_read_is_not_copied() {
    let read = Bytes::from(bytes(EVENT));
    let mut framer = Framer::new(LIMIT);
    framer.push(read.clone());
    let frame = framer.next().unwrap().unwrap();
    assert!(read.as_ptr_range().contains(&frame.data.as_ptr()));
    assert!(read.as_ptr_range().contains(&frame.event.unwrap().as_ptr()));
}

/// S9: any byte that is not the one sent is noticed, and nothing is read after it.
#[test]
fn a_flipped_bit_ends_the_stream() {
    let good = bytes(EVENT);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let frames = read([bad, good.clone()]);
        assert!(frames.len() == 1 && frames[0].is_err(), "{at}: {frames:?}");
    }
}

#[test]
fn impossible_lengths_are_refused() {
    let prelude = |total: u32, headers: u32| {
        let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        bytes
    };
    for (total, headers, bad) in [
        (15, 0, BadFrame::Lengths),
        (0, 0, BadFrame::Lengths),
        (16, 1, BadFrame::Lengths),
        (u32::MAX, u32::MAX, BadFrame::Lengths),
        (1 << 19, (1 << 17) + 1, BadFrame::Lengths),
        ((1 << 20) + 1, 0, BadFrame::TooLarge { limit_bytes: LIMIT }),
    ] {
        assert_eq!(read([prelude(total, headers)]), [Err(bad)], "{total} {headers}");
        let bytewise = prelude(total, headers).into_iter().map(|byte| vec![byte]);
        assert_eq!(read(bytewise), [Err(bad)], "{total} {headers}");
    }
    assert_eq!(read([bytes(EVENT)[..156].to_vec()]), [], "half a message is none");
}

#[test]
fn unreadable_headers_are_refused() {
    let twice = Message::new(&b""[..]).add_header(text(":event-type", "a")).add_header(text(":event-type", "b"));
    let mistyped = Message::new(&b""[..]).add_header(Theirs::new(":event-type", HeaderValue::Int32(1)));
    assert_eq!(read([written(&twice)]), [Err(BadFrame::Headers)]);
    assert_eq!(read([written(&mistyped)]), [Err(BadFrame::Headers)]);
    let unread = |bytes: &[u8]| Headers::new(bytes).last().unwrap().is_err();
    for headers in [&b"\x02a"[..], b"\x01a", b"\x01a\x0a", b"\x01a\x04\0\0", b"\x01a\x07\0\x02b", b"\x01a\0\x05"] {
        assert!(unread(headers), "{headers:?}");
    }
}

/// The number the format gives a value's type, and its bytes.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the vendor's, and open")]
fn plain(value: &HeaderValue) -> (u8, Vec<u8>) {
    match value {
        HeaderValue::Bool(true) => (0, vec![]),
        HeaderValue::Bool(false) => (1, vec![]),
        HeaderValue::Byte(value) => (2, value.to_be_bytes().into()),
        HeaderValue::Int16(value) => (3, value.to_be_bytes().into()),
        HeaderValue::Int32(value) => (4, value.to_be_bytes().into()),
        HeaderValue::Int64(value) => (5, value.to_be_bytes().into()),
        HeaderValue::ByteArray(value) => (6, value.to_vec()),
        HeaderValue::String(value) => (7, value.as_bytes().to_vec()),
        HeaderValue::Timestamp(value) => (8, value.to_millis().unwrap().to_be_bytes().into()),
        HeaderValue::Uuid(value) => (9, value.to_be_bytes().into()),
        _ => panic!("{value:?}"),
    }
}

fn value() -> impl Strategy<Value = HeaderValue> {
    prop_oneof![
        any::<bool>().prop_map(HeaderValue::Bool),
        any::<i8>().prop_map(HeaderValue::Byte),
        any::<i16>().prop_map(HeaderValue::Int16),
        any::<i32>().prop_map(HeaderValue::Int32),
        any::<i64>().prop_map(HeaderValue::Int64),
        proptest::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| HeaderValue::ByteArray(bytes.into())),
        ".{1,20}".prop_map(|text| HeaderValue::String(text.into())),
        (0..i64::from(u32::MAX)).prop_map(|millis| HeaderValue::Timestamp(DateTime::from_millis(millis))),
        any::<u128>().prop_map(HeaderValue::Uuid),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let headers = proptest::collection::hash_map("[a-zA-Z:.-]{1,12}", value(), 0..6);
    (headers, proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(headers, payload)| {
        let named = headers.into_iter().map(|(name, value)| Theirs::new(name, value));
        named.fold(Message::new(payload), Message::add_header)
    })
}

proptest! {
    /// S8: what the vendor's own library writes, cut anywhere, is read, and headers of every type.
    #[test]
    fn what_the_vendors_library_writes_is_read(
        messages in proptest::collection::vec(message(), 1..4),
        cuts in proptest::collection::vec(1..60usize, 1..20),
    ) {
        let whole: Vec<u8> = messages.iter().flat_map(written).collect();
        let mut pieces = Vec::new();
        let mut rest = &whole[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
        }
        let frames: Vec<Frame> = read(pieces).into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(frames.len(), messages.len());
        for (frame, message) in frames.iter().zip(&messages) {
            prop_assert_eq!(&frame.data, message.payload());
            let bytes = written(message);
            let end = PRELUDE_BYTES + number(&bytes, 4) as usize;
            let ours: Vec<_> = Headers::new(&bytes[PRELUDE_BYTES..end])
                .map(|header| header.map(|header| (header.name.to_vec(), header.kind, header.value.to_vec())))
                .collect::<Result<_, _>>()
                .unwrap();
            let theirs: Vec<_> = message
                .headers()
                .iter()
                .map(|header| {
                    let (kind, value) = plain(header.value());
                    (header.name().as_bytes().to_vec(), kind, value)
                })
                .collect();
            prop_assert_eq!(ours, theirs);
        }
    }

    /// Whatever comes, nothing panics, and what is read the vendor's library reads alike.
    #[test]
    fn any_bytes_are_read_alike_or_refused(
        good in message(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        noise in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = written(&good);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let ours = read([bytes.clone()]);
        if let Some(Ok(frame)) = ours.first() {
            let theirs = read_message_from(&bytes[..]).unwrap();
            prop_assert_eq!(&frame.data, theirs.payload());
        }
        let bytewise = read(bytes.iter().map(|byte| vec![*byte]));
        prop_assert_eq!(ours, bytewise);
        for frame in read([noise]) {
            prop_assert!(frame.is_err() || frame.unwrap().data.len() < 64);
        }
    }
}
