//! The same promises on each engine: in memory, in a file, and on a PostgreSQL that the test starts
//! itself where its programs are installed.

mod postgres;

use std::{path::Path, time::Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

/// A store and the task that keeps it.
struct Open {
    store: Store,
    keeper: JoinHandle<()>,
}

fn settings(place: StorePlace) -> Settings {
    Settings { place, ..Settings::default() }
}

fn file(folder: &Path) -> Settings {
    settings(StorePlace::File(folder.join("data").join("sluis.db")))
}

fn close(response: &str, events: &str) -> String {
    format!("closed:{response}:{events}")
}

#[expect(clippy::disallowed_methods, reason = "a test owns its store")]
fn open(settings: Settings) -> Open {
    let (store, keeper, _) = Store::new(settings, close);
    // A busy machine may need longer than the deadline; the promises are the same.
    Open {
        store: Store { deadline: Duration::from_secs(10), ..store },
        keeper: tokio::spawn(keeper.run(CancellationToken::new())),
    }
}

impl Open {
    /// Ends it as a process does that is told to stop.
    async fn leave(self) {
        drop(self.store);
        self.keeper.await.unwrap();
    }

    /// Ends it as `kill -9` does, but for what the system itself would give back.
    async fn kill(self) {
        self.keeper.abort();
        let _ = self.keeper.await;
    }
}

fn begin(id: &str, owner: &str) -> Begin {
    Begin {
        id: id.into(),
        owner: owner.into(),
        model: "m".into(),
        status: Status::InProgress,
        background: false,
        previous: None,
        conversation: None,
        upto: 0,
        input: format!("[\"in {id}\"]"),
        response: "{}".into(),
        append: None,
    }
}

fn finish(id: &str) -> Finish {
    Finish { id: id.into(), status: Status::Completed, response: format!("{{\"{id}\":1}}"), events: None, append: None }
}

fn item(id: &str) -> Item {
    Item { id: id.into(), json: format!("{{\"id\":\"{id}\"}}") }
}

fn chunk(first: i64, last: i64) -> Chunk {
    Chunk { first, last, data: format!("{first}-{last};") }
}

fn ids(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.id.as_str()).collect()
}

/// Everything a store promises, on whichever engine.
async fn suite(store: &Store) {
    responses(store).await;
    chains(store).await;
    streams(store).await;
    conversations(store).await;
    pages(store).await;
    together(store).await;
}

async fn responses(store: &Store) {
    store.begin(begin("r1", "ci")).await.unwrap();
    let stored = store.response("ci", "r1").await.unwrap().unwrap();
    assert_eq!((stored.status, &*stored.input, &*stored.response), (Status::InProgress, "[\"in r1\"]", "{}"));
    assert!(store.is_ours(stored.process.as_deref().unwrap()));
    store.begin(Begin { status: Status::Queued, ..begin("queued", "ci") }).await.unwrap();
    store.progress("queued", "{\"begun\":1}".into());
    store.begin(begin("after", "ci")).await.unwrap();
    let begun = store.response("ci", "queued").await.unwrap().unwrap();
    assert_eq!((begun.status, &*begun.response), (Status::InProgress, "{\"begun\":1}"));
    assert_eq!(store.response("other", "r1").await.unwrap(), None, "another key's is not there");
    // An id is given once.
    assert!(matches!(store.begin(begin("r0", "ci")).await, Ok(())));

    store.finish(finish("r1")).await.unwrap();
    store.finish(Finish { status: Status::Failed, ..finish("r1") }).await.unwrap();
    let stored = store.response("ci", "r1").await.unwrap().unwrap();
    assert_eq!((stored.status, &*stored.response, stored.process), (Status::Completed, "{\"r1\":1}", None));
    assert_eq!(store.status("ci", "r1").await.unwrap(), Some(Status::Completed), "an answer ends once");

    assert!(!store.delete("other", "r1").await.unwrap());
    assert!(store.delete("ci", "r1").await.unwrap());
    assert!(!store.delete("ci", "r1").await.unwrap());
    assert_eq!(store.status("ci", "r1").await.unwrap(), None);
    // What ends after its deletion does not come back.
    store.finish(finish("r1")).await.unwrap();
    assert_eq!(store.status("ci", "r1").await.unwrap(), None);
}

