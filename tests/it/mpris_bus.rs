//! MPRIS and the bus it is on: found and lost, names that others have, reloads, and the policy of the
//! bus of the machine.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    ask::status_says,
    dbus::{BusDaemon, OPEN, PLAYER, ROOT, Remote, SISKIN, bus_at, on_the_bus, shipped, takes},
    lan::{NULL, count, plays, until},
    world::{PATIENCE, scenario},
};

#[test]
fn a_bus_that_goes_is_missed_and_found_again() {
    scenario(async |world| {
        let mut bus = BusDaemon::start(&world, OPEN).await;
        let daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        bus.tells("-l", "siskin").await;
        let app = plays(&world, "kim", "Staircase").await;
        for round in 1..=2 {
            let known = count(&daemon, "siskin is not on the session bus");
            bus.kill();
            until("it is missed", PATIENCE, || {
                count(&daemon, "siskin is not on the session bus") > known
            })
            .await;
            bus = BusDaemon::start(&world, OPEN).await;
            until("it is found", PATIENCE, || {
                count(&daemon, "over: no mpris") == round
            })
            .await;
            bus.tells("status", "Playing").await;
        }
        assert!(app.state().playing, "the music knows nothing of it");
        let told = status_says(&world, "playing").await;
        assert!(!told.contains("MPRIS"), "{told}");
    });
}

#[test]
fn without_a_bus_the_reason_and_the_cure_are_shown() {
    scenario(async |world| {
        let nowhere = format!("unix:path={}", world.dir().join("none").display());
        let daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&nowhere));
        let told = daemon.says("no_mpris").await;
        assert!(
            told.contains("mpris.bus") && told.contains("none"),
            "{told}"
        );
        plays(&world, "kim", "Staircase").await;
    });
}

#[test]
fn a_name_that_others_have_is_told_apart_by_the_process() {
    scenario(async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let remote = Remote::new(&bus, SISKIN).await;
        assert!(takes(&remote.connection, SISKIN).await);
        let daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        let name = format!("{SISKIN}.instance{}", daemon.pid());
        Remote::new(&bus, &name).await.finds().await;
        let player = format!("siskin.instance{}", daemon.pid());
        assert_eq!(bus.told(&format!("-p {player} status")).await, "Stopped");
    });
}

#[test]
fn each_speaker_is_a_player_and_a_reload_takes_them_on_and_off_the_bus() {
    scenario(async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let speakers = "[[speaker]]\nid = \"kitchen\"\nname = \"Kitchen\"\n[speaker.output]\nkind = \"null\"\n\
                        [[speaker]]\nid = \"bath\"\nname = \"Bath\"\n[speaker.output]\nkind = \"null\"\n";
        let off = world.settings(speakers);
        let daemon = world.start_with(&off, bus_at(&bus.address()));
        status_says(&world, "Bath").await;
        let (kitchen, bath) = (format!("{SISKIN}.kitchen"), format!("{SISKIN}.bath"));
        let remote = Remote::new(&bus, &kitchen).await;
        assert!(!remote.has_owner(&kitchen).await, "off, unless asked for");

        let on = on_the_bus(&world, speakers);
        fs::write(world.dir().join("config.toml"), &on).expect("written");
        daemon.signal(Signal::SIGHUP);
        remote.finds().await;
        let other = Remote::new(&bus, &bath).await;
        other.finds().await;
        assert_eq!(remote.get::<String>(ROOT, "Identity").await, "Kitchen");
        assert_eq!(other.get::<String>(ROOT, "Identity").await, "Bath");

        let renamed = on.replace("\"Bath\"", "\"Bad\"");
        fs::write(world.dir().join("config.toml"), &renamed).expect("written");
        daemon.signal(Signal::SIGHUP);
        until("the new name", PATIENCE, || {
            other
                .signals()
                .contains(&"MediaPlayer2: Identity".to_owned())
        })
        .await;
        assert_eq!(other.get::<String>(ROOT, "Identity").await, "Bad");

        fs::write(world.dir().join("config.toml"), &off).expect("written");
        daemon.signal(Signal::SIGHUP);
        let end = Instant::now() + PATIENCE;
        while remote.has_owner(&kitchen).await || remote.has_owner(&bath).await {
            assert!(Instant::now() < end, "they are still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

/// Nobody may have a name, as on the bus of a machine.
const CLOSED: &str = r#"<policy context="default">
 <deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
 <allow send_requested_reply="true" send_type="method_return"/>
 <allow send_requested_reply="true" send_type="error"/>
 <allow receive_sender="*"/><allow send_destination="org.freedesktop.DBus"/>
</policy>"#;

#[test]
fn the_bus_of_the_machine_lets_the_speaker_in_by_the_shipped_policy() {
    scenario(async |world| {
        let mut bus = BusDaemon::start(&world, CLOSED).await;
        let settings = world.settings(&format!("{NULL}[mpris]\nbus = \"system\"\n"));
        let daemon = world.start_with(&settings, bus_at(&bus.address()));
        let told = daemon.says("no_mpris").await;
        assert!(told.contains("contrib/dbus/siskin.conf"), "{told}");
        bus.kill();
        // The test runs as root, not as siskin.
        let policy = shipped("dbus/siskin.conf");
        assert!(policy.contains("user=\"siskin\""));
        let file = world.dir().join("siskin.conf");
        let ours = policy.replace("user=\"siskin\"", "user=\"root\"");
        fs::write(&file, ours).expect("written");
        let include = format!("<include>{}</include>", file.display());
        bus = BusDaemon::start(&world, &format!("{CLOSED}{include}")).await;
        daemon.says("over: no mpris").await;
        assert_eq!(bus.told("-p siskin status").await, "Stopped");
        let remote = Remote::new(&bus, SISKIN).await;
        assert_eq!(remote.get::<String>(ROOT, "Identity").await, "Kitchen");
        let (name, _) = remote.refused(PLAYER, "Next", &()).await;
        assert!(name.ends_with("NobodySignedIn"), "{name}");
        still_closed_for_others(&remote).await;
    });
}

/// The policy opens one name and no more.
async fn still_closed_for_others(remote: &Remote) {
    let wish = ("org.mpris.MediaPlayer2.other", 4_u32);
    let asked = remote.connection.call_method(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        Some("org.freedesktop.DBus"),
        "RequestName",
        &wish,
    );
    let refused = asked.await.expect_err("not that name").to_string();
    assert!(refused.contains("AccessDenied"), "{refused}");
}
