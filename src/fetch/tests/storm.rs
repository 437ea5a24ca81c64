//! Whatever goes wrong, in whatever order: the very bytes, or a reason.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    super::Budget,
    begin,
    fake::{Act, Fake, ListAct},
    read, read_all,
};

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Good),
        3 => (0..90_000_usize).prop_map(Act::BreakOff),
        1 => (0..90_000_usize).prop_map(Act::Hang),
        1 => (0..9_000_u64).prop_map(|ms| Act::Late(Duration::from_millis(ms))),
        2 => (
            prop_oneof![Just(403), Just(404), Just(410), Just(416), Just(429), Just(503), 0..700_u16],
            prop::option::of((0..u64::MAX / 2).prop_map(Duration::from_secs)),
        )
            .prop_map(|(status, wish)| Act::Status(status, wish)),
        1 => Just(Act::Crawl),
        1 => Just(Act::Silent),
        1 => Just(Act::Unreachable),
        1 => Just(Act::Whole),
        1 => (1..90_000_u64).prop_map(Act::Short),
        1 => prop_oneof![Just(""), Just("bytes 7-11/12"), Just("bytes 0-/"), Just("bytes */*")]
            .prop_map(Act::Says),
    ]
}

fn list() -> impl Strategy<Value = ListAct> {
    prop_oneof![
        4 => Just(ListAct::Urls(super::fake::URLS)),
        1 => Just(ListAct::Urls(&[])),
        1 => Just(ListAct::Urls(&["https://d/f", "https://d/f", "", "nonsense"])),
        1 => Just(ListAct::Trouble),
        1 => Just(ListAct::Silent),
        1 => Just(ListAct::Gone),
    ]
}

fn run(scenario: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(scenario);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_file_comes_right_or_not_at_all(
        length in 1..900_000_usize,
        acts in prop::collection::vec(act(), 0..30),
        lists in prop::collection::vec(list(), 0..5),
        rate in prop_oneof![Just(None), (20_000..2_000_000_u64).prop_map(Some)],
    ) {
        run(async {
            let mut fake = Fake::new(length).acts(acts).lists(lists);
            fake.rate = rate;
            let (mut reader, handle) = begin(&fake);
            match read_all(&mut reader).await {
                Ok(got) => assert!(got == *fake.plain),
                Err(failure) => assert_eq!(handle.failure(), Some(failure)),
            }
            assert!(handle.tally().memory <= 2_000_000);
            assert!(fake.script.lock().unwrap().most <= 2);
        });
    }

    #[test]
    fn jumps_land_where_they_should(
        jumps in prop::collection::vec((0..1_050_000_u64, 1..120_000_usize, 0..3_000_u64), 1..25),
        acts in prop::collection::vec(act(), 0..10),
    ) {
        run(async {
            let fake = Fake::new(1_000_000).acts(acts).line(80, 400_000);
            let (mut reader, handle) = begin(&fake);
            for (turn, (offset, count, pause)) in jumps.into_iter().enumerate() {
                let Ok(got) = read(&mut reader, offset, count).await else {
                    assert!(handle.failure().is_some());
                    break;
                };
                let from = (offset as usize).min(1_000_000);
                assert!(got == fake.plain[from..(from + count).min(1_000_000)]);
                let budget = [Budget::Playing, Budget::Next][turn % 2];
                handle.set_budget(budget);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            assert!(handle.tally().memory <= 2_000_000);
            assert!(fake.script.lock().unwrap().most <= 2);
        });
    }
}