async fn chains(store: &Store) {
    let mut previous = None;
    for turn in 0..4 {
        let id = format!("c{turn}");
        store.begin(Begin { previous: previous.clone(), ..begin(&id, "ci") }).await.unwrap();
        store.finish(finish(&id)).await.unwrap();
        previous = Some(id);
    }
    let chain = store.chain("ci", "c3").await.unwrap().unwrap();
    let turns: Vec<_> = chain.turns.iter().map(|turn| turn.id.as_str()).collect();
    assert_eq!(turns, ["c0", "c1", "c2", "c3"]);
    assert_eq!(chain.turns[1].input, "[\"in c1\"]");
    // Two may follow the same one.
    store.begin(Begin { previous: Some("c1".into()), ..begin("branch", "ci") }).await.unwrap();
    assert_eq!(store.chain("ci", "branch").await.unwrap().unwrap().turns.len(), 3);
    assert_eq!(store.chain("other", "c3").await.unwrap(), Err("c3".into()));
    // A chain that has lost its beginning says so, and tells which.
    store.delete("ci", "c1").await.unwrap();
    assert_eq!(store.chain("ci", "c3").await.unwrap(), Err("c1".into()));
}

async fn streams(store: &Store) {
    store.begin(begin("s1", "ci")).await.unwrap();
    store.log("s1", chunk(0, 2));
    store.log("s1", chunk(3, 9));
    store.log("nobody", chunk(0, 0));
    let last = Finish { events: Some(chunk(10, 10)), ..finish("s1") };
    store.finish(last).await.unwrap();
    let from = async |after| store.events("s1", after).await.unwrap();
    assert_eq!(from(-1).await, [chunk(0, 2), chunk(3, 9), chunk(10, 10)]);
    assert_eq!(from(4).await, [chunk(3, 9), chunk(10, 10)]);
    assert_eq!(from(10).await, []);
}

async fn conversations(store: &Store) {
    let conversation = Conversation { id: "conv".into(), created: 7, metadata: "{}".into(), next: 0 };
    store.converse("ci", conversation, vec![item("a"), item("b")]).await.unwrap();
    let found = store.conversation("ci", "conv").await.unwrap().unwrap();
    assert_eq!((found.created, found.next, &*found.metadata), (7, 2, "{}"));
    assert_eq!(store.conversation("other", "conv").await.unwrap(), None);
    assert!(store.describe("ci", "conv", "{\"a\":\"b\"}".into()).await.unwrap());
    assert!(!store.describe("other", "conv", "{}".into()).await.unwrap());
    assert_eq!(store.conversation("ci", "conv").await.unwrap().unwrap().metadata, "{\"a\":\"b\"}");

    let append = |owner: &str, items| Append { owner: owner.into(), conversation: "conv".into(), items };
    assert!(store.append(append("ci", vec![item("c")])).await.unwrap());
    assert!(!store.append(append("other", vec![item("x")])).await.unwrap());
    // A turn reads what there is, and adds its own when it ends.
    let turn = Begin { conversation: Some("conv".into()), upto: 3, ..begin("t1", "ci") };
    store.begin(turn).await.unwrap();
    store.finish(Finish { append: Some(append("ci", vec![item("q"), item("r")])), ..finish("t1") }).await.unwrap();
    assert_eq!(ids(&store.items_upto("ci", "conv", i64::MAX).await.unwrap()), ["a", "b", "c", "q", "r"]);
    // What follows the turn by its id has the same before it.
    store.begin(Begin { previous: Some("t1".into()), ..begin("t2", "ci") }).await.unwrap();
    assert_eq!(ids(&store.chain("ci", "t2").await.unwrap().unwrap().items), ["a", "b", "c"]);

    assert_eq!(store.item("ci", "conv", "b").await.unwrap(), Some(item("b")));
    assert_eq!(store.item("other", "conv", "b").await.unwrap(), None);
    assert!(!store.remove("other", "conv", "b").await.unwrap());
    assert!(store.remove("ci", "conv", "b").await.unwrap());
    assert_eq!(store.item("ci", "conv", "b").await.unwrap(), None);
    assert!(!store.forget("other", "conv").await.unwrap());
    // A whole answer is kept together with what it adds.
    let whole = Begin { status: Status::Completed, append: Some(append("ci", vec![item("w")])), ..begin("t3", "ci") };
    store.begin(whole).await.unwrap();
    assert_eq!(store.item("ci", "conv", "w").await.unwrap(), Some(item("w")));
    assert!(store.forget("ci", "conv").await.unwrap());
    assert!(store.response("ci", "t1").await.unwrap().is_some(), "responses stay");
}

