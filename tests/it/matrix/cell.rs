//! One cell: what is asked, said, heard and told, and what must be true of it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    clients::Client,
    exceptions::{Verdict, is_same, verdict},
    neutral::{
        Ask, CLOCK, Call, Finish, Heard, PNG, Part, Past, SYSTEM, Say, THOUGHT, TOOL, Told, Trouble, Turn, USAGE,
        Usage, schema,
    },
    vendors::{VENDORS, Vendor},
};
use crate::support::{Client as Socket, Gateway, Script, Upstream};

/// What a client wants to get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feature {
    Text,
    System,
    Tool,
    Parallel,
    Thinking,
    /// The same with a client that does not keep the reasoning.
    Forgotten,
    Image,
    Schema,
    /// Ends because the tokens are used up, or a policy says so.
    CutOff,
    Refused,
    Broken,
    Cancel,
    KeepAlive,
}

pub(super) struct Cell {
    pub(super) number: usize,
    pub(super) client: &'static dyn Client,
    pub(super) vendor: &'static dyn Vendor,
    pub(super) feature: Feature,
    pub(super) stream: bool,
}

/// What all cells share.
pub(super) struct House {
    upstream: Upstream,
    gateway: Gateway,
    /// One with so short an interval that a keep-alive comes in every pause.
    lively: Gateway,
}

const WORDS: [&str; 2] = ["Let us ", "see \u{1F30D}."];
const JSON: [&str; 2] = ["{\"oslo\":-3,", "\"rome\":21}"];
const AGAIN: &str = "And tomorrow?";
const INTERVAL: Duration = Duration::from_millis(100);
/// Long enough for a keep-alive.
const PAUSE: Duration = Duration::from_millis(250);
/// D1 says 100 ms; the rest is what a crowded machine may add.
const SOON: Duration = Duration::from_secs(5);

// === impl Feature ===

impl Feature {
    pub(super) const ALL: [Self; 13] = [
        Self::Text,
        Self::System,
        Self::Tool,
        Self::Parallel,
        Self::Thinking,
        Self::Forgotten,
        Self::Image,
        Self::Schema,
        Self::CutOff,
        Self::Refused,
        Self::Broken,
        Self::Cancel,
        Self::KeepAlive,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::System => "system",
            Self::Tool => "tool",
            Self::Parallel => "parallel tools",
            Self::Thinking => "thinking",
            Self::Forgotten => "thinking forgotten",
            Self::Image => "image",
            Self::Schema => "schema",
            Self::CutOff => "cut off",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::Cancel => "cancel",
            Self::KeepAlive => "keep-alive",
        }
    }

    /// Streamed or not.
    pub(super) fn modes(self) -> &'static [bool] {
        match self {
            Self::Broken | Self::KeepAlive => &[true],
            Self::Text
            | Self::System
            | Self::Tool
            | Self::Parallel
            | Self::Thinking
            | Self::Forgotten
            | Self::Image
            | Self::Schema
            | Self::CutOff
            | Self::Refused
            | Self::Cancel => &[false, true],
        }
    }
}

// === impl House ===

impl House {
    pub(super) async fn start() -> Self {
        let upstream = Upstream::scripted([]).await;
        let providers: String = VENDORS.iter().map(|vendor| vendor.config(&upstream.url(""))).collect();
        let config = format!("[retry]\nattempts = 1\n{providers}");
        let lively = format!("{config}[keep-alive]\ninterval = \"{}ms\"\n", INTERVAL.as_millis());
        let (gateway, lively) = tokio::join!(Gateway::start(&config), Gateway::start(&lively));
        Self { upstream, gateway, lively }
    }
}

// === impl Cell ===

impl Cell {
    pub(super) fn name(&self) -> String {
        let mode = if self.stream { "streamed" } else { "whole" };
        format!("{} > {}: {}, {mode}", self.client.name(), self.vendor.name(), self.feature.name())
    }

    pub(super) async fn run(&self, house: &House) {
        let verdict = verdict(self.client.name(), self.vendor.name(), self.feature);
        match (self.feature, verdict) {
            (_, Verdict::NoPlace(_)) => {}
            (Feature::Text | Feature::System | Feature::Image | Feature::Schema, _) => self.answer(house).await,
            (Feature::Tool | Feature::Parallel | Feature::Thinking | Feature::Forgotten, _) => {
                self.tool_loop(house, verdict).await;
            }
            (Feature::CutOff, _) => self.cut_off(house).await,
            (Feature::Refused, _) => self.refusals(house).await,
            (Feature::Broken, _) => self.breaks(house).await,
            (Feature::Cancel, _) => self.cancels(house).await,
            (Feature::KeepAlive, _) => self.stays_alive(house).await,
        }
    }

