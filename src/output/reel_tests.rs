use super::*;

const CAPACITY: usize = 3528;

fn ones(frames: usize) -> Vec<f32> {
    vec![1.0; frames * CHANNELS]
}

/// A reel with a track at its beginning and this much of it waiting.
fn playing(frames: usize) -> Reel {
    let mut reel = Reel::new(CAPACITY);
    reel.anchor(1, 0);
    assert_eq!(reel.push(&ones(frames)), frames);
    reel
}

/// The left channel of what is taken; silence where there is nothing.
fn take(reel: &mut Reel, frames: usize) -> Vec<f32> {
    let mut out = vec![0.0; frames * CHANNELS];
    let count = reel.pull(&mut out, Pace::Now);
    out[count * CHANNELS..].fill(0.0);
    assert!(out.chunks(CHANNELS).all(|frame| frame[0] == frame[1]));
    out.into_iter().step_by(CHANNELS).collect()
}

fn steepest(samples: &[f32]) -> f32 {
    samples
        .windows(2)
        .map(|pair| (pair[0] - pair[1]).abs())
        .fold(0.0, f32::max)
}

/// One step of a 5 ms fade of a full-scale constant.
const GENTLE: f32 = 1.01 / FADE as f32;

#[test]
fn a_full_reel_takes_no_more_than_fits() {
    let mut reel = Reel::new(CAPACITY);
    assert_eq!(reel.push(&ones(CAPACITY + 10)), CAPACITY);
    assert_eq!(reel.push(&ones(1)), 0);
}

#[test]
fn a_track_begins_exactly_as_it_is_and_only_when_enough_is_waiting() {
    let mut reel = playing(2 * FADE);
    assert_eq!(take(&mut reel, 100), vec![0.0; 100]);
    reel.push(&ones(2 * FADE));
    assert_eq!(take(&mut reel, 100), vec![1.0; 100]);
}

#[test]
fn a_device_that_takes_much_at_once_begins_with_more() {
    let mut reel = playing(4 * FADE);
    reel.begin_with(2000);
    assert_eq!(take(&mut reel, 100), vec![0.0; 100]);
    reel.push(&ones(1500 - 4 * FADE));
    assert_eq!(take(&mut reel, 100), vec![1.0; 100]);
}

#[test]
fn the_joint_of_two_tracks_is_exact_to_the_sample() {
    let ramp: Vec<f32> = (0..6000).flat_map(|n| [n as f32 / 6000.0; 2]).collect();
    let (first, second) = ramp.split_at(3001 * CHANNELS);
    let mut reel = Reel::new(CAPACITY);
    reel.anchor(1, 0);
    let mut heard = Vec::new();
    reel.push(first);
    reel.end();
    reel.anchor(2, 0);
    let mut rest = second;
    while !rest.is_empty() {
        let frames = reel.push(rest);
        rest = &rest[frames * CHANNELS..];
        heard.extend(take(&mut reel, 500));
    }
    reel.end();
    while !reel.is_drained() {
        heard.extend(take(&mut reel, 500));
    }
    let expected: Vec<f32> = ramp.iter().step_by(CHANNELS).copied().collect();
    assert_eq!(heard[..6000], expected);
    assert_eq!(reel.gaps, 0);
}

#[test]
fn the_end_of_the_last_track_is_not_faded() {
    let mut reel = playing(3000);
    reel.end();
    assert_eq!(take(&mut reel, 3000), vec![1.0; 3000]);
    assert_eq!(reel.gaps, 0);
}

#[test]
fn a_track_that_breaks_off_plays_what_waits_and_fades_the_tail() {
    let mut reel = playing(CAPACITY);
    take(&mut reel, 500);
    reel.drain();
    let heard = take(&mut reel, CAPACITY);
    assert!(reel.is_drained());
    assert_eq!(reel.taken(), CAPACITY as u64);
    let end = CAPACITY - 500;
    assert!(heard[..end - FADE].iter().all(|&s| s == 1.0));
    assert!(steepest(&heard) < GENTLE, "{}", steepest(&heard));
}

#[test]
fn what_follows_a_break_in_the_middle_of_a_track_fades_in() {
    let mut reel = playing(CAPACITY);
    take(&mut reel, 500);
    reel.drain();
    take(&mut reel, CAPACITY);
    reel.push(&ones(CAPACITY));
    let heard = take(&mut reel, 1000);
    assert_eq!(heard[0], 0.0);
    assert!(steepest(&heard) < GENTLE);
    assert_eq!(heard[FADE..], vec![1.0; 1000 - FADE]);
}

#[test]
fn a_seek_drops_what_waits_and_fades_on_both_sides() {
    let mut reel = playing(CAPACITY);
    take(&mut reel, 500);
    reel.flush();
    reel.anchor(1, 90_000);
    assert_eq!(reel.len(), FADE);
    reel.push(&ones(CAPACITY));
    let heard = take(&mut reel, 1000);
    assert!(heard[0] > 0.99 && heard[FADE] == 0.0 && heard[2 * FADE] == 1.0);
    assert!(steepest(&heard) < GENTLE, "{}", steepest(&heard));
    assert_eq!(reel.position_of(reel.taken()), Some((1, 90_017)));
}

