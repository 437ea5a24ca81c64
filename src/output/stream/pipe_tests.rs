use std::{io::Read, os::unix::fs::PermissionsExt, path::Path};

use super::*;

fn never() -> bool {
    false
}

fn pipe(path: &Path) -> Pipe {
    Pipe::new(Some(path.to_owned()), 0, SampleFormat::S16)
}

/// Opens the reading end without waiting for a writer.
fn reader(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .expect("the FIFO")
}

/// A pipe that is open, and its reader.
fn read_pipe(path: &Path) -> (Pipe, File) {
    let mut pipe = pipe(path);
    let _ = pipe.open();
    let reader = reader(path);
    pipe.open().expect("somebody reads");
    (pipe, reader)
}

#[test]
fn a_missing_fifo_is_made_and_waits_for_its_reader() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fifo");
    let mut pipe = pipe(&path);
    let condition = pipe.open().expect_err("nobody reads");
    assert!(condition.what.starts_with("nobody reads the pipe"));
    let metadata = std::fs::metadata(&path).expect("made");
    assert!(is_fifo(&metadata));
    assert_eq!(metadata.permissions().mode() & 0o007, 0);
    let _reader = reader(&path);
    let opened = pipe.open().expect("somebody reads");
    assert_eq!((opened.rate, opened.format.as_str()), (44_100, "S16_LE"));
}

#[test]
fn the_next_reader_begins_with_a_whole_frame() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fifo");
    let (mut pipe, first) = read_pipe(&path);
    // As if the first reader had got one frame and two bytes of the next.
    pipe.broken = 2;
    drop(first);
    let mut bytes = vec![3, 4, 11, 12, 13, 14];
    let condition = pipe.write(&mut bytes, &never).expect_err("nobody reads");
    assert!(condition.what.contains("went away"), "{}", condition.what);
    let mut second = reader(&path);
    pipe.open().expect("somebody reads again");
    pipe.write(&mut bytes, &never).expect("written");
    let mut read = [0; 8];
    assert_eq!(second.read(&mut read).expect("bytes"), 4);
    assert_eq!(read[..4], [11, 12, 13, 14]);
}

#[test]
fn a_reader_that_stops_reading_is_told_of_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut pipe, mut reader) = read_pipe(&folder.path().join("fifo"));
    let source: Vec<u8> = (0..PIPE_SIZE + 4000).map(|n| n as u8).collect();
    let mut bytes = source.clone();
    // Ending stands for the two seconds of a real stall.
    let condition = pipe.write(&mut bytes, &|| true).expect_err("it is full");
    assert!(condition.what.contains("stopped reading"));
    assert_eq!(pipe.unread(), (source.len() - bytes.len()) as u64);
    assert!(pipe.open().is_err(), "still full");
    let mut read = vec![0; source.len()];
    let before = source.len() - bytes.len();
    reader
        .read_exact(&mut read[..before])
        .expect("what was written");
    pipe.open().expect("it reads again");
    pipe.write(&mut bytes, &never).expect("written");
    reader.read_exact(&mut read[before..]).expect("the rest");
    assert!(read == source);
}

#[test]
fn what_nobody_has_read_is_taken_back_but_for_a_fade() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut pipe, mut reader) = read_pipe(&folder.path().join("fifo"));
    let loud = 8000_i16.to_le_bytes();
    pipe.write(&mut loud.repeat(1000 * CHANNELS), &never)
        .expect("written");
    // A reader that does not care for frames.
    reader.read_exact(&mut [0; 401]).expect("some of it");
    assert!(pipe.retract());
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest);
    assert_eq!(rest.len(), 3 + FADE * 4, "the broken frame, and a fade");
    assert_eq!(rest[..3], [loud[1], loud[0], loud[1]]);
    let faded: Vec<i16> = rest[3..]
        .chunks_exact(4)
        .map(|frame| i16::from_le_bytes([frame[0], frame[1]]))
        .collect();
    assert!(faded.is_sorted_by(|a, b| a > b), "{faded:?}");
    assert!(faded[0] > 7900 && faded[FADE - 1] < 50);
    assert!(!pipe.retract(), "there is nothing to take back");
}

