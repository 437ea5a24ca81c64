//! `siskin accounts`: with a daemon, and on its files without one.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    ask::{Said, ask, has_no_secret, siskin, status_says},
    lan::{NULL, fifo, one_engine, plays},
    world::{PATIENCE, World, hears, scenario, shows},
};

async fn accounts(world: &World, arguments: &[&str]) -> Said {
    siskin(world, &[&["accounts"], arguments].concat()).await
}

/// What a command printed that is to have worked.
async fn done(world: &World, arguments: &[&str]) -> String {
    let said = accounts(world, arguments).await;
    assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
    said.out
}

/// What a command said that is to have failed.
async fn refused(world: &World, arguments: &[&str]) -> String {
    let said = accounts(world, arguments).await;
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(1), ""),
        "{arguments:?}"
    );
    said.err
}

#[test]
fn everybody_is_listed_signed_in_renamed_and_forgotten_by_name() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        status_says(&world, "Kitchen").await;
        assert!(done(&world, &[]).await.starts_with("nobody is remembered"));
        let found = world.find().await;
        let kims = world.sign_in("kim").await;
        status_says(&world, "Kim is signed in").await;
        assert_eq!(world.hand_over(&found, "alex").await, 101);
        status_says(&world, "Alex is signed in").await;
        let list = done(&world, &["list"]).await;
        let mut lines = list.lines();
        let alex = lines.next().expect("the one used last");
        assert!(
            alex.starts_with("Alex: Premium, DE, came by phone, last used 20"),
            "{list}"
        );
        assert!(alex.ends_with("; signed in on Kitchen"), "{list}");
        let kim = lines.next().expect("the one before");
        assert!(
            kim.starts_with("Kim: ") && !kim.contains("signed in"),
            "{list}"
        );
        has_no_secret(&world, &list);

        assert_eq!(
            done(&world, &["use", "KI"]).await,
            "Kim is signed in on Kitchen\n"
        );
        assert_eq!(world.info(&found).await.active_user, "kim");
        kims.wait_for_device("Kitchen", PATIENCE)
            .await
            .expect("listed again");
        let renamed = done(&world, &["rename", "kim", "Mum"]).await;
        assert_eq!(renamed, "Kim is Mum (kim) from now on\n");
        status_says(&world, "Kitchen: ready, Mum (kim) is signed in").await;
        // Who sits there already is answered from the living session.
        let engine = one_engine(&daemon).await;
        assert_eq!(
            done(&world, &["use", "mum"]).await,
            "Mum (kim) is signed in on Kitchen\n"
        );
        assert_eq!(one_engine(&daemon).await, engine);

        let told = refused(&world, &["use", "zoe"]).await;
        assert!(told.contains("there is no account \"zoe\""), "{told}");
        assert!(told.contains("help: there is: Mum (kim), Alex"), "{told}");
        let told = refused(&world, &["rename", "alex", "x\u{7}"]).await;
        assert!(told.contains("control characters"), "{told}");

        let told = done(&world, &["forget", "mum"]).await;
        assert!(told.starts_with("Mum (kim) is forgotten here\n"), "{told}");
        for words in ["https://www.spotify.com/account/", "Manage devices", "Apps"] {
            assert!(told.contains(words), "{told}");
        }
        status_says(&world, "Kitchen: waiting to be picked").await;
        kims.wait_until_gone("Kitchen", PATIENCE)
            .await
            .expect("gone from the app");
        assert!(done(&world, &[]).await.starts_with("Alex: "));
        assert!(
            refused(&world, &["forget", "kim"])
                .await
                .contains("no account \"kim\"")
        );
        for nobody in [".", "..", ""] {
            let told = refused(&world, &["forget", nobody]).await;
            assert!(told.contains("there is no account"), "{told}");
        }
        assert!(done(&world, &[]).await.starts_with("Alex: "));
        done(&world, &["forget", "--all"]).await;
        assert!(done(&world, &[]).await.starts_with("nobody is remembered"));
        let kept = fs::read_dir(world.dir().join("state/accounts")).expect("a folder");
        assert_eq!(kept.count(), 0);
    });
}