#[test]
fn a_skip_silences_at_once_even_while_the_next_track_loads() {
    let mut reel = playing(CAPACITY);
    take(&mut reel, 500);
    reel.flush();
    let heard = take(&mut reel, 1000);
    assert!(steepest(&heard) < GENTLE);
    assert_eq!(heard[FADE..], vec![0.0; 1000 - FADE]);
    reel.anchor(2, 0);
    reel.push(&ones(CAPACITY));
    assert_eq!(
        take(&mut reel, 100),
        vec![1.0; 100],
        "track 2 begins as it is"
    );
}

#[test]
fn a_tail_that_is_not_needed_is_left_out_and_what_follows_keeps_its_place() {
    let mut reel = playing(2000);
    take(&mut reel, 100);
    reel.flush();
    reel.anchor(2, 0);
    reel.push(&vec![0.5; 4 * FADE * CHANNELS]);
    reel.skip_fade();
    assert_eq!(reel.position_of(reel.taken()), Some((2, 0)));
    assert_eq!(take(&mut reel, 100), vec![0.5; 100]);
    assert_eq!(reel.cuts, 1);
}

#[test]
fn seeking_in_a_pause_needs_no_tail() {
    let mut reel = playing(CAPACITY);
    take(&mut reel, 500);
    reel.pause();
    take(&mut reel, CAPACITY);
    reel.flush();
    reel.anchor(1, 5000);
    assert_eq!(reel.len(), 0);
    assert_eq!(reel.position_of(reel.taken()), Some((1, 5000)));
    assert_eq!(take(&mut reel, 10), vec![0.0; 10]);
}

#[test]
fn music_that_runs_dry_fades_out_and_comes_back_with_a_fade() {
    let mut reel = playing(CAPACITY);
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.extend(take(&mut reel, 1024));
    }
    assert_eq!(reel.gaps, 1);
    reel.push(&ones(CAPACITY));
    heard.extend(take(&mut reel, 1024));
    assert!(steepest(&heard) < GENTLE, "{}", steepest(&heard));
    assert_eq!(heard.last(), Some(&1.0));
}

#[test]
fn a_patient_taker_gets_all_but_the_tail_and_then_the_tail() {
    let mut reel = playing(CAPACITY);
    let mut out = vec![0.0; CAPACITY * CHANNELS];
    assert_eq!(reel.pull(&mut out, Pace::Patient), CAPACITY - FADE);
    assert!(!reel.is_ready(Pace::Patient));
    reel.end();
    assert!(reel.is_ready(Pace::Patient));
    assert_eq!(reel.pull(&mut out, Pace::Patient), FADE);
    assert!(out[..FADE * CHANNELS].iter().all(|&s| s == 1.0));
}

#[test]
fn want_is_counted_once_whoever_takes() {
    let mut reel = playing(CAPACITY);
    let mut out = vec![0.0; CAPACITY * CHANNELS];
    reel.pull(&mut out, Pace::Patient);
    assert_eq!(reel.gaps, 0, "it takes what there is");
    reel.starves();
    assert_eq!(reel.gaps, 1);
    // Of a card it is known already.
    take(&mut reel, 10);
    let known = reel.gaps;
    reel.starves();
    assert_eq!(reel.gaps, known);
}

#[test]
fn a_lost_device_loses_nothing_that_waited() {
    let mut reel = playing(CAPACITY);
    take(&mut reel, 500);
    reel.hold();
    assert_eq!(reel.len(), CAPACITY - 500);
    let heard = take(&mut reel, 1000);
    assert!(heard[0] == 0.0 && steepest(&heard) < GENTLE);
}

#[test]
fn the_position_changes_tracks_where_the_samples_do() {
    let mut reel = playing(2205);
    reel.end();
    reel.anchor(2, 0);
    reel.push(&ones(1000));
    assert_eq!(reel.position_of(2204), Some((1, 49)));
    assert_eq!(reel.position_of(2205), Some((2, 0)));
}

#[test]
fn a_thousand_seeks_leave_no_pile_of_edges() {
    let mut reel = playing(CAPACITY);
    for position_ms in 0..1000 {
        reel.anchor(1, position_ms);
        reel.push(&ones(1));
        take(&mut reel, 1);
    }
    assert!(reel.segments.len() <= MAX_SEGMENTS);
}

/// As long as the one behind the player.
fn deep(frames: usize) -> Reel {
    let mut reel = Reel::new(66_150);
    reel.anchor(1, 0);
    assert_eq!(reel.push(&ones(frames)), frames);
    reel
}

#[test]
fn a_deep_reel_begins_with_little_and_after_a_gap_with_some_in_store() {
    let mut reel = deep(4 * FADE);
    assert_eq!(take(&mut reel, 100), vec![1.0; 100]);
    take(&mut reel, 2000);
    assert!(reel.gaps == 1 && reel.is_dry());
    reel.push(&ones(10_000));
    assert_eq!(take(&mut reel, 100), vec![0.0; 100]);
    reel.push(&ones(15_000));
    assert_eq!(take(&mut reel, 1000)[FADE..], vec![1.0; 1000 - FADE]);
}

