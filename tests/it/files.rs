//! What is kept on disk, when it is not as it should be: damaged, open to others, somebody else's,
//! on a full disk, or encrypted with a key that is lost.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    lan::{NULL, until},
    world::{Daemon, PATIENCE, World, scenario},
};

/// A daemon that kept kim's account and has ended.
async fn kim_was_here(world: &World, settings: &str) -> PathBuf {
    let daemon = world.start(settings);
    world.sign_in("kim").await;
    let (status, _) = daemon.stop().await;
    assert!(status.success());
    account(world)
}

/// The one account that is kept.
fn account(world: &World) -> PathBuf {
    let folder = world.dir().join("state/accounts");
    let files = fs::read_dir(folder).expect("a folder");
    let paths = files.map(|entry| entry.expect("an entry").path());
    let mut accounts = paths.filter(|path| path.extension().is_some_and(|it| it == "json"));
    accounts.next().expect("an account")
}

async fn nobody_is_signed_in(world: &World, daemon: &mut Daemon) {
    let found = world.find().await;
    assert_eq!(world.info(&found).await.active_user, "");
    assert!(daemon.is_running());
    assert_eq!(world.hand_over(&found, "kim").await, 101, "a phone helps");
}

#[test]
fn a_damaged_account_is_set_aside_and_said() {
    scenario(async |world| {
        let settings = world.settings(NULL);
        let file = kim_was_here(&world, &settings).await;
        let text = fs::read(&file).expect("there");
        fs::write(&file, &text[..text.len() / 2]).expect("halved");
        let mut daemon = world.start(&settings);
        let told = daemon.says("state_damaged").await;
        assert!(told.contains("set aside"), "{told}");
        assert!(file.with_extension("damaged").exists());
        nobody_is_signed_in(&world, &mut daemon).await;
    });
}

#[test]
fn an_account_that_others_could_read_is_closed_and_said_and_used() {
    scenario(async |world| {
        let settings = world.settings(NULL);
        let file = kim_was_here(&world, &settings).await;
        fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).expect("opened to all");
        let daemon = world.start(&settings);
        daemon.says("state_repaired").await;
        world.listed("kim").await;
        assert_eq!(
            fs::metadata(account(&world)).expect("there").mode() & 0o777,
            0o600
        );
    });
}

#[test]
fn an_account_of_another_user_is_said_and_used_as_far_as_it_can_be_read() {
    scenario(async |world| {
        let settings = world.settings(NULL);
        let file = kim_was_here(&world, &settings).await;
        chown(&file, Some(12_345), None).expect("root gives files away");
        let daemon = world.start(&settings);
        let told = daemon.says("belongs to another user").await;
        assert!(told.contains("12345") && told.contains("chown"), "{told}");
        world.listed("kim").await;
    });
}

