//! Conversations that go well: what the vendor must hear, and what the client must be told.

use super::{
    cell::{Cell, House, WORDS},
    clients::STORING,
    exceptions::{Verdict, is_same, verdict},
    feature::Feature,
    neutral::{
        CLOCK, Call, Choice, FAILED, Finish, Heard, ODD_NAMES, PNG, Part, Past, STOP, SYSTEM, Say, THOUGHT, TOOL, Told,
        Turn, schema,
    },
    vendors::{ORIGINS, Vendor},
};

const JSON: [&str; 2] = ["{\"oslo\":-3,", "\"rome\":21}"];
const AGAIN: &str = "And tomorrow?";
/// What Google's documentation says a call without a signature may have instead.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

impl Cell {
    /// One question, one answer, and all it counted (C4).
    pub(super) async fn answer(&self, house: &House) {
        let say = self.say(WORDS);
        self.push(house, self.script(&say));
        let told = self.told(house, &self.ask()).await;
        self.is_told(&told, &say);
        assert_eq!(self.heard(house, 0), Heard { turns: vec![self.question()], ..self.expected() });
    }

    /// How long, how warm, and where to stop.
    pub(super) async fn settles(&self, house: &House, verdict: Verdict) {
        self.answer(house).await;
        if !self.client.has_stop() {
            return;
        }
        let mut ask = self.ask();
        ask.settings.stop = vec![STOP.to_owned()];
        if let Verdict::Refused(_) = verdict {
            return self.is_refused(house, &ask).await;
        }
        let say = self.say(WORDS);
        self.push(house, self.script(&say));
        self.is_told(&self.told(house, &ask).await, &say);
        assert_eq!(
            self.heard(house, 1),
            Heard { turns: vec![self.question()], settings: ask.settings, ..self.expected() }
        );
    }

    /// T7, case 32: names are made to fit, two never into one, and the client never sees it.
    pub(super) async fn names_tools(&self, house: &House) {
        let (mut ask, say) = (self.ask(), self.say(WORDS));
        self.push(house, self.script(&say));
        self.is_told(&self.told(house, &ask).await, &say);
        let wire = self.heard(house, 0).tools;
        let fits = |name: &String| self.vendor.takes_name(name);
        if is_same(self.client.name(), self.vendor.name()) {
            assert_eq!(wire, ODD_NAMES);
        } else {
            assert!(wire.iter().all(fits) && wire[0] != wire[1] && wire[1] == ODD_NAMES[1], "{wire:?}");
        }
        let call = Say { tool: Some(wire[0].clone()), text: None, calls: &["Oslo"], step: 1, ..say.clone() };
        self.push(house, self.script(&call));
        let told = self.told(house, &ask).await;
        assert_eq!((told.calls.len(), told.calls[0].name.as_str()), (1, ODD_NAMES[0]));
        let results = vec![(told.calls[0].id.clone(), "-3")];
        ask.past.push(Past { turn: told.turn, results, question: AGAIN, odd_results: false });
        self.push(house, self.script(&say));
        self.is_told(&self.told(house, &ask).await, &say);
        let replayed = self.heard(house, 2).turns;
        // Who knows the conversation itself hears the result alone.
        if let [_, Turn::Model(model), Turn::User(_)] = replayed.as_slice() {
            assert_eq!(calls_of(model)[0].name, wire[0]);
        } else {
            assert_eq!(self.client.name(), STORING, "{replayed:?}");
        }
    }