    /// One question, one answer, and all it counted (C4, J1, J2).
    async fn answer(&self, house: &House) {
        let say = self.say(if self.feature == Feature::Schema { JSON } else { WORDS });
        self.push(house, self.script(&say));
        let told = self.told(house, &self.ask()).await;
        self.is_told(&told, &say);
        let mut heard = self.heard(house, 0);
        if self.feature == Feature::Schema {
            let (asked, wanted) = (heard.schema.take().expect("J2: a schema"), schema());
            assert_eq!((&asked["properties"], &asked["required"]), (&wanted["properties"], &wanted["required"]));
        }
        assert_eq!(heard, Heard { turns: vec![self.question()], ..self.expected() });
    }

    /// Calls out, results in, and on from there: each request must be as the vendor wants it (T1-T4, T7,
    /// R1-R3), whatever has come before.
    async fn tool_loop(&self, house: &House, verdict: Verdict) {
        let (says, kept) = (self.steps(), self.feature != Feature::Forgotten);
        says.iter().for_each(|say| self.push(house, self.script(say)));
        let mut ask = self.ask();
        for say in &says {
            let told = self.told(house, &ask).await;
            self.is_told(&told, say);
            let results = told.calls.iter().zip(self.results(say)).map(|(call, result)| (call.id.clone(), result));
            let mut results: Vec<(String, &'static str)> = results.collect();
            if self.feature == Feature::Parallel {
                results.reverse();
            }
            let turn = if kept { told.turn } else { self.client.forgetful(told.turn) };
            ask.past.push(Past { turn, results, question: AGAIN });
        }
        let is_asked = ask.thinking && !matches!(verdict, Verdict::Unasked(_));
        let mut turns = vec![self.question()];
        for (at, say) in says.iter().enumerate() {
            let tools = vec![TOOL.to_owned(), CLOCK.to_owned()];
            let mut heard = self.heard(house, at);
            let expected = Heard { tools, thinking: is_asked, turns, ..Heard::default() };
            assert_eq!(heard, expected, "request {at}");
            turns = std::mem::take(&mut heard.turns);
            turns.extend(self.replayed(say, kept, verdict));
        }
    }

    /// What a vendor hears in the end of an answer of its own, and of what the client said to it.
    fn replayed(&self, say: &Say, kept: bool, verdict: Verdict) -> [Turn; 2] {
        let mut replayed = self.vendor.replayed(say, kept);
        if let Verdict::Unproven(_) = verdict {
            replayed.retain(|part| matches!(part, Part::Call(_) | Part::Text(_)));
        }
        let results = calls_of(&replayed).into_iter().zip(self.results(say));
        let mut said: Vec<Part> = results.map(|(call, result)| Part::Result(call.id, result.into())).collect();
        if said.is_empty() {
            said.push(Part::Text(AGAIN.into()));
        }
        if self.feature == Feature::Parallel && is_same(self.client.name(), self.vendor.name()) {
            // T4 is for who translates; here the client's bytes pass.
            said.reverse();
        }
        [Turn::Model(replayed), Turn::User(said)]
    }

    /// What the vendor says, request after request.
    fn steps(&self) -> Vec<Say> {
        let words = self.vendor.speaks_with_calls().then_some(WORDS);
        let say = |step, thinks, text, calls| Say { cell: self.number, step, thinks, text, calls, ..Say::default() };
        if self.feature == Feature::Tool {
            return vec![say(0, false, words, &["Oslo"]), say(1, false, None, &[""]), say(2, false, Some(WORDS), &[])];
        }
        if self.feature == Feature::Parallel {
            return vec![say(0, false, None, &["Oslo", "Rome"]), say(1, false, Some(WORDS), &[])];
        }
        vec![
            say(0, true, words, &["Oslo", "Rome"]),
            say(1, true, None, &[""]),
            say(2, true, Some(WORDS), &[]),
            say(3, false, Some(WORDS), &[]),
        ]
    }

    fn results(&self, say: &Say) -> Vec<&'static str> {
        say.calls
            .iter()
            .map(|city| match *city {
                "Oslo" => "-3",
                "Rome" => "21",
                _ => "noon",
            })
            .collect()
    }

