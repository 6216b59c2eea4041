use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::framing::DEFAULT_MAX_FRAME_BYTES;

/// Frames the bytes, cut into the given sizes (the rest in one piece).
fn frames(bytes: &[u8], cuts: &[usize]) -> Vec<Frame> {
    let mut framer = Framer::new(DEFAULT_MAX_FRAME_BYTES);
    let mut bytes = Bytes::copy_from_slice(bytes);
    let mut out = Vec::new();
    for &cut in cuts {
        framer.push(bytes.split_to(cut.min(bytes.len())));
        out.extend(framer.by_ref().map(Result::unwrap));
    }
    framer.push(bytes);
    out.extend(framer.by_ref().map(Result::unwrap));
    out.extend(framer.finish());
    out
}

fn data(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(|frame| String::from_utf8(frame.data.to_vec()).unwrap()).collect()
}

#[test]
fn a_usual_event_shares_the_bytes_of_its_read() {
    let read = Bytes::from_static(b"data: {\"a\":1}\n\ndata: [DONE]\n\n");
    let mut framer = Framer::new(1024);
    framer.push(read.clone());
    let first = framer.next().unwrap().unwrap();
    assert_eq!(first.raw.as_ref().unwrap().as_ptr(), read.as_ptr());
    assert_eq!(first.data.as_ptr(), read.slice(6..).as_ptr());
    assert_eq!(&*first.data, b"{\"a\":1}");
    let second = framer.next().unwrap().unwrap();
    assert_eq!(second.raw.unwrap().as_ptr(), read.slice(15..).as_ptr());
    assert_eq!(framer.next(), None);
    assert_eq!(framer.finish(), None);
}

/// S8, regression 18: however the same five events are spelled, the same data comes out.
#[test]
fn every_spelling_gives_the_same_data() {
    let payloads = ["{\"n\":1}", "{\"n\":2}", "{\"n\": 3}", "{\"n\":4}", "[DONE]"];
    let usual: String = payloads.iter().map(|payload| format!("data: {payload}\n\n")).collect();
    let spellings = [
        usual.clone(),
        usual.replace('\n', "\r\n"),
        usual.replace('\n', "\r"),
        usual.replace("data: ", "data:"),
        usual.replace("data: ", "id: 7\nretry: 10\n: note\ndata: "),
        usual.replace("data: ", ": note\n\n:\ndata: "),
        format!("\u{feff}{usual}"),
        usual.trim_end().to_owned(),
        format!("\n\n{usual}\n"),
    ];
    for spelling in spellings {
        assert_eq!(data(&frames(spelling.as_bytes(), &[])), payloads, "{spelling:?}");
    }
}

/// S8: data over several lines is joined by a line feed.
#[test]
fn several_data_lines_are_joined() {
    let got = frames(b"data: {\"n\":\ndata:  1}\n\ndata\ndata: x\n\n", &[]);
    assert_eq!(data(&got), ["{\"n\":\n 1}", "\nx"]);
    assert!(got.iter().all(|frame| frame.raw.is_none()));
}

/// S8: an event's name may stand before or after its data, and ends with it.
#[test]
fn names_are_kept_and_do_not_leak() {
    let got = frames(b"event: error\ndata: 1\n\ndata: 2\nevent:ping\n\nevent: lone\n\ndata: 3\n\n", &[]);
    assert_eq!(data(&got), ["1", "2", "3"]);
    let names: Vec<_> = got.iter().map(|frame| frame.event.as_deref()).collect();
    assert_eq!(names, [Some(&b"error"[..]), Some(b"ping"), None]);
}