/// A disk of this size at this place, until dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn at(place: &Path, kilobytes: u32) -> Self {
        fs::create_dir_all(place).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={kilobytes}k"),
            "siskin-test",
        ]);
        assert!(mount.arg(place).status().expect("mount runs").success());
        Self(place.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_the_old_files_stay_whole_and_it_is_said() {
    scenario(async |world| {
        let _disk = SmallDisk::at(&world.dir().join("state"), 64);
        let settings = world.settings(NULL);
        let file = kim_was_here(&world, &settings).await;
        let before = fs::read(&file).expect("there");
        // Whatever is free is taken.
        let mut rest = fs::File::create(world.dir().join("state/rest")).expect("a file");
        while std::io::Write::write_all(&mut rest, &[0; 512]).is_ok() {}
        let mut daemon = world.start(&settings);
        world.listed("kim").await;
        let told = daemon.says("could not be kept on disk").await;
        assert!(told.contains("state_damaged"), "{told}");
        assert_eq!(fs::read(&file).expect("there"), before);
        assert!(daemon.is_running());
        drop(daemon);
        fs::remove_file(world.dir().join("state/rest")).expect("room again");
        let _daemon = world.start(&settings);
        world.listed("kim").await;
    });
}

#[test]
fn an_encrypted_account_waits_for_its_key_and_is_never_touched_without_it() {
    scenario(async |world| {
        let key = world.dir().join("key");
        fs::write(&key, [7; 32]).expect("written");
        let keyed = format!("account_key_file = \"{}\"\n{NULL}", key.display());
        let settings = world.settings(&keyed);
        let file = kim_was_here(&world, &settings).await;
        let before = fs::read(&file).expect("there");
        assert!(!String::from_utf8_lossy(&before).contains("kim"));

        // Wrong, lost, and not even asked for.
        fs::write(&key, [8; 32]).expect("written");
        locked(&world, &settings, "does not fit").await;
        fs::remove_file(&key).expect("lost");
        locked(&world, &settings, "cannot be read").await;
        locked(&world, &world.settings(NULL), "no key is configured").await;
        assert_eq!(fs::read(&file).expect("there"), before);

        fs::write(&key, [7; 32]).expect("found again");
        let _daemon = world.start(&settings);
        world.listed("kim").await;
    });
}

#[test]
fn a_key_that_is_not_there_is_told_before_anybody_signs_in() {
    scenario(async |world| {
        let key = world.dir().join("key");
        let keyed = format!("account_key_file = \"{}\"\n{NULL}", key.display());
        let daemon = world.start(&world.settings(&keyed));
        let told = daemon.says("nobody who signs in is kept").await;
        assert!(told.contains(&key.display().to_string()), "{told}");
    });
}

async fn locked(world: &World, settings: &str, why: &str) {
    let daemon = world.start(settings);
    let told = daemon.says("accounts_locked").await;
    assert!(
        told.contains(why) && told.contains("account_key_file"),
        "{told}"
    );
    let found = world.find().await;
    assert_eq!(world.info(&found).await.active_user, "");
    daemon.stop().await;
}

#[test]
fn the_key_may_be_a_credential_of_systemd_and_plain_files_are_encrypted_in_passing() {
    scenario(async |world| {
        let settings = world.settings(NULL);
        let file = kim_was_here(&world, &settings).await;
        let text = || String::from_utf8_lossy(&fs::read(&file).expect("there")).into_owned();
        assert!(text().contains("\"kim\""));
        fs::write(world.dir().join("account-key"), "ab".repeat(32)).expect("written");
        let daemon = world.start_with(&settings, |it| {
            it.env("CREDENTIALS_DIRECTORY", world.dir());
        });
        world.listed("kim").await;
        daemon.stop().await;
        assert!(
            !text().contains("kim") && text().contains("xchacha20-poly1305"),
            "{}",
            text()
        );
    });
}

#[test]
fn an_account_is_kept_with_the_facts_that_people_know_it_by() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        world.sign_in("kim").await;
        let file = account(&world);
        let text = || fs::read_to_string(&file).expect("there");
        until("the name", PATIENCE, || {
            text().contains("\"shown\": \"Kim\"")
        })
        .await;
        for fact in [
            "\"premium\": true",
            "\"country\": \"DE\"",
            "\"came_by\": \"phone\"",
        ] {
            assert!(text().contains(fact), "{}", text());
        }
        drop(daemon);
    });
}

/// As on a machine whose disk may not be written to at all.
#[test]
fn where_nothing_can_be_kept_the_speaker_is_the_same_one_after_a_restart() {
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    if id.trim().len() != 32 {
        println!("passed over: this machine has no id");
        return;
    }
    scenario(async move |world| {
        let settings = world.settings(NULL);
        let nowhere = settings.replace(
            &world.dir().join("state").display().to_string(),
            "/dev/null/x",
        );
        assert_ne!(settings, nowhere);
        let mut seen = Vec::new();
        for _ in 0..2 {
            let daemon = world.start(&nowhere);
            daemon.says("nothing can be kept").await;
            daemon.says("is announced").await;
            seen.push(world.info(&world.find().await).await.device_id);
            assert!(daemon.stop().await.0.success());
        }
        assert_eq!(seen[0], seen[1]);
        assert!(!seen[0].contains(&id[..8]), "the id of the machine shows");
    });
}
