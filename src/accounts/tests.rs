//! What is kept, what is repaired, and what is never lost.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::model::{CameBy, ConditionCode, KeyAnswer, Login, Secret, Volume};

fn login(user: &str) -> Login {
    Login {
        user: user.into(),
        kind: 1,
        secret: Secret::new(b"lasting".to_vec()),
    }
}

fn signed_in(user: &str, at_ms: i64) -> SignedIn {
    SignedIn {
        login: login(user),
        country: Some("DE".into()),
        came_by: Some(CameBy::Phone),
        at_ms,
    }
}

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path()).expect("an empty folder will do");
    (dir, store)
}

fn key(byte: u8) -> AccountKey {
    AccountKey::Ready(Arc::new([byte; 32]))
}

/// With kim kept under this key, and the daemon gone.
fn kept_under(key: AccountKey) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open_with(dir.path(), key).expect("an empty folder will do");
    store.signed_in(signed_in("kim", 1)).expect("written");
    dir
}

fn reopen(dir: &tempfile::TempDir, key: AccountKey) -> Store {
    Store::open_with(dir.path(), key).expect("opened")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

fn codes(damage: &[Damage]) -> Vec<ConditionCode> {
    damage.iter().map(|damage| damage.0.code).collect()
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let (dir, store) = open();
    assert!(matches!(
        Store::open(dir.path()),
        Err(StoreError::InUse { .. })
    ));
    drop(store);
    assert!(Store::open(dir.path()).is_ok());
}

#[test]
fn the_device_id_stays_and_differs_between_speakers() {
    let (_dir, store) = open();
    let (kitchen, damage) = store.device("kitchen");
    assert_eq!(damage, []);
    assert_eq!(store.device("kitchen").0, kitchen);
    assert_ne!(store.device("../../etc").0, kitchen);
}

#[test]
fn a_damaged_device_id_comes_back_as_it_was_and_is_said_so() {
    let (dir, store) = open();
    let before = machine::device(dir.path(), "kitchen");
    if before != machine::device(dir.path(), "kitchen") {
        println!("passed over: this machine has no id");
        return;
    }
    assert_eq!(store.device("kitchen").0, before);
    let path = files::listed(&dir.path().join("speakers"))[0].join("device.json");
    fs::write(&path, b"{\"version\": 1, \"dev").expect("halved");
    let (after, damage) = store.device("kitchen");
    assert_eq!(after, before);
    assert_eq!(codes(&damage), [ConditionCode::StateDamaged]);
    assert_eq!(store.device("kitchen"), (before, vec![]));
}

#[test]
fn an_id_that_was_kept_before_stays_whatever_the_machine_says() {
    let (dir, store) = open();
    store.device("kitchen");
    let path = files::listed(&dir.path().join("speakers"))[0].join("device.json");
    let kept = "ab".repeat(20);
    fs::write(&path, format!("{{\"version\":1,\"device\":\"{kept}\"}}")).expect("written");
    assert_eq!(store.device("kitchen").0.as_str(), kept);
}

#[test]
fn everybody_who_signed_in_is_remembered_with_the_facts_and_for_the_owner_only() {
    let (_dir, store) = open();
    store.signed_in(signed_in("kim", 1)).expect("written");
    let came_by = Some(CameBy::Code);
    let alex = SignedIn {
        came_by,
        ..signed_in("alex", 2)
    };
    store.signed_in(alex.clone()).expect("written");
    // Again from what was kept: it does not change how alex came.
    store
        .signed_in(SignedIn {
            came_by: None,
            at_ms: 3,
            ..alex
        })
        .expect("written");
    let (accounts, damage) = store.accounts();
    assert_eq!(damage, []);
    assert_eq!(accounts.len(), 2);
    assert_eq!(
        (accounts[0].user.as_str(), accounts[0].last_used_ms),
        ("alex", 3)
    );
    assert_eq!(accounts[0].came_by, CameBy::Code);
    assert_eq!(accounts[1].country.as_deref(), Some("DE"));
    assert_eq!(accounts[1].premium, Some(true));
    assert_eq!(mode(&store.account_file("kim")), 0o600);
    store.premium_lapsed("kim").expect("written");
    assert_eq!(store.account("kim").expect("kept").premium, Some(false));
}

#[test]
fn a_name_of_the_households_own_comes_before_the_one_that_spotify_shows() {
    let (_dir, store) = open();
    store.signed_in(signed_in("31xyz", 1)).expect("written");
    store.shown_as("31xyz", "Kimberley").expect("written");
    assert_eq!(store.account("31xyz").expect("kept").name, "Kimberley");
    assert!(store.rename("31xyz", " Kim ").expect("written"));
    let kim = store.account("31xyz").expect("kept");
    assert!(kim.name == "Kim" && kim.answers_to("kim") && kim.answers_to("31xyz"));
    assert!(store.rename("31xyz", "\u{7}").is_err());
    assert!(store.rename("31xyz", "").expect("written"));
    assert_eq!(store.account("31xyz").expect("kept").name, "Kimberley");
    assert!(!store.rename("nobody", "x").expect("nothing to do"));
}

#[test]
fn who_is_forgotten_leaves_no_trace_on_any_speaker() {
    let (dir, store) = open();
    for user in ["kim", "alex"] {
        store.signed_in(signed_in(user, 1)).expect("written");
    }
    store
        .take_seat("kitchen", Some("alex"), Some("kim"))
        .expect("written");
    store.take_seat("bath", Some("kim"), None).expect("written");
    store
        .keep_level("bath", Some("kim"), Volume(7))
        .expect("written");
    assert!(store.forget_account("kim").expect("removed"));
    assert!(!store.forget_account("kim").expect("nothing to do"));
    let (kitchen, bath) = (store.seat("kitchen").0, store.seat("bath").0);
    assert_eq!((kitchen.login, kitchen.owner), (Some(login("alex")), None));
    assert_eq!(bath, Seat::default());
    assert_eq!(store.forget_all().expect("removed"), 1);
    assert!(store.is_empty());
    let left = walk(dir.path());
    assert!(!left.iter().any(|name| name.contains("level-")), "{left:?}");
}

#[test]
fn a_reset_of_one_speaker_takes_everybody_but_whom_another_one_needs() {
    let (dir, store) = open();
    for user in ["kim", "alex", "sam", "noa"] {
        store.signed_in(signed_in(user, 1)).expect("written");
    }
    fs::write(store.account_file("old").with_extension("damaged"), "{").expect("written");
    let seat = |speaker, user, owner| store.take_seat(speaker, Some(user), owner).expect("kept");
    seat("kitchen", "alex", Some("kim"));
    seat("bath", "noa", Some("kim"));
    // A speaker that is not configured any more needs nobody.
    seat("attic", "sam", None);
    for (speaker, user) in [("kitchen", "kim"), ("bath", "kim"), ("bath", "sam")] {
        let kept = store.keep_level(speaker, Some(user), Volume(7));
        kept.expect("written");
    }
    store
        .reset("kitchen", &["bath".into()], None)
        .expect("removed");
    let known = |user: &str| store.remembers(user);
    assert!(known("kim") && known("noa") && !known("alex") && !known("sam"));
    assert_eq!(store.seat("kitchen").0, Seat::default());
    assert_eq!(store.seat("attic").0, Seat::default());
    let bath = store.seat("bath").0;
    assert_eq!(
        (bath.login, bath.owner),
        (Some(login("noa")), Some(login("kim")))
    );
    let left = walk(dir.path());
    let levels = left.iter().filter(|name| name.contains("level-")).count();
    assert_eq!(levels, 1, "kim's in the bath: {left:?}");
    store.reset("bath", &[], None).expect("removed");
    assert!(store.is_empty(), "{:?}", walk(dir.path()));
}

#[test]
fn a_reset_of_one_user_leaves_the_others() {
    let (_dir, store) = open();
    for user in ["kim", "alex"] {
        store.signed_in(signed_in(user, 1)).expect("written");
    }
    let sits = store.take_seat("kitchen", Some("alex"), Some("kim"));
    sits.expect("written");
    store.reset("kitchen", &[], Some("kim")).expect("removed");
    assert!(store.remembers("alex") && !store.remembers("kim"));
    let kitchen = store.seat("kitchen").0;
    assert_eq!((kitchen.login, kitchen.owner), (Some(login("alex")), None));
}

fn walk(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for path in files::listed(dir) {
        names.push(path.display().to_string());
        if path.is_dir() {
            names.extend(walk(&path));
        }
    }
    names
}

#[test]
fn a_level_is_each_persons_own_and_the_speakers_for_whoever_comes_new() {
    let (_dir, store) = open();
    store
        .keep_level("bath", Some("kim"), Volume(7))
        .expect("written");
    store
        .keep_level("bath", Some("alex"), Volume(9))
        .expect("written");
    let level = |user| store.level("bath", user).0;
    assert_eq!(level(Some("kim")), Some(Volume(7)));
    assert_eq!(level(Some("sam")), Some(Volume(9)));
    assert_eq!(level(None), Some(Volume(9)));
    assert_eq!(store.level("kitchen", Some("kim")).0, None);
}

#[test]
fn files_of_the_first_version_are_read_and_grow_with_the_next_sign_in() {
    let (_dir, store) = open();
    let old =
        r#"{"version":1,"login":{"user":"kim","kind":1,"secret":"bGFzdGluZw=="},"country":"SE"}"#;
    fs::write(store.account_file("kim"), old).expect("written");
    fs::set_permissions(store.account_file("kim"), PermissionsExt::from_mode(0o600)).expect("set");
    let (accounts, damage) = store.accounts();
    assert_eq!((accounts.len(), damage), (1, vec![]));
    assert_eq!(accounts[0].country.as_deref(), Some("SE"));
    assert_eq!(accounts[0].premium, None);
    assert_eq!(store.login_of("kim").0, Some(login("kim")));
    let seat = r#"{"version":1,"user":"kim"}"#;
    store.take_seat("main", None, None).expect("made");
    let path = files::listed(&store.dir().join("speakers"))[0].join("seat.json");
    fs::write(path, seat).expect("written");
    assert_eq!(store.seat("main").0.login, Some(login("kim")));
    store.rename("kim", "Kim").expect("written");
    assert_eq!(
        store.account("kim").expect("kept").country.as_deref(),
        Some("SE")
    );
}

#[test]
fn keys_that_were_refused_are_asked_for_again_after_a_day_and_one_success_clears_it() {
    const HOUR: i64 = 3_600_000;
    const REFUSED: KeyAnswer = KeyAnswer::Refused { code: Some(2) };
    let (_dir, store) = open();
    store.signed_in(signed_in("vera", 1)).expect("written");
    let from = |now| store.ask_keys_from("vera", now);
    assert_eq!(from(0), None);
    store.keys("vera", REFUSED, 10 * HOUR).expect("written");
    assert_eq!(from(33 * HOUR), Some(34 * HOUR));
    assert_eq!(from(34 * HOUR), None);
    // A clock that was set back must not lock the account out.
    assert_eq!(from(9 * HOUR), None);
    store.keys("vera", REFUSED, 34 * HOUR).expect("written");
    assert_eq!(from(35 * HOUR), Some(58 * HOUR));
    let vera = store.account("vera").expect("kept");
    assert_eq!(vera.keys_refused_ms, Some(10 * HOUR));
    assert_eq!(vera.keys_refused_code, Some(2));
    store
        .keys("vera", KeyAnswer::Given, 60 * HOUR)
        .expect("written");
    assert!(store.had_keys("vera"));
    assert_eq!(store.account("vera").expect("kept").keys_refused_ms, None);
}

#[test]
fn a_damaged_account_is_set_aside_and_said_so_once() {
    let (_dir, store) = open();
    store.signed_in(signed_in("kim", 1)).expect("written");
    let path = store.account_file("kim");
    fs::write(&path, b"{\"version\": 1, \"lo").expect("halved");
    let (found, damage) = store.login_of("kim");
    assert_eq!(found, None);
    assert_eq!(codes(&damage), [ConditionCode::StateDamaged]);
    assert!(path.with_extension("damaged").exists());
    assert_eq!(store.login_of("kim"), (None, vec![]), "said once");
    assert!(!store.is_empty(), "somebody was here");
}

/// In a house that takes nobody new, he could not sign in again, as he is told to.
#[test]
fn whose_file_was_set_aside_or_half_written_is_still_remembered_until_he_is_forgotten() {
    let (_dir, store) = open();
    for kind in ["damaged", "locked", "new"] {
        let path = store.account_file("kim").with_extension(kind);
        fs::write(&path, b"{").expect("written");
        assert!(!store.is_empty(), "{kind}");
        assert!(store.remembers("kim") && !store.remembers("alex"), "{kind}");
        assert!(store.forget_account("kim").expect("removed"), "{kind}");
        assert!(store.is_empty() && !store.remembers("kim"), "{kind}");
    }
}

#[test]
fn a_file_that_others_could_read_is_closed_and_said_so() {
    let (dir, store) = open();
    store.signed_in(signed_in("kim", 1)).expect("written");
    let path = store.account_file("kim");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("opened to all");
    fs::set_permissions(
        dir.path().join("accounts"),
        PermissionsExt::from_mode(0o755),
    )
    .expect("opened to all");
    let (accounts, damage) = store.accounts();
    assert_eq!(accounts.len(), 1);
    assert_eq!(codes(&damage), [ConditionCode::StateRepaired]);
    assert!(damage[0].0.why.contains("0644"), "{damage:?}");
    assert_eq!(mode(&path), 0o600);
    drop(store);
    reopen(&dir, AccountKey::Off);
    assert_eq!(mode(&dir.path().join("accounts")), 0o700);
}

#[test]
fn a_folder_that_was_there_before_is_not_closed_and_what_is_ours_in_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("shared");
    fs::create_dir(&state).expect("a folder");
    fs::set_permissions(&state, PermissionsExt::from_mode(0o755)).expect("set");
    for _ in 0..2 {
        drop(Store::open(&state).expect("it can be written"));
        assert_eq!(mode(&state), 0o755);
    }
    for folder in ["accounts", "speakers"] {
        assert_eq!(mode(&state.join(folder)), 0o700);
    }
    let made = dir.path().join("of/its/own");
    drop(Store::open(&made).expect("made"));
    for folder in ["of", "of/its", "of/its/own"] {
        assert_eq!(mode(&dir.path().join(folder)), 0o700, "{folder}");
    }
}

