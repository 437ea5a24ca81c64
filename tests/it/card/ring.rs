//! What lies ready in the card itself: as configured, and more under a card that runs dry.

use std::time::Duration;

use spotify_sim::rigs::{Card, State};

use super::{Rig, SECOND, TENTH, count, hears, on_card, until};

/// The sizes of every time that the card was prepared.
fn prepared(card: &Card) -> Vec<String> {
    let events = card.events().into_iter();
    let prepared = events.filter(|event| event.what == "prepare");
    let sizes = prepared.filter_map(|event| {
        let at = event.detail.find("period=")?;
        Some(event.detail[at..].to_owned())
    });
    sizes.collect()
}

fn takes(device: &'static str, sizes: &'static str) {
    on_card(State::Ok, device, async move |rig| {
        rig.orders("kim", "Staircase", 0).await;
        hears(rig.card(), 0, SECOND).await;
        let found = prepared(rig.card());
        assert!(found.iter().all(|found| found == sizes), "{found:?}");
    });
}

#[test]
fn a_card_holds_as_much_as_it_always_did() {
    takes("device = \"usbdac\"", "period=1024 buffer=2048");
}

#[test]
fn a_card_holds_as_much_as_is_configured() {
    takes(
        "device = \"usbdac\"\nbuffer_ms = 300",
        "period=6656 buffer=13312",
    );
}

/// The machine does not get round to the card for a moment.
async fn is_busy(rig: &Rig) {
    let before = rig.card().count("underrun");
    rig.dac.set(State::Hang);
    tokio::time::sleep(Duration::from_millis(120)).await;
    rig.dac.set(State::Ok);
    until("the card to run dry", || {
        rig.card().count("underrun") > before
    })
    .await;
}

#[test]
fn a_card_that_runs_dry_again_and_again_holds_more_from_then_on() {
    on_card(State::Ok, "device = \"usbdac\"", async |rig| {
        let app = rig.orders("kim", "Staircase", 0).await;
        hears(rig.card(), 0, SECOND).await;
        let told = "the sound card ran dry again and again";
        for _ in 0..3 {
            assert_eq!(count(&rig.daemon, told), 0);
            is_busy(&rig).await;
            // Each is looked at for itself, twice a second.
            let mark = rig.card().heard();
            hears(rig.card(), mark, SECOND * 7 / 10).await;
        }
        until("it to be said", || count(&rig.daemon, told) == 1).await;
        let longer = "period=2048 buffer=4096";
        until("a longer ring", || {
            prepared(rig.card()).iter().any(|sizes| sizes == longer)
        })
        .await;
        let mark = rig.card().heard();
        hears(rig.card(), mark, 3 * TENTH).await;
        assert!(app.state().playing && !app.state().paused);
        assert_eq!(count(&rig.daemon, "output lost"), 0, "nothing is wrong");
        // Closed and opened by a pause that gave it back, too: it stays so.
        assert_eq!(
            prepared(rig.card()).last().map(String::as_str),
            Some(longer)
        );
    });
}
