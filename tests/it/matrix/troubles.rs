//! What goes wrong, and what must come of it all the same.

use std::time::{Duration, Instant};

use super::{
    cell::{Cell, House, WORDS, fallback_name},
    feature::Feature,
    neutral::{Ask, Heard, Trouble},
    vendors::FIRST,
};
use crate::support::{Gate, Script};

/// Long enough for a keep-alive.
const PAUSE: Duration = Duration::from_millis(250);
/// D1 says 100 ms; the rest is what a crowded machine may add.
const SOON: Duration = Duration::from_secs(5);

impl Cell {
    /// M1, F8, case 63: a refusal before the first event has its status, kind and words.
    pub(super) async fn refusals(&self, house: &House) {
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
    pub(super) async fn non_answers(&self, house: &House) {
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

    /// F6: who is asked first fails before it said anything, and the next answers in its own dialect.
    pub(super) async fn falls_back(&self, house: &House) {
        let (say, first) = (self.say(WORDS), FIRST);
        let in_band = first.head().frame(first.failure("No.")).end();
        let second = if self.stream { in_band } else { first.refusal(Trouble::Down, "No.") };
        let mut ask = self.ask();
        ask.model = fallback_name(self.client, self.vendor);
        for (count, failing) in [first.refusal(Trouble::Overloaded, "No."), second].into_iter().enumerate() {
            self.push(house, failing);
            self.push(house, self.script(&say));
            self.is_told(&self.told(house, &ask).await, &say);
            assert_eq!(self.heard(house, 2 * count + 1), Heard { turns: vec![self.question()], ..self.expected() });
        }
    }

    /// E1, E2, E3: what breaks in mid-stream is told in the dialect's form, and is no good end.
    pub(super) async fn breaks(&self, house: &House) {
        let (say, words) = (self.say(WORDS), "The engine died.");
        for end in 0..3 {
            let gate = Gate::closed();
            let begun = self.vendor.head().frames(self.vendor.begun(&say)).gate(&gate);
            let (script, words) = match end {
                0 => (begun.frame(self.vendor.failure(words)).end(), words),
                1 => (begun.cut(), ""),
                _ => (begun.end(), ""),
            };
            self.push(house, script);
            let mut socket = self.send(&house.gateway, &self.ask()).await;
            let mut answer = socket.answer().await;
            answer.until(WORDS[0]).await;
            // A reset would take along what has not been read.
            gate.open();
            let reply = answer.whole().await;
            assert_eq!(reply.status, 200);
            let told = self.client.stream(&reply.text());
            let failure = told.failure.unwrap_or_else(|| panic!("E1: no error: {}", reply.text()));
            assert!(failure.contains(words) && told.finish.is_none(), "{}", reply.text());
        }
    }

    /// D1, cases 11 and 12: a client that leaves takes the vendor's exchange along, whenever it leaves.
    pub(super) async fn cancels(&self, house: &House) {
        for count in 0..self.leavings() {
            let begun = self.vendor.head().frames(self.vendor.begun(&self.say(WORDS))).hang();
            self.push(house, if count == 1 { begun } else { Script::silent() });
            let gateway = if count == 2 { &house.lively } else { &house.gateway };
            let mut socket = self.send(gateway, &self.ask()).await;
            let number = self.asked(house, count).await;
            match count {
                1 => _ = socket.answer().await.until(WORDS[0]).await,
                // Its head comes with the first sign of life.
                2 => assert_eq!(socket.answer().await.status, 200),
                _ => {}
            }
            let left = Instant::now();
            drop(socket);
            let noticed = house.upstream.closed(number).await.saturating_duration_since(left);
            assert!(noticed < SOON, "{noticed:?}");
        }
    }

    /// How often a client leaves in this cell.
    pub(super) fn leavings(&self) -> usize {
        let leaves = self.feature == Feature::Cancel && !self.is_nowhere();
        match self.stream {
            _ if !leaves => 0,
            true => 3,
            false => 1,
        }
    }

    /// What cannot be said is refused before anybody is asked.
    pub(super) async fn is_refused(&self, house: &House, ask: &Ask) {
        let reply = self.send(&house.gateway, ask).await.whole().await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        self.client.error(&reply.json());
    }

    /// S6, S7, case 15: signs of life before the first event and within the stream, which stays valid.
    pub(super) async fn stays_alive(&self, house: &House) {
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
}
