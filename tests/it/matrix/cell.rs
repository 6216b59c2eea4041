//! One cell: who asks whom for what, and what both have in hand for it. What happens then is in
//! `talks` and `troubles`.

use std::time::Duration;

use super::{
    clients::{CLIENTS, Client},
    exceptions::{Verdict, verdict},
    feature::Feature,
    neutral::{Ask, Heard, PDF, PNG, Part, SYSTEM, Say, Settings, Told, Turn, USAGE, Usage},
    vendors::{VENDORS, Vendor, provider},
};
use crate::support::{Client as Socket, Gateway, Script, Upstream, until};

pub(super) struct Cell {
    pub(super) number: usize,
    pub(super) client: &'static dyn Client,
    pub(super) vendor: &'static dyn Vendor,
    pub(super) feature: Feature,
    pub(super) stream: bool,
}

/// What all cells share.
pub(super) struct House {
    pub(super) upstream: Upstream,
    pub(super) gateway: Gateway,
    /// One with so short an interval that a keep-alive comes in every pause.
    pub(super) lively: Gateway,
}

pub(super) const WORDS: [&str; 2] = ["Let us ", "see \u{1F30D}."];
fn settings() -> Settings {
    Settings { max_tokens: Some(50), temperature: Some(0.5), ..Settings::default() }
}

/// S8, S9: two features' streams come in pieces of so many bytes, cut in frames, words and letters alike.
const CUT: usize = 7;
const INTERVAL: Duration = Duration::from_millis(100);

// === impl House ===

impl House {
    pub(super) async fn start() -> Self {
        let upstream = Upstream::scripted([]).await;
        let providers: String = VENDORS.iter().map(|vendor| vendor.config(&upstream.url(""))).collect();
        let pairs = CLIENTS.iter().flat_map(|client| VENDORS.iter().map(move |vendor| (*client, *vendor)));
        let fallbacks: String = pairs.map(|(client, vendor)| fallback(client, vendor)).collect();
        // Refusals let a provider's only key rest, and then it is asked last; this one has no such cells.
        let first = provider("first", "anthropic", &upstream.url("/first/v1"));
        let config = format!("[retry]\nattempts = 1\n{providers}{first}{fallbacks}");
        let lively = format!("{config}[keep-alive]\ninterval = \"{}ms\"\n", INTERVAL.as_millis());
        let (gateway, lively) = tokio::join!(Gateway::start(&config), Gateway::start(&lively));
        Self { upstream, gateway, lively }
    }

    /// D2: who left is counted as such, once each, and nobody else is.
    pub(super) async fn has_counted(&self, leavings: usize) {
        let count = async || {
            let labels = "outcome=\"canceled\"";
            let counts =
                [&self.gateway, &self.lively].map(|gateway| gateway.metric("", "sluis_requests_total", labels));
            let [one, two] = counts;
            one.await + two.await
        };
        let wanted = f64::from(u32::try_from(leavings).expect("not so many"));
        until("all who left to be counted", async || (count().await >= wanted).then_some(())).await;
        assert_eq!(count().await, wanted, "D2");
    }
}

/// A name for a vendor's model that leads to another vendor's first.
fn fallback(client: &dyn Client, vendor: &dyn Vendor) -> String {
    let (name, model) = (fallback_name(client, vendor), vendor.model(client.name(), false));
    format!("[models.\"{name}\"]\ntargets = [\"first/claude-haiku-4-5\", \"{model}\"]\n")
}

pub(super) fn fallback_name(client: &dyn Client, vendor: &dyn Vendor) -> String {
    format!("{} or {}", client.name(), vendor.name()).replace([' ', ','], "-")
}

// === impl Cell ===

impl Cell {
    pub(super) fn name(&self) -> String {
        let mode = if self.stream { "streamed" } else { "whole" };
        format!("{} > {}: {}, {mode}", self.client.name(), self.vendor.name(), self.feature.name())
    }

    /// The pair has no place for it, and nothing is asked.
    pub(super) fn is_nowhere(&self) -> bool {
        matches!(verdict(self.client.name(), self.vendor.name(), self.feature), Verdict::NoPlace(_))
    }

    pub(super) async fn run(&self, house: &House) {
        let verdict = verdict(self.client.name(), self.vendor.name(), self.feature);
        match (self.feature, verdict) {
            (_, Verdict::NoPlace(_)) => {}
            (Feature::Document, Verdict::Refused(_)) => self.is_refused(house, &self.ask()).await,
            (Feature::Text | Feature::System | Feature::Image | Feature::Document, _) => self.answer(house).await,
            (Feature::Settings, _) => self.settles(house, verdict).await,
            (Feature::Schema, _) => self.fits_schema(house, verdict).await,
            (Feature::Tool | Feature::Parallel | Feature::Thinking | Feature::Forgotten, _) => {
                self.tool_loop(house, verdict).await;
            }
            (Feature::Agent, _) => self.acts_as_agent(house).await,
            (Feature::Names, _) => self.names_tools(house).await,
            (Feature::Results, _) => self.returns(house, verdict).await,
            (Feature::Fallback, _) => self.falls_back(house).await,
            (Feature::Moved, _) => self.moves(house, verdict).await,
            (Feature::Choice, _) => self.chooses(house, verdict).await,
            (Feature::CutOff, _) => self.cut_off(house).await,
            (Feature::Refused, _) => self.refusals(house).await,
            (Feature::Broken, _) => self.breaks(house).await,
            (Feature::Cancel, _) => self.cancels(house).await,
            (Feature::KeepAlive, _) => self.stays_alive(house).await,
        }
    }

