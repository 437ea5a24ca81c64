//! More orders than anybody needs: however many came, the last one holds.

use std::{collections::HashSet, time::Duration};

use spotify_sim::{Controller, Place, PlayOptions, listen};

use crate::{
    booth::{Booth, assert_yes, file_of},
    tape::{decoded, frames, ms, stretches},
    world::{PATIENCE, World, hears, scenario, shows},
};

/// Numbers that look like nothing, the same every time.
struct Any(u32);

impl Any {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % limit
    }
}

/// Gives an order every `gap` without waiting for the answers; returns whether all were "yes".
async fn storm<T: std::fmt::Debug + Copy>(
    orders: impl IntoIterator<Item = T>,
    gap: Duration,
    give: impl AsyncFn(T) -> bool,
) {
    let mut due = tokio::time::Instant::now();
    let mut open = Vec::new();
    for order in orders {
        let mut given = Box::pin(give(order));
        // What was sent is sent; the answer may come later.
        let early = tokio::select! {
            biased;
            yes = &mut given => Some(yes),
            () = std::future::ready(()) => None,
        };
        match early {
            Some(yes) => assert!(yes, "{order:?} was refused"),
            None => open.push((order, given)),
        }
        due += gap;
        tokio::time::sleep_until(due).await;
    }
    for (number, (order, given)) in open.into_iter().enumerate() {
        let yes = tokio::time::timeout(PATIENCE, given).await;
        assert!(
            yes.expect("an answer"),
            "order {number}, {order:?}, was refused"
        );
    }
}

async fn seek(app: &Controller, to: u32) -> bool {
    app.seek(to).await.expect("an answer").success
}

#[test]
fn fifty_seeks_in_five_seconds_end_where_the_last_one_led() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Staircase").clone();
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        let mut any = Any(7);
        let mut places: Vec<u32> = (0..49).map(|_| any.below(85_000)).collect();
        places.push(43_210);
        let gap = Duration::from_millis(100);
        storm(places, gap, async |to| seek(&booth.app, to).await).await;
        let last = tokio::time::Instant::now();
        shows(&booth.app, "the last place", |state| {
            state.playing && (43_000..46_000).contains(&state.position_ms)
        })
        .await;
        booth.listen(600).await;
        let gone = last.elapsed().as_secs_f64();
        let capture = booth.fifo.capture();
        let heard = listen::position_of(&capture[capture.len() - frames(200)..]);
        let heard = heard.expect("the staircase");
        assert!(
            (43.2..43.6 + gone).contains(&heard),
            "{heard} s is heard {gone} s after the last order"
        );
        let shown = booth.app.state().position_ms as f64 / 1_000.0;
        assert!((shown - heard).abs() < 0.4, "{shown} shown, {heard} heard");
        assert_eq!(listen::clicks(&capture, 0.01), []);
    });
}

#[test]
fn thirty_times_next_in_three_seconds_plays_the_right_track_and_fetches_few_others() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        let repeat = PlayOptions {
            repeat_context: Some(true),
            ..PlayOptions::default()
        };
        booth.sounds(&album.uri(), repeat).await;
        booth.listen(500).await;
        let mark = world.sim.record().mark();
        let sent = world.sim.audio_sent();
        let gap = Duration::from_millis(100);
        let next = async |()| booth.app.next().await.expect("an answer").success;
        storm(vec![(); 30], gap, next).await;
        let wanted = &album.tracks[30 % 12];
        shows(&booth.app, "the right track", |state| {
            state.playing && state.track_uri == wanted.uri()
        })
        .await;
        let from = booth.heard();
        hears(&booth.fifo, from + frames(500)).await;
        let capture = booth.fifo.capture();
        let pieces = stretches(&capture[from..], &[decoded(wanted, 10)]);
        assert!(
            pieces.iter().any(|piece| piece.frames > frames(400)),
            "{pieces:#?}"
        );
        let record = world.sim.record().since(mark);
        let needed = [30 % 12, 30 % 12 + 1].map(|index| file_of(&album.tracks[index]));
        let wasted: Vec<_> = record
            .iter()
            .filter(|it| it.place == Place::Cdn)
            .filter(|it| !needed.iter().any(|file| it.text.contains(file)))
            .map(|it| it.text.clone())
            .collect();
        let file = |text: &String| {
            text.split(' ')
                .nth(1)
                .and_then(|path| path.rsplit('/').next().map(str::to_owned))
        };
        let files: HashSet<_> = wasted.iter().filter_map(file).collect();
        eprintln!(
            "{} requests in vain for {} files, {} kB in all",
            wasted.len(),
            files.len(),
            (world.sim.audio_sent() - sent) / 1_000
        );
        assert!(files.len() <= 3, "{wasted:#?}");
    });
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Pause,
    Resume,
    Next,
    Back,
}

