//! What lies on disk, and what comes out of it.

use std::{
    fs,
    future::ready,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;
use tokio::time::sleep;

use super::{
    super::tests::fake::{Fake, KEY},
    *,
};
use crate::{
    decode::{Source, SourceError},
    fetch::{Budget, Reader, start},
};

const LIMIT: u64 = 100_000_000;
const PATIENCE: Duration = Duration::from_secs(10);

struct Rig {
    dir: TempDir,
    cache: Cache,
    told: Arc<Mutex<Vec<Option<String>>>>,
}

impl Rig {
    fn new(limit: u64) -> Self {
        Self::at(tempfile::tempdir().unwrap(), limit)
    }

    fn at(dir: TempDir, limit: u64) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = told.clone();
        let tell = Box::new(move |why| into.lock().unwrap().push(why));
        let folder = dir.path().join("kept");
        let rest = Duration::from_millis(300);
        let cache = Cache::resting(folder, limit, rest, tell).unwrap();
        Self { dir, cache, told }
    }

    /// Another process on the same folder.
    fn again(self, limit: u64) -> Self {
        drop(self.cache);
        Self::at(self.dir, limit)
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("kept")
    }

    fn path(&self, number: u8) -> PathBuf {
        self.folder().join(name(number).to_string())
    }

    fn stock(&self) -> Stock {
        stock(&self.folder()).unwrap_or_default()
    }

    fn begin(&self, fake: &Fake, number: u8) -> Reader {
        let line = Cached::new(fake.clone(), Some(self.cache.clone()), name(number));
        start(line, ready(Ok(KEY)), 0, Budget::Playing).0
    }

    async fn whole(&self, fake: &Fake, number: u8) -> bool {
        let mut reader = self.begin(fake, number);
        read(&mut reader, 0, usize::MAX).await == *fake.plain
    }

    /// Reads a file and waits until it is kept.
    async fn keep(&self, fake: &Fake, number: u8) {
        assert!(self.whole(fake, number).await);
        until("it is kept", || self.path(number).exists()).await;
    }

    /// Everything that is to be written was.
    async fn settles(&self) {
        until("no drafts", || drafts(&self.folder()) == 0).await;
    }
}

fn name(number: u8) -> Name {
    Name([number; 20])
}

fn fake(length: usize) -> Fake {
    let mut fake = Fake::new(length);
    fake.latency = Duration::from_millis(2);
    fake
}

fn drafts(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let draft = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".part");
    entries.filter(draft).count()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn read(reader: &mut Reader, offset: u64, count: usize) -> Vec<u8> {
    let (mut got, mut buf) = (Vec::new(), vec![0; 10_000]);
    while got.len() < count {
        let wanted = buf.len().min(count - got.len());
        let at = offset + got.len() as u64;
        match reader.read_at(at, &mut buf[..wanted], Duration::ZERO) {
            Ok(0) => break,
            Ok(n) => got.extend_from_slice(&buf[..n]),
            Err(SourceError::NotYet) => sleep(Duration::from_millis(2)).await,
            Err(SourceError::Failed(why)) => panic!("{why}"),
        }
    }
    got
}

#[tokio::test]
async fn what_was_read_to_its_end_needs_the_line_no_more() {
    for length in [10, 60_000, 65_536, 65_537, 700_001] {
        let rig = Rig::new(LIMIT);
        let first = fake(length);
        rig.keep(&first, 1).await;
        let second = fake(length);
        assert!(rig.whole(&second, 1).await, "{length}");
        assert_eq!(second.asked(), []);
        assert_eq!(second.script.lock().unwrap().lists_asked, 0);
        // And in another life of the program, from the middle.
        let rig = rig.again(LIMIT);
        let mut reader = rig.begin(&second, 1);
        let from = length as u64 / 3;
        let part = read(&mut reader, from, usize::MAX).await;
        assert!(part == second.plain[from as usize..]);
        assert_eq!(second.asked(), []);
        assert_eq!(rig.stock().files, 1);
    }
}