    /// Images in results, and results that are errors, as far as each side has them.
    pub(super) async fn returns(&self, house: &House, verdict: Verdict) {
        let first = Say { text: None, calls: &["Oslo", "Rome"], ..self.say(WORDS) };
        let (mut ask, last) = (self.ask(), Say { step: 1, ..self.say(WORDS) });
        self.push(house, self.script(&first));
        let told = self.told(house, &ask).await;
        let results = told.calls.iter().zip(self.results(&first)).map(|(call, result)| (call.id.clone(), result));
        let results = results.collect();
        ask.past.push(Past { turn: told.turn, results, question: AGAIN, odd_results: true });
        if let Verdict::Refused(_) = verdict {
            return self.is_refused(house, &ask).await;
        }
        self.push(house, self.script(&last));
        self.is_told(&self.told(house, &ask).await, &last);
        let mut heard = self.heard(house, 1);
        let Some(Turn::User(parts)) = heard.turns.pop() else { panic!("{heard:?}") };
        let (results, beside): (Vec<Part>, Vec<Part>) =
            parts.into_iter().partition(|part| matches!(part, Part::Result(..)));
        assert_eq!(beside, [Part::media("image/png", PNG)]);
        let failed = if self.client.has_errors() { FAILED } else { "" };
        let words: Vec<&str> =
            results.iter().map(|part| if let Part::Result(_, words) = part { words.as_str() } else { "" }).collect();
        assert_eq!(words, ["-3", &format!("{failed}21")]);
    }

    /// J1, J2: the schema reaches the vendor and its JSON the client, with tools beside it or without,
    /// and then a call is a call.
    pub(super) async fn fits_schema(&self, house: &House, verdict: Verdict) {
        let mut ask = self.ask();
        let call = Say { text: None, calls: &["Oslo"], ..self.say(JSON) };
        for (count, (tools, say)) in [(false, self.say(JSON)), (true, self.say(JSON)), (true, call)].iter().enumerate()
        {
            self.push(house, self.script(say));
            ask.tools = *tools;
            self.is_told(&self.told(house, &ask).await, say);
            let mut heard = self.heard(house, count);
            if *tools && matches!(verdict, Verdict::InWords(_)) {
                assert!(heard.schema.is_none() && heard.system.contains("\"oslo\""), "J2: {heard:?}");
                continue;
            }
            let (asked, wanted) = (heard.schema.take().expect("J2: a schema"), schema());
            assert_eq!((&asked["properties"], &asked["required"]), (&wanted["properties"], &wanted["required"]));
            let tools = if *tools { vec![TOOL.to_owned(), CLOCK.to_owned()] } else { Vec::new() };
            assert_eq!(heard, Heard { turns: vec![self.question()], tools, ..self.expected() });
        }
    }

    /// T6: each choice reaches the vendor, or is refused by name.
    pub(super) async fn chooses(&self, house: &House, verdict: Verdict) {
        let mut heard = 0;
        for choice in [Choice::No, Choice::Any, Choice::Named] {
            let mut ask = self.ask();
            ask.settings.choice = Some(choice);
            if choice != Choice::No && matches!(verdict, Verdict::Refused(_)) {
                self.is_refused(house, &ask).await;
                continue;
            }
            let say = self.say(WORDS);
            let say = if choice == Choice::No { say } else { Say { text: None, calls: &["Oslo"], ..say } };
            self.push(house, self.script(&say));
            self.is_told(&self.told(house, &ask).await, &say);
            let asked = self.heard(house, heard);
            heard += 1;
            // Who has no word for it is offered no tools.
            let is_said = asked.settings.choice == Some(choice) || (choice == Choice::No && asked.tools.is_empty());
            assert!(is_said, "{choice:?}: {asked:?}");
        }
    }

    /// R1, P4, T7: a conversation that another vendor began goes on here, without its proofs.
    pub(super) async fn moves(&self, house: &House, verdict: Verdict) {
        let mut heard = 0;
        let others = ORIGINS.iter().filter(|origin| origin.name() != self.vendor.name());
        for (step, origin) in others.enumerate() {
            let text = origin.speaks_with_calls().then_some(WORDS);
            let first = Say { cell: self.number, step, thinks: true, text, calls: &["Oslo", "Rome"], ..Say::default() };
            let mut ask = self.ask();
            ask.model = origin.model(self.client.name(), false).into();
            self.push(house, self.script_of(*origin, &first));
            let told = self.told(house, &ask).await;
            assert_eq!((told.thinking, told.calls.len()), (THOUGHT.concat(), 2));
            let results = told.calls.iter().zip(self.results(&first)).map(|(call, result)| (call.id.clone(), result));
            ask.past.push(Past { turn: told.turn, results: results.collect(), question: AGAIN, odd_results: false });
            ask.model = self.ask().model;
            if matches!(verdict, Verdict::Tied(_)) && is_same(self.client.name(), origin.name()) {
                self.is_refused(house, &ask).await;
                heard += 1;
                continue;
            }
            let last = self.say(WORDS);
            self.push(house, self.script(&last));
            self.is_told(&self.told(house, &ask).await, &last);
            heard += 2;
            self.has_moved(&self.heard(house, heard - 1), &first, *origin);
        }
    }

