//! Who sits at the speaker: guests, takeovers, refusals, and engines that die.

use std::time::{Duration, Instant};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use spotify_sim::{
    Place, PlayOptions,
    phone::{Login, Parcel},
    rigs::{Fifo, FifoFormat, Pace},
};

use crate::lan::{fifo, play};
use crate::world::{PATIENCE, World, hears, pipe_to, scenario, shows};

const NULL: &str = "[output]\nkind = \"null\"\n";

async fn plays(world: &World, user: &str, album: &str) -> spotify_sim::Controller {
    let app = world.sign_in(user).await;
    let context = world.sim.catalogue().titled(album).uri();
    let reply = app
        .play(&context, PlayOptions::default())
        .await
        .expect("an answer");
    assert!(reply.success);
    shows(&app, "a playing track", |state| state.playing).await;
    app
}

#[test]
fn an_engine_that_makes_way_for_one_of_the_same_account_does_not_take_it_off_the_picker() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        world.sign_in("kim").await;
        let first = one_engine(&daemon).await;
        // Its session does not prove that it lives, so that another engine is tried beside it.
        world.sim.mute_access_points();
        let mark = world.sim.record().mark();
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        assert_ne!(one_engine(&daemon).await, first);
        let since = world.sim.record().since(mark);
        let goodbye = |text: &str| text == "DELETE" || text.ends_with("inactive");
        assert!(!since.iter().any(|it| goodbye(&it.text)), "{since:?}");
        let app = world.listed("kim").await;
        play(&world, &app, "Tones").await;
    });
}

#[test]
fn a_second_user_takes_over_and_the_first_can_come_back() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let kim = plays(&world, "kim", "Tones").await;
        let alex = plays(&world, "alex", "Staircase").await;
        kim.wait_until_gone("Kitchen", PATIENCE)
            .await
            .expect("kim does not see the speaker any more");
        let found = world.find().await;
        assert_eq!(world.info(&found).await.active_user, "alex");
        plays(&world, "kim", "Tones").await;
        alex.wait_until_gone("Kitchen", PATIENCE)
            .await
            .expect("nor does alex");
        assert_eq!(one_engine(&daemon).await.len(), 1);
    });
}

#[test]
fn thirty_switches_in_a_row_leave_one_engine_and_no_leftovers() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let users = ["kim", "alex", "sam", "noa", "robin"];
        // Any order will do, as long as it is the same every time.
        let turns = (0..30).map(|turn| users[(turn * 7 + turn / 5) % users.len()]);
        let mut last = "";
        for user in turns {
            assert_eq!(world.hand_over(&found, user).await, 101, "{user}");
            last = user;
        }
        assert_eq!(world.info(&found).await.active_user, last);
        world.listed(last).await;
        for user in users.into_iter().filter(|user| *user != last) {
            let app = world.sim.controller(user);
            app.wait_until_gone("Kitchen", PATIENCE)
                .await
                .unwrap_or_else(|error| panic!("{error}"));
        }
        assert_eq!(one_engine(&daemon).await.len(), 1);
    });
}

#[test]
fn a_free_account_is_told_so_and_the_music_of_the_resident_goes_on() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let mut daemon = world.start_on(&fifo);
        let kim = plays(&world, "kim", "Staircase").await;
        let engine = daemon.engines();
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "fred").await, 202);
        assert_eq!(world.info(&found).await.active_user, "kim");
        let told = daemon.says("Premium").await;
        assert!(told.contains("fr***") && !told.contains("fred"), "{told}");
        assert!(daemon.is_running());
        assert_eq!(one_engine(&daemon).await, engine);
        assert!(kim.state().playing);
        let heard = fifo.capture().len();
        hears(&fifo, heard + 44_100).await;
    });
}

#[test]
fn a_wrong_password_is_refused_and_changes_nothing() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let kim = plays(&world, "kim", "Staircase").await;
        let engine = daemon.engines();
        let found = world.find().await;
        let wrong = Login::password("not the password");
        assert_eq!(world.hand_over_as(&found, "alex", &wrong).await, 202);
        assert_eq!(world.info(&found).await.active_user, "kim");
        assert!(kim.state().playing);
        assert_eq!(one_engine(&daemon).await, engine);
    });
}

#[test]
fn refused_keys_stop_after_three_tracks_and_become_a_condition() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let vera = world.sign_in("vera").await;
        let context = world.sim.catalogue().titled("Tones").uri();
        vera.play(&context, PlayOptions::default())
            .await
            .expect("an answer");
        daemon.says("the keys of three tracks").await;
        shows(&vera, "that nothing plays", |state| {
            !state.playing && !state.loading
        })
        .await;
        let asked = world.sim.record().count(spotify_sim::Place::AudioKey);
        // A refusal is asked about once more; the track after each is prepared beside it.
        assert!((6..=8).contains(&asked), "{asked} keys were asked for");
        world
            .sim
            .users()
            .change("vera", |user| user.audio_keys = true);
        vera.play(&context, PlayOptions::default())
            .await
            .expect("an answer");
        shows(&vera, "a playing track", |state| state.playing).await;
        daemon.says("over: keys refused").await;
    });
}