    /// What the client is told of calls, and of what was thought and said before them.
    fn is_told(&self, told: &Told, said: &Say) {
        let made = calls_of(&self.vendor.replayed(said, true));
        assert_eq!(told.calls.len(), made.len(), "{told:?}");
        for (told, made) in told.calls.iter().zip(&made) {
            // T7: an id is made up only where there is none.
            let is_named = if made.id.is_empty() { !told.id.is_empty() } else { told.id == made.id };
            assert!(is_named && told.name == made.name && told.arguments == made.arguments, "{told:?} of {made:?}");
        }
        let words = said.whole_text();
        assert_eq!((told.finish, told.text.as_str()), (Some(said.finish()), words.as_str()), "S4");
        assert_eq!(told.thinking, if said.thinks { THOUGHT.concat() } else { String::new() });
        assert_eq!((told.usage, &told.failure), (Some(self.usage()), &None));
    }

    /// M1, F8, case 63: a refusal before the first event has its status, kind and words.
    async fn refusals(&self, house: &House) {
        for trouble in Trouble::ALL {
            let words = format!("No, {trouble:?}.");
            let words = if trouble == Trouble::Overflow { self.vendor.overflow() } else { &words };
            self.push(house, self.vendor.refusal(trouble, words));
            let reply = self.send(&house.gateway, &self.ask()).await.whole().await;
            let (status, kind) = self.client.expects(trouble);
            assert_eq!(reply.status, status, "{trouble:?}: {}", reply.text());
            let (told, said) = self.client.error(&reply.json());
            assert_eq!(told, kind, "{}", reply.text());
            assert!(said.contains(words), "{}", reply.text());
            if trouble == Trouble::Busy {
                let wait = reply.header("retry-after").expect("F8: how long to wait");
                assert_eq!(wait, self.vendor.wait().unwrap_or(wait), "F8");
            }
        }
        self.non_answers(house).await;
    }

    /// E2, M2, case 7: a success that is none has the status of what it is.
    async fn non_answers(&self, house: &House) {
        let words = "The engine died.";
        let scripts = if self.stream {
            vec![(self.vendor.head().frame(self.vendor.failure(words)).end(), words), (self.vendor.head().end(), "")]
        } else {
            let body = |body: &str| Script::body(200, &[("content-type", "application/json")], body.as_bytes());
            ["", "null", "{}", "<html>"].map(|text| (body(text), "")).into()
        };
        for (script, words) in scripts {
            self.push(house, script);
            let reply = self.send(&house.gateway, &self.ask()).await.whole().await;
            assert!(reply.status >= 500, "E2: {}: {}", reply.status, reply.text());
            let (_, said) = self.client.error(&reply.json());
            assert!(said.contains(words), "{}", reply.text());
        }
    }

    /// S4, P1: why an answer is not whole.
    async fn cut_off(&self, house: &House) {
        let filter = Some(Finish::Filter).filter(|_| self.vendor.filters());
        for cut in [Some(Finish::Length), filter].into_iter().flatten() {
            let say = Say { cut: Some(cut), ..self.say(WORDS) };
            self.push(house, self.script(&say));
            let told = self.told(house, &self.ask()).await;
            self.is_told(&told, &say);
        }
    }

    /// E1, E2, E3: what breaks in mid-stream is told in the dialect's form, and is no good end.
    async fn breaks(&self, house: &House) {
        let (say, words) = (self.say(WORDS), "The engine died.");
        let begun = || self.vendor.head().frames(self.vendor.begun(&say));
        for (script, words) in
            [(begun().frame(self.vendor.failure(words)).end(), words), (begun().cut(), ""), (begun().end(), "")]
        {
            self.push(house, script);
            let reply = self.send(&house.gateway, &self.ask()).await.whole().await;
            assert!(reply.status == 200 && reply.text().contains(WORDS[0]), "{} {}", reply.status, reply.text());
            let told = self.client.stream(&reply.text());
            let failure = told.failure.unwrap_or_else(|| panic!("E1: no error: {}", reply.text()));
            assert!(failure.contains(words) && told.finish.is_none(), "{}", reply.text());
        }
    }

    /// D1, cases 11 and 12: a client that leaves takes the vendor's exchange along.
    async fn cancels(&self, house: &House) {
        let begun = self.vendor.head().frames(self.vendor.begun(&self.say(WORDS))).hang();
        let scripts =
            if self.stream { vec![(begun, true), (Script::silent(), false)] } else { vec![(Script::silent(), false)] };
        for (count, (script, speaks)) in scripts.into_iter().enumerate() {
            self.push(house, script);
            let mut socket = self.send(&house.gateway, &self.ask()).await;
            let number = self.asked(house, count).await;
            if speaks {
                socket.answer().await.until(WORDS[0]).await;
            }
            let left = Instant::now();
            drop(socket);
            let noticed = house.upstream.closed(number).await.saturating_duration_since(left);
            assert!(noticed < SOON, "{noticed:?}");
        }
    }

