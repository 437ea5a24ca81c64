//! A session that is lost under the music: another one takes its place, and nobody hears it.

use std::time::{Duration, Instant};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use spotify_sim::{
    Controller, Fault, Place, PlayOptions, Then,
    faults::access_point_error::{BAD_CONNECTION_ID, BAD_CREDENTIALS},
    listen,
    rigs::Fifo,
};

use crate::{
    booth::{Booth, assert_in_time},
    lan::{NULL, count, fifo, inside, one_engine, play, plays, until},
    tape::{decoded, frames, stretches},
    world::{Daemon, PATIENCE, World, hears, scenario, shows},
};

/// Everything heard so far is one unbroken piece of the first track of `album`.
fn assert_unbroken(world: &World, fifo: &Fifo, album: &str) {
    let capture = fifo.capture();
    let seconds = capture.len() / 44_100 + 2;
    let source = decoded(&world.sim.catalogue().titled(album).tracks[0], seconds);
    let pieces = stretches(&capture, &[source]);
    assert_eq!(pieces.len(), 1, "{pieces:#?}");
    assert_eq!((pieces[0].at, pieces[0].from), (0, 0), "{pieces:#?}");
    let rest = capture.len() - pieces[0].end();
    assert!(
        rest < frames(10),
        "{rest} frames at the end are something else"
    );
    // A machine that is busy with other tests is late now and then; no sample is lost by it.
    println!("the pipe ran dry {} times", fifo.dry());
}

/// The app shows the place that is heard.
async fn assert_in_step(app: &Controller, fifo: &Fifo) {
    let state = shows(app, "music", |state| state.playing).await;
    let heard = fifo.capture().len() as f64 / 44.1;
    let apart = state.position_ms as f64 - heard;
    assert!(apart.abs() < 400.0, "{apart} ms apart");
}

/// Waits until the session was lost and made anew, `times` in all.
pub async fn renewed(daemon: &Daemon, times: usize) {
    until("a new session", PATIENCE, || {
        count(daemon, "over: spotify unreachable") == times
    })
    .await;
}

#[test]
fn an_access_point_that_goes_away_under_the_music_is_not_heard() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 2 * 44_100).await;
        let engine = one_engine(&daemon).await;
        let mark = world.sim.record().mark();
        let lost = Instant::now();
        assert_eq!(world.sim.drop_access_points(), 1);
        renewed(&daemon, 1).await;
        println!("signed in again {:?} after the loss", lost.elapsed());
        world
            .sim
            .record()
            .assert_order(mark, &[Place::ApLogin, Place::ConnectState]);
        assert_eq!(
            one_engine(&daemon).await,
            engine,
            "the same player plays on"
        );
        hears(&fifo, fifo.capture().len() + 2 * 44_100).await;
        assert_unbroken(&world, &fifo, "Staircase");
        assert_in_step(&app, &fifo).await;

        // The speaker obeys, and what was not opened yet is opened over the new session.
        assert!(app.pause().await.expect("an answer").success);
        shows(&app, "a pause", |state| state.paused).await;
        assert!(app.resume().await.expect("an answer").success);
        play(&world, &app, "Tones").await;
        let second = world.sim.catalogue().titled("Tones").tracks[1].uri();
        assert!(app.next().await.expect("an answer").success);
        shows(&app, "the next track", |state| {
            state.playing && state.track_uri == second
        })
        .await;
        let found = world.find().await;
        assert_eq!(world.info(&found).await.active_user, "kim");
    });
}

#[test]
fn a_link_that_is_lost_again_and_again_costs_no_sample_and_no_memory() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let engine = one_engine(&daemon).await;
        for times in 1..=5 {
            assert_eq!(
                world.sim.drop_access_points(),
                1,
                "one link, none left over"
            );
            renewed(&daemon, times).await;
            until("one dealer", PATIENCE, || world.sim.dealers() == 1).await;
        }
        assert_eq!(one_engine(&daemon).await, engine);
        assert_unbroken(&world, &fifo, "Staircase");
        assert_in_step(&app, &fifo).await;
    });
}

