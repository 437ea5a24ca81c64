//! What happens when, as sentences about [`Seats::step`].

use super::phase::{Action, Arrival, Input, Now, Resident, Seats, Timer};
use crate::{
    engine::messages::{Command, Event},
    model::{CameBy, ConditionCode, Login, PlayState, Playback, Refusal, Secret, Track, Volume},
};

const NOW: Now = Now {
    ms: 1_000_000,
    dice: 0.5,
};
/// Long before, when those who sit here now were signed in.
const THEN: Now = Now { ms: 0, dice: 0.5 };

fn login(user: &str) -> Login {
    Login {
        user: user.into(),
        kind: 1,
        secret: Secret::new(vec![1]),
    }
}

/// Somebody of the household, by phone.
const MEMBER: Arrival = Arrival {
    came_by: Some(CameBy::Phone),
    stranger: false,
};

fn start(user: &str) -> Input {
    Input::Start {
        login: Some(login(user)),
        owner: None,
    }
}

fn said_yes(out: &[Action], to: u64) -> bool {
    out.iter()
        .any(|action| matches!(action, Action::Answer { ticket, answer: Ok(()) } if *ticket == to))
}

fn said_no(out: &[Action], to: u64) -> bool {
    out.iter()
        .any(|action| matches!(action, Action::Answer { ticket, answer: Err(_) } if *ticket == to))
}

/// The engine in this seat says something.
fn heard(seats: &mut Seats, seat: u64, event: Event) -> Vec<Action> {
    seats.step(Input::Engine { seat, event }, NOW)
}

/// Somebody hands an account over.
fn knocks(seats: &mut Seats, ticket: u64, user: &str, arrival: Arrival) -> Vec<Action> {
    let login = login(user);
    let input = Input::AddUser {
        ticket,
        login,
        arrival,
    };
    seats.step(input, NOW)
}

fn ready(user: &str) -> Event {
    Event::Ready {
        login: login(user),
        country: None,
    }
}

/// A speaker with `user` signed in on seat 1.
fn seated(user: &str) -> Seats {
    let mut seats = Seats::default();
    seats.step(start(user), THEN);
    seats.step(
        Input::Engine {
            seat: 1,
            event: ready(user),
        },
        THEN,
    );
    seats
}

fn playing() -> Box<Playback> {
    Box::new(Playback {
        state: PlayState::Playing,
        active: true,
        position_ms: 5_000,
        at_ms: NOW.ms - 2_000,
        context: Some("spotify:album:1".into()),
        track: Some(Track {
            uri: "spotify:track:1".into(),
            title: "T".into(),
            artists: vec![],
            album: "A".into(),
            duration_ms: 60_000,
            explicit: false,
            covers: vec![],
            ..Track::default()
        }),
        ..Playback::silent(Volume::FULL)
    })
}

fn is_seated(seats: &Seats, user: &str, at: u64) -> bool {
    matches!(seats.resident(), Resident::Seated { seat, login, .. } if *seat == at && login.user == user)
}

#[test]
fn a_guest_becomes_the_resident_only_when_ready_and_then_the_old_one_leaves() {
    let mut seats = seated("kim");
    let knock = knocks(&mut seats, 7, "alex", MEMBER);
    assert!(matches!(&knock[0], Action::Spawn { seat: 2, login } if login.user == "alex"));
    assert!(is_seated(&seats, "kim", 1));
    let out = heard(&mut seats, 2, ready("alex"));
    assert_eq!(out[0], Action::Retire { seat: 1 });
    assert!(said_yes(&out, 7));
    assert!(out.contains(&Action::ActiveUser(Some("alex".into()))));
    // What kim's engine said of the card is nobody's knowledge any more.
    assert!(out.contains(&Action::Clear(ConditionCode::OutputLost)));
    assert!(is_seated(&seats, "alex", 2));
}

#[test]
fn a_refused_guest_changes_nothing_for_the_resident() {
    let mut seats = seated("kim");
    knocks(&mut seats, 7, "fred", MEMBER);
    let refusal = Refusal::NotPremium {
        product: "free".into(),
    };
    let out = heard(&mut seats, 2, Event::Refused { refusal });
    assert!(
        matches!(&out[0], Action::Raise(condition) if condition.code == ConditionCode::GuestRefused)
    );
    assert!(said_no(&out, 7));
    assert!(
        !out.iter()
            .any(|action| matches!(action, Action::ActiveUser(_) | Action::Retire { .. }))
    );
    assert!(is_seated(&seats, "kim", 1));
    assert_eq!(
        seats.step(
            Input::Ended {
                seat: 2,
                how: "exit 1".into()
            },
            NOW
        ),
        []
    );
}