#[test]
fn a_killed_engine_is_followed_by_one_that_plays_on_where_it_was() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let daemon = world.start(&world.settings(&pipe_to(fifo.path())));
        let kim = world.sign_in("kim").await;
        let album = world.sim.catalogue().titled("Staircase").uri();
        let from = PlayOptions {
            seek_to: Some(20_000),
            ..PlayOptions::default()
        };
        kim.play(&album, from).await.expect("an answer");
        shows(&kim, "a playing track", |state| state.playing).await;
        hears(&fifo, 2 * 44_100).await;
        let before = daemon.engines();
        let then = kim.state();
        let killed = Instant::now();
        kill(Pid::from_raw(before[0] as i32), Signal::SIGKILL).expect("an engine");
        daemon.says("taking playback up").await;
        let mark = fifo.capture().len();
        hears(&fifo, mark + 4_410).await;
        let took = killed.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        let now = shows(&kim, "the same track", |state| {
            state.playing && state.track_uri == then.track_uri && state.context_uri == album
        })
        .await;
        let gone = i64::try_from(killed.elapsed().as_millis()).expect("ms");
        let drift = now.position_ms - then.position_ms;
        assert!(
            (-200..=gone + 1_000).contains(&drift),
            "{drift} ms on after {gone} ms"
        );
        assert_ne!(one_engine(&daemon).await, before);
    });
}

#[test]
fn the_account_that_is_signed_in_already_is_answered_without_a_break_in_its_music() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let kim = plays(&world, "kim", "Staircase").await;
        let engine = daemon.engines();
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        assert!(kim.state().playing);
        assert_eq!(one_engine(&daemon).await, engine);
    });
}

#[test]
fn everybody_is_forgotten_on_demand() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let kim = plays(&world, "kim", "Tones").await;
        let found = world.find().await;
        let answer = world.phone.reset_users(&found).await.expect("an answer");
        assert_eq!(answer.status(), Some(101));
        assert_eq!(world.info(&found).await.active_user, "");
        kim.wait_until_gone("Kitchen", PATIENCE)
            .await
            .expect("gone from the app");
        let (status, _) = daemon.stop().await;
        assert!(status.success());
        let kept = std::fs::read_dir(world.dir().join("state/accounts"))
            .expect("a folder")
            .count();
        assert_eq!(kept, 0);
    });
}

/// A reset is answered only when nobody is left: not the visitor, not the owner to whom the speaker
/// would go back, and not at the next start either.
#[test]
fn a_reset_forgets_the_owner_behind_the_visitor_and_holds_over_a_restart() {
    scenario(async |world| {
        let settings = world.settings(NULL);
        let daemon = world.start(&settings);
        world.sign_in("kim").await;
        let alex = plays(&world, "alex", "Tones").await;
        let found = world.find().await;
        let mark = world.sim.record().mark();
        let answer = world.phone.reset_users(&found).await.expect("an answer");
        assert_eq!(answer.status(), Some(101));
        assert_eq!(accounts_kept(&world), 0);
        alex.wait_until_gone("Kitchen", PATIENCE)
            .await
            .expect("gone from the app");
        assert_eq!(world.info(&found).await.active_user, "");
        // Longer than an owner ever waits for his turn.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(world.info(&found).await.active_user, "");
        assert!(daemon.stop().await.0.success());

        let daemon = world.start(&settings);
        daemon.says("is announced").await;
        let found = world.find().await;
        assert_eq!(world.info(&found).await.active_user, "");
        assert!(daemon.stop().await.0.success());
        let asked = world.sim.record().since(mark);
        let tried = asked.iter().filter(|entry| entry.place == Place::ApLogin);
        assert_eq!(tried.count(), 0, "somebody was signed in again");
        assert_eq!(accounts_kept(&world), 0);
    });
}

#[test]
fn a_reset_forgets_whose_login_was_refused() {
    scenario(async |world| {
        let settings = world.settings(NULL);
        let daemon = world.start(&settings);
        world.sign_in("kim").await;
        assert!(daemon.stop().await.0.success());
        world.sim.users().revoke("kim");
        let daemon = world.start(&settings);
        daemon.says("login_refused").await;
        assert_eq!(accounts_kept(&world), 1);
        let found = world.find().await;
        let answer = world.phone.reset_users(&found).await.expect("an answer");
        assert_eq!(answer.status(), Some(101));
        assert_eq!(accounts_kept(&world), 0);
        daemon.says("over: login refused").await;
    });
}

