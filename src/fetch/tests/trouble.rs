//! Each way in which a server can fail, and what is done about it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    super::{Blame, Failure},
    begin,
    fake::{Act, Fake, ListAct},
    read, read_all,
};

const SIZE: usize = 300_000;

/// Reads a whole file over this line; how long that took.
async fn whole(fake: &Fake) -> f64 {
    let began = Instant::now();
    let (mut reader, handle) = begin(fake);
    let got = read_all(&mut reader).await.unwrap();
    assert!(got == *fake.plain, "every byte in its place");
    assert!(handle.tally().memory <= 2_000_000);
    began.elapsed().as_secs_f64()
}

async fn given_up(fake: &Fake) -> (Failure, f64) {
    let began = Instant::now();
    let (mut reader, _handle) = begin(fake);
    let failure = read_all(&mut reader).await.unwrap_err();
    (failure, began.elapsed().as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_keeps_what_came() {
    let fake = Fake::new(SIZE).acts([Act::BreakOff(20_000), Act::BreakOff(5_000)]);
    assert!(whole(&fake).await < 1.0);
    let asked = fake.asked();
    assert_eq!(asked[1].1.start, 20_000);
    assert_eq!(asked[2].1.start, 25_000);
    // It delivered: no reason to leave it.
    assert!(fake.servers().starts_with("aaa"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_off_at_once_is_left() {
    let fake = Fake::new(SIZE).always("//a/", Act::BreakOff(3));
    assert!(whole(&fake).await < 1.0);
    assert!(fake.servers().starts_with("ab"), "{}", fake.servers());
    assert_eq!(fake.asked()[1].1.start, 3);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_has_expired_is_replaced() {
    for status in [403, 404, 410] {
        let fake = Fake::new(SIZE).acts([Act::Status(status, None)]);
        assert!(whole(&fake).await < 1.0);
        assert_eq!(fake.script.lock().unwrap().lists_asked, 2, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_expires_in_mid_track_is_replaced() {
    let fake = Fake::new(2_000_000).acts([Act::Good, Act::Good, Act::Status(403, None)]);
    assert!(whole(&fake).await < 2.0);
    assert_eq!(fake.script.lock().unwrap().lists_asked, 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_no_server_of_a_fresh_list_has_is_gone() {
    let fake = Fake::new(SIZE)
        .always("//a/", Act::Status(404, None))
        .always("//b/", Act::Status(410, None))
        .always("//c/", Act::Status(404, None));
    let (failure, took) = given_up(&fake).await;
    assert_eq!(failure.blame(), Blame::Track, "{failure}");
    assert!(took < 1.0, "{took}");
    // The next of the old list while the fresh one is asked for, and then all of that.
    let servers = fake.servers();
    assert!(["ababc", "abcabc"].contains(&&*servers), "{servers}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_all_deny_is_tried_for_twenty_seconds_and_not_called_gone() {
    let fake = Fake::new(SIZE).always("//", Act::Status(403, None));
    let (failure, took) = given_up(&fake).await;
    assert_eq!(failure.blame(), Blame::Line, "{failure}");
    assert!((20.0..26.0).contains(&took), "{took}");
    assert!(fake.asked().len() < 60, "with pauses");
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_leads_to_the_next_one_at_once() {
    for status in [429, 500, 502, 503, 504] {
        let wish = Some(Duration::from_secs(5));
        let fake = Fake::new(SIZE).acts([Act::Status(status, wish)]);
        assert!(whole(&fake).await < 1.0);
        assert!(fake.servers().starts_with("ab"), "{}", fake.servers());
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_are_busy_their_wish_is_honoured() {
    let wish = Some(Duration::from_secs(3));
    let fake = Fake::new(SIZE).acts(vec![Act::Status(429, wish); 3]);
    let took = whole(&fake).await;
    assert!((3.0..4.0).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_ended_after_seconds() {
    for act in [Act::Silent, Act::Hang(0), Act::Hang(30_000), Act::Crawl] {
        let fake = Fake::new(SIZE).always("//a/", act.clone());
        let took = whole(&fake).await;
        assert!((2.0..7.0).contains(&took), "{act:?}: {took}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_in_mid_track_does_not_stop_the_music() {
    let fake = Fake::new(3_000_000).line(80, 400_000);
    let (mut reader, _handle) = begin(&fake);
    read(&mut reader, 0, 100_000).await.unwrap();
    fake.script
        .lock()
        .unwrap()
        .acts
        .extend([Act::Hang(10_000), Act::Silent]);
    let mut at = 100_000;
    while at < 2_900_000 {
        // 320 kbit/s: every second has to be there in time.
        let began = Instant::now();
        let got = read(&mut reader, at, 40_000).await.unwrap();
        assert!(got == fake.plain[at as usize..at as usize + got.len()]);
        at += got.len() as u64;
        let late = began.elapsed();
        assert!(late < Duration::from_secs(1), "{late:?} at {at}");
        sleep(Duration::from_secs(1).saturating_sub(late)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_file_in_place_of_a_part_will_do_at_the_start_only() {
    let fake = Fake::new(SIZE).acts([Act::Whole]);
    assert!(whole(&fake).await < 1.0);
    let fake = Fake::new(SIZE).acts([Act::Good, Act::Whole]);
    assert!(whole(&fake).await < 1.0);
    assert!(fake.servers().starts_with("aab"), "{}", fake.servers());
}

#[tokio::test(start_paused = true)]
async fn a_part_shorter_than_asked_for_is_completed() {
    let fake = Fake::new(SIZE).acts([Act::Short(60_000), Act::Short(1)]);
    assert!(whole(&fake).await < 1.0);
}

#[tokio::test(start_paused = true)]
async fn nonsense_leads_to_the_next_server() {
    for says in ["bytes 7-11/12", "", "bytes 0-9/18446744073709551616"] {
        let fake = Fake::new(SIZE).acts([Act::Says(says)]);
        assert!(whole(&fake).await < 1.0);
        assert!(fake.servers().starts_with("ab"), "{}", fake.servers());
    }
}

/// The first answer says that the file is longer than it is, or shorter, and no other does.
#[tokio::test(start_paused = true)]
async fn two_servers_that_agree_on_the_length_outvote_one_that_said_otherwise() {
    for said in ["bytes 0-65471/900000", "bytes 0-65471/120000"] {
        let fake = Fake::new(SIZE).acts([Act::Says(said)]);
        assert!(whole(&fake).await < 2.0, "{said}");
        assert!(fake.servers().starts_with("aab"), "{}", fake.servers());
        let again = fake
            .asked()
            .iter()
            .filter(|(_, asked)| asked.start == 0)
            .count();
        assert_eq!(again, 1, "what came is kept");
    }
}

#[tokio::test(start_paused = true)]
async fn one_server_that_errs_about_the_length_is_left() {
    let fake = Fake::new(SIZE).acts([Act::Good, Act::Says("bytes 65472-130943/131000")]);
    assert!(whole(&fake).await < 2.0);
    assert!(fake.servers().starts_with("aab"), "{}", fake.servers());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_dead_is_given_up_after_twenty_seconds() {
    for act in [
        Act::Unreachable,
        Act::Silent,
        Act::Crawl,
        Act::Status(503, None),
    ] {
        let fake = Fake::new(SIZE).always("//", act.clone());
        let (failure, took) = given_up(&fake).await;
        assert_eq!(failure.blame(), Blame::Line, "{act:?}: {failure}");
        assert!((20.0..21.0).contains(&took), "{act:?}: {took}");
        assert!(
            fake.asked().len() < 40,
            "{act:?}: {} requests",
            fake.asked().len()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_up_while_something_is_left_to_play() {
    let fake = Fake::new(3_000_000).line(20, 2_000_000);
    let (mut reader, handle) = begin(&fake);
    read(&mut reader, 0, 100_000).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    let ahead = handle.bytes_ahead(100_000);
    // The line dies, the listener pauses, and comes back after ten minutes.
    fake.script
        .lock()
        .unwrap()
        .always
        .push(("//", Act::Unreachable));
    let most = read(&mut reader, 100_000, ahead as usize - 5000)
        .await
        .unwrap();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(handle.failure(), None);
    fake.script.lock().unwrap().always.clear();
    let at = 100_000 + most.len() as u64;
    let rest = read(&mut reader, at, usize::MAX).await.unwrap();
    assert!(rest == fake.plain[at as usize..]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_does_not_come_is_asked_for_again() {
    let fake = Fake::new(SIZE).lists([ListAct::Trouble, ListAct::Silent]);
    let took = whole(&fake).await;
    assert!((5.0..6.5).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_on_any_list_is_gone() {
    let fake = Fake::new(SIZE).lists([ListAct::Gone]);
    let (failure, took) = given_up(&fake).await;
    assert_eq!(failure.blame(), Blame::Track);
    assert!(took < 0.5, "{took}");
    let fake = Fake::new(SIZE).lists(vec![ListAct::Urls(&[]); 9]);
    let (failure, took) = given_up(&fake).await;
    assert_eq!(failure.blame(), Blame::Track);
    assert!(took < 2.0, "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_within_patience_is_taken() {
    let fake = Fake::new(SIZE).acts([Act::Late(Duration::from_millis(1_500))]);
    whole(&fake).await;
    assert!(!fake.servers().contains('b'), "{}", fake.servers());
}
