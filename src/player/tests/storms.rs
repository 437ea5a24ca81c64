//! Whatever was asked for, in whatever order: music that is to play comes to its end.

use proptest::prelude::*;

use super::*;

/// What the next track is made of.
#[derive(Debug, Clone, Copy)]
enum File {
    Whole(&'static str),
    /// Only so many bytes.
    Cut(usize),
    Noise,
    /// Every other read says that there is nothing yet.
    Slow,
    /// The line is cut here.
    Fails(u64),
}

#[derive(Debug, Clone)]
enum Step {
    Load(File, u32, bool),
    Next(File, bool),
    DropNext,
    SkipToNext,
    Seek(u32),
    Play,
    Pause,
    Sound(PlayerSettings),
    Lose,
    ComeBack,
    Take(usize),
    Settle,
}

impl File {
    fn open(self) -> Opened {
        let memory = |title: &str| Memory::new(bytes(title));
        let cut = |len| {
            let all = bytes("First Half");
            Memory::new(Arc::new(all[..all.len().min(len)].to_vec()))
        };
        match self {
            Self::Whole(title) => opened(title),
            Self::Cut(len) => from(cut(len), "First Half"),
            Self::Noise => from(Memory::new(Arc::new(vec![7; 50_000])), "Tone 7"),
            Self::Slow => {
                let not_yet = 2;
                let memory = Memory {
                    not_yet,
                    ..memory("Tone 7")
                };
                from(memory, "Tone 7")
            }
            Self::Fails(at) => {
                let fails_at = Some(at);
                let memory = Memory {
                    fails_at,
                    ..memory("First Half")
                };
                from(memory, "First Half")
            }
        }
    }
}

fn file() -> impl Strategy<Value = File> {
    prop_oneof![
        4 => prop::sample::select(vec!["Tone 7", "Tone 12", "First Half"]).prop_map(File::Whole),
        3 => (200usize..60_000).prop_map(File::Cut),
        1 => Just(File::Noise),
        1 => Just(File::Slow),
        1 => (200u64..60_000).prop_map(File::Fails),
    ]
}

/// A second before the end above all: that is what the ring holds.
fn place() -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(3_000), 1 => 0u32..5_000]
}

fn sound() -> impl Strategy<Value = PlayerSettings> {
    let fade = prop::sample::select(vec![0, 400, 2_000]);
    (any::<bool>(), fade).prop_map(|(gapless, crossfade_ms)| PlayerSettings {
        gapless,
        crossfade_ms,
        ..PLAIN
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (file(), place(), any::<bool>()).prop_map(|(f, at, play)| Step::Load(f, at, play)),
        3 => (file(), any::<bool>()).prop_map(|(f, consecutive)| Step::Next(f, consecutive)),
        1 => Just(Step::DropNext),
        1 => Just(Step::SkipToNext),
        3 => place().prop_map(Step::Seek),
        3 => Just(Step::Play),
        2 => Just(Step::Pause),
        1 => sound().prop_map(Step::Sound),
        1 => Just(Step::Lose),
        2 => Just(Step::ComeBack),
        6 => (1usize..60_000).prop_map(Step::Take),
        5 => Just(Step::Settle),
    ]
}

/// Takes what there is of so many frames: as a pipe does, or as a card, which gets silence instead.
fn take(rig: &Rig, frames: usize, card: bool) {
    for _ in 0..frames.div_ceil(1024) {
        if card {
            rig.taker.gulp(1024);
        } else if rig.taker.take(1024).is_empty() {
            return;
        }
    }
}

fn run(steps: Vec<Step>, card: bool, settings: PlayerSettings) {
    let mut rig = rig(settings);
    let (mut id, mut next) = (1, 1);
    rig.load(1, "Tone 7", 0, true);
    for step in steps {
        match step {
            Step::Load(file, position_ms, play) => {
                id += 1;
                let open = file.open();
                rig.player.order(Order::Load {
                    id,
                    open,
                    position_ms,
                    play,
                });
            }
            Step::Next(file, consecutive) => {
                id += 1;
                next = id;
                let open = file.open();
                rig.player.order(Order::Next {
                    id,
                    open,
                    position_ms: 0,
                    consecutive,
                });
            }
            Step::DropNext => rig.player.order(Order::DropNext),
            Step::SkipToNext => rig.player.order(skip(next)),
            Step::Seek(ms) => rig.player.order(Order::Seek { ms }),
            Step::Play => rig.player.order(Order::Play),
            Step::Pause => rig.player.order(Order::Pause),
            Step::Sound(settings) => rig.player.order(Order::Settings(settings)),
            Step::Lose => rig.taker.lose(),
            Step::ComeBack => rig.taker.come_back(),
            Step::Take(frames) => take(&rig, frames, card),
            Step::Settle => rig.settle(),
        }
        while rig.news.try_recv().is_ok() {}
    }
    rig.taker.come_back();
    rig.player.order(Order::Play);
    rig.settle();
    let deadline = Instant::now() + LIMIT;
    let mut seen = Vec::new();
    // It stops by itself when all was heard, or nothing can be.
    while rig.taker.status().running {
        seen.extend(std::iter::from_fn(|| rig.news.try_recv().ok()));
        assert!(Instant::now() < deadline, "it goes on for ever: {seen:?}");
        take(&rig, 1024, card);
        rig.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn music_that_is_to_play_comes_to_its_end_whatever_was_asked_before(
        steps in prop::collection::vec(step(), 0..16),
        card in any::<bool>(),
        settings in sound(),
    ) {
        run(steps, card, settings);
    }
}
