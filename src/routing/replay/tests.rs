use super::*;
use crate::{
    ir::{Finish, ToolKind},
    wire::signature::Signed,
};

const SMALL: Bounds = Bounds { turns: 3, bytes: 10_000, age: Duration::from_secs(60) };

fn owner(caller: &str, target: &str) -> Owner {
    Owner { caller: caller.into(), target: target.into() }
}

fn memory(owner: &Owner) -> Memory {
    Memory::signed(owner.clone())
}

fn thought(text: &str, signature: &str) -> Block {
    Block::Reasoning { text: text.into(), signature: Some(signature.into()) }
}

fn call(id: &str) -> Block {
    Block::ToolCall { id: id.into(), name: "f".into(), arguments: "{}".into(), kind: ToolKind::Function, cache: None }
}

fn answer(blocks: Vec<Block>) -> Response {
    Response {
        id: String::new(),
        model: String::new(),
        created: 0,
        blocks,
        annotations: Vec::new(),
        logprobs: Vec::new(),
        finish: Finish::ToolCalls,
        stop_sequence: None,
        usage: None,
        lost: Vec::new(),
        service_tier: None,
    }
}

fn replayed(blocks: Vec<Block>) -> Request {
    let result = Block::ToolResult { id: "t".into(), content: Vec::new(), is_error: false, cache: None };
    let messages = vec![
        Message::new(Role::User, vec![Block::text("hi")]),
        Message::new(Role::Assistant, blocks),
        Message::new(Role::User, vec![result]),
    ];
    Request { messages, ..Request::default() }
}

/// The assistant's turn after it went through.
fn restored(replay: &Replay, owner: &Owner, blocks: Vec<Block>) -> Vec<Block> {
    replay.restore(owner, &replayed(blocks)).messages[1].blocks.clone()
}

/// R1, regression case 34: what the client left out comes back, in order and place.
#[tokio::test]
async fn reasoning_comes_back_where_it_stood() {
    let replay = Replay::new(SMALL);
    let me = owner("me", "ant/a");
    let redacted = || Block::RedactedReasoning { data: "D1".into() };
    let said = vec![
        thought("a", "S1"),
        redacted(),
        Block::text("Let me "),
        thought("", "S2"),
        Block::text("see…"),
        call("t1"),
        thought("b", "S3"),
        call("t2"),
    ];
    replay.remember(&memory(&me), &answer(said.clone()));
    let joined = vec![Block::text("Let me see…"), call("t1"), call("t2")];
    assert_eq!(restored(&replay, &me, joined.clone()), said);
    // A client that says the text of the reasoning back has no proof of it.
    let unsigned = Block::Reasoning { text: "a".into(), signature: None };
    let with_text = [vec![unsigned], joined].concat();
    assert_eq!(restored(&replay, &me, with_text), said);
}

#[tokio::test]
async fn reasoning_goes_first_where_the_text_has_changed() {
    let replay = Replay::new(SMALL);
    let me = owner("me", "ant/a");
    replay.remember(&memory(&me), &answer(vec![thought("a", "S"), Block::text("x"), call("t1"), call("t2")]));
    let changed = vec![Block::text("another"), call("t1")];
    let expected = [vec![thought("a", "S")], changed.clone()].concat();
    assert_eq!(restored(&replay, &me, changed), expected);
}

/// R2: a call's signature comes back before its call, whatever the client did to the text; of the
/// reasoning around it only what is signed is kept.
#[tokio::test]
async fn calls_get_their_own_signatures_back() {
    let replay = Replay::new(SMALL);
    let me = owner("me", "google/g");
    let summary = Block::Reasoning { text: "Hm.".into(), signature: None };
    let signed = |name: &str| Signed::Call.block(name);
    let text = || Block::text("Let me see.");
    replay.remember(
        &memory(&me),
        &answer(vec![summary, text(), signed("S1"), call("t1"), call("t2"), signed("S3"), call("t3")]),
    );
    let calls = || vec![call("t1"), call("t2"), call("t3")];
    let with =
        |first: Vec<Block>| [first, vec![signed("S1"), call("t1"), call("t2"), signed("S3"), call("t3")]].concat();
    assert_eq!(restored(&replay, &me, calls()), with(Vec::new()), "the text left out");
    assert_eq!(restored(&replay, &me, [vec![text()], calls()].concat()), with(vec![text()]));
    let other = Block::text("Other words, more of them.");
    assert_eq!(restored(&replay, &me, [vec![other.clone()], calls()].concat()), with(vec![other]));
    assert_eq!(restored(&replay, &me, vec![call("t3")]), [call("t3")], "found by the first call");
}