#[test]
fn looking_for_accounts_makes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("set");
    let found = Store::find(dir.path(), AccountKey::Off);
    assert!(found.expect("looked").is_none());
    assert_eq!((walk(dir.path()), mode(dir.path())), (vec![], 0o755));
    drop(Store::open(dir.path()).expect("made"));
    let found = Store::find(dir.path(), AccountKey::Off);
    assert!(found.expect("opened").is_some());
}

#[test]
fn a_disk_that_takes_nothing_leaves_the_old_file_as_it_was() {
    let (_dir, store) = open();
    store.signed_in(signed_in("kim", 1)).expect("written");
    let path = store.account_file("kim");
    let before = fs::read(&path).expect("there");
    // What is written beside cannot be made, as on a full disk.
    let beside = path.with_extension("new");
    fs::create_dir_all(beside.join("in the way")).expect("a folder");
    assert!(store.signed_in(signed_in("kim", 2)).is_err());
    assert_eq!(fs::read(&path).expect("there"), before);
    assert_eq!(store.login_of("kim").0, Some(login("kim")));
}

#[test]
fn an_account_is_kept_also_where_somebody_cleared_the_folder() {
    let (dir, store) = open();
    fs::remove_dir_all(dir.path().join("accounts")).expect("cleared");
    store.signed_in(signed_in("kim", 1)).expect("written");
    assert_eq!(store.login_of("kim").0, Some(login("kim")));
}

