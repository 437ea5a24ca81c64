//! Servers that are worse than others without being dead: the one that is good enough is found, and
//! a line that is slow for all of them is left in peace.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    FIRST, begin,
    fake::{Act, Fake, ListAct},
    read, read_all,
};

/// 160 kbit/s.
const NEED: u64 = 20_000;

/// Plays for so long from the beginning, as a player does that stands still when there is nothing;
/// how long it stood still after the first sample, and how long before.
async fn play(fake: &Fake, seconds: usize) -> (f64, f64) {
    let (mut reader, handle) = begin(fake);
    handle.needs(NEED);
    let began = Instant::now();
    read(&mut reader, 0, 10_000).await.unwrap();
    let start = began.elapsed();
    let mut at = 10_000;
    let mut still = Duration::ZERO;
    for _ in 0..seconds {
        let asked = Instant::now();
        let got = read(&mut reader, at, NEED as usize).await.unwrap();
        assert!(got == fake.plain[at as usize..][..got.len()]);
        at += got.len() as u64;
        still += asked.elapsed();
        sleep(Duration::from_secs(1)).await;
    }
    (start.as_secs_f64(), still.as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drips_is_left_for_one_that_flows() {
    for rate in [1_000, 2_000, 8_000] {
        let fake = Fake::new(3_000_000).always("//a/", Act::Drip(rate));
        let (start, still) = play(&fake, 60).await;
        assert!(start < 5.5, "{rate}: {start}");
        assert!(still < 5.5, "{rate}: {still}");
        let servers = fake.servers();
        assert!(servers.contains('b'), "{rate}: {servers}");
        assert_eq!(servers.rfind('a').max(Some(1)), Some(1), "{servers}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_begins_to_drip_is_left_before_the_music_stops() {
    let fake = Fake::new(6_000_000).line(20, 2_000_000);
    let (mut reader, handle) = begin(&fake);
    handle.needs(NEED);
    read(&mut reader, 0, 100_000).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    let drips = ("//a/", Act::Drip(2_000));
    fake.script.lock().unwrap().always.push(drips);
    let mut at = 100_000;
    while at < 5_000_000 {
        let asked = Instant::now();
        at += read(&mut reader, at, NEED as usize).await.unwrap().len() as u64;
        let late = asked.elapsed();
        assert!(late < Duration::from_millis(500), "{late:?} at {at}");
        sleep(Duration::from_secs(1)).await;
    }
    assert!(fake.servers().contains('b'));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_slow_for_all_is_not_hunted_through_all() {
    let fake = Fake::new(3_000_000).always("//", Act::Drip(15_000));
    play(&fake, 120).await;
    let servers = fake.servers();
    let mut changes = servers.as_bytes().windows(2).filter(|two| two[0] != two[1]);
    assert!(changes.by_ref().count() <= 3, "{servers}");
    let asked: u64 = fake.asked().iter().map(|(_, it)| it.end - it.start).sum();
    let (reader, _handle) = begin(&fake);
    drop(reader);
    // 120 s of music at least were brought; some of what was asked for was left.
    assert!(asked < 3_000_000, "{asked}");
}

#[tokio::test(start_paused = true)]
async fn the_least_slow_of_slow_servers_is_stayed_with() {
    let fake = Fake::new(3_000_000)
        .always("//a/", Act::Drip(3_000))
        .always("//b/", Act::Drip(14_000))
        .always("//c/", Act::Drip(6_000));
    play(&fake, 90).await;
    let servers = fake.servers();
    assert!(servers.ends_with("bbb"), "{servers}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_just_fast_enough_is_left_alone() {
    let fake = Fake::new(3_000_000).line(80, 24_000);
    play(&fake, 90).await;
    let servers = fake.servers();
    assert!(!servers.contains('b'), "{servers}");
}

#[tokio::test(start_paused = true)]
async fn while_a_fresh_list_does_not_come_the_other_links_are_used() {
    for fresh in [
        ListAct::Trouble,
        ListAct::Silent,
        ListAct::Gone,
        ListAct::Urls(&[]),
    ] {
        let lists = [ListAct::Urls(super::fake::URLS)].into_iter();
        let lists = lists.chain(std::iter::repeat_n(fresh.clone(), 50));
        let fake = Fake::new(1_000_000)
            .lists(lists)
            .always("//a/", Act::Status(403, None));
        let began = Instant::now();
        let (mut reader, handle) = begin(&fake);
        let got = read_all(&mut reader).await;
        assert!(got.is_ok_and(|got| got == *fake.plain), "{fresh:?}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "{fresh:?}: {took:?}");
        sleep(Duration::from_secs(120)).await;
        assert_eq!(handle.failure(), None, "{fresh:?}");
        let lists = fake.script.lock().unwrap().lists_asked;
        assert!(lists <= 5, "{fresh:?}: {lists}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_that_was_too_small_leaves_no_hole() {
    for line in [
        None,
        Some((80, 400_000)),
        Some((20, 60_000)),
        Some((300, 2_000_000)),
    ] {
        for wrong in [
            "bytes 0-65471/120000",
            "bytes 0-65471/65500",
            "bytes 0-65471/98300",
        ] {
            let mut fake = Fake::new(400_000).acts([Act::Says(wrong)]);
            if let Some((latency, rate)) = line {
                fake = fake.line(latency, rate);
            }
            let began = Instant::now();
            let (mut reader, _handle) = begin(&fake);
            let got = read_all(&mut reader).await;
            assert!(got.is_ok_and(|got| got == *fake.plain), "{wrong} {line:?}");
            let took = began.elapsed();
            assert!(took < Duration::from_secs(8), "{wrong} {line:?}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_calls_the_part_the_whole_is_not_believed_at_once() {
    let fake = Fake::new(400_000).acts([Act::Says("bytes 0-65471/65472")]);
    let (mut reader, _handle) = begin(&fake);
    assert!(read_all(&mut reader).await.unwrap() == *fake.plain);
    // Of one that does so always, only the duration tells; the end is where it brings less than was
    // asked for.
    let fake = Fake::new(400_000).always("//", Act::Fragment);
    let (mut reader, handle) = begin(&fake);
    handle.expects(300_000);
    assert!(read_all(&mut reader).await.unwrap() == *fake.plain);
    assert_eq!(handle.file_len(), Some(400_000));
    // It may be true.
    let fake = Fake::new(FIRST);
    let (mut reader, _handle) = begin(&fake);
    assert!(read_all(&mut reader).await.unwrap() == *fake.plain);
}