/// Another key, another target or a turn the client has completed itself is left as it is.
#[tokio::test]
async fn nobody_gets_what_is_not_theirs() {
    let replay = Replay::new(SMALL);
    let me = owner("me", "ant/a");
    replay.remember(&memory(&me), &answer(vec![thought("a", "S"), call("t1")]));
    for other in [owner("you", "ant/a"), owner("me", "ant/b"), owner("me", "other/a")] {
        assert!(matches!(replay.restore(&other, &replayed(vec![call("t1")])), Cow::Borrowed(_)), "{other:?}");
    }
    for blocks in [
        vec![call("t2")],
        vec![call("t1"), call("t2")],
        vec![thought("mine", "M"), call("t1")],
        vec![Block::text("no calls")],
    ] {
        assert_eq!(restored(&replay, &me, blocks.clone()), blocks);
    }
    assert_eq!(restored(&replay, &me, vec![call("t1")]), [thought("a", "S"), call("t1")]);
}

/// What needs not come back, or could not come back whole, is not kept.
#[tokio::test]
async fn only_signed_reasoning_before_calls_is_kept() {
    let replay = Replay::new(SMALL);
    let me = owner("me", "ant/a");
    let unsigned = Block::Reasoning { text: "a".into(), signature: None };
    for blocks in [
        vec![thought("a", "S"), Block::text("the end")],
        vec![call("t1")],
        vec![unsigned.clone(), call("t1")],
        vec![thought("a", "S"), unsigned, call("t1")],
    ] {
        replay.remember(&memory(&me), &answer(blocks));
    }
    assert!(replay.kept.lock().unwrap().by_call.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_bounds_hold() {
    let replay = Replay::new(SMALL);
    let me = owner("me", "ant/a");
    let remember = |id: &str, text: &str| replay.remember(&memory(&me), &answer(vec![thought(text, "S"), call(id)]));
    let knows = |id: &str| restored(&replay, &me, vec![call(id)]).len() == 2;
    let some = "a".repeat(500);
    for id in ["1", "2", "3"] {
        remember(id, &some);
    }
    assert!(knows("1"), "and is the one used last from now on");
    remember("4", &some);
    assert!(!knows("2") && knows("1") && knows("3") && knows("4"), "the least recently used is forgotten");
    remember("5", &"a".repeat(9_300));
    assert!(knows("5") && !knows("1") && !knows("4"), "bytes count");
    remember("6", &"a".repeat(20_000));
    assert!(!knows("6") && !knows("5"), "what is too large for all is not kept");
    let sizes = || {
        let kept = replay.kept.lock().unwrap();
        (kept.bytes, kept.by_use.len(), kept.by_call.len())
    };
    assert_eq!(sizes(), (0, 0, 0));

    remember("7", "a");
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(knows("7"), "and lives on from here");
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(knows("7"));
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(!knows("7"), "too old");
    remember("8", "a");
    assert_eq!(sizes().2, 1, "the old ones make room");
}

/// A stream is remembered as the whole answer it tells of.
#[tokio::test]
async fn a_stream_is_noted_like_a_whole_answer() {
    struct Told(Vec<Event>);
    impl StreamDecoder for Told {
        fn frame(&mut self, _: &Frame, out: &mut Vec<Event>) -> Result<()> {
            out.append(&mut self.0);
            Ok(())
        }
        fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
            Ok(())
        }
    }
    let said = vec![
        thought("think", "S1"),
        Block::RedactedReasoning { data: "D".into() },
        Block::text("Hm."),
        call("t1"),
        call("t2"),
    ];
    let replay = Arc::new(Replay::new(SMALL));
    let me = owner("me", "ant/a");
    let events = crate::wire::translate::unfold(&answer(said.clone()));
    let mut decoder = Remembering::new(Box::new(Told(events)), Arc::clone(&replay), memory(&me));
    decoder.frame(&Frame { raw: None, event: None, data: bytes::Bytes::new() }, &mut Vec::new()).unwrap();
    assert_eq!(restored(&replay, &me, vec![Block::text("Hm."), call("t1"), call("t2")]), said);
}

/// R2: nor does it matter whether the vendor tells the finish, or only the end of the body does.
#[tokio::test(start_paused = true)]
async fn a_finish_at_the_end_of_the_body_is_noted() {
    struct Late(Vec<Event>);
    impl StreamDecoder for Late {
        fn frame(&mut self, _: &Frame, out: &mut Vec<Event>) -> Result<()> {
            let finish = self.0.split_off(self.0.len() - 1);
            out.append(&mut std::mem::replace(&mut self.0, finish));
            Ok(())
        }
        fn finish(&mut self, out: &mut Vec<Event>) -> Result<()> {
            out.append(&mut self.0);
            Ok(())
        }
        fn is_done(&self) -> bool {
            self.0.is_empty()
        }
    }
    let said = vec![thought("a", "S1"), call("t1")];
    let replay = Arc::new(Replay::new(SMALL));
    let me = owner("me", "gem/g");
    let events = crate::wire::translate::unfold(&answer(said.clone()));
    let mut decoder = Remembering::new(Box::new(Late(events)), Arc::clone(&replay), memory(&me));
    let mut out = Vec::new();
    decoder.frame(&Frame { raw: None, event: None, data: bytes::Bytes::new() }, &mut out).unwrap();
    assert_eq!(restored(&replay, &me, vec![call("t1")]), [call("t1")]);
    decoder.finish(&mut out).unwrap();
    assert_eq!(restored(&replay, &me, vec![call("t1")]), said);
}
