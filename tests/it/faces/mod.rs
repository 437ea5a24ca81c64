//! Every order through every face has the same effect, and shows up in every other face at once.
//!
//! A face is a row of [`FACES`]: a name, and hands that give an [`table::Order`]. A new one takes a
//! variant of [`Face`] and an arm in [`hands`]; where it also tells what happens, a look in
//! [`eyes`]. A new order is a row of a list in [`table`]. What a face has no word for is given over
//! the socket, so that the next order finds what it needs.

mod eyes;
mod hands;
mod stage;
mod table;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spotify_sim::{Fault, Place, Then, rigs::FakeDac};

use self::{
    stage::{PHONE, Stage},
    table::Order,
};
use crate::{
    ask::ask,
    lan::NULL,
    tape::{assert_timing, timed},
    world::{scenario, shows},
};

/// What one face does shows up in all others within this.
const ECHO: Duration = Duration::from_millis(100);

/// The same while a page is looked at, too: a browser takes its share of the machine, and draws.
const DRAWN: Duration = Duration::from_millis(300);

/// How an order comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    Socket,
    Tcp,
    CommandLine,
    Mqtt,
    Mpris,
    /// In a browser. It takes a second or two to start, so that only those who want it have it.
    Page,
}

const FACES: [Face; 5] = [
    Face::Socket,
    Face::Tcp,
    Face::CommandLine,
    Face::Mqtt,
    Face::Mpris,
];

/// How often something else is loaded and sent away at once.
const SENDS: usize = 12;

/// Has one face give all of them, in this order, and every face show each.
async fn tried(stage: &mut Stage, face: Face, orders: &[Order]) {
    let mut slowest = (Duration::ZERO, "");
    let (mut sum, mut count) = (Duration::ZERO, 0);
    for order in orders {
        if !order.can_come_by(face) {
            stage.give(Face::Socket, order).await;
            stage.shows(Face::Socket, order).await;
            continue;
        }
        let given = Instant::now();
        stage.give(face, order).await;
        let answered = given.elapsed();
        let shown = stage.shows(face, order).await;
        slowest = slowest.max((shown, order.name));
        (sum, count) = (sum + answered, count + 1);
    }
    println!(
        "{face:?}: {count} of {} orders, given within {:?} on average, shown everywhere else {:?} \
         after that at the latest ({})",
        orders.len(),
        sum / count,
        slowest.0,
        slowest.1
    );
    let limit = if stage.page.is_some() { DRAWN } else { ECHO };
    assert_timing(slowest.0 <= limit, || {
        let (took, order) = slowest;
        format!("{order} through {face:?} was shown everywhere after {took:?} only")
    });
}

#[test]
fn every_order_through_every_face_has_the_same_effect_and_shows_up_in_every_other() {
    timed(async |world| {
        let orders = table::orders(world.sim.catalogue());
        let mut stage = Stage::set(world, NULL, None).await;
        for face in FACES {
            tried(&mut stage, face, &orders).await;
        }
    });
}

#[test]
fn every_order_on_the_page_shows_up_in_every_face_and_on_the_page_what_others_order() {
    timed(async |world| {
        let orders = table::orders(world.sim.catalogue());
        let mut stage = Stage::set(world, NULL, None).await;
        stage.open_page("speaker").await;
        tried(&mut stage, Face::Page, &orders).await;
        tried(&mut stage, Face::Socket, &orders).await;
    });
}

#[test]
fn who_signs_in_is_called_and_forgotten_by_one_face_is_so_in_every_other() {
    timed(async |world| {
        let mut stage = Stage::set(world, NULL, None).await;
        stage.open_page("people").await;
        for face in [Face::Socket, Face::Tcp, Face::CommandLine, Face::Page] {
            stage.kim_sits_and_alex_is_known().await;
            tried(&mut stage, face, &table::people()).await;
        }
    });
}

#[test]
fn where_the_sound_is_led_by_one_face_is_shown_by_every_other() {
    timed(async |world| {
        let dac = FakeDac::build().unwrap_or_else(|error| panic!("{error}"));
        let sound = "[output]\ndevice = \"usbdac\"\n";
        let mut stage = Stage::set(world, sound, Some(&dac)).await;
        stage.open_page("speaker").await;
        for face in [
            Face::Socket,
            Face::Tcp,
            Face::CommandLine,
            Face::Mqtt,
            Face::Page,
        ] {
            tried(&mut stage, face, &table::outputs()).await;
        }
    });
}

#[test]
fn what_is_sent_right_after_it_was_loaded_is_what_arrives() {
    scenario(async |world| {
        let albums = ["Tones", "Dozen"].map(|title| world.sim.catalogue().titled(title).uri());
        let stage = Stage::set(world, NULL, None).await;
        let order = async |what: &str, body: Value| {
            let route = format!("/api/v1/speakers/main/{what}");
            let answer = ask(&stage.world, "POST", &route, Some(body)).await;
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
        };
        // The service takes its time with states, and none with orders to move playback.
        let slow = Then::Delay(Duration::from_millis(300));
        let faults = stage.world.sim.faults();
        let states = Fault::on(Place::ConnectState).at("/devices/");
        faults.add(states.times(10_000).then(slow));
        for turn in 0..SENDS {
            // A row of changes: the service was told of one just now, and of the others later.
            order("play", json!({ "uri": albums[turn % 2] })).await;
            let (uri, index) = (&albums[(turn + 1) % 2], turn % 3);
            order("play", json!({ "uri": uri, "index": index })).await;
            order("send", json!({ "device": PHONE })).await;
            let there = shows(&stage.app, "what was sent", |state| {
                state.active.as_ref().is_none_or(|it| it.name != "Kitchen")
            })
            .await;
            assert_eq!(&there.context_uri, uri, "sent the {turn}. time");
            order("pull", json!({})).await;
        }
    });
}

#[test]
fn an_order_is_answered_once_the_state_shows_it_and_soon() {
    scenario(async |world| {
        let mut stage = Stage::set(world, NULL, None).await;
        let mut took = Vec::new();
        for percent in 0..60 {
            let order = table::volume(percent);
            let given = Instant::now();
            stage.give(Face::Socket, &order).await;
            took.push(given.elapsed());
            let told = ask(&stage.world, "GET", "/api/v1/speakers/main", None).await;
            assert_eq!(told.json["volume_percent"], percent);
        }
        took.sort();
        println!(
            "order to echo: median {:?}, 95 % {:?}",
            took[took.len() / 2],
            took[took.len() * 95 / 100]
        );
    });
}