    /// S6, S7, case 15: signs of life before the first event and within the stream, which stays valid.
    async fn stays_alive(&self, house: &House) {
        let say = self.say(WORDS);
        let (begun, events) = (self.vendor.begun(&say), self.vendor.events(&say));
        let rest = events[begun.len()..].to_vec();
        self.push(house, self.vendor.head().wait(PAUSE).frames(begun).wait(PAUSE).frames(rest).end());
        let reply = self.send(&house.lively, &self.ask()).await.whole().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let told = self.client.stream(&reply.text());
        assert!(told.signs_of_life >= 2, "S6: {}", reply.text());
        self.is_told(&told, &say);
        // What comes after the first sign of life has no status any more, and is an error all the same.
        self.push(house, self.vendor.refusal(Trouble::Wrong, "No.").after(PAUSE));
        let reply = self.send(&house.lively, &self.ask()).await.whole().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let told = self.client.stream(&reply.text());
        assert!(told.signs_of_life >= 1 && told.finish.is_none(), "{}", reply.text());
        assert_eq!(told.failure.as_deref(), Some("No."));
    }

    fn usage(&self) -> Usage {
        Usage { cached: if self.vendor.counts_cached() { USAGE.cached } else { 0 }, ..USAGE }
    }

    fn mark(&self) -> String {
        format!("cell-{:04};", self.number)
    }

    fn ask(&self) -> Ask {
        let is = |features: &[Feature]| features.contains(&self.feature);
        let is_schema = self.feature == Feature::Schema;
        Ask {
            model: self.vendor.model(self.client.name(), is_schema).into(),
            stream: self.stream,
            question: format!("How warm is it? {}", self.mark()),
            system: is(&[Feature::System]),
            image: is(&[Feature::Image]),
            tools: is(&[Feature::Tool, Feature::Parallel, Feature::Thinking, Feature::Forgotten]),
            thinking: is(&[Feature::Thinking, Feature::Forgotten]),
            schema: is_schema,
            past: Vec::new(),
        }
    }

    fn say(&self, text: [&'static str; 2]) -> Say {
        Say { cell: self.number, legacy: self.client.is_legacy(), text: Some(text), ..Say::default() }
    }

    /// What a vendor hears of the question.
    fn question(&self) -> Turn {
        let ask = self.ask();
        let image = ask.image.then(|| Part::Image("image/png".into(), PNG.into()));
        Turn::User([Part::Text(ask.question)].into_iter().chain(image).collect())
    }

    /// And beside it.
    fn expected(&self) -> Heard {
        let ask = self.ask();
        let system = if ask.system { SYSTEM.to_owned() } else { String::new() };
        Heard { system, thinking: ask.thinking, ..Heard::default() }
    }

    fn script(&self, say: &Say) -> Script {
        if self.stream {
            self.vendor.head().frames(self.vendor.events(say)).end()
        } else {
            Script::json(200, &self.vendor.whole(say))
        }
    }

    fn push(&self, house: &House, script: Script) {
        house.upstream.push_for(&self.mark(), script);
    }

    async fn send(&self, gateway: &Gateway, ask: &Ask) -> Socket {
        let headers = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
        let body: Value = self.client.request(ask);
        gateway.send("POST", self.client.path(), &headers, body.to_string().as_bytes()).await
    }

    async fn told(&self, house: &House, ask: &Ask) -> Told {
        let reply = self.send(&house.gateway, ask).await.whole().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        if self.stream { self.client.stream(&reply.text()) } else { self.client.whole(&reply.json()) }
    }

    /// What the vendor was asked as the cell's request of this number.
    fn heard(&self, house: &House, count: usize) -> Heard {
        let numbers = house.upstream.marked(&self.mark());
        self.vendor.heard(&house.upstream.request(numbers[count]))
    }

    /// Waits for the cell's request of this number, and says which one it is of all.
    async fn asked(&self, house: &House, count: usize) -> usize {
        crate::support::until("a request", async || house.upstream.marked(&self.mark()).get(count).copied()).await
    }
}

fn calls_of(parts: &[Part]) -> Vec<Call> {
    let call = |part: &Part| if let Part::Call(call) = part { Some(call.clone()) } else { None };
    parts.iter().filter_map(call).collect()
}