#[test]
fn with_a_key_nothing_of_an_account_can_be_read_on_the_disk() {
    let dir = kept_under(key(1));
    let store = reopen(&dir, key(1));
    let text = fs::read_to_string(store.account_file("kim")).expect("there");
    for secret in ["kim", "bGFzdGluZw", "DE\"", "phone"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(store.login_of("kim"), (Some(login("kim")), vec![]));
    let alone = |store: &Store| store.accounts().0.len() == 1;
    assert!(alone(&store));
}

#[test]
fn plain_files_are_read_with_a_key_and_encrypted_when_they_are_next_written() {
    let dir = kept_under(AccountKey::Off);
    let store = reopen(&dir, key(1));
    assert_eq!(store.login_of("kim"), (Some(login("kim")), vec![]));
    store.rename("kim", "Kim").expect("written");
    let text = fs::read_to_string(store.account_file("kim")).expect("there");
    assert!(!text.contains("Kim") && !text.contains("kim"), "{text}");
    assert_eq!(store.account("kim").expect("kept").name, "Kim");
}

#[test]
fn with_a_lost_or_wrong_key_the_file_stays_as_it_is_and_the_cure_is_said() {
    let dir = kept_under(key(1));
    let missing = AccountKey::Missing("its key is gone".into());
    for (lost, why) in [
        (AccountKey::Off, "no key"),
        (key(2), "does not fit"),
        (missing, "gone"),
    ] {
        let store = reopen(&dir, lost);
        let before = fs::read(store.account_file("kim")).expect("there");
        let (found, damage) = store.login_of("kim");
        assert_eq!(found, None);
        assert_eq!(codes(&damage), [ConditionCode::AccountsLocked]);
        let said = &damage[0].0;
        assert!(
            said.why.contains(why) && said.cure.contains("account_key_file"),
            "{said:?}"
        );
        assert!(store.remembers("kim"));
        assert!(!store.rename("kim", "x").expect("not ours to change"));
        assert_eq!(fs::read(store.account_file("kim")).expect("there"), before);
    }
    assert!(
        reopen(&dir, key(1)).account("kim").is_some(),
        "the key is back"
    );
}

#[test]
fn a_new_sign_in_does_not_destroy_what_an_old_key_still_opens() {
    let dir = kept_under(key(1));
    let store = reopen(&dir, key(2));
    let path = store.account_file("kim");
    let before = fs::read(&path).expect("there");
    store.signed_in(signed_in("kim", 2)).expect("written");
    assert_eq!(store.account("kim").expect("readable").last_used_ms, 2);
    assert_eq!(
        fs::read(path.with_extension("locked")).expect("kept"),
        before
    );
}

#[test]
fn nothing_is_written_in_the_clear_when_the_key_is_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = reopen(&dir, AccountKey::Missing("its key is gone".into()));
    let error = store.signed_in(signed_in("kim", 1)).expect_err("refused");
    assert!(error.to_string().contains("its key is gone"), "{error}");
    assert!(store.is_empty());
}