#[test]
fn the_newest_guest_takes_the_place_of_the_one_still_at_the_door() {
    let mut seats = seated("kim");
    knocks(&mut seats, 7, "alex", MEMBER);
    let out = knocks(&mut seats, 8, "sam", MEMBER);
    assert!(said_no(&out[..1], 7));
    assert_eq!(out[1], Action::Kill { seat: 2 });
    assert_eq!(
        seats.step(
            Input::Engine {
                seat: 2,
                event: ready("alex")
            },
            NOW
        ),
        []
    );
}

/// Anybody who reads the name of who sits here can hand him over, with any secret.
#[test]
fn who_is_at_the_door_stays_there_while_the_one_who_sits_is_handed_over_again() {
    let mut seats = seated("kim");
    knocks(&mut seats, 7, "alex", MEMBER);
    let out = knocks(&mut seats, 8, "kim", MEMBER);
    assert!(matches!(out[0], Action::Tell { seat: 1, .. }), "{out:?}");
    let out = knocks(&mut seats, 9, "kim", MEMBER);
    assert!(said_no(&out, 8) && !said_no(&out, 7));
    let alive = Event::Checked {
        id: 9,
        alive: true,
        dealer: None,
        listed: None,
    };
    assert!(said_yes(&heard(&mut seats, 1, alive), 9));
    assert!(said_yes(&heard(&mut seats, 2, ready("alex")), 7));
    assert!(is_seated(&seats, "alex", 2));
}

#[test]
fn the_one_whose_session_is_dead_comes_after_who_is_at_the_door_and_takes_his_place() {
    let mut seats = seated("kim");
    knocks(&mut seats, 7, "alex", MEMBER);
    knocks(&mut seats, 8, "kim", MEMBER);
    let out = seats.step(Input::Timer(Timer::Check { ticket: 8 }), NOW);
    assert!(said_no(&out, 7) && out.contains(&Action::Kill { seat: 2 }));
    let out = knocks(&mut seats, 9, "kim", MEMBER);
    assert!(!said_no(&out, 8), "kim is at the door herself: {out:?}");
    let out = heard(&mut seats, 3, ready("kim"));
    assert!(said_yes(&out, 8) && said_yes(&out, 9));
}

#[test]
fn who_is_forgotten_while_both_wait_leaves_alone() {
    let forgets = |user: &str| {
        let mut seats = seated("kim");
        knocks(&mut seats, 7, "alex", MEMBER);
        knocks(&mut seats, 8, "kim", MEMBER);
        let user = Some(user.to_owned());
        let out = seats.step(Input::Forget { ticket: 9, user }, NOW);
        (said_no(&out, 7), said_no(&out, 8))
    };
    assert_eq!(forgets("alex"), (true, false));
    assert_eq!(forgets("kim"), (false, true));
}

#[test]
fn the_same_account_again_is_answered_from_the_living_session() {
    let mut seats = seated("kim");
    let out = knocks(&mut seats, 7, "kim", MEMBER);
    assert_eq!(
        out[0],
        Action::Tell {
            seat: 1,
            command: Command::Check { id: 7, trust_ms: 0 }
        }
    );
    let alive = Event::Checked {
        id: 7,
        alive: true,
        dealer: None,
        listed: None,
    };
    let out = heard(&mut seats, 1, alive);
    assert!(out.len() == 1 && said_yes(&out, 7));
    assert_eq!(
        seats.step(Input::Timer(Timer::Check { ticket: 7 }), NOW),
        []
    );
}

#[test]
fn a_session_that_does_not_answer_is_replaced_and_the_music_goes_on() {
    let mut seats = seated("kim");
    heard(&mut seats, 1, Event::Playback(playing()));
    knocks(&mut seats, 7, "kim", MEMBER);
    let out = seats.step(Input::Timer(Timer::Check { ticket: 7 }), NOW);
    assert!(matches!(out[0], Action::Spawn { seat: 2, .. }));
    let out = heard(&mut seats, 2, ready("kim"));
    assert!(out.iter().any(|action| matches!(action,
        Action::Tell { seat: 2, command: Command::Restore(then) } if then.position_ms == 7_000)));
}

