//! Visitors, owners, forgetting, and the pace of sign-ins, as sentences about [`Seats::step`].

use std::collections::HashSet;

use proptest::prelude::*;

use super::{
    phase::{Action, Arrival, Input, Now, Resident, Seat, Seats, Timer},
    policy::Who,
};
use crate::{
    engine::messages::Event,
    model::{CameBy, ConditionCode, Login, PlayState, Playback, Refusal, Secret, Volume},
};

const MEMBER: Arrival = Arrival {
    came_by: Some(CameBy::Phone),
    stranger: false,
};
const STRANGER: Arrival = Arrival {
    came_by: Some(CameBy::Phone),
    stranger: true,
};

fn at(seconds: i64) -> Now {
    Now {
        ms: seconds * 1000,
        dice: 0.5,
    }
}

fn login(user: &str) -> Login {
    Login {
        user: user.into(),
        kind: 1,
        secret: Secret::new(vec![1]),
    }
}

fn ready(user: &str) -> Event {
    Event::Ready {
        login: login(user),
        country: None,
    }
}

fn engine(seat: Seat, event: Event) -> Input {
    Input::Engine { seat, event }
}

fn add(ticket: u64, user: &str, arrival: Arrival) -> Input {
    Input::AddUser {
        ticket,
        login: login(user),
        arrival,
    }
}

fn playing(active: bool, state: PlayState) -> Event {
    let mut playback = Playback::silent(Volume::FULL);
    (playback.active, playback.state) = (active, state);
    Event::Playback(Box::new(playback))
}

/// Kim's speaker, kim on seat 1; then alex came as a stranger, and sits on seat 2.
fn visited() -> Seats {
    let mut seats = Seats::default();
    let (user, owner) = (Some(login("kim")), None);
    seats.step(Input::Start { login: user, owner }, at(0));
    seats.step(engine(1, ready("kim")), at(0));
    seats.step(add(1, "alex", STRANGER), at(10));
    let out = seats.step(engine(2, ready("alex")), at(11));
    assert_eq!(kept_seat(&out), Some((Some("alex"), Some("kim"))));
    seats
}

fn kept_seat(out: &[Action]) -> Option<(Option<&str>, Option<&str>)> {
    out.iter().rev().find_map(|action| match action {
        Action::KeepSeat { user, owner } => Some((user.as_deref(), owner.as_deref())),
        _ => None,
    })
}

fn spawned(out: &[Action]) -> Vec<(Seat, &str)> {
    let spawned = |action: &'_ Action| match action {
        Action::Spawn { seat, login } => Some((*seat, login.user.clone())),
        _ => None,
    };
    let found: Vec<_> = out.iter().filter_map(spawned).collect();
    found
        .into_iter()
        .map(|(seat, user)| (seat, &*user.leak()))
        .collect()
}

#[test]
fn a_visitor_who_was_idle_for_long_gives_the_speaker_back_once_the_owner_is_in() {
    let mut seats = visited();
    assert!(seats.visitor_is_idle());
    let out = seats.step(Input::VisitOver, at(7_300));
    assert_eq!(spawned(&out), [(3, "kim")]);
    assert_eq!(seats.user(), Some("alex"), "alex stays until kim is in");
    let out = seats.step(engine(3, ready("kim")), at(7_301));
    assert_eq!(out[0], Action::Retire { seat: 2 });
    assert_eq!(kept_seat(&out), Some((Some("kim"), None)));
    assert!(!seats.visitor_is_idle());
}

#[test]
fn a_visitor_who_plays_is_not_sent_away() {
    let mut seats = visited();
    seats.step(engine(2, playing(true, PlayState::Playing)), at(12));
    assert!(!seats.visitor_is_idle());
    assert_eq!(seats.step(Input::VisitOver, at(7_300)), []);
    seats.step(engine(2, playing(true, PlayState::Paused)), at(7_301));
    assert!(seats.visitor_is_idle());
}

#[test]
fn an_owner_who_is_not_let_in_any_more_leaves_the_visitor_where_he_is() {
    let mut seats = visited();
    seats.step(Input::VisitOver, at(7_300));
    let refusal = Refusal::BadCredentials;
    let out = seats.step(engine(3, Event::Refused { refusal }), at(7_301));
    assert!(out.contains(&Action::Kill { seat: 3 }));
    assert!(seats.user() == Some("alex") && seats.visitor_is_idle());
}

#[test]
fn one_visitor_after_another_gives_the_speaker_back_to_the_same_owner() {
    let mut seats = visited();
    seats.step(add(2, "sam", STRANGER), at(20));
    let out = seats.step(engine(3, ready("sam")), at(21));
    assert_eq!(kept_seat(&out), Some((Some("sam"), Some("kim"))));
    // Alex is known by now: he is of the household, and the speaker is his.
    seats.step(add(3, "alex", MEMBER), at(30));
    let out = seats.step(engine(4, ready("alex")), at(31));
    assert_eq!(kept_seat(&out), Some((Some("alex"), None)));
}