    pub(super) fn usage(&self) -> Usage {
        let cached = if self.vendor.counts_cached() { USAGE.cached } else { 0 };
        let reasoning = if self.vendor.counts_reasoning() { USAGE.reasoning } else { 0 };
        Usage { cached, reasoning, ..USAGE }
    }

    pub(super) fn mark(&self) -> String {
        format!("cell-{:04};", self.number)
    }

    pub(super) fn ask(&self) -> Ask {
        let is = |features: &[Feature]| features.contains(&self.feature);
        let is_schema = self.feature == Feature::Schema;
        let thinking = is(&[Feature::Thinking, Feature::Forgotten, Feature::Moved]);
        Ask {
            model: self.vendor.model(self.client.name(), is_schema).into(),
            stream: self.stream,
            question: format!("How warm is it? {}", self.mark()),
            mark: self.mark(),
            system: is(&[Feature::System]),
            image: is(&[Feature::Image]),
            document: is(&[Feature::Document]),
            tools: is(&[
                Feature::Tool,
                Feature::Parallel,
                Feature::Choice,
                Feature::Moved,
                Feature::Names,
                Feature::Results,
                Feature::Agent,
            ]) || thinking,
            odd_names: is(&[Feature::Names]),
            thinking,
            schema: is_schema,
            settings: if is(&[Feature::Settings]) { settings() } else { Settings::default() },
            past: Vec::new(),
        }
    }

    pub(super) fn say(&self, text: [&'static str; 2]) -> Say {
        Say { cell: self.number, legacy: self.client.is_legacy(), text: Some(text), ..Say::default() }
    }

    /// What a vendor hears of the question.
    pub(super) fn question(&self) -> Turn {
        let ask = self.ask();
        let image = ask.image.then(|| Part::media("image/png", PNG));
        let document = ask.document.then(|| Part::media("application/pdf", PDF));
        Turn::User([Part::Text(ask.question)].into_iter().chain(image).chain(document).collect())
    }

    /// And beside it.
    pub(super) fn expected(&self) -> Heard {
        let ask = self.ask();
        let system = if ask.system { SYSTEM.to_owned() } else { String::new() };
        Heard { system, thinking: ask.thinking, settings: ask.settings, ..Heard::default() }
    }

    pub(super) fn script(&self, say: &Say) -> Script {
        self.script_of(self.vendor, say)
    }

    pub(super) fn script_of(&self, vendor: &dyn Vendor, say: &Say) -> Script {
        if !self.stream {
            return Script::json(200, &vendor.whole(say));
        }
        let events = vendor.events(say);
        if matches!(self.feature, Feature::Text | Feature::Thinking) {
            return vendor.head().frames(events.concat().chunks(CUT)).end();
        }
        vendor.head().frames(events).end()
    }

    pub(super) fn push(&self, house: &House, script: Script) {
        house.upstream.push_for(&self.mark(), script);
    }

    pub(super) async fn send(&self, gateway: &Gateway, ask: &Ask) -> Socket {
        let mut headers = vec![("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
        let mut body = self.client.request(ask);
        if self.feature == Feature::Agent {
            headers.extend(self.client.agent(&mut body));
        }
        gateway.send("POST", &self.client.path(ask), &headers, body.to_string().as_bytes()).await
    }

    pub(super) async fn told(&self, house: &House, ask: &Ask) -> Told {
        let reply = self.send(&house.gateway, ask).await.whole().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let told = if self.stream { self.client.stream(&reply.text()) } else { self.client.whole(&reply.json()) };
        Told { dropped: reply.header("x-sluis-dropped").unwrap_or_default().to_owned(), ..told }
    }

    /// What the vendor was asked as the cell's request of this number.
    pub(super) fn heard(&self, house: &House, count: usize) -> Heard {
        let numbers = house.upstream.marked(&self.mark());
        let heard = self.vendor.heard(&house.upstream.request(numbers[count]));
        if matches!(self.feature, Feature::Settings | Feature::Choice) {
            return heard;
        }
        Heard { settings: Settings::default(), ..heard }
    }

    /// Waits for the cell's request of this number, and says which one it is of all.
    pub(super) async fn asked(&self, house: &House, count: usize) -> usize {
        until("a request", async || house.upstream.marked(&self.mark()).get(count).copied()).await
    }
}
