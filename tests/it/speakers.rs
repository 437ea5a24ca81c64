//! Several speakers in one daemon.

use std::fs;

use nix::sys::signal::Signal;
use spotify_sim::{Controller, PlayOptions, listen, phone::Found};

use crate::{
    lan::fifo,
    world::{PATIENCE, World, hears, scenario, shows},
};

pub fn section(id: &str, name: &str, path: &std::path::Path) -> String {
    format!(
        "[[speaker]]\nid = \"{id}\"\nname = \"{name}\"\n\
         [speaker.output]\nkind = \"pipe\"\npath = \"{}\"\n",
        path.display()
    )
}

pub async fn find(world: &World, name: &str) -> Found {
    let fits = |found: &Found| found.instance.starts_with(name);
    let found = world.phone.wait_for(fits, PATIENCE).await;
    found.unwrap_or_else(|error| panic!("{error}"))
}

pub async fn plays(world: &World, user: &str, name: &str, album: &str) -> Controller {
    let found = find(world, name).await;
    assert_eq!(world.hand_over(&found, user).await, 101);
    let app = world.sim.controller(user);
    let shown = app.wait_for_device(name, PATIENCE).await;
    let app = app.on(&shown.unwrap_or_else(|error| panic!("{error}")).id);
    let context = world.sim.catalogue().titled(album).uri();
    let reply = app.play(&context, PlayOptions::default()).await;
    assert!(reply.expect("an answer").success);
    shows(&app, "a playing track", |state| state.playing).await;
    app
}

#[test]
fn two_speakers_play_for_two_people_at_the_same_time() {
    scenario(async |world| {
        let (in_kitchen, in_bath) = (fifo(), fifo());
        let kitchen = section("kitchen", "Kitchen", in_kitchen.path());
        let bath = section("bath", "Bath", in_bath.path());
        let both = world.settings(&format!("{kitchen}{bath}"));
        let daemon = world.start(&both);
        let (first, second) = (find(&world, "Kitchen").await, find(&world, "Bath").await);
        let (one, two) = (world.info(&first).await, world.info(&second).await);
        assert_eq!((&*one.remote_name, &*two.remote_name), ("Kitchen", "Bath"));
        assert_ne!(one.device_id, two.device_id);
        assert_ne!(first.port, second.port);

        let kim = plays(&world, "kim", "Kitchen", "Tones").await;
        let alex = plays(&world, "alex", "Bath", "Dozen").await;
        assert_eq!(daemon.engines().len(), 2);
        assert_eq!(world.info(&first).await.active_user, "kim");
        assert_eq!(world.info(&second).await.active_user, "alex");
        let heard = (in_kitchen.capture().len(), in_bath.capture().len());
        tokio::join!(
            hears(&in_kitchen, heard.0 + 88_200),
            hears(&in_bath, heard.1 + 88_200),
        );
        assert!(kim.state().playing && alex.state().playing);
        for (fifo, album) in [(&in_kitchen, "Tones"), (&in_bath, "Dozen")] {
            let capture = fifo.capture();
            let window = &capture[capture.len() - 22_050..];
            let track = listen::which_track(window, world.sim.catalogue()).expect("a track");
            let first = &world.sim.catalogue().titled(album).tracks[0];
            assert_eq!(track.uri(), first.uri(), "{album}");
        }

        // One goes, the other does not notice.
        let alone = world.settings(&section("kitchen", "Kitchen", in_kitchen.path()));
        fs::write(world.dir().join("config.toml"), alone).expect("written");
        daemon.signal(Signal::SIGHUP);
        let gone = alex.wait_until_gone("Bath", PATIENCE).await;
        gone.unwrap_or_else(|error| panic!("{error}"));
        let heard = in_kitchen.capture().len();
        hears(&in_kitchen, heard + 44_100).await;
        assert!(kim.state().playing);
        assert_eq!(daemon.engines().len(), 1);

        // And comes back as who it was.
        fs::write(world.dir().join("config.toml"), both).expect("written");
        daemon.signal(Signal::SIGHUP);
        let back = find(&world, "Bath").await;
        assert_eq!(world.info(&back).await.device_id, two.device_id);
        let shown = alex.wait_for_device("Bath", PATIENCE).await;
        assert_eq!(
            shown.unwrap_or_else(|error| panic!("{error}")).id,
            two.device_id
        );
        let (status, _) = daemon.stop().await;
        assert!(status.success());
    });
}

#[test]
fn each_speaker_signs_its_own_account_in_again() {
    scenario(async |world| {
        let null = "[speaker.output]\nkind = \"null\"\n";
        let section = |name: &str| {
            format!(
                "[[speaker]]\nid = \"{}\"\nname = \"{name}\"\n{null}",
                name.to_lowercase()
            )
        };
        let settings = world.settings(&format!("{}{}", section("Kitchen"), section("Bath")));
        let daemon = world.start(&settings);
        plays(&world, "kim", "Kitchen", "Tones").await;
        plays(&world, "alex", "Bath", "Dozen").await;
        let (status, _) = daemon.stop().await;
        assert!(status.success());
        let _again = world.start(&settings);
        for (user, name) in [("kim", "Kitchen"), ("alex", "Bath")] {
            let app = world.sim.controller(user);
            let shown = app.wait_for_device(name, PATIENCE).await;
            let id = shown.unwrap_or_else(|error| panic!("{error}")).id;
            let info = world.info(&find(&world, name).await).await;
            assert_eq!(info.device_id, id);
            let mut others = app.devices();
            others.retain(|device| device.id != id);
            assert_eq!(others, []);
        }
    });
}