#[test]
fn what_is_taken_back_is_in_one_piece_however_fast_the_reader_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut pipe, mut reader) = read_pipe(&folder.path().join("fifo"));
    let reading = std::thread::spawn(move || {
        let mut some = [0; 100];
        // Nothing to read is an error here, and the end is none.
        while !matches!(reader.read(&mut some), Ok(0)) {}
    });
    let numbers: Vec<u8> = (0..=250).collect();
    for _ in 0..2_000 {
        let mut bytes = numbers.repeat(16);
        pipe.write(&mut bytes, &never).expect("written");
        let back = pipe.read_back().expect("read");
        let in_order = |pair: &[u8]| pair[1] == (pair[0] + 1) % 251;
        assert!(back.windows(2).all(in_order), "{back:?}");
    }
    drop(pipe);
    reading.join().expect("a reader");
}

#[test]
fn an_ordinary_file_is_refused_with_a_cure_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("raw");
    std::fs::write(&path, [1, 2, 3, 4]).expect("a file");
    let condition = pipe(&path).open().expect_err("it would only be filled");
    assert!(condition.what.contains("raw is no pipe"), "{condition:?}");
    assert!(condition.why.contains("ordinary file"), "{condition:?}");
    assert!(condition.cure.contains("FIFO"), "{condition:?}");
    assert_eq!(std::fs::read(&path).expect("the file"), [1, 2, 3, 4]);
    let condition = pipe(folder.path()).open().expect_err("a folder");
    assert!(condition.why.contains("neither a FIFO"), "{condition:?}");
    // As soon as it is out of the way, a FIFO takes its place.
    std::fs::remove_file(&path).expect("there");
    let condition = pipe(&path).open().expect_err("nobody reads");
    assert!(condition.what.starts_with("nobody reads"), "{condition:?}");
}

#[test]
fn a_device_that_takes_bytes_is_as_good_as_a_pipe() {
    let mut pipe = pipe(Path::new("/dev/null"));
    pipe.open().expect("always open");
    pipe.write(&mut vec![5, 6, 7, 8], &never).expect("written");
    pipe.open().expect("still open");
}

/// A child that sleeps, with this as its standard output.
fn sleeper(stdout: impl Into<std::process::Stdio>) -> std::process::Child {
    let mut sleep = std::process::Command::new("sleep");
    sleep.arg("60").stdout(stdout).spawn().expect("a child")
}

#[test]
fn standard_output_is_that_of_the_named_process_by_any_of_its_names() {
    for name in [None, Some("/dev/stdout"), Some("/proc/self/fd/1")] {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut child = sleeper(writer);
        let mut pipe = Pipe::new(name.map(PathBuf::from), child.id(), SampleFormat::S16);
        let opened = pipe.open();
        let written = pipe.write(&mut vec![1, 2, 3, 4], &never);
        child.kill().expect("it runs");
        child.wait().expect("it ran");
        assert_eq!(opened.expect("open").device, "standard output");
        written.expect("written");
        let mut read = [0; 4];
        reader.read_exact(&mut read).expect("bytes");
        assert_eq!(read, [1, 2, 3, 4]);
    }
}

#[test]
fn standard_output_that_leads_to_a_file_is_appended_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    std::fs::write(&path, [1, 2, 3, 4]).expect("a file");
    let file = OpenOptions::new().append(true).open(&path);
    let mut child = sleeper(file.expect("the file"));
    let mut pipe = Pipe::new(None, child.id(), SampleFormat::S16);
    let opened = pipe.open();
    let written = pipe.write(&mut vec![5, 6, 7, 8], &never);
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    opened.expect("open");
    written.expect("written");
    let bytes = std::fs::read(&path).expect("the file");
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_pipe_in_a_folder_that_is_not_there_is_trouble_with_a_cure() {
    let condition = pipe(Path::new("/nowhere/at/all"))
        .open()
        .expect_err("no folder");
    assert!(condition.what.contains("/nowhere/at/all") && !condition.cure.is_empty());
}
