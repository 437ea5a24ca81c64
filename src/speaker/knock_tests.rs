//! What is answered at once, before any account is tried: no engine is started here.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Knock, News, Settings, Speaker};
use crate::{
    accounts::{SignedIn, Store},
    config::{Guests, Request, Surroundings, load},
    model::{CameBy, ConditionCode, DeviceId, Login, Secret},
};

struct Rig {
    knocks: mpsc::Sender<Knock>,
    news: mpsc::Receiver<(Arc<str>, News)>,
    store: Arc<Store>,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

fn login(user: &str) -> Login {
    Login {
        user: user.into(),
        kind: 1,
        secret: Secret::new(vec![1]),
    }
}

/// A speaker on which nobody sits, in a house that remembers kim.
fn speaker(guests: Guests) -> Rig {
    let around = Surroundings {
        variables: Vec::new(),
        host: "kitchen".into(),
        etc: "/nonexistent".into(),
    };
    let config = load(&Request::default(), &around).expect("defaults").config;
    let mut settings = Settings {
        hold_ms: None,
        cache: None,
        device: DeviceId::from_bytes([1; 20]),
        speaker: config.speakers[0].clone(),
        others: vec!["bath".into()],
        network: config.network,
        log: config.log,
    };
    settings.speaker.household.guests = guests;
    let dir = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Store::open(dir.path()).expect("an empty folder will do"));
    let kim = SignedIn {
        login: login("kim"),
        country: None,
        came_by: Some(CameBy::Phone),
        at_ms: 1,
    };
    store.signed_in(kim).expect("written");
    let (knocks, knocked) = mpsc::channel(4);
    let (tell, news) = mpsc::channel(64);
    let (_, changes) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let speaker = Speaker::new(settings, Some(store.clone()), "kitchen".into(), tell);
    tokio::spawn(speaker.run(knocked, changes, stop.clone()));
    Rig {
        knocks,
        news,
        store,
        stop,
        _dir: dir,
    }
}

impl Rig {
    async fn ask<T>(&self, knock: impl FnOnce(oneshot::Sender<T>) -> Knock) -> T {
        let (answer, answered) = oneshot::channel();
        let sent = self.knocks.send(knock(answer)).await;
        sent.expect("the speaker lives");
        answered.await.expect("an answer")
    }

    async fn reset(&self, user: Option<&str>) -> bool {
        let user = user.map(str::to_owned);
        self.ask(|answer| Knock::ResetUsers { user, answer }).await
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn a_stranger_is_denied_without_being_tried_and_it_is_said_why() {
    let mut rig = speaker(Guests::Household);
    let (user, login) = ("alexandra", login("alexandra"));
    assert!(!rig.ask(|answer| Knock::AddUser { login, answer }).await);
    loop {
        let (_, news) = rig.news.recv().await.expect("it is said");
        if let News::Raised(told) = news {
            assert_eq!(told.code, ConditionCode::GuestRefused);
            assert!(told.why.contains("household") && told.cure.contains("siskin pair"));
            assert!(!told.what.contains(user), "{told:?}");
            break;
        }
    }
}

#[tokio::test]
async fn who_keeps_strangers_out_is_not_signed_out_by_one() {
    for (guests, may) in [
        (Guests::Locked, false),
        (Guests::Household, false),
        (Guests::IdleOnly, true),
        (Guests::Open, true),
    ] {
        let rig = speaker(guests);
        assert_eq!(rig.reset(None).await, may);
    }
}

#[tokio::test]
async fn a_reset_forgets_also_who_does_not_sit_and_leaves_whom_another_speaker_needs() {
    let rig = speaker(Guests::Open);
    let alex = SignedIn {
        login: login("alex"),
        country: None,
        came_by: None,
        at_ms: 2,
    };
    rig.store.signed_in(alex).expect("written");
    let sits = rig.store.take_seat("bath", Some("alex"), None);
    sits.expect("written");
    assert!(rig.reset(None).await);
    assert!(!rig.store.remembers("kim") && rig.store.remembers("alex"));
    rig.store.take_seat("bath", None, None).expect("written");
    assert!(rig.reset(Some("noa")).await, "there is nothing to do");
    assert!(rig.store.remembers("alex"));
    assert!(rig.reset(None).await);
    assert!(rig.store.is_empty());
}

#[tokio::test]
async fn an_account_that_nobody_remembers_cannot_be_used() {
    let rig = speaker(Guests::Open);
    let user = "alex".to_owned();
    let answer = rig.ask(|answer| Knock::Use { user, answer }).await;
    assert!(answer.expect_err("unknown").contains("not remembered"));
}

#[tokio::test]
async fn a_forgotten_account_is_off_the_disk_when_that_is_answered() {
    let rig = speaker(Guests::Open);
    let user = Some("kim".to_owned());
    assert_eq!(
        rig.ask(|answer| Knock::Forget { user, answer }).await,
        Ok(())
    );
    assert!(!rig.store.remembers("kim") && rig.store.is_empty());
    // The others of the house are told the same, and find nothing to do.
    let user = None;
    assert_eq!(
        rig.ask(|answer| Knock::Forget { user, answer }).await,
        Ok(())
    );
}