/// Kim was on both speakers, and the bath plays for alex: a reset of the kitchen takes kim from
/// both, and nothing from alex.
#[test]
fn a_reset_of_one_speaker_leaves_who_sits_on_another() {
    scenario(async |world| {
        let section = |id, name| {
            format!("[[speaker]]\nid = \"{id}\"\nname = \"{name}\"\noutput.kind = \"null\"\n")
        };
        let both = [section("kitchen", "Kitchen"), section("bath", "Bath")].concat();
        let settings = world.settings(&both);
        let daemon = world.start(&settings);
        let alex = crate::speakers::plays(&world, "alex", "Bath", "Staircase").await;
        crate::speakers::plays(&world, "kim", "Kitchen", "Tones").await;
        let kitchen = crate::speakers::find(&world, "Kitchen").await;
        let bath = crate::speakers::find(&world, "Bath").await;
        assert_eq!(world.hand_over(&kitchen, "alex").await, 101);
        let answer = world.phone.reset_users(&kitchen).await.expect("an answer");
        assert_eq!(answer.status(), Some(101));
        assert_eq!(accounts_kept(&world), 1, "alex's");
        assert_eq!(world.info(&kitchen).await.active_user, "");
        assert_eq!(world.info(&bath).await.active_user, "alex");
        assert!(alex.state().playing);
        assert!(daemon.stop().await.0.success());

        let _daemon = world.start(&settings);
        let signed_in = alex.wait_for_device("Bath", PATIENCE).await;
        signed_in.unwrap_or_else(|error| panic!("{error}"));
        let kitchen = crate::speakers::find(&world, "Kitchen").await;
        assert_eq!(world.info(&kitchen).await.active_user, "");
    });
}

/// Kim is on both speakers, and takes the kitchen out of the app.
#[test]
fn who_signs_out_of_one_speaker_in_the_app_stays_on_the_other_and_leaves_when_it_was_the_last() {
    scenario(async |world| {
        let section = |id, name| {
            format!("[[speaker]]\nid = \"{id}\"\nname = \"{name}\"\noutput.kind = \"null\"\n")
        };
        let both = [section("kitchen", "Kitchen"), section("bath", "Bath")].concat();
        let settings = world.settings(&both);
        let daemon = world.start(&settings);
        let in_bath = crate::speakers::plays(&world, "kim", "Bath", "Staircase").await;
        let kitchen = crate::speakers::find(&world, "Kitchen").await;
        assert_eq!(world.hand_over(&kitchen, "kim").await, 101);
        let listed = world.sim.controller("kim");
        let shown = listed.wait_for_device("Kitchen", PATIENCE).await;
        let shown = shown.unwrap_or_else(|error| panic!("{error}"));
        listed.on(&shown.id).log_out().expect("it is listed");
        let gone = listed.wait_until_gone("Kitchen", PATIENCE).await;
        gone.unwrap_or_else(|error| panic!("{error}"));
        assert!(in_bath.state().playing);
        assert!(daemon.stop().await.0.success());

        let daemon = world.start(&settings);
        let signed_in = in_bath.wait_for_device("Bath", PATIENCE).await;
        signed_in.unwrap_or_else(|error| panic!("{error}"));
        let kitchen = crate::speakers::find(&world, "Kitchen").await;
        assert_eq!(world.info(&kitchen).await.active_user, "");
        assert_eq!(accounts_kept(&world), 1);
        in_bath.log_out().expect("it is listed");
        let gone = in_bath.wait_until_gone("Bath", PATIENCE).await;
        gone.unwrap_or_else(|error| panic!("{error}"));
        assert!(daemon.stop().await.0.success());
        assert_eq!(accounts_kept(&world), 0);
    });
}

/// Kim plays. A handover with nothing in it is a mistake, whomever it names; a blob that is well made
/// and has nothing inside forgets whom it names, and nobody else.
#[test]
fn an_empty_handover_does_not_sign_the_resident_out() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "alex").await, 101);
        let kim = plays(&world, "kim", "Staircase").await;
        let engine = one_engine(&daemon).await;
        hears(&fifo, 44_100).await;
        let nothing = Parcel {
            blob: String::new(),
            client_key: String::new(),
        };
        for user in ["kim", "alex", "nobody"] {
            let fields = world.phone.fields(user, &nothing);
            let answer = world.phone.add_user_fields(&found, &fields).await;
            assert_eq!(answer.expect("an answer").status(), Some(303), "{user}");
        }
        assert_eq!(accounts_kept(&world), 2);
        let hollow = Login::stored(b"");
        for user in ["nobody", "alex"] {
            assert_eq!(world.hand_over_as(&found, user, &hollow).await, 101);
        }
        assert_eq!(accounts_kept(&world), 1, "alex is forgotten");
        assert_eq!(world.info(&found).await.active_user, "kim");
        assert!(kim.state().playing);
        assert_eq!(one_engine(&daemon).await, engine);
        let heard = fifo.capture().len();
        hears(&fifo, heard + 44_100).await;
        // Kim takes the account back.
        assert_eq!(world.hand_over_as(&found, "kim", &hollow).await, 101);
        assert_eq!(world.info(&found).await.active_user, "");
        assert_eq!(accounts_kept(&world), 0);
    });
}

/// How many files there are of accounts.
fn accounts_kept(world: &World) -> usize {
    let folder = world.dir().join("state/accounts");
    std::fs::read_dir(folder).expect("a folder").count()
}

/// The engines, once those on their way out have left.
async fn one_engine(daemon: &crate::world::Daemon) -> Vec<u32> {
    let until = Instant::now() + PATIENCE;
    loop {
        let engines = daemon.engines();
        if engines.len() == 1 || Instant::now() > until {
            return engines;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