#[test]
fn a_line_that_comes_back_after_a_while_is_used_within_two_seconds() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        plays(&world, "kim", "Staircase").await;
        world.sim.go_dark().await;
        // Long enough for attempts that would be many seconds apart by now.
        tokio::time::sleep(Duration::from_secs(8)).await;
        world.sim.come_back().await.expect("the port is free");
        let back = Instant::now();
        renewed(&daemon, 1).await;
        let took = back.elapsed();
        println!("signed in {took:?} after the line was back");
        assert!(took < Duration::from_secs(3), "{took:?}");
    });
}

/// Nobody says no there: each question waits for its answer, and none gets as far as Spotify.
#[test]
fn a_line_that_swallowed_everything_is_used_within_seconds_when_it_is_back() {
    scenario(async |world| {
        let network = world.namespace.network();
        // What the machine says to itself passes the walls otherwise.
        inside(network, || {
            std::fs::write("/proc/sys/net/ipv4/conf/lo/disable_policy", "0").expect("a setting");
        });
        let daemon = world.start(&world.settings(NULL));
        plays(&world, "kim", "Staircase").await;
        let port = world.sim.port();
        let wall = format!("xfrm policy add dir in proto tcp dport {port} action block");
        network.ip(&wall).expect("a wall");
        world.sim.drop_access_points();
        daemon.says("spotify_unreachable").await;
        // Long enough for sign-ins that would be many seconds apart by now.
        tokio::time::sleep(Duration::from_secs(28)).await;
        network.ip("xfrm policy flush").expect("no wall");
        let back = Instant::now();
        renewed(&daemon, 1).await;
        let took = back.elapsed();
        println!("signed in {took:?} after the line was back");
        assert!(took < Duration::from_secs(4), "{took:?}");
    });
}

#[test]
fn a_dealer_that_refuses_or_says_nothing_costs_seconds_and_no_sound() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let begun = Instant::now();
        // Nothing is worth anything any more: librespot alone would come with the same token for an hour.
        world.sim.revoke_tokens();
        world.sim.drop_dealers();
        renewed(&daemon, 1).await;
        until("a dealer", PATIENCE, || world.sim.dealers() == 1).await;
        // Past the time in which the end of the dealer before may still be heard.
        let played = shows(&app, "music", |state| state.playing)
            .await
            .position_ms;
        until("seven seconds more", PATIENCE, || {
            app.state().position_ms > played + 7_000
        })
        .await;
        let stalls = Fault::on(Place::Dealer).times(1).then(Then::Stall);
        world.sim.faults().add(stalls);
        world.sim.drop_dealers();
        renewed(&daemon, 2).await;
        until("a dealer", PATIENCE, || world.sim.dealers() == 1).await;
        println!("all of it took {:?}", begun.elapsed());
        assert_unbroken(&world, &fifo, "Staircase");
        assert_in_step(&app, &fifo).await;
    });
}

#[test]
fn a_lost_link_is_told_in_our_words_only() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        plays(&world, "kim", "Staircase").await;
        world.sim.drop_access_points();
        renewed(&daemon, 1).await;
        until("one dealer", PATIENCE, || world.sim.dealers() == 1).await;
        world.sim.drop_dealers();
        until("another dealer", PATIENCE, || world.sim.dealers() == 1).await;
        assert_eq!(count(&daemon, "librespot"), 0, "{:#?}", daemon.log());
        assert_eq!(count(&daemon, "spotify_unreachable"), 2, "raised and over");
    });
}

#[test]
fn a_silent_link_holds_up_no_command_while_it_is_asked_whether_it_lives() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Staircase").await;
        world.sim.mute_access_points();
        // Kim is handed over again: his session is to prove that it lives, and has 1.2 s for it.
        let found = world.find().await;
        let mark = world.sim.record().mark();
        let (came, longest) = tokio::join!(world.hand_over(&found, "kim"), async {
            let mut longest = Duration::ZERO;
            for _ in 0..5 {
                for reply in [app.pause().await, app.resume().await] {
                    longest = longest.max(reply.expect("an answer").latency);
                }
            }
            longest
        });
        assert_eq!(came, 101);
        assert!(longest < Duration::from_millis(700), "{longest:?}");
        world.sim.record().assert_order(mark, &[Place::ApLogin]);
        drop(daemon);
    });
}

