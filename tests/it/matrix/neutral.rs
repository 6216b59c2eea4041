//! What is asked, said, told and heard, in nobody's wire format: what a client driver and a vendor
//! driver have in common.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) question: String,
    /// By which the upstream knows whose request it is.
    pub(super) mark: String,
    pub(super) system: bool,
    pub(super) image: bool,
    pub(super) document: bool,
    pub(super) tools: bool,
    /// Tools of names that not every vendor takes, two of which differ only in that.
    pub(super) odd_names: bool,
    pub(super) thinking: bool,
    pub(super) schema: bool,
    pub(super) settings: Settings,
    /// What was told and answered since.
    pub(super) past: Vec<Past>,
}

/// How an answer shall be made.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings {
    pub(super) max_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) choice: Option<Choice>,
    /// Texts that end the answer.
    pub(super) stop: Vec<String>,
}

/// Whether tools may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    No,
    Any,
    /// [`TOOL`] alone.
    Named,
}

/// A turn of the model as the client keeps it, and what the client says to it.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) turn: Value,
    /// What its calls gave, by their ids.
    pub(super) results: Vec<(String, &'static str)>,
    /// To a turn without calls.
    pub(super) question: &'static str,
    /// The first result has an image beside its words, and the second is of a call that failed.
    pub(super) odd_results: bool,
}

/// What a vendor says: reasoning, text and calls, in this order, as far as there is any.
#[derive(Debug, Clone, Default)]
pub(super) struct Say {
    /// What the tool is called that is called for a city, if not [`TOOL`].
    pub(super) tool: Option<String>,
    /// Makes ids and proofs this cell's own.
    pub(super) cell: usize,
    /// Which answer of its conversation it is.
    pub(super) step: usize,
    /// To a legacy completion, by a vendor that still has the endpoint.
    pub(super) legacy: bool,
    pub(super) thinks: bool,
    /// In two pieces, where it is streamed.
    pub(super) text: Option<[&'static str; 2]>,
    /// The cities [`TOOL`] is called for; none for [`CLOCK`], which takes nothing.
    pub(super) calls: &'static [&'static str],
    /// Why it ends, where it is not by itself.
    pub(super) cut: Option<Finish>,
}

/// What a client was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) thinking: String,
    pub(super) calls: Vec<Call>,
    pub(super) finish: Option<Finish>,
    pub(super) usage: Option<Usage>,
    /// The turn in the client's own form, to be sent back.
    pub(super) turn: Value,
    /// The words of the error that ended the stream.
    pub(super) failure: Option<String>,
    /// What was lost on the way to the vendor, as the gateway says.
    pub(super) dropped: String,
    /// Keep-alives in the dialect's own form.
    pub(super) signs_of_life: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// Empty where a vendor has none.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Calls,
    /// Out of tokens.
    Length,
    /// By a content policy.
    Filter,
}

/// Token counts: the whole prompt, what of it came from a cache, all that was generated, and what of
/// it was thought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) prompt: u64,
    pub(super) cached: u64,
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

/// How a vendor refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// 429.
    Busy,
    /// 400.
    Wrong,
    /// The operator's key is bad.
    Key,
    /// 404: no such model.
    Missing,
    /// 400: the prompt is too long, in the vendor's own words for it.
    Overflow,
    /// 503 or the vendor's own status for it.
    Overloaded,
    /// 500.
    Down,
}

/// What a vendor was asked.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub(super) system: String,
    pub(super) turns: Vec<Turn>,
    pub(super) tools: Vec<String>,
    pub(super) schema: Option<Value>,
    /// Reasoning is asked for.
    pub(super) thinking: bool,
    pub(super) settings: Settings,
}

#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    User(Vec<Part>),
    Model(Vec<Part>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(String),
    /// Its media type and data.
    Image(String, String),
    /// The same of a document.
    File(String, String),
    /// Reasoning in words.
    Thought(String),
    /// What proves that reasoning is the vendor's own.
    Proof(String),
    Call(Call),
    /// The id of its call, and what it gave.
    Result(String, String),
}

pub(super) const SYSTEM: &str = "Be brief.";
pub(super) const TOOL: &str = "get_weather";
pub(super) const CLOCK: &str = "get_time";
/// T7: of these every vendor takes the second as it is.
pub(super) const ODD_NAMES: [&str; 2] = ["weather.get/now", "weather_get_now"];
/// Before the words of a call that failed, where a vendor is told so in words.
pub(super) const FAILED: &str = "Error: ";
pub(super) const STOP: &str = "END";
pub(super) const THOUGHT: [&str; 2] = ["Two ", "cities."];
pub(super) const PNG: &str = "iVBORw0KGgo=";
pub(super) const PDF: &str = "JVBERi0xLjcK";
/// What every vendor counts, as far as it can.
pub(super) const USAGE: Usage = Usage { prompt: 12, cached: 4, output: 9, reasoning: 3 };
/// The part of the prompt that was written to a cache, where a vendor tells.
pub(super) const WRITTEN: u64 = 2;

/// What [`TOOL`] takes.
pub(super) fn parameters() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
}

/// What an answer shall be, when it shall be JSON.
pub(super) fn schema() -> Value {
    json!({"type": "object", "properties": {"oslo": {"type": "number"}, "rome": {"type": "number"}},
        "required": ["oslo", "rome"], "additionalProperties": false})
}

/// Arguments in pieces, as they are streamed: none where there is nothing to say.
pub(super) fn pieces(call: &Call) -> Vec<String> {
    let arguments = call.arguments.to_string();
    if arguments == "{}" {
        return Vec::new();
    }
    let (one, two) = arguments.split_at(4);
    vec![one.into(), two.into()]
}

