use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use secrecy::ExposeSecret;

use super::*;
use crate::{
    providers::{Grant, Token},
    telemetry::testing::Lines,
    upstream::{credentials::Fetching, transport::Clients},
};

/// Gives `token 1`, `token 2` and so on, each good for an hour, after a second; or fails.
#[derive(Debug, Default)]
struct Script {
    asked: Arc<AtomicUsize>,
    fails: Arc<std::sync::atomic::AtomicBool>,
    hangs: bool,
}

impl Source for Script {
    fn fetch<'a>(&'a self, _by: &'a Wire<'a>) -> Fetching<'a> {
        Box::pin(async {
            let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::time::sleep(Duration::from_secs(if self.hangs { 1_000_000 } else { 1 })).await;
            if self.fails.load(Ordering::Relaxed) {
                return Err("the token server said 400 (invalid_grant)".to_owned());
            }
            let token = Token { token: format!("token {number}").into(), project: None, quota_project: None };
            let credential = Credential { grant: Grant::Token(token), label: "test".into() };
            Ok(Fetched { credential, expires: Some(SystemTime::now() + Duration::from_secs(3600)) })
        })
    }
}

struct House {
    kept: Kept,
    clients: Clients,
    connection: crate::call::Connection,
    asked: Arc<AtomicUsize>,
    fails: Arc<std::sync::atomic::AtomicBool>,
}

fn house(script: Script) -> House {
    let (asked, fails) = (Arc::clone(&script.asked), Arc::clone(&script.fails));
    let connection = crate::call::Connection {
        connect_timeout: Duration::from_secs(1),
        http2_prior_knowledge: false,
        ca_file: None,
    };
    House { kept: Kept::new("lab", Box::new(script)), clients: Clients::default(), connection, asked, fails }
}

impl House {
    async fn get_by(&self, deadline: Instant) -> Result<Arc<Credential>> {
        self.kept.get(&Wire { clients: &self.clients, connection: &self.connection }, deadline).await
    }

    async fn get(&self) -> Result<String> {
        let credential = self.get_by(Instant::now() + Duration::from_secs(60)).await?;
        Ok(credential.bearer().unwrap().expose_secret().to_owned())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Nothing is asked before it is needed, and many calls are one question.
#[tokio::test(start_paused = true)]
async fn one_call_fetches_for_all() {
    let house = house(Script::default());
    assert_eq!(house.asked(), 0);
    let all = join_all((0..20).map(|_| house.get())).await;
    assert!(all.iter().all(|token| token.as_ref().unwrap() == "token 1"), "{all:?}");
    assert_eq!((house.get().await.unwrap(), house.asked()), ("token 1".into(), 1));
}

/// Five minutes before its end one call renews it; the others do not wait.
#[tokio::test(start_paused = true)]
async fn it_is_renewed_ahead_of_its_end() {
    let house = house(Script::default());
    house.get().await.unwrap();
    tokio::time::advance(Duration::from_secs(3200)).await;
    assert_eq!(house.get().await.unwrap(), "token 1");
    tokio::time::advance(Duration::from_secs(101)).await;
    let began = Instant::now();
    let (renewing, (waited, other)) = tokio::join!(house.get(), async {
        let token = house.get().await;
        (began.elapsed(), token)
    });
    assert_eq!((renewing.unwrap(), other.unwrap(), waited), ("token 2".into(), "token 1".into(), Duration::ZERO));
    assert_eq!((house.get().await.unwrap(), house.asked()), ("token 2".into(), 2));
}

/// While the old one is good, a failure to renew hurts nobody and is not repeated by each call.
#[tokio::test(start_paused = true)]
async fn a_failed_renewal_leaves_the_old_one() {
    let house = house(Script::default());
    house.get().await.unwrap();
    tokio::time::advance(Duration::from_secs(3400)).await;
    house.fails.store(true, Ordering::Relaxed);
    for _ in 0..5 {
        assert_eq!(house.get().await.unwrap(), "token 1");
    }
    assert_eq!(house.asked(), 2);
    tokio::time::advance(Duration::from_secs(31)).await;
    house.fails.store(false, Ordering::Relaxed);
    assert_eq!(house.get().await.unwrap(), "token 3");
}

/// X4: the failure is one error for all who waited, one line in the log, and no word of it in what
/// the client hears; after a moment it is tried again.
#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_and_not_repeated_at_once() {
    let log = Lines::listen();
    let house = house(Script::default());
    house.fails.store(true, Ordering::Relaxed);
    let all = join_all((0..10).map(|_| house.get())).await;
    for result in all {
        let error = result.unwrap_err();
        assert_eq!(error.status(), http::StatusCode::BAD_GATEWAY);
        assert_eq!(error.kind().code.as_deref(), Some("upstream_credentials"));
        assert_eq!(error.message(), "The gateway could not get credentials for the upstream.");
    }
    assert!(house.get().await.is_err());
    assert_eq!((house.asked(), log.text().matches("no credentials could be fetched").count()), (1, 1));
    assert!(log.text().contains("invalid_grant") && log.text().contains("lab"), "{}", log.text());
    tokio::time::advance(Duration::from_secs(3)).await;
    house.fails.store(false, Ordering::Relaxed);
    assert_eq!(house.get().await.unwrap(), "token 2");
    assert!(log.text().contains("there again"), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn one_that_has_expired_is_not_used() {
    let house = house(Script::default());
    house.get().await.unwrap();
    tokio::time::advance(Duration::from_secs(3601)).await;
    house.fails.store(true, Ordering::Relaxed);
    assert!(house.get().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_that_was_refused_is_forgotten_once() {
    let house = house(Script::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    let first = house.get_by(deadline).await.unwrap();
    house.kept.forget(&first);
    assert_eq!(house.get().await.unwrap(), "token 2");
    house.kept.forget(&first);
    assert_eq!(house.get().await.unwrap(), "token 2", "another has taken its place");
}

/// O1: a token server that says nothing costs a call no more than its own clocks.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let house = house(Script { hangs: true, ..Script::default() });
    let began = Instant::now();
    let error = house.get_by(began + Duration::from_secs(3)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(Clock::Total)), "{error:?}");
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert!(house.get().await.is_err());
    assert_eq!(began.elapsed(), Duration::from_secs(13));
}

/// D1: the call that fetched may go; the next takes its place.
#[tokio::test(start_paused = true)]
async fn the_fetching_call_may_leave() {
    let house = house(Script::default());
    {
        let mut leaving = Box::pin(house.get());
        let mut waiting = Box::pin(house.get());
        assert!(futures_util::poll!(&mut leaving).is_pending());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(leaving);
        assert_eq!(waiting.await.unwrap(), "token 2");
    }
    assert_eq!(house.asked(), 2);
}