#[test]
fn a_visitor_handed_over_again_or_lost_and_back_stays_a_visitor() {
    let mut seats = visited();
    seats.step(add(2, "alex", MEMBER), at(20));
    seats.step(Input::Timer(Timer::Check { ticket: 2 }), at(22));
    let out = seats.step(engine(3, ready("alex")), at(23));
    assert_eq!(kept_seat(&out), Some((Some("alex"), Some("kim"))));
    let how = "signal 9".into();
    seats.step(Input::Ended { seat: 3, how }, at(40));
    seats.step(Input::Timer(Timer::Retry), at(40));
    let out = seats.step(engine(4, ready("alex")), at(41));
    assert_eq!(kept_seat(&out), Some((Some("alex"), Some("kim"))));
}

#[test]
fn a_visit_outlives_a_restart() {
    let mut seats = Seats::default();
    let (user, owner) = (Some(login("alex")), Some(login("kim")));
    let out = seats.step(Input::Start { login: user, owner }, at(0));
    assert_eq!(spawned(&out), [(1, "alex")]);
    seats.step(engine(1, ready("alex")), at(1));
    assert!(seats.visitor_is_idle());
    assert_eq!(seats.who("kim", true), Who::Owner);
    assert_eq!(seats.who("alex", true), Who::Member);
    assert_eq!(seats.who("noa", false), Who::Stranger);
}

#[test]
fn a_visitor_whose_premium_lapses_leaves_the_speaker_to_its_owner_at_once() {
    let mut seats = visited();
    let product = "free".into();
    let refusal = Refusal::NotPremium { product };
    let out = seats.step(engine(2, Event::Refused { refusal }), at(50));
    let user = "alex".into();
    assert!(out.contains(&Action::Lapsed { user }));
    assert_eq!(spawned(&out), [(3, "kim")]);
}

#[test]
fn a_forgotten_visitor_leaves_at_once_and_the_owner_is_back() {
    let mut seats = visited();
    let user = Some("alex".to_owned());
    let out = seats.step(Input::Forget { ticket: 9, user }, at(60));
    assert!(out.contains(&Action::Retire { seat: 2 }));
    assert!(out.contains(&Action::ActiveUser(None)));
    assert_eq!(spawned(&out), [(3, "kim")]);
}

#[test]
fn a_forgotten_owner_makes_the_visitor_the_owner() {
    let mut seats = visited();
    let user = Some("kim".to_owned());
    let out = seats.step(Input::Forget { ticket: 9, user }, at(60));
    assert_eq!(kept_seat(&out), Some((Some("alex"), None)));
    assert!(!seats.visitor_is_idle());
    assert_eq!(seats.who("alex", true), Who::Owner);
}

#[test]
fn when_all_are_forgotten_the_speaker_is_free_and_nobody_is_at_the_door() {
    let mut seats = visited();
    seats.step(add(5, "sam", STRANGER), at(60));
    let user = None;
    let out = seats.step(Input::Forget { ticket: 9, user }, at(61));
    assert!(out.contains(&Action::Kill { seat: 3 }));
    assert!(out.contains(&Action::Retire { seat: 2 }));
    assert_eq!(seats.resident(), &Resident::Nobody);
    assert_eq!(spawned(&out), []);
    assert_eq!(kept_seat(&out), Some((None, None)), "no owner comes back");
}

#[test]
fn somebody_else_who_is_forgotten_disturbs_nobody() {
    let mut seats = visited();
    let user = Some("noa".to_owned());
    let out = seats.step(Input::Forget { ticket: 9, user }, at(60));
    let answer = Action::Answer {
        ticket: 9,
        answer: Ok(()),
    };
    assert_eq!(out.len(), 2);
    assert_eq!(out[1], answer);
}

#[test]
fn a_second_sign_in_within_a_second_waits_for_its_turn() {
    let mut seats = Seats::default();
    let now = |ms| Now { ms, dice: 0.5 };
    assert_eq!(
        spawned(&seats.step(add(1, "kim", MEMBER), now(5_000))).len(),
        1
    );
    let out = seats.step(add(2, "alex", MEMBER), now(5_300));
    assert_eq!(spawned(&out), []);
    let delay = std::time::Duration::from_millis(700);
    let timer = Timer::Begin { seat: 2 };
    assert!(out.contains(&Action::After { delay, timer }));
    // A third one comes before it was alex's turn: only that one is tried.
    seats.step(add(3, "sam", MEMBER), now(5_600));
    assert_eq!(seats.step(Input::Timer(timer), now(6_000)), []);
    let out = seats.step(Input::Timer(Timer::Begin { seat: 3 }), now(6_000));
    assert_eq!(spawned(&out), [(3, "sam")]);
}