#[tokio::test]
async fn it_lies_there_as_it_was_sent_for_its_owner_only() {
    let rig = Rig::new(LIMIT);
    let fake = fake(300_000);
    rig.keep(&fake, 1).await;
    let there = fs::read(rig.path(1)).unwrap();
    assert!(there[..300_000] == fake.sent[..]);
    assert!(there[..300_000] != fake.plain[..]);
    assert!(there.windows(16).all(|bytes| bytes != [7; 16]), "no key");
    assert_eq!(fs::metadata(rig.path(1)).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(rig.folder()).unwrap().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn what_was_left_in_the_middle_is_not_kept() {
    let rig = Rig::new(LIMIT);
    let line = fake(3_000_000);
    let mut reader = rig.begin(&line, 1);
    read(&mut reader, 0, 600_000).await;
    until("a draft", || drafts(&rig.folder()) == 1).await;
    drop(reader);
    rig.settles().await;
    assert_eq!(rig.stock(), Stock::default());
}

#[tokio::test]
async fn who_leafs_through_tracks_writes_nothing() {
    let rig = Rig::new(LIMIT);
    for number in 1..10 {
        let line = fake(3_000_000);
        let mut reader = rig.begin(&line, number);
        read(&mut reader, 0, 30_000).await;
        assert_eq!(drafts(&rig.folder()), 0);
    }
}

#[tokio::test]
async fn after_a_jump_nothing_is_written_until_it_begins_anew() {
    let rig = Rig::new(LIMIT);
    let line = fake(6_000_000);
    let mut reader = rig.begin(&line, 1);
    read(&mut reader, 0, 100_000).await;
    read(&mut reader, 4_000_000, usize::MAX).await;
    rig.settles().await;
    assert_eq!(rig.stock(), Stock::default());
    assert!(read(&mut reader, 0, usize::MAX).await == *line.plain);
    until("it is kept", || rig.path(1).exists()).await;
}

#[tokio::test]
async fn what_breaks_off_on_the_way_is_kept_all_the_same() {
    use super::super::tests::fake::Act;
    let rig = Rig::new(LIMIT);
    let acts = [30_000, 100_000, 5_000].map(Act::BreakOff);
    let line = fake(900_000).acts(acts);
    rig.keep(&line, 1).await;
    let second = fake(900_000);
    assert!(rig.whole(&second, 1).await);
    assert_eq!(second.asked(), []);
}

#[tokio::test]
async fn damage_is_found_wherever_it_is_and_fetched() {
    let length = 700_001;
    type Spoil = fn(&fs::File);
    let spoils: [(&str, Spoil); 6] = [
        ("the beginning", |file| {
            file.write_all_at(&[1, 2, 3], 0).unwrap()
        }),
        ("the middle", |file| {
            file.write_all_at(&[0; 4096], 350_000).unwrap();
        }),
        ("the end", |file| file.write_all_at(b"!", 700_000).unwrap()),
        ("the table", |file| {
            file.write_all_at(b"!", 700_010).unwrap()
        }),
        ("its length", |file| file.set_len(400_000).unwrap()),
        ("all of it", |file| file.set_len(0).unwrap()),
    ];
    for (what, spoil) in spoils {
        let rig = Rig::new(LIMIT);
        rig.keep(&fake(length), 1).await;
        spoil(
            &fs::OpenOptions::new()
                .write(true)
                .open(rig.path(1))
                .unwrap(),
        );
        let line = fake(length);
        assert!(rig.whole(&line, 1).await, "{what}");
        assert!(!line.asked().is_empty(), "{what}");
        // What came from the disk before the damage was not written again: the next time it is.
        rig.settles().await;
        rig.keep(&fake(length), 1).await;
        let last = fake(length);
        assert!(rig.whole(&last, 1).await, "{what}");
        assert_eq!(last.asked(), [], "{what}");
    }
}

#[tokio::test]
async fn a_file_under_another_name_is_not_taken_for_it() {
    let rig = Rig::new(LIMIT);
    rig.keep(&fake(100_000), 1).await;
    fs::rename(rig.path(1), rig.path(2)).unwrap();
    let line = fake(100_000);
    assert!(rig.whole(&line, 2).await);
    assert!(!line.asked().is_empty());
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_first() {
    let rig = Rig::new(1_000_000);
    for number in 1..=4 {
        rig.keep(&fake(230_000), number).await;
    }
    // The first is used again, so the second is the one to go.
    assert!(rig.whole(&fake(230_000), 1).await);
    rig.keep(&fake(230_000), 5).await;
    let there: Vec<_> = (1..=5)
        .filter(|number| rig.path(*number).exists())
        .collect();
    assert_eq!(there, [1, 3, 4, 5]);
    assert!(rig.stock().bytes <= 1_000_000);
    // A clock that is set back confuses nothing.
    let future = SystemTime::now() + Duration::from_secs(100_000);
    let file = fs::File::open(rig.path(4)).unwrap();
    file.set_modified(future).unwrap();
    let rig = rig.again(1_000_000);
    until("a look", || rig.stock().files == 4).await;
    rig.keep(&fake(230_000), 6).await;
    rig.keep(&fake(230_000), 7).await;
    rig.keep(&fake(230_000), 8).await;
    let there: Vec<_> = (1..=8)
        .filter(|number| rig.path(*number).exists())
        .collect();
    assert_eq!(there, [4, 6, 7, 8]);
}

#[tokio::test]
async fn a_lower_limit_holds_from_the_start_on_for_files_and_what_was_left_over() {
    let rig = Rig::new(1_000_000);
    for number in 1..=4 {
        rig.keep(&fake(200_000), number).await;
    }
    let draft = |rest: &str| rig.folder().join(format!("{}.{rest}.part", name(9)));
    let (mine, foreign) = (draft("1-1"), rig.folder().join("photo.jpg"));
    fs::write(draft("1-0"), [0; 100_000]).unwrap();
    fs::write(&foreign, [0; 500_000]).unwrap();
    fs::write(&mine, [0; 100_000]).unwrap();
    let held = fs::File::open(&mine).unwrap();
    held.lock().unwrap();
    let rig = rig.again(550_000);
    until("less", || rig.stock().bytes <= 550_000).await;
    assert_eq!(rig.stock().files, 2, "two, and somebody's draft");
    assert!(rig.path(3).exists() && rig.path(4).exists());
    assert!(
        mine.exists() && drafts(&rig.folder()) == 1,
        "what nobody writes goes"
    );
    assert!(foreign.exists(), "what is not ours stays");
}

#[tokio::test]
async fn a_file_larger_than_all_room_is_played_and_not_kept() {
    let rig = Rig::new(500_000);
    rig.keep(&fake(100_000), 1).await;
    let line = fake(600_000);
    assert!(rig.whole(&line, 2).await);
    rig.settles().await;
    assert_eq!(rig.stock().files, 1, "and nothing goes for its sake");
    assert_eq!(*rig.told.lock().unwrap(), []);
}

#[tokio::test]
async fn several_at_a_time_share_the_room() {
    let rig = Rig::new(1_200_000);
    let other = Rig::new(1);
    let tell = Box::new(|_| {});
    let second = Cache::open(rig.folder(), 1_200_000, tell).unwrap();
    let other = Rig {
        cache: second,
        ..other
    };
    for number in 0..6u8 {
        let (one, two) = (fake(400_000), fake(400_000));
        let (first, last) = tokio::join!(
            rig.whole(&one, 2 * number + 1),
            other.whole(&two, 2 * number + 2)
        );
        assert!(first && last);
        assert!(rig.stock().bytes <= 1_200_000, "{:?}", rig.stock());
    }
    rig.settles().await;
    let files = rig.stock().files;
    assert!((1..=2).contains(&files), "{files}");
    // The same file by both.
    let (one, two) = (fake(400_000), fake(400_000));
    let both = tokio::join!(rig.whole(&one, 99), other.whole(&two, 99));
    assert_eq!(both, (true, true));
    until("it is kept", || rig.path(99).exists()).await;
    let last = fake(400_000);
    assert!(rig.whole(&last, 99).await);
    assert_eq!(last.asked(), []);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_told_once_and_hurts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("kept");
    fs::write(&place, "no folder").unwrap();
    let rig = Rig::at(dir, LIMIT);
    until("a word", || !rig.told.lock().unwrap().is_empty()).await;
    for number in 1..4 {
        let line = fake(300_000);
        assert!(rig.whole(&line, number).await);
        assert!(line.servers().chars().all(|server| server == 'a'));
    }
    let told = rig.told.lock().unwrap().clone();
    assert!(
        matches!(&told[..], [Some(why)] if why.contains("kept")),
        "{told:?}"
    );
    // It heals.
    fs::remove_file(&place).unwrap();
    sleep(Duration::from_millis(400)).await;
    rig.keep(&fake(300_000), 5).await;
    until("the end of it", || {
        rig.told.lock().unwrap().last() == Some(&None)
    })
    .await;
}

#[tokio::test]
async fn a_disk_that_hangs_is_left_alone() {
    let rig = Rig::new(LIMIT);
    rig.keep(&fake(300_000), 1).await;
    // Who opens this waits for the other end.
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let pipe = rig.path(2);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    let began = Instant::now();
    let line = fake(300_000);
    assert!(rig.whole(&line, 2).await);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(!line.asked().is_empty());
    let told = rig.told.lock().unwrap().clone();
    assert!(matches!(&told[..], [Some(_)]), "{told:?}");
    // So that the thread that waits can end.
    drop(fs::OpenOptions::new().write(true).open(&pipe).unwrap());
}

#[tokio::test]
async fn what_turned_out_to_be_no_audio_is_forgotten() {
    let rig = Rig::new(LIMIT);
    rig.keep(&fake(100_000), 1).await;
    assert!(rig.cache.forget(name(1)).await);
    assert!(!rig.cache.forget(name(1)).await);
    assert_eq!(rig.stock().files, 0);
}

#[tokio::test]
async fn without_a_cache_the_line_is_the_line() {
    let line = fake(300_000);
    let cached = Cached::new(line.clone(), None, name(1));
    let (mut reader, _) = start(cached, ready(Ok(KEY)), 0, Budget::Playing);
    assert!(read(&mut reader, 0, usize::MAX).await == *line.plain);
}

#[tokio::test]
async fn a_folder_that_is_not_used_any_more_is_cleared_of_our_files_and_of_no_others() {
    let rig = Rig::new(LIMIT);
    rig.keep(&fake(50_000), 1).await;
    rig.keep(&fake(70_000), 2).await;
    rig.settles().await;
    let folder = rig.folder();
    let of_others = [
        "notes.txt",
        &"a".repeat(40),
        &format!("{}.jpg", "b".repeat(40)),
    ];
    for other in of_others {
        fs::write(
            folder.join(other),
            b"somebody else's, and longer than a mark",
        )
        .unwrap();
    }
    fs::create_dir(folder.join("c".repeat(40))).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.join("d".repeat(40))).unwrap();
    let (kept, removed) = (rig.stock(), clear(&folder).unwrap());
    assert_eq!(removed.files, 2);
    assert!(removed.bytes > 120_000 && removed.bytes < kept.bytes);
    assert!(!rig.path(1).exists() && !rig.path(2).exists());
    let left = fs::read_dir(&folder).unwrap().count();
    assert_eq!(left, of_others.len() + 2);
    assert_eq!(clear(&folder).unwrap(), Stock::default());
    assert_eq!(clear(&folder.join("nowhere")).unwrap(), Stock::default());
}