/// Nobody notices that a link is half-open before something is wanted of it: here, the key of a
/// track.
#[test]
fn a_link_that_is_half_open_when_another_track_is_wanted_costs_seconds_and_not_the_track() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        let road = world.sim.catalogue().titled("Staircase").uri();
        booth.sounds(&road, PlayOptions::default()).await;
        booth.hush().await;
        let engine = one_engine(&booth.daemon).await;
        assert_eq!(world.sim.mute_access_points(), 1);
        let (from, asked) = (booth.heard(), Instant::now());
        let order = PlayOptions::from_index(7);
        let reply = booth.app.play(&album.uri(), order).await;
        assert_in_time(&reply.expect("an answer"), "a track");
        hears(&booth.fifo, from + frames(500)).await;
        println!("half a second of it after {:?}", asked.elapsed());
        booth.assert_begins(from, &album.tracks[7], 400, "half-open");
        shows(&booth.app, "that track", |state| {
            state.playing && state.track_uri == album.tracks[7].uri()
        })
        .await;
        renewed(&booth.daemon, 1).await;
        assert_eq!(one_engine(&booth.daemon).await, engine, "the same player");
    });
}

#[test]
fn a_link_that_is_half_open_at_a_skip_costs_no_track_either() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        assert_eq!(world.sim.mute_access_points(), 1);
        // The one that follows is there already, the one after it is not.
        for _ in 0..2 {
            let reply = booth.app.next().await.expect("an answer");
            assert_in_time(&reply, "a skip");
        }
        let third = album.tracks[2].uri();
        shows(&booth.app, "the third track", |state| {
            state.playing && state.track_uri == third
        })
        .await;
        renewed(&booth.daemon, 1).await;
        let from = booth.heard();
        hears(&booth.fifo, from + frames(500)).await;
    });
}

/// librespot reads what comes over the link on a task of its own, and trusts in lengths.
#[test]
fn a_packet_over_which_librespot_panics_costs_the_session_and_no_sound() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let engine = one_engine(&daemon).await;
        world.sim.cut_packet("kim");
        daemon.says("panicked").await;
        renewed(&daemon, 1).await;
        assert_eq!(one_engine(&daemon).await, engine, "the same player");
        hears(&fifo, fifo.capture().len() + 44_100).await;
        assert_unbroken(&world, &fifo, "Staircase");
        assert_in_step(&app, &fifo).await;
        // Of the new session something can be had.
        play(&world, &app, "Tones").await;
        hears(&fifo, fifo.capture().len() + 44_100).await;
    });
}

#[test]
fn a_link_that_is_lost_while_nothing_plays_is_replaced_too() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = world.sign_in("kim").await;
        let engine = one_engine(&daemon).await;
        world.sim.drop_access_points();
        renewed(&daemon, 1).await;
        play(&world, &app, "Staircase").await;
        assert!(app.pause().await.expect("an answer").success);
        let then = shows(&app, "a pause", |state| state.paused).await;
        world.sim.drop_access_points();
        renewed(&daemon, 2).await;
        let now = shows(&app, "a pause", |state| state.paused).await;
        assert_eq!(now.track_uri, then.track_uri);
        assert_eq!(now.position_ms, then.position_ms);
        assert!(app.resume().await.expect("an answer").success);
        shows(&app, "music", |state| state.playing).await;
        assert_eq!(one_engine(&daemon).await, engine);
    });
}

#[test]
fn the_queue_outlives_the_session() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Tones").await;
        let wanted = world.sim.catalogue().titled("Staircase").tracks[0].uri();
        assert!(app.add_to_queue(&wanted).await.expect("an answer").success);
        shows(&app, "a queue", |state| state.queued == [wanted.clone()]).await;
        world.sim.drop_access_points();
        renewed(&daemon, 1).await;
        shows(&app, "the same queue", |state| {
            state.queued == [wanted.clone()]
        })
        .await;
        assert!(app.next().await.expect("an answer").success);
        shows(&app, "the queued track", |state| {
            state.playing && state.track_uri == wanted
        })
        .await;
    });
}

