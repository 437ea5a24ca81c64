//! The file of a track in one quality: encoded once, then kept on disk.

use std::num::{NonZeroU8, NonZeroU32};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, io, process};

use vorbis_rs::{VorbisBitrateManagementStrategy as Strategy, VorbisEncoderBuilder, VorbisError};

use super::{Quality, SAMPLE_RATE, Track, digest, service_page};

/// Goes into the name of every kept file: raise it whenever the sound or the
/// encoding changes, or old files are served for new songs.
const EDITION: u32 = 1;
/// Frames handed to the encoder at once. It gets slow with large blocks.
const BLOCK: usize = 4_096;

/// From the cache if it is there. A cache that cannot be written is no
/// reason to fail: the file is made anew each time.
pub(super) fn load_or_make(track: &Track, quality: Quality) -> Vec<u8> {
    let name = hex::encode(digest(
        &format!(
            "edition {EDITION}, {} kbit/s, {:?}, {:?}",
            quality.kbps(),
            track.song,
            track.gains
        ),
        &track.gid,
    ));
    let kept = cache_dir().join(name);
    if let Ok(file) = fs::read(&kept) {
        return file;
    }
    let file = make(track, quality).unwrap_or_else(|e| {
        panic!(
            "cannot encode \"{}\" at {} kbit/s: {e}",
            track.title,
            quality.kbps()
        )
    });
    if let Err(e) = keep(&kept, &file) {
        tracing::warn!("cannot keep an encoded track at {}: {e}", kept.display());
    }
    file
}

/// Cargo's target folder if we run from one, else the temporary folder.
fn cache_dir() -> PathBuf {
    let target = env::current_exe().ok().and_then(|exe| {
        let tagged = |dir: &&Path| dir.join("CACHEDIR.TAG").is_file();
        exe.ancestors().find(tagged).map(Path::to_path_buf)
    });
    target
        .unwrap_or_else(env::temp_dir)
        .join("spotify-sim-audio")
}

/// Renames into place, so that parallel tests never read half a file.
fn keep(path: &Path, file: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let turn = COUNT.fetch_add(1, Ordering::Relaxed);
    let draft = dir.join(format!("draft-{}-{turn}", process::id()));
    fs::write(&draft, file)?;
    fs::rename(&draft, path).inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })
}

fn make(track: &Track, quality: Quality) -> Result<Vec<u8>, VorbisError> {
    // The qualities behind the service's three rates.
    let target_quality = match quality {
        Quality::Kbps96 => 0.2,
        Quality::Kbps160 => 0.5,
        Quality::Kbps320 => 0.9,
    };
    let rate = NonZeroU32::new(SAMPLE_RATE).expect("44100 is not zero");
    let channels = NonZeroU8::new(2).expect("2 is not zero");
    let mut vorbis = Vec::new();
    // A fixed serial: the same song gives the same bytes on every run.
    let mut encoder = VorbisEncoderBuilder::new_with_serial(rate, channels, &mut vorbis, 1)
        .bitrate_management_strategy(Strategy::QualityVbr { target_quality })
        .build()?;
    for block in track.samples().chunks(BLOCK) {
        let left: Vec<f32> = block.iter().map(|f| f[0]).collect();
        let right: Vec<f32> = block.iter().map(|f| f[1]).collect();
        encoder.encode_audio_block([left, right])?;
    }
    encoder.finish()?;
    let mut file = service_page::build(&vorbis, &track.gains);
    file.append(&mut vorbis);
    Ok(file)
}