    fn has_moved(&self, heard: &Heard, first: &Say, origin: &dyn Vendor) {
        let [question, Turn::Model(model), Turn::User(results)] = heard.turns.as_slice() else {
            panic!("no such turns: {heard:?}")
        };
        assert_eq!(*question, self.question());
        // The proofs of a maker's models hold wherever they are served.
        let is_allowed = |proof: &str| {
            proof == NO_SIGNATURE || (!origin.maker().is_empty() && origin.maker() == self.vendor.maker())
        };
        let foreign = model.iter().find(|part| matches!(part, Part::Proof(proof) if !is_allowed(proof)));
        assert_eq!(foreign, None, "R1: of {}: {model:?}", origin.name());
        let text: String = model
            .iter()
            .filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
            .collect();
        assert_eq!(text, first.whole_text());
        let calls = calls_of(model);
        let made = calls.iter().map(|call| (call.name.as_str(), &call.arguments));
        let said = first.made("x");
        assert!(made.eq(said.iter().map(|call| (call.name.as_str(), &call.arguments))), "{calls:?}");
        assert!(calls[0].id.is_empty() || calls[0].id != calls[1].id, "{calls:?}");
        let wanted: Vec<Part> = calls
            .into_iter()
            .zip(self.results(first))
            .map(|(call, result)| Part::Result(call.id, result.into()))
            .collect();
        assert_eq!(*results, wanted);
    }