#[test]
fn services_that_refuse_for_a_while_are_asked_again_while_the_music_plays() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let faults = world.sim.faults();
        let busy = Then::Status(503, None);
        faults.add(Fault::on(Place::Login5).times(4).then(busy.clone()));
        faults.add(Fault::on(Place::ClientToken).times(2).then(busy));
        faults.add(Fault::on(Place::ApLogin).times(1).then(Then::Stall));
        world.sim.drop_access_points();
        renewed(&daemon, 1).await;
        assert!(faults.is_empty());
        assert_unbroken(&world, &fifo, "Staircase");
        assert_in_step(&app, &fifo).await;
    });
}

#[test]
fn an_access_point_that_refuses_for_five_seconds_costs_no_sample_and_no_new_client_token() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        world
            .sim
            .faults()
            .add(Fault::on(Place::ApLogin).forever().then(Then::Drop));
        let mark = world.sim.record().mark();
        world.sim.drop_access_points();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let found = world.find().await;
        assert_eq!(world.info(&found).await.active_user, "kim", "still his");
        world.sim.faults().clear();
        renewed(&daemon, 1).await;
        let entries = world.sim.record().since(mark);
        let tokens = entries.iter().filter(|it| it.place == Place::ClientToken);
        assert!(tokens.count() <= 2, "a client token is kept");
        assert_unbroken(&world, &fifo, "Staircase");
        assert_in_step(&app, &fifo).await;
    });
}

#[test]
fn a_session_that_is_away_at_the_end_of_a_track_is_waited_for_and_no_track_is_lost() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Short").await;
        let album = world.sim.catalogue().titled("Short").clone();
        world
            .sim
            .faults()
            .add(Fault::on(Place::ApConnect).forever().then(Then::Drop));
        world.sim.drop_access_points();
        daemon.says("spotify_unreachable").await;
        // What was opened is over; what follows waits for a session.
        let begun = Instant::now();
        let mut before = 0;
        while before < 44_100 || fifo.capture().len() > before {
            assert!(begun.elapsed() < 2 * PATIENCE, "the music never stops");
            before = fifo.capture().len();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        world.sim.faults().clear();
        renewed(&daemon, 1).await;
        let last = album.tracks.last().expect("a track").uri();
        until("the last track", 2 * PATIENCE, || {
            app.state().track_uri == last
        })
        .await;
        let sources: Vec<_> = album.tracks.iter().map(|it| decoded(it, 60)).collect();
        let pieces = stretches(&fifo.capture(), &sources);
        let mut heard: Vec<_> = pieces.iter().map(|piece| piece.source).collect();
        heard.dedup();
        let all: Vec<_> = (0..heard.len()).collect();
        assert_eq!(heard, all, "in order, and none is missing: {pieces:#?}");
        assert_eq!(count(&daemon, "tracks_fail"), 0);
    });
}

/// The log does not say which dealer fell: the one of the session that was let go, or the new one.
#[test]
fn a_dealer_that_falls_silent_again_soon_after_it_was_replaced_is_noticed() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Staircase").await;
        for times in 1..=2 {
            let stalls = Fault::on(Place::Dealer).times(1).then(Then::Stall);
            world.sim.faults().add(stalls);
            world.sim.drop_dealers();
            renewed(&daemon, times).await;
            until("a dealer", PATIENCE, || world.sim.dealers() == 1).await;
            let played = shows(&app, "music", |state| state.playing).await;
            let on = played.position_ms + 4_000;
            until("four seconds more", PATIENCE, || {
                app.state().position_ms > on
            })
            .await;
        }
        let app = world.listed("kim").await;
        play(&world, &app, "Tones").await;
    });
}