#[test]
fn a_clock_that_was_set_back_holds_nobody_up() {
    let mut seats = Seats::default();
    seats.step(add(1, "kim", MEMBER), at(1_000_000));
    assert_eq!(
        spawned(&seats.step(add(2, "alex", MEMBER), at(10))).len(),
        1
    );
}

#[test]
fn music_that_another_device_took_over_is_told_and_is_no_loss() {
    let mut seats = visited();
    seats.step(engine(2, playing(true, PlayState::Playing)), at(12));
    let out = seats.step(engine(2, playing(false, PlayState::Stopped)), at(13));
    let told = |action: &Action| matches!(action, Action::Raise(it) if it.code == ConditionCode::StreamTaken);
    assert!(out.iter().any(told), "{out:?}");
    assert_eq!(spawned(&out), []);
    let out = seats.step(engine(2, playing(true, PlayState::Playing)), at(14));
    assert!(out.contains(&Action::Clear(ConditionCode::StreamTaken)));
    // Paused first, as by a person who has had enough: nothing was taken.
    seats.step(engine(2, playing(true, PlayState::Paused)), at(15));
    let out = seats.step(engine(2, playing(false, PlayState::Stopped)), at(16));
    assert!(!out.iter().any(told), "{out:?}");
}

/// What may happen, for a house of five.
fn happenings() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    prop::collection::vec((0u8..12, 0u8..5, 0u16..4_000), 1..120)
}

proptest! {
    /// Whatever happens: one engine an account in use, nobody waits for ever, no two attempts
    /// within a second, and a visitor never without an owner.
    #[test]
    fn in_any_order_of_things_there_is_one_engine_and_every_wish_is_answered(all in happenings()) {
        const USERS: [&str; 5] = ["kim", "alex", "sam", "noa", "robin"];
        let mut seats = Seats::default();
        let (mut running, mut open) = (HashSet::new(), HashSet::new());
        let (mut ms, mut ticket, mut last_spawn) = (1_000_000_i64, 0u64, i64::MIN / 2);
        let mut due: Vec<(i64, Timer)> = Vec::new();
        // At the end, everything that is still to come comes: one thing leaves two timers at most.
        let rest = std::iter::repeat_n((11u8, 0u8, 60_000u16), 2 * all.len() + 60);
        for (what, who, gap) in all.into_iter().chain(rest) {
            ms += i64::from(gap);
            let now = Now { ms, dice: 0.3 };
            let user = USERS[usize::from(who)];
            let newest = running.iter().max().copied().unwrap_or(0);
            let input = match what {
                0..=3 => {
                    ticket += 1;
                    open.insert(ticket);
                    add(ticket, user, if what == 0 { STRANGER } else { MEMBER })
                }
                4 | 5 => engine(newest, ready(user)),
                6 => engine(newest, Event::Refused { refusal: Refusal::BadCredentials }),
                7 => engine(newest, Event::Lost { why: "no route".into() }),
                8 => {
                    ticket += 1;
                    open.insert(ticket);
                    Input::Forget { ticket, user: (who > 0).then(|| user.to_owned()) }
                }
                9 => Input::VisitOver,
                10 => Input::Ended { seat: newest, how: "signal 9".into() },
                _ => {
                    due.sort_by_key(|(when, _)| *when);
                    let Some(at) = due.iter().position(|(when, _)| *when <= ms) else { continue };
                    Input::Timer(due.remove(at).1)
                }
            };
            // An engine that was refused ends by itself.
            if let Input::Ended { seat, .. }
            | Input::Engine {
                seat,
                event: Event::Refused { .. },
            } = &input
            {
                running.remove(seat);
            }
            for action in seats.step(input, now) {
                match action {
                    Action::Spawn { seat, .. } => {
                        prop_assert!(ms - last_spawn >= 1_000, "two attempts within {} ms", ms - last_spawn);
                        last_spawn = ms;
                        prop_assert!(running.insert(seat), "seat {} twice", seat);
                    }
                    Action::Kill { seat } | Action::Retire { seat } => drop(running.remove(&seat)),
                    Action::Answer { ticket, .. } => prop_assert!(open.remove(&ticket), "answered twice"),
                    Action::After { delay, timer } => {
                        due.push((ms + i64::try_from(delay.as_millis()).expect("short"), timer));
                    }
                    _ => {}
                }
            }
            prop_assert!(running.len() <= 2, "{running:?}");
        }
        prop_assert!(open.is_empty(), "unanswered: {open:?}");
        prop_assert!(running.len() <= 1, "{running:?}");
    }
}