/// A string at the end of a path, or nothing.
pub(super) fn word(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The entries of a list at the end of a path.
pub(super) fn list(value: &Value, path: &str) -> Vec<Value> {
    value.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// A result: its words, and then what is beside them.
pub(super) fn returned(id: &str, parts: Vec<Part>) -> Vec<Part> {
    let (words, beside): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| matches!(part, Part::Text(_)));
    std::iter::once(Part::Result(id.to_owned(), self::words(words))).chain(beside).collect()
}

/// The text of parts that can be nothing else.
pub(super) fn words(parts: Vec<Part>) -> String {
    let text = |part| if let Part::Text(text) = part { text } else { panic!("no text: {part:?}") };
    parts.into_iter().map(text).collect()
}

/// The call's arguments, which must be JSON of an object (T1, T3).
pub(super) fn parsed(arguments: &str) -> Value {
    let parsed = serde_json::from_str(arguments).ok().filter(Value::is_object);
    parsed.unwrap_or_else(|| panic!("T1: arguments are no object: {arguments:?}"))
}

// === impl Ask ===

impl Ask {
    /// The two tools it offers: the first takes a city, the other nothing.
    pub(super) fn names(&self) -> [&'static str; 2] {
        if self.odd_names { ODD_NAMES } else { [TOOL, CLOCK] }
    }
}

// === impl Past ===

impl Past {
    /// Each result with its id, its words, whether there is an image beside them, and whether it is of
    /// a call that failed.
    pub(super) fn given(&self) -> impl Iterator<Item = (&str, &str, bool, bool)> {
        let odd = self.odd_results;
        self.results
            .iter()
            .enumerate()
            .map(move |(at, (id, words))| (id.as_str(), *words, odd && at == 0, odd && at == 1))
    }
}

// === impl Trouble ===

impl Trouble {
    pub(super) const ALL: [Self; 7] =
        [Self::Busy, Self::Wrong, Self::Key, Self::Missing, Self::Overflow, Self::Overloaded, Self::Down];

    /// The status most vendors say it with.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Busy => 429,
            Self::Wrong | Self::Overflow => 400,
            Self::Key => 401,
            Self::Missing => 404,
            Self::Overloaded => 503,
            Self::Down => 500,
        }
    }
}

// === impl Say ===

impl Say {
    /// An id of a call, with what a vendor begins its ids with.
    pub(super) fn id(&self, prefix: &str, number: usize) -> String {
        format!("{prefix}{:04}{}{number}", self.cell, self.step)
    }

    /// A proof of reasoning, of an alphabet that every vendor's has.
    pub(super) fn proof(&self, number: usize) -> String {
        STANDARD.encode(format!("{:04}{}{number}", self.cell, self.step))
    }

    /// Numbered calls, with the ids that begin so.
    pub(super) fn made(&self, prefix: &str) -> Vec<Call> {
        let made = |(number, city): (usize, &&str)| Call {
            id: if prefix.is_empty() { String::new() } else { self.id(prefix, number) },
            name: match &self.tool {
                Some(name) => name.clone(),
                None if city.is_empty() => CLOCK.into(),
                None => TOOL.into(),
            },
            arguments: if city.is_empty() { json!({}) } else { json!({ "city": city }) },
        };
        self.calls.iter().enumerate().map(made).collect()
    }

    pub(super) fn finish(&self) -> Finish {
        let own = if self.calls.is_empty() { Finish::Stop } else { Finish::Calls };
        self.cut.unwrap_or(own)
    }

    /// Whether its reasoning must be proven when it comes back: that before calls whatever the client
    /// has kept, that before an answer where it was kept.
    pub(super) fn is_proven(&self, kept: bool) -> bool {
        self.thinks && (kept || !self.calls.is_empty())
    }

    pub(super) fn whole_text(&self) -> String {
        self.text.map(|text| text.concat()).unwrap_or_default()
    }
}

// === impl Heard ===

impl Heard {
    /// Adds parts to the turn of the user's side; results of one turn belong together (T4).
    pub(super) fn user(&mut self, parts: impl IntoIterator<Item = Part>) {
        match self.turns.last_mut() {
            Some(Turn::User(turn)) => turn.extend(parts),
            Some(Turn::Model(_)) | None => self.turns.push(Turn::User(parts.into_iter().collect())),
        }
    }

    /// The same of the model's side.
    pub(super) fn model(&mut self, parts: impl IntoIterator<Item = Part>) {
        match self.turns.last_mut() {
            Some(Turn::Model(turn)) => parts.into_iter().for_each(|part| join(turn, part)),
            Some(Turn::User(_)) | None => {
                let mut turn = Vec::new();
                parts.into_iter().for_each(|part| join(&mut turn, part));
                self.turns.push(Turn::Model(turn));
            }
        }
    }
}

/// Text that was said in pieces is one text.
fn join(turn: &mut Vec<Part>, part: Part) {
    match (turn.last_mut(), part) {
        (Some(Part::Text(text)), Part::Text(more)) => text.push_str(&more),
        (_, part) => turn.push(part),
    }
}

// === impl Part ===

impl Part {
    /// A text, unless it is empty.
    pub(super) fn text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Text(text.to_owned()))
    }

    pub(super) fn thought(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Thought(text.to_owned()))
    }

    pub(super) fn proof(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Proof(text.to_owned()))
    }

    /// What is in a data URL.
    pub(super) fn url(url: &str) -> Self {
        let media = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        let (media_type, data) = media.unwrap_or_else(|| panic!("no data: {url}"));
        Self::media(media_type, data)
    }

    pub(super) fn media(media_type: &str, data: &str) -> Self {
        let (media_type, data) = (media_type.to_owned(), data.to_owned());
        if media_type.starts_with("image/") { Self::Image(media_type, data) } else { Self::File(media_type, data) }
    }
}