async fn pages(store: &Store) {
    let conversation = Conversation { id: "pages".into(), created: 7, metadata: "{}".into(), next: 0 };
    store.converse("ci", conversation, ["1", "2", "3", "4", "5"].map(item).into()).await.unwrap();
    let page =
        async |after: Option<&str>, newest_first| {
            let page = Page { after: after.map(Into::into), limit: 2, newest_first };
            store.items("ci", "pages", &page).await.unwrap().map(|listed| {
                (listed.items.into_iter().map(|item| item.id).collect::<Vec<_>>().join(" "), listed.has_more)
            })
        };
    assert_eq!(page(None, true).await, Ok(("5 4".into(), true)));
    assert_eq!(page(Some("2"), true).await, Ok(("1".into(), false)));
    assert_eq!(page(None, false).await, Ok(("1 2".into(), true)));
    assert_eq!(page(Some("3"), false).await, Ok(("4 5".into(), false)));
    assert_eq!(page(Some("5"), false).await, Ok((String::new(), false)));
    assert_eq!(page(Some("9"), false).await, Err(Missing::After));
    let all = Page { after: None, limit: 2, newest_first: true };
    assert_eq!(store.items("other", "pages", &all).await.unwrap(), Err(Missing::Whole));
}

/// Many at once, and one among them that cannot be.
async fn together(store: &Store) {
    let begins = (0..100).map(|number| {
        let id = if number == 57 { "together 1".into() } else { format!("together {number}") };
        store.begin(begin(&id, "many"))
    });
    let outcomes = futures_util::future::join_all(begins).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
    assert!(matches!(outcomes.iter().find(|outcome| outcome.is_err()), Some(Err(Error::Internal { .. }))));
    assert_eq!(store.status("many", "together 99").await.unwrap(), Some(Status::InProgress));
}