/// The sign-ins that fail meanwhile come at ever longer intervals; what is asked of the speaker does
/// not wait for the next of them.
#[test]
fn a_dealer_that_comes_back_by_itself_ends_the_wait_for_a_new_session() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let away = Fault::on(Place::Dealer).forever();
        world.sim.faults().add(away.then(Then::Status(503, None)));
        let mark = world.sim.record().mark();
        world.sim.drop_dealers();
        daemon.says("spotify_unreachable").await;
        // The next one would come after eight seconds or more.
        until("sign-ins without a dealer", 3 * PATIENCE, || {
            let since = world.sim.record().since(mark);
            since.iter().filter(|it| it.place == Place::ApLogin).count() >= 4
        })
        .await;
        world.sim.faults().clear();
        until("a dealer", PATIENCE, || world.sim.dealers() == 1).await;
        let begun = Instant::now();
        let app = world.listed("kim").await;
        play(&world, &app, "Tones").await;
        println!("plays {:?} after the dealer is back", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(4));
        renewed(&daemon, 1).await;
    });
}

#[test]
fn a_dealer_that_is_gone_for_good_is_replaced_with_its_session() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let engine = one_engine(&daemon).await;
        world.sim.drop_dealers();
        world.sim.drop_access_points();
        renewed(&daemon, 1).await;
        assert_eq!(one_engine(&daemon).await, engine);
        assert!(app.seek(30_000).await.expect("an answer").success);
        shows(&app, "another place", |state| state.position_ms >= 30_000).await;
        let capture = fifo.capture();
        hears(&fifo, capture.len() + 44_100).await;
        let capture = fifo.capture();
        let place = listen::position_of(&capture[capture.len() - 8_820..]).expect("the staircase");
        assert!((30.0..34.0).contains(&place), "{place}");
    });
}

#[test]
fn an_account_that_is_refused_at_the_new_sign_in_is_told_so() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        plays(&world, "kim", "Staircase").await;
        let wrong = Then::LoginError(BAD_CREDENTIALS);
        let refuse = Fault::on(Place::ApLogin).of("kim").forever().then(wrong);
        world.sim.faults().add(refuse);
        world.sim.drop_access_points();
        daemon.says("login_refused").await;
        let found = world.find().await;
        assert_eq!(world.info(&found).await.active_user, "");
        assert_eq!(world.hand_over(&found, "alex").await, 101);
    });
}

#[test]
fn a_no_that_may_be_a_yes_later_costs_time_and_no_sound() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let engine = one_engine(&daemon).await;
        let odd = Then::LoginError(BAD_CONNECTION_ID);
        let refuse = Fault::on(Place::ApLogin).times(2).then(odd);
        world.sim.faults().add(refuse);
        world.sim.drop_access_points();
        renewed(&daemon, 1).await;
        assert_eq!(one_engine(&daemon).await, engine, "the same player");
        assert_unbroken(&world, &fifo, "Staircase");
    });
}

#[test]
fn a_guest_comes_in_while_the_session_of_another_is_away() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let kim = plays(&world, "kim", "Staircase").await;
        let away = Fault::on(Place::ApLogin).of("kim").forever();
        world.sim.faults().add(away.then(Then::Drop));
        world.sim.drop_access_points();
        daemon.says("spotify_unreachable").await;
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "alex").await, 101);
        play(&world, &world.listed("alex").await, "Tones").await;
        daemon.says("over: spotify unreachable").await;
        drop(kim);
        one_engine(&daemon).await;
    });
}

#[test]
fn an_engine_that_dies_without_a_session_is_still_replaced_and_goes_on() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Staircase").await;
        let engine = one_engine(&daemon).await;
        let away = Fault::on(Place::ApLogin).forever().then(Then::Drop);
        world.sim.faults().add(away);
        world.sim.drop_access_points();
        daemon.says("spotify_unreachable").await;
        kill(Pid::from_raw(engine as i32), Signal::SIGKILL).expect("an engine");
        daemon.says("engine_lost").await;
        world.sim.faults().clear();
        daemon.says("taking playback up").await;
        shows(&app, "music", |state| state.playing).await;
        renewed(&daemon, 1).await;
    });
}
