//! What a sign-in needs that has nothing to do with an account is made ready when a phone looks.

use std::time::{Duration, Instant};

use spotify_sim::{Fault, Place, Then};

use crate::{
    lan::{NULL, one_engine, until},
    world::{PATIENCE, scenario},
};

#[test]
fn a_phone_that_looks_has_the_sign_in_made_ready() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        assert!(daemon.engines().is_empty());
        let record = world.sim.record();
        assert_eq!(record.all().len(), 0, "nobody has asked for anything");
        world.info(&found).await;
        until("made ready", PATIENCE, || {
            record.count(Place::ClientToken) == 1 && record.count(Place::ApResolve) == 1
        })
        .await;
        assert_eq!(record.count(Place::ApConnect), 0, "nobody is signed in");
        let spare = one_engine(&daemon).await;
        let mark = record.mark();
        let begun = Instant::now();
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        println!("signed in {:?} after getInfo", begun.elapsed());
        assert_eq!(one_engine(&daemon).await, spare, "it has taken the seat");
        let since = record.since(mark);
        let again = |place: Place| since.iter().any(|entry| entry.place == place);
        assert!(!again(Place::ClientToken) && !again(Place::ApResolve));
        world.listed("kim").await;
        assert_eq!(world.info(&found).await.active_user, "kim");
        assert_eq!(one_engine(&daemon).await, spare, "one is enough");
    });
}

#[test]
fn fifty_phones_that_look_have_one_engine_made_ready() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        for _ in 0..50 {
            world.info(&found).await;
            assert!(daemon.engines().len() <= 1);
        }
        let spare = one_engine(&daemon).await;
        // One that dies is not replaced for whoever asks without end.
        let dead = nix::unistd::Pid::from_raw(spare as i32);
        nix::sys::signal::kill(dead, nix::sys::signal::Signal::SIGKILL).expect("an engine");
        until("it is gone", PATIENCE, || daemon.engines().is_empty()).await;
        for _ in 0..20 {
            world.info(&found).await;
        }
        assert!(daemon.engines().is_empty());
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        world.listed("kim").await;
        assert_eq!(world.sim.record().count(Place::ClientToken), 2);
    });
}

#[test]
fn an_engine_that_was_made_ready_leaves_with_its_daemon() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        world.info(&found).await;
        let spare = one_engine(&daemon).await;
        let (status, _) = daemon.stop().await;
        assert!(status.success());
        let path = format!("/proc/{spare}");
        let gone = || !std::path::Path::new(&path).exists();
        until("the engine is gone", PATIENCE, gone).await;
    });
}

#[test]
fn a_token_service_that_is_silent_costs_seconds() {
    scenario(async |world| {
        let faults = world.sim.faults();
        faults.add(Fault::on(Place::ClientToken).then(Then::Stall));
        let _daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let begun = Instant::now();
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        assert!(begun.elapsed() < Duration::from_secs(8));
        println!("signed in after {:?}", begun.elapsed());
    });
}

#[test]
fn an_access_point_that_is_silent_gives_way_to_the_next() {
    scenario(async |world| {
        let faults = world.sim.faults();
        faults.add(Fault::on(Place::ApLogin).then(Then::Stall));
        let _daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let begun = Instant::now();
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        println!("signed in after {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(8));
    });
}

#[test]
fn a_resolver_that_is_silent_is_asked_again() {
    scenario(async |world| {
        let faults = world.sim.faults();
        faults.add(Fault::on(Place::ApResolve).then(Then::Stall));
        let _daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "kim").await, 101);
    });
}