    /// Calls out, results in, and on from there: each request must be as the vendor wants it (T1-T4, T7,
    /// R1-R3), whatever has come before.
    pub(super) async fn tool_loop(&self, house: &House, verdict: Verdict) {
        let is_stored = self.client.name() == STORING;
        let (says, kept) = (self.steps(), is_stored || self.feature != Feature::Forgotten);
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
            ask.past.push(Past { turn, results, question: AGAIN, odd_results: false });
        }
        let is_asked = ask.thinking && !matches!(verdict, Verdict::Unasked(_));
        let mut turns = vec![self.question()];
        for (at, say) in says.iter().enumerate() {
            let tools = vec![TOOL.to_owned(), CLOCK.to_owned()];
            let mut heard = self.heard(house, at);
            let expected = Heard { tools, thinking: is_asked, turns, ..Heard::default() };
            assert_eq!(heard, expected, "request {at}");
            turns = std::mem::take(&mut heard.turns);
            if matches!(verdict, Verdict::Kept) {
                // Only what is new.
                let [_, said] = self.replayed(say, kept, verdict);
                turns = vec![said];
                continue;
            }
            turns.extend(self.replayed(say, kept, verdict));
        }
    }

    /// What a vendor hears in the end of an answer of its own, and of what the client said to it.
    pub(super) fn replayed(&self, say: &Say, kept: bool, verdict: Verdict) -> [Turn; 2] {
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
    pub(super) fn steps(&self) -> Vec<Say> {
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

    pub(super) fn results(&self, say: &Say) -> Vec<&'static str> {
        say.calls
            .iter()
            .map(|city| match *city {
                "Oslo" => "-3",
                "Rome" => "21",
                // A5: nothing to say is a result too.
                _ => "",
            })
            .collect()
    }

    /// What the client is told of calls, and of what was thought and said before them.
    pub(super) fn is_told(&self, told: &Told, said: &Say) {
        let made = calls_of(&self.vendor.replayed(said, true));
        assert_eq!(told.calls.len(), made.len(), "{told:?}");
        let passes = is_same(self.client.name(), self.vendor.name());
        for (told, made) in told.calls.iter().zip(&made) {
            // T7: an id is made up only where there is none.
            let is_named = if made.id.is_empty() { passes || !told.id.is_empty() } else { told.id == made.id };
            assert!(is_named && told.name == made.name && told.arguments == made.arguments, "{told:?} of {made:?}");
        }
        let words = said.whole_text();
        assert_eq!((told.finish, told.text.as_str()), (Some(said.finish()), words.as_str()), "S4");
        assert_eq!(told.thinking, if said.thinks { THOUGHT.concat() } else { String::new() });
        assert_eq!((told.usage, &told.failure), (Some(self.usage()), &None));
        self.is_lossless(told);
    }

    /// Nothing is lost but what must be.
    fn is_lossless(&self, told: &Told) {
        let verdict = verdict(self.client.name(), self.vendor.name(), self.feature);
        // Each client reads the name of what it wrote.
        let formats =
            ["response_format", "output_config.format", "text.format", "generationConfig.responseSchema"].as_slice();
        let efforts =
            ["reasoning_effort", "thinking", "reasoning.effort", "generationConfig.thinkingConfig"].as_slice();
        let thoughts = [
            "messages[].reasoning_content",
            "messages[].thinking_blocks",
            "messages[].extra_content",
            "messages[].content[].thinking",
            "input[].encrypted_content",
            "contents[].parts[].thoughtSignature",
        ];
        let moved = [efforts, &thoughts].concat();
        let may: &[&str] = match verdict {
            Verdict::InWords(_) => formats,
            Verdict::Unasked(_) => efforts,
            _ if self.feature == Feature::Moved => &moved,
            Verdict::Works
            | Verdict::NoPlace(_)
            | Verdict::Refused(_)
            | Verdict::Tied(_)
            | Verdict::Kept
            | Verdict::Unproven(_) => &[],
        };
        let dropped = told.dropped.split(',').filter(|field| !field.is_empty());
        // Whichever turn it is of.
        let place = |field: &str| field.replace(|c: char| c.is_ascii_digit(), "");
        let lost: Vec<&str> = dropped.filter(|field| !may.contains(&place(field).as_str())).collect();
        // It has the cell's mark in it.
        assert!(lost.is_empty() || lost == ["metadata"], "lost: {}", told.dropped);
    }

    /// What the dialect's agent sends is taken by every vendor: what has no place there is no reason to
    /// refuse it.
    pub(super) async fn acts_as_agent(&self, house: &House) {
        let say = self.say(WORDS);
        self.push(house, self.script(&say));
        let told = self.told(house, &self.ask()).await;
        assert_eq!((told.text.as_str(), told.finish), (say.whole_text().as_str(), Some(Finish::Stop)));
        let heard = self.heard(house, 0);
        let Some(Turn::User(last)) = heard.turns.last() else { panic!("{heard:?}") };
        assert_eq!(last.last(), Some(&Part::Text(self.ask().question)));
        assert!(heard.system.contains(SYSTEM) && heard.tools.contains(&TOOL.to_owned()), "{heard:?}");
    }

    /// S4, P1: why an answer is not whole.
    pub(super) async fn cut_off(&self, house: &House) {
        let filter = Some(Finish::Filter).filter(|_| self.vendor.filters());
        for cut in [Some(Finish::Length), filter].into_iter().flatten() {
            let say = Say { cut: Some(cut), ..self.say(WORDS) };
            self.push(house, self.script(&say));
            let told = self.told(house, &self.ask()).await;
            self.is_told(&told, &say);
        }
    }
}

fn calls_of(parts: &[Part]) -> Vec<Call> {
    let call = |part: &Part| if let Part::Call(call) = part { Some(call.clone()) } else { None };
    parts.iter().filter_map(call).collect()
}
