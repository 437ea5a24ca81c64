//! Years of household life in seconds, each from one seed.
//!
//! Drives the very functions that decide ([`Seats`](super::phase::Seats), the policy, the back-off,
//! the steady clock) with a made-up house: people and their phones, Spotify, a network, engines, a
//! sound card. Time is a number; what happens next is the earliest thing planned. [`judge`] says what
//! must hold. A failure prints its seed, and the last things that happened; with that seed in
//! `SISKIN_SEED` the same year is lived again. `SISKIN_SEEDS` lives more of them.

mod engines;
mod fates;
mod judge;
mod people;
mod world;

use std::env;

use world::World;

const YEAR_MS: u64 = 365 * 24 * 3_600 * 1_000;
/// Lived in every test run.
const SEEDS: u64 = 20;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn a_year_of_household_life_leaves_the_speaker_selectable_and_the_music_where_it_was() {
    let seeds = match number("SISKIN_SEED") {
        Some(one) => one..one + 1,
        None => 1..number("SISKIN_SEEDS").unwrap_or(SEEDS) + 1,
    };
    let (mut wanted, mut selectable, mut listed) = (0, 0, 0);
    for seed in seeds {
        let mut world = World::new(seed, false);
        world.live(YEAR_MS);
        if world.judge.is_broken() {
            let mut again = World::new(seed, true);
            again.live(YEAR_MS);
            let broken = again.judge.broken().unwrap_or_default();
            panic!(
                "{broken}\n  again: SISKIN_SEED={seed} cargo test --lib a_year_of_household_life"
            );
        }
        wanted += world.judge.wanted_ms;
        selectable += world.judge.selectable_ms;
        listed += world.judge.listed_ms;
    }
    let share = |part: u64| part as f64 / wanted as f64 * 100.0;
    println!(
        "selectable {:.5} % of the time, in the app's list {:.4} %",
        share(selectable),
        share(listed)
    );
}