/// E2: a JSON object that no field announces is data, and a field `error` an event of that name.
#[test]
fn errors_in_other_forms_are_events() {
    for (text, name, payload) in [
        ("{\"error\":1}", None, "{\"error\":1}"),
        ("data: 1\n\n{\r\n \"error\": 1\r\n}\n\n", None, "{\n \"error\": 1\n}"),
        ("error: {\"code\":500}\n\n", Some(&b"error"[..]), "{\"code\":500}"),
    ] {
        let got = frames(text.as_bytes(), &[]);
        let last = got.last().unwrap();
        assert_eq!((last.event.as_deref(), data(&got).last().unwrap().as_str()), (name, payload), "{text}");
        assert_eq!(last.raw, None);
    }
    for text in ["{\"cut\":", "hello: {}\n\n", "<html>\n\n", "{}x\n\n"] {
        assert_eq!(data(&frames(text.as_bytes(), &[])), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn only_the_usual_spelling_may_be_forwarded_raw() {
    for (text, forwardable) in [
        ("data: x\n\n", true),
        (": note\ndata: x\n\n", true),
        ("data:x\n\n", false),
        ("data: x\r\n\r\n", false),
        ("data: x\n\r", false),
        ("data: x\r\n\n", false),
        ("data: x", false),
        ("data: x\n", false),
        ("data: x\nid: 1\n\n", false),
        ("event: e\ndata: x\n\n", true),
        ("event:e\ndata: x\n\n", false),
        ("event: \ndata: x\n\n", false),
        ("data: x\nevent: e\n\n", false),
    ] {
        let got = frames(text.as_bytes(), &[]);
        assert_eq!(data(&got), ["x"], "{text:?}");
        assert_eq!(
            got[0].raw.as_deref(),
            forwardable.then_some(text.trim_start_matches(": note\n").as_bytes()),
            "{text:?}"
        );
    }
}

#[test]
fn an_event_with_an_empty_data_line_is_given_out() {
    assert_eq!(data(&frames(b"data:\n\ndata\n\n: only a comment\n\n", &[])), ["", ""]);
}

/// S9, regression 19: a character split over reads survives, whatever the place of the cut.
#[test]
fn split_characters_survive() {
    let text = "data: {\"content\":\"\u{4f60}\u{597d}\u{1F30D}\"}\n\n";
    for cut in 0..=text.len() {
        let got = frames(text.as_bytes(), &[cut]);
        assert_eq!(data(&got), ["{\"content\":\"\u{4f60}\u{597d}\u{1F30D}\"}"]);
        assert_eq!(got[0].raw.as_deref(), Some(text.as_bytes()));
    }
}

/// S8: an 8 MiB line in 1 KiB reads comes through, in time that grows with its length alone (a
/// reader that searched its buffer again at each read would need minutes).
#[test]
fn a_huge_line_in_small_reads_is_linear() {
    let payload = vec![b'x'; 8 << 20];
    let bytes = Bytes::from([b"data: ", &payload[..], b"\n\n"].concat());
    let started = Instant::now();
    let mut framer = Framer::new(DEFAULT_MAX_FRAME_BYTES);
    let mut got = Vec::new();
    for from in (0..bytes.len()).step_by(1024) {
        framer.push(bytes.slice(from..bytes.len().min(from + 1024)));
        got.extend(framer.by_ref().map(Result::unwrap));
    }
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].data, payload);
    assert!(started.elapsed().as_secs() < 20);
}

/// S8: the limit holds for events in one read and over many, and ends the stream.
#[test]
fn an_event_over_the_limit_is_an_error() {
    for reads in [&[&b"data: 12345\n\n"[..]][..], &[b"data: 1", b"2345", b"\n\n"], &[b"event: 1234", b"567"]] {
        let mut framer = Framer::new(12);
        let mut got = Vec::new();
        for read in reads {
            framer.push(Bytes::from_static(read));
            got.extend(framer.by_ref());
        }
        assert_eq!(got, [Err(BadFrame::TooLarge { limit_bytes: 12 })]);
        framer.push(Bytes::from_static(b"data: x\n\n"));
        assert_eq!((framer.next(), framer.finish()), (None, None));
    }
    let mut framer = Framer::new(12);
    framer.push(Bytes::from_static(b": a comment longer than that\ndata: 1234\n\n"));
    assert_eq!(framer.next().unwrap().unwrap().data, "1234");
}

#[test]
fn reads_may_be_pushed_ahead() {
    let mut framer = Framer::new(1024);
    for read in ["data: a\n", "\ndata: b", "\n\n", "", "data: c\n\n"] {
        framer.push(Bytes::from_static(read.as_bytes()));
    }
    let got: Vec<_> = framer.by_ref().map(Result::unwrap).collect();
    assert_eq!(data(&got), ["a", "b", "c"]);
}

/// Text made of the pieces that matter to the format.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"\n"[..],
        b"\r",
        b"\r\n",
        b"\n\n",
        b"data: ",
        b"data:",
        b"data",
        b"event: ",
        b": ",
        b"id: 1",
        b" ",
        b"x",
        b"\xef\xbb\xbf",
        b"\xef\xbb",
        b"\xf0\x9f\x8c\x8d",
        b"[DONE]",
        b"{\"a\":1}",
        b"\xff",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// S8, S9: any cut of the bytes gives the same frames, `raw` included.
    #[test]
    fn cuts_do_not_matter(bytes in stream(), cuts in prop::collection::vec(0usize..9, 0..60)) {
        prop_assert_eq!(frames(&bytes, &cuts), frames(&bytes, &[]));
    }

    /// S8: line ends do not matter to names and data.
    #[test]
    fn line_ends_do_not_matter(lines in prop::collection::vec("(data: ?[a-z]{0,3}|event: ?[a-z]|:x|id:1|)", 0..30)) {
        let with = |end: &str| -> Vec<_> {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), end]).collect();
            frames(text.as_bytes(), &[]).into_iter().map(|frame| (frame.event, frame.data)).collect()
        };
        prop_assert_eq!(with("\n"), with("\r\n"));
        prop_assert_eq!(with("\n"), with("\r"));
    }

    /// Arbitrary bytes never panic, never give a frame past the limit, and never hold more.
    #[test]
    fn arbitrary_bytes_stay_within_the_limit(reads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let mut framer = Framer::new(32);
        for read in reads {
            framer.push(read.into());
            while let Some(Ok(frame)) = framer.next() {
                prop_assert!(frame.data.len() <= 32);
            }
            prop_assert!(framer.held.len() <= 32);
        }
        framer.finish();
    }

    /// Whatever may be forwarded raw reads as the same frame again.
    #[test]
    fn raw_frames_are_canonical(bytes in stream()) {
        for frame in frames(&bytes, &[]) {
            if let Some(raw) = &frame.raw {
                let name = frame.event.as_deref().map(|name| [b"event: ", name, b"\n"].concat()).unwrap_or_default();
                prop_assert_eq!(&**raw, [&name[..], b"data: ", &frame.data[..], b"\n\n"].concat());
                prop_assert_eq!(frames(raw, &[]), vec![frame.clone()]);
            }
        }
    }
}