/// What a killed process left open is failed afterwards, with its events, and nothing else changed.
async fn survival(settings: &Settings) {
    let first = open(settings.clone());
    first.store.begin(begin("done", "ci")).await.unwrap();
    first.store.finish(finish("done")).await.unwrap();
    first.store.begin(begin("open", "ci")).await.unwrap();
    first.store.log("open", chunk(0, 4));
    let conversation = Conversation { id: "kept".into(), created: 7, metadata: "{}".into(), next: 0 };
    first.store.converse("ci", conversation, vec![item("a")]).await.unwrap();
    first.kill().await;

    let second = open(settings.clone());
    let patience = Instant::now();
    let closed = loop {
        let stored = second.store.response("ci", "open").await.unwrap().unwrap();
        if stored.status != Status::InProgress {
            break stored;
        }
        assert!(patience.elapsed() < Duration::from_secs(40), "nobody closed it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((closed.status, &*closed.response), (Status::Failed, "closed:{}:0-4;"));
    assert_eq!(second.store.status("ci", "done").await.unwrap(), Some(Status::Completed));
    assert_eq!(ids(&second.store.items_upto("ci", "kept", 9).await.unwrap()), ["a"]);
    second.leave().await;
}

/// A clean end writes all that was given, and leaves nothing open behind.
async fn departure(settings: &Settings) {
    let first = open(settings.clone());
    first.store.begin(begin("left", "ci")).await.unwrap();
    first.store.begin(begin("late", "ci")).await.unwrap();
    for number in 0..50 {
        first.store.log("late", chunk(number, number));
    }
    first.store.finish_later(finish("late"));
    first.leave().await;
    let second = open(settings.clone());
    assert_eq!(second.store.status("ci", "left").await.unwrap(), Some(Status::Failed));
    assert_eq!(second.store.status("ci", "late").await.unwrap(), Some(Status::Completed));
    assert_eq!(second.store.events("late", 48).await.unwrap(), [chunk(49, 49)]);
    second.leave().await;
}

/// What is old goes, then the least recently used of what is too much; what is being made stays.
async fn limits(settings: &Settings) {
    let open = open(settings.clone());
    let store = &open.store;
    let big = |id: &str, owner: &str| Begin { input: "x".repeat(1000), ..begin(id, owner) };
    store.begin(big("making", "limits")).await.unwrap();
    for number in 0..30 {
        let id = format!("big {number}");
        store.begin(big(&id, "limits")).await.unwrap();
        store.finish(finish(&id)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    store.begin(big("lonely", "another")).await.unwrap();
    store.finish(finish("lonely")).await.unwrap();
    let db = store.state.borrow().db().unwrap();
    let alive = async |id: &str, owner: &str| store.status(owner, id).await.unwrap().is_some();

    let per_key = Settings { max_bytes_per_key: Some(10_000), ..settings.clone() };
    keeper::sweep(&db, &per_key).await.unwrap();
    assert!(!alive("big 0", "limits").await && alive("big 29", "limits").await && alive("lonely", "another").await);
    assert!(alive("making", "limits").await);

    keeper::sweep(&db, &Settings { max_bytes: 3000, ..settings.clone() }).await.unwrap();
    assert!(!alive("big 28", "limits").await && alive("making", "limits").await);

    tokio::time::sleep(Duration::from_millis(5)).await;
    keeper::sweep(&db, &Settings { retention: Duration::from_millis(1), ..settings.clone() }).await.unwrap();
    assert!(!alive("lonely", "another").await && alive("making", "limits").await);
    open.leave().await;
}

#[tokio::test]
async fn a_store_in_memory_keeps_its_promises() {
    let open = open(settings(StorePlace::Memory));
    suite(&open.store).await;
    open.leave().await;
}

#[tokio::test]
async fn a_store_in_a_file_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let open = open(file(folder.path()));
    suite(&open.store).await;
    open.leave().await;
}

#[tokio::test]
async fn a_file_survives_the_death_of_its_process() {
    let folder = tempfile::tempdir().unwrap();
    survival(&file(folder.path())).await;
    departure(&file(folder.path())).await;
}

#[tokio::test]
async fn a_store_has_limits() {
    let folder = tempfile::tempdir().unwrap();
    limits(&file(folder.path())).await;
}

/// Nothing is made before it is needed, and two processes never share a file.
#[tokio::test]
async fn a_file_is_made_when_needed_and_for_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = file(folder.path());
    let first = open(settings.clone());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!folder.path().join("data").exists());
    first.store.begin(begin("mine", "ci")).await.unwrap();
    assert!(folder.path().join("data/sluis.db").exists());
    let second = open(settings);
    assert_eq!(second.store.status("ci", "mine").await.unwrap(), None);
    second.store.begin(begin("mine", "ci")).await.unwrap();
    second.leave().await;
    assert_eq!(first.store.status("ci", "mine").await.unwrap(), Some(Status::InProgress));
    first.leave().await;
}

/// B3: where nothing can be written, memory serves.
#[tokio::test]
async fn a_place_that_cannot_be_written_is_done_without() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("data");
    std::fs::write(&occupied, "a file where a folder should be").unwrap();
    let open = open(file(folder.path()));
    open.store.begin(begin("r", "ci")).await.unwrap();
    assert_eq!(open.store.status("ci", "r").await.unwrap(), Some(Status::InProgress));
    open.leave().await;
}