#[test]
fn a_pause_behind_the_reel_fades_keeps_the_rest_and_fades_in_again() {
    let mut reel = deep(20_000);
    take(&mut reel, 1000);
    reel.pause();
    let heard = take(&mut reel, 1000);
    assert!(steepest(&heard) < GENTLE && heard[FADE..] == vec![0.0; 1000 - FADE]);
    assert!(reel.is_shut() && !reel.is_dry());
    assert_eq!(reel.len(), 20_000 - 1000 - FADE);
    reel.resume();
    let heard = take(&mut reel, 1000);
    assert!(heard[0] == 0.0 && steepest(&heard) < GENTLE);
    assert_eq!(reel.taken(), 2000 + FADE as u64);
}

#[test]
fn a_pause_during_the_fade_of_a_seek_stays_silent() {
    let mut reel = deep(20_000);
    take(&mut reel, 1000);
    reel.flush();
    reel.pause();
    reel.anchor(1, 9000);
    reel.push(&ones(20_000));
    let heard = take(&mut reel, 1000);
    assert!(steepest(&heard) < GENTLE && heard[FADE..] == vec![0.0; 1000 - FADE]);
    assert_eq!(reel.position_of(reel.taken()), Some((1, 9000)));
}

#[test]
fn a_pause_before_the_end_of_a_track_that_broke_off_is_heard_at_once_and_the_end_still_fades() {
    let mut reel = deep(5_000);
    take(&mut reel, 1000);
    reel.drain();
    reel.pause();
    let heard = take(&mut reel, 1000);
    assert!(steepest(&heard) < GENTLE && heard[FADE..] == vec![0.0; 1000 - FADE]);
    reel.resume();
    let heard = take(&mut reel, 5_000);
    assert!(heard.contains(&1.0) && steepest(&heard) < GENTLE);
    assert!(reel.is_drained());
}

#[test]
fn a_device_that_goes_in_the_fade_of_a_skip_takes_the_rest_of_it_along() {
    let mut reel = deep(5_000);
    take(&mut reel, 1000);
    reel.flush();
    reel.hold();
    reel.anchor(2, 0);
    reel.push(&vec![-1.0; 5_000 * CHANNELS]);
    assert_eq!(take(&mut reel, 1000), vec![-1.0; 1000]);
}

#[test]
fn what_is_cut_off_was_never_there() {
    let mut reel = deep(5000);
    reel.end();
    reel.anchor(2, 0);
    reel.push(&vec![-1.0; 5000 * CHANNELS]);
    take(&mut reel, 1000);
    reel.cut(5000);
    reel.anchor(3, 0);
    reel.push(&vec![0.5; 1000 * CHANNELS]);
    assert_eq!(take(&mut reel, 4000), vec![1.0; 4000]);
    assert_eq!(reel.position_of(reel.taken()), Some((3, 0)));
    assert_eq!(take(&mut reel, 100), vec![0.5; 100]);
}

/// Pushes and takes so many frames in small pieces.
fn flow(reel: &mut Reel, frames: usize) -> Vec<f32> {
    let mut heard = Vec::new();
    while heard.len() < frames {
        let piece = 441.min(frames - heard.len());
        reel.push(&ones(piece));
        heard.extend(take(reel, piece));
    }
    heard
}

#[test]
fn dimmed_towards_the_end_of_a_track_it_is_silent_there_and_nowhere_else() {
    let second = RATE as usize;
    let mut reel = playing(4 * FADE);
    reel.dim(Some(Dim::At {
        track: 1,
        end_ms: 4_000,
        over_ms: 2_000,
    }));
    let heard = flow(&mut reel, 4 * second);
    assert!(heard[..2 * second].iter().all(|&sample| sample == 1.0));
    assert!(heard[2 * second..].is_sorted_by(|one, next| one >= next));
    assert!((heard[3 * second] - 0.25).abs() < 1e-3 && heard[4 * second - 1] < 1e-6);
    // Another track has nothing to do with it.
    reel.anchor(2, 0);
    let heard = flow(&mut reel, 2 * second + 4 * FADE);
    assert_eq!(heard.last(), Some(&1.0));
}

#[test]
fn dimmed_music_that_was_paused_begins_at_full_level_once_nothing_is_to_be_dimmed() {
    let mut reel = playing(CAPACITY);
    let (left_ms, over_ms) = (10, 10_000);
    reel.dim(Some(Dim::In { left_ms, over_ms }));
    let heard = take(&mut reel, 500);
    assert!(heard[0] < 1e-3 && heard[499] == 0.0, "it begins that quiet");
    reel.pause();
    take(&mut reel, 2 * FADE);
    assert!(reel.is_shut());
    reel.dim(None);
    reel.resume();
    let heard = take(&mut reel, 2 * FADE);
    assert_eq!(
        heard[FADE..],
        vec![1.0; FADE],
        "but for the fade of a pause"
    );
}