#[test]
fn a_killed_engine_is_followed_by_one_that_takes_playback_up() {
    let mut seats = seated("kim");
    heard(&mut seats, 1, Event::Playback(playing()));
    let out = seats.step(
        Input::Ended {
            seat: 1,
            how: "signal 9".into(),
        },
        NOW,
    );
    let at_once = Action::After {
        delay: std::time::Duration::ZERO,
        timer: Timer::Retry,
    };
    assert!(out.contains(&at_once), "{out:?}");
    let out = seats.step(Input::Timer(Timer::Retry), NOW);
    assert!(matches!(out[0], Action::Spawn { seat: 2, .. }));
    let out = heard(&mut seats, 2, ready("kim"));
    assert!(out.iter().any(|action| matches!(action,
        Action::Tell { command: Command::Restore(then), .. } if then.position_ms == 7_000)));
}

#[test]
fn an_engine_that_breaks_is_told_as_that_and_its_music_goes_on() {
    let mut seats = seated("kim");
    heard(&mut seats, 1, Event::Playback(playing()));
    let why = "the thread that plays has ended".to_owned();
    let out = heard(&mut seats, 1, Event::Broken { why });
    let raised: Vec<_> = out
        .iter()
        .filter_map(|action| match action {
            Action::Raise(condition) => Some(condition.code),
            _ => None,
        })
        .collect();
    assert_eq!(
        raised,
        [ConditionCode::EngineLost],
        "Spotify is not to blame"
    );
    assert!(out.contains(&Action::Retire { seat: 1 }));
    seats.step(Input::Timer(Timer::Retry), NOW);
    let out = heard(&mut seats, 2, ready("kim"));
    assert!(out.contains(&Action::Clear(ConditionCode::EngineLost)));
    assert!(out.iter().any(|action| matches!(action,
        Action::Tell { command: Command::Restore(then), .. } if then.state == PlayState::Playing)));
}

#[test]
fn an_engine_that_finds_no_way_to_spotify_is_left_to_wait_as_long_as_it_says_so() {
    let mut seats = Seats::default();
    seats.step(start("kim"), THEN);
    let late = || Input::Timer(Timer::SignIn { seat: 1 });
    let unheard = || Input::Engine {
        seat: 1,
        event: Event::Interrupted {
            why: "no route".into(),
            cut: None,
        },
    };
    for _ in 0..3 {
        let out = seats.step(unheard(), NOW);
        assert!(matches!(&out[..], [Action::Raise(told)]
            if told.code == ConditionCode::SpotifyUnreachable));
        let out = seats.step(late(), NOW);
        assert!(matches!(
            &out[..],
            [Action::After {
                timer: Timer::SignIn { seat: 1 },
                ..
            }]
        ));
    }
    let out = seats.step(late(), NOW);
    assert!(
        out.contains(&Action::Kill { seat: 1 }),
        "it says nothing any more"
    );
    // Whoever stands at the door is told no at once.
    let knock = Input::AddUser {
        ticket: 7,
        login: login("alex"),
        arrival: MEMBER,
    };
    seats.step(knock, NOW);
    let event = Event::Interrupted {
        why: "no route".into(),
        cut: None,
    };
    assert!(said_no(&heard(&mut seats, 2, event), 7));
}

#[test]
fn what_played_for_one_person_is_never_taken_up_for_another() {
    let mut seats = seated("kim");
    heard(&mut seats, 1, Event::Playback(playing()));
    knocks(&mut seats, 7, "alex", MEMBER);
    let out = heard(&mut seats, 2, ready("alex"));
    let mut told = out.iter().filter_map(|action| match action {
        Action::Tell { command, .. } => Some(command),
        _ => None,
    });
    // Only how loud it is for alex is asked for.
    assert_eq!(told.next(), Some(&Command::Show));
    assert_eq!(told.next(), None);
}

#[test]
fn a_refused_stored_login_waits_for_a_new_one_instead_of_retrying() {
    let mut seats = Seats::default();
    seats.step(start("kim"), NOW);
    let refused = Event::Refused {
        refusal: Refusal::BadCredentials,
    };
    let out = heard(&mut seats, 1, refused);
    assert!(
        !out.iter()
            .any(|action| matches!(action, Action::After { .. } | Action::Spawn { .. }))
    );
    assert_eq!(seats.resident(), &Resident::Refused);
    // What stood in the way of trying would hide the cure now.
    for over in [
        ConditionCode::SpotifyUnreachable,
        ConditionCode::EngineLost,
        ConditionCode::OutputLost,
    ] {
        assert!(out.contains(&Action::Clear(over)), "{over:?}");
    }
    assert_eq!(seats.step(Input::Timer(Timer::Retry), NOW), []);
}

