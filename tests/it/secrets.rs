//! No secret of anybody is seen anywhere: not in the log at its wordiest, not in what `ps` shows, not
//! in an environment, not in an answer.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use spotify_sim::{Fault, Place, phone::Login};

use crate::{
    ask::siskin,
    lan::{NULL, plays, until},
    world::{Daemon, PATIENCE, World, scenario},
};

/// What must not be seen, in all the forms it might be written in.
fn secrets(world: &World, key: &[u8]) -> Vec<String> {
    let mut all = world.sim.tokens();
    for user in world.sim.users().all() {
        let credential = user.stored_credential();
        all.push(user.password.clone());
        all.push(BASE64.encode(&credential));
        all.push(BASE64.encode(&user.password));
        all.push(hex(&credential));
        all.push(format!("{credential:?}"));
        all.push(String::from_utf8_lossy(&credential[user.name.len() + 1..]).into_owned());
    }
    all.extend([BASE64.encode(key), hex(key), format!("{key:?}")]);
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything a curious neighbour on this machine can read of the daemon and its engines.
fn seen(daemon: &Daemon) -> String {
    let mut all = daemon.log();
    for pid in daemon.engines().into_iter().chain([daemon.pid()]) {
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            all.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    all.join("\n")
}

#[test]
fn no_secret_is_seen_in_logs_processes_or_answers() {
    scenario(async |world| {
        let key = [0xA7; 32];
        let file = world.dir().join("key");
        fs::write(&file, key).expect("written");
        let more = format!(
            "log = \"trace\"\naccount_key_file = \"{}\"\n{NULL}",
            file.display()
        );
        let daemon = world.start(&world.settings(&more));
        let found = world.find().await;
        // A sign-in by each kind of login, refusals, music, a loss, and another person.
        let password = Login::password(&world.sim.users().get("sam").expect("a user").password);
        assert_eq!(world.hand_over_as(&found, "sam", &password).await, 101);
        assert_eq!(world.hand_over(&found, "fred").await, 202);
        let kim = plays(&world, "kim", "Tones").await;
        world.sim.faults().add(Fault::on(Place::Login5));
        assert_eq!(world.hand_over(&found, "alex").await, 202);
        let mut said = seen(&daemon);
        world.sim.drop_access_points();
        daemon.says("over: spotify unreachable").await;
        until("music again", PATIENCE, || kim.state().playing).await;
        let body = world.phone.get_info(&found).await;
        said += &format!("{body:?}");
        for question in [&["status", "--json"][..], &["accounts", "list"]] {
            let answer = siskin(&world, question).await;
            assert_eq!(answer.code, Some(0), "{answer:?}");
            said += &format!("{}{}", answer.out, answer.err);
        }
        said += &seen(&daemon);
        let (_, log) = daemon.stop().await;
        said += &log.join("\n");

        let secrets = secrets(&world, &key);
        assert!(
            secrets.len() > 30 && said.lines().count() > 100,
            "nothing was looked at"
        );
        for secret in secrets {
            assert!(!said.contains(&secret), "{secret} was seen in\n{said}");
        }
    });
}

#[test]
fn a_password_in_the_environment_goes_no_further_than_the_daemon() {
    scenario(async |world| {
        let daemon = world.start_with(&world.settings(NULL), |command| {
            command
                .env("SISKIN_MQTT_USER", "kitchen")
                .env("SISKIN_MQTT_PASSWORD", "swordfish");
        });
        world.sign_in("kim").await;
        let engines = daemon.engines();
        assert!(!engines.is_empty(), "nobody is signed in");
        for engine in engines {
            let environment = fs::read(format!("/proc/{engine}/environ")).expect("readable");
            let environment = String::from_utf8_lossy(&environment);
            assert!(environment.contains("MALLOC_ARENA_MAX"), "{environment}");
            assert!(!environment.contains("swordfish"), "{environment}");
        }
    });
}