#[test]
fn an_account_that_spotify_does_not_let_in_costs_the_others_nothing() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "alex").await, 101);
        let app = plays(&world, "kim", "Staircase").await;
        let engine = one_engine(&daemon).await;
        world.sim.users().revoke("alex");
        let told = refused(&world, &["use", "alex"]).await;
        assert!(told.contains("Spotify refused the login"), "{told}");
        let answer = ask(
            &world,
            "POST",
            "/api/v1/speakers/main/account",
            Some(serde_json::json!({"user": "alex"})),
        )
        .await;
        assert_eq!((answer.status, answer.code()), (403, "refused"));
        let unknown = ask(&world, "DELETE", "/api/v1/accounts/zoe", None).await;
        assert_eq!((unknown.status, unknown.code()), (404, "unknown_account"));
        shows(&app, "its music", |state| state.playing).await;
        assert_eq!(one_engine(&daemon).await, engine);
        let heard = fifo.capture().len();
        hears(&fifo, heard + 44_100).await;
        let list = ask(&world, "GET", "/api/v1/accounts", None).await;
        assert_eq!(list.json["accounts"][0]["user"], "kim");
        has_no_secret(&world, &list.json.to_string());
    });
}

#[test]
fn without_a_daemon_its_files_are_asked_and_changed() {
    scenario(async |world| {
        fs::write(world.dir().join("config.toml"), world.settings(NULL)).expect("written");
        assert!(done(&world, &[]).await.starts_with("nobody is remembered"));
        assert!(
            !world.dir().join("state").exists(),
            "a question makes no folder"
        );
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        for (user, name) in [("alex", "Alex"), ("kim", "Kim")] {
            assert_eq!(world.hand_over(&found, user).await, 101);
            status_says(&world, &format!("{name} is signed in")).await;
        }
        daemon.stop().await;
        let list = done(&world, &[]).await;
        assert!(
            list.starts_with("Kim: ") && list.contains("\nAlex: "),
            "{list}"
        );
        assert!(!list.contains("signed in"), "{list}");
        done(&world, &["rename", "kim", "Mum"]).await;
        let told = done(&world, &["use", "alex"]).await;
        assert_eq!(told, "Alex is signed in on Kitchen when siskin starts\n");
        let daemon = world.start(&world.settings(NULL));
        status_says(&world, "Kitchen: ready, Alex is signed in").await;
        daemon.stop().await;
        assert!(
            done(&world, &["forget", "al"])
                .await
                .contains("Manage devices")
        );
        assert!(
            refused(&world, &["forget", "alex"])
                .await
                .contains("Mum (kim)")
        );
        let daemon = world.start(&world.settings(NULL));
        status_says(&world, "Kitchen: waiting to be picked").await;
        assert!(done(&world, &[]).await.starts_with("Mum (kim): "));
        daemon.stop().await;
        done(&world, &["forget", "--all"]).await;
        assert!(done(&world, &[]).await.starts_with("nobody is remembered"));
    });
}

#[test]
fn files_of_a_daemon_that_runs_are_left_alone() {
    scenario(async |world| {
        let settings = world.settings(&format!("socket = \"none\"\n{NULL}"));
        let _daemon = world.start(&settings);
        world.sign_in("kim").await;
        for arguments in [&["list"][..], &["forget", "--all"]] {
            let told = refused(&world, arguments).await;
            assert!(
                told.contains("siskin runs, and cannot be asked here"),
                "{told}"
            );
        }
        assert_eq!(world.info(&world.find().await).await.active_user, "kim");
    });
}

#[test]
fn a_question_leaves_a_folder_that_is_not_siskins_as_it_is() {
    scenario(async |world| {
        let state = world.dir().join("state");
        fs::create_dir(&state).expect("a folder");
        fs::write(state.join("other"), "somebody else's").expect("written");
        fs::set_permissions(&state, PermissionsExt::from_mode(0o755)).expect("open to all");
        fs::write(world.dir().join("config.toml"), world.settings(NULL)).expect("written");
        let mode = |path: &std::path::Path| {
            let found = fs::metadata(path).expect("there");
            found.permissions().mode() & 0o777
        };
        for arguments in [&["list"][..], &["forget", "--all"]] {
            done(&world, arguments).await;
            let inside = fs::read_dir(&state).expect("a folder");
            let names: Vec<_> = inside
                .map(|entry| entry.expect("one").file_name())
                .collect();
            assert_eq!((names, mode(&state)), (vec!["other".into()], 0o755));
        }
        // A daemon that is told to keep things there closes its own.
        let daemon = world.start(&world.settings(NULL));
        daemon.says("is announced").await;
        assert_eq!(mode(&state), 0o755);
        assert_eq!(mode(&state.join("accounts")), 0o700);
        assert_eq!(mode(&state.join("speakers")), 0o700);
    });
}