#[test]
fn an_unreachable_service_is_tried_again_for_ever_and_ever_more_slowly() {
    let mut seats = Seats::default();
    seats.step(start("kim"), NOW);
    let mut last = std::time::Duration::ZERO;
    for seat in 1..12 {
        let lost = Event::Lost {
            why: "no route".into(),
        };
        let out = seats.step(Input::Engine { seat, event: lost }, NOW);
        let delay = out.iter().find_map(|action| match action {
            Action::After {
                delay,
                timer: Timer::Retry,
            } => Some(*delay),
            _ => None,
        });
        let delay = delay.expect("another attempt is planned");
        assert!(delay >= last, "{delay:?} after {last:?}");
        last = delay;
        seats.step(Input::Timer(Timer::Retry), NOW);
    }
}

#[test]
fn forgetting_everybody_ends_the_music_and_leaves_nobody() {
    let mut seats = seated("kim");
    let (ticket, user) = (3, None);
    let out = seats.step(Input::Forget { ticket, user }, NOW);
    assert!(out.contains(&Action::Retire { seat: 1 }));
    assert!(out.contains(&Action::Clear(ConditionCode::OutputLost)));
    assert!(said_yes(&out, 3));
    assert_eq!(seats.resident(), &Resident::Nobody);
}

#[test]
fn a_guest_whose_sign_in_hangs_is_answered_before_the_phone_gives_up() {
    let mut seats = seated("kim");
    knocks(&mut seats, 7, "alex", MEMBER);
    let out = seats.step(Input::Timer(Timer::SignIn { seat: 2 }), NOW);
    assert!(said_no(&out, 7));
    assert!(out.contains(&Action::Kill { seat: 2 }));
    assert!(is_seated(&seats, "kim", 1));
}

#[test]
fn new_settings_hold_for_a_guest_who_is_still_at_the_door() {
    let mut seats = seated("kim");
    knocks(&mut seats, 7, "alex", MEMBER);
    let later = Now {
        ms: NOW.ms + 3_000,
        ..NOW
    };
    let out = seats.step(Input::Renew, later);
    assert_eq!(out[0], Action::Kill { seat: 2 });
    assert!(matches!(&out[1], Action::Spawn { seat: 3, login } if login.user == "alex"));
    assert!(out.contains(&Action::Retire { seat: 1 }));
    let out = heard(&mut seats, 3, ready("alex"));
    assert!(said_yes(&out, 7));
    assert!(is_seated(&seats, "alex", 3));
}

#[test]
fn what_a_guest_found_of_the_way_to_spotify_is_forgotten_where_nobody_tries_it_again() {
    let mut seats = Seats::default();
    let out = knocks(&mut seats, 5, "kim", MEMBER);
    assert!(matches!(out[..], [Action::Spawn { seat: 1, .. }, ..]));
    let seat = 1;
    let out = seats.step(
        Input::Engine {
            seat,
            event: Event::Lost { why: "gone".into() },
        },
        NOW,
    );
    let code = ConditionCode::SpotifyUnreachable;
    assert!(
        out.iter()
            .any(|action| matches!(action, Action::Raise(raised) if raised.code == code))
    );
    let out = seats.step(Input::Timer(Timer::Forgive { seat }), NOW);
    assert!(out.contains(&Action::Clear(code)));
}

#[test]
fn an_engine_that_breaks_as_soon_as_it_plays_is_back_within_seconds_unless_it_never_ends() {
    let mut seats = seated("kim");
    let mut now = NOW;
    let mut pauses = Vec::new();
    for seat in 1..=40 {
        let ended = Input::Ended {
            seat,
            how: "signal 9".into(),
        };
        let out = seats.step(ended, now);
        pauses.extend(out.iter().filter_map(|action| match action {
            Action::After {
                delay,
                timer: Timer::Retry,
            } => Some(delay.as_secs()),
            _ => None,
        }));
        now.ms += 60_000;
        seats.step(Input::Timer(Timer::Retry), now);
        let event = ready("kim");
        seats.step(
            Input::Engine {
                seat: seat + 1,
                event,
            },
            now,
        );
        now.ms += 1_000;
    }
    assert_eq!(pauses[..5], [0, 1, 1, 3, 3], "with its jitter");
    assert!(pauses[5..30].iter().all(|pause| *pause <= 4));
    assert!(pauses[35..].iter().all(|pause| *pause >= 30));
}