#[test]
fn a_file_of_a_newer_siskin_is_left_alone() {
    let (_dir, store) = open();
    let path = store.account_file("kim");
    let text = r#"{"version":9,"everything":"else"}"#;
    files::write(
        &path,
        &serde_json::from_str::<serde_json::Value>(text).expect("JSON"),
    )
    .expect("written");
    let (found, damage) = store.login_of("kim");
    assert_eq!(found, None);
    assert_eq!(codes(&damage), [ConditionCode::AccountsLocked]);
    assert!(path.exists() && !path.with_extension("damaged").exists());
}

proptest! {
    // Each case waits for the disk a few times.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_bytes_whatever_make_the_reader_fail_otherwise_than_in_words(
        bytes in prop::collection::vec(any::<u8>(), 0..300)
    ) {
        let (_dir, store) = open();
        fs::write(store.account_file("kim"), &bytes).expect("written");
        let (found, damage) = store.login_of("kim");
        prop_assert_eq!(found, None);
        prop_assert!(!damage.is_empty());
    }

    #[test]
    fn no_changed_bit_of_an_encrypted_account_is_ever_taken_for_the_account(at in 0usize..10_000, bit in 0u8..8) {
        let dir = kept_under(key(1));
        let store = reopen(&dir, key(1));
        let path = store.account_file("kim");
        let mut bytes = fs::read(&path).expect("there");
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        fs::write(&path, bytes).expect("changed");
        // White space may change and the rest stay; whatever is read is what was written.
        let found = store.login_of("kim").0;
        prop_assert!(found.is_none() || found == Some(login("kim")));
    }

    #[test]
    fn every_account_comes_back_as_it_went_with_and_without_a_key(
        user in "\\PC{1,40}", secret in prop::collection::vec(any::<u8>(), 0..200), kind in any::<i32>(),
        name in "\\PC{0,15}", sealed in any::<bool>()
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let store = reopen(&dir, if sealed { key(3) } else { AccountKey::Off });
        let login = Login { user: user.clone(), kind, secret: Secret::new(secret) };
        let new = SignedIn { login: login.clone(), country: None, came_by: None, at_ms: 5 };
        store.signed_in(new).expect("written");
        prop_assert!(store.rename(&user, &name).expect("written"));
        prop_assert_eq!(store.login_of(&user), (Some(login), vec![]));
        let account = store.account(&user).expect("kept");
        let expected = if name.trim().is_empty() { user.as_str() } else { name.trim() };
        prop_assert_eq!(account.name, expected);
    }
}