async fn give(app: &Controller, order: Order) -> bool {
    let reply = match order {
        Order::Pause => app.pause().await,
        Order::Resume => app.resume().await,
        Order::Next => app.next().await,
        Order::Back => app.previous().await,
    };
    reply.expect("an answer").success
}

#[test]
fn pause_resume_and_skip_within_a_blink_end_as_the_last_order_says() {
    scenario(async |world| {
        use Order::{Back, Next, Pause, Resume};
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        let flurries: [&[Order]; 7] = [
            &[Pause, Resume],
            &[Pause, Next],
            &[Next, Pause],
            &[Pause, Resume, Pause],
            &[Resume, Pause, Next, Resume],
            &[Next, Next, Back, Pause],
            &[Pause, Next, Resume, Back],
        ];
        for gap in [0, 20] {
            for flurry in flurries {
                let options = PlayOptions::from_index(3);
                booth.sounds(&album.uri(), options).await;
                shows(&booth.app, "that it plays", |state| state.playing).await;
                let gap = Duration::from_millis(gap);
                storm(flurry.to_vec(), gap, async |order| {
                    give(&booth.app, order).await
                })
                .await;
                let mut track = 3;
                let mut plays = true;
                for order in flurry {
                    match order {
                        Pause => plays = false,
                        Resume => plays = true,
                        Next => track += 1,
                        Back => track -= 1,
                    }
                }
                let wanted = album.tracks[track].uri();
                let what = format!("{flurry:?} every {gap:?}");
                shows(&booth.app, &what, |state| {
                    state.track_uri == wanted && state.playing == plays && state.paused != plays
                })
                .await;
                let from = if plays {
                    booth.heard()
                } else {
                    booth.falls_silent().await
                };
                tokio::time::sleep(Duration::from_millis(300)).await;
                let more = ms(booth.heard() - from);
                assert_eq!(more > 100.0, plays, "{what}: {more} ms were heard");
                assert_eq!(booth.app.state().playing, plays, "{what}");
            }
        }
    });
}

/// The same orders while nothing has sounded yet, and every answer is slow.
#[test]
fn what_is_ordered_while_it_loads_holds_when_it_has_loaded() {
    scenario(async |world: World| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Tones").clone();
        let slow = spotify_sim::Then::Delay(Duration::from_millis(400));
        let on = |place| spotify_sim::Fault::on(place).forever().then(slow.clone());
        world.sim.faults().add(on(Place::Cdn));
        world.sim.faults().add(on(Place::Metadata));
        let options = PlayOptions::from_track(&album.tracks[1].uri());
        assert_yes(
            &booth
                .app
                .play(&album.uri(), options)
                .await
                .expect("an answer"),
            "play",
        );
        let (pause, seek) = tokio::join!(booth.app.pause(), booth.app.seek(5_000));
        assert_yes(&pause.expect("an answer"), "pause");
        assert_yes(&seek.expect("an answer"), "seek");
        shows(&booth.app, "a pause at its place", |state| {
            state.paused && (state.position_ms - 5_000).abs() < 50
        })
        .await;
        assert_eq!(booth.falls_silent().await, 0);
        assert_yes(&booth.app.resume().await.expect("an answer"), "resume");
        booth.listen(300).await;
        shows(&booth.app, "that it plays from there", |state| {
            state.playing && (5_000..7_000).contains(&state.position_ms)
        })
        .await;
    });
}
