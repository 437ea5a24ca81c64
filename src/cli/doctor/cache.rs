//! The audio files that are kept on disk: how many, and on what.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{major, minor};

use super::findings::Report;
use crate::{config::Cache, fetch::cache::stock, model::Finding};

/// SD cards, and the memory that is soldered to small boards.
const CARD: &str = "mmcblk";

pub fn look(report: &mut Report, wanted: Option<&Cache>) {
    let Some((wanted, folder)) = wanted.and_then(|it| Some((it, it.path.as_ref()?))) else {
        return;
    };
    let (at, most) = (folder.display(), megabytes(wanted.bytes));
    match stock(folder) {
        Ok(stock) => report.fact(format!(
            "{} audio files are kept at {at}: {} MB of {most} at most",
            stock.files,
            megabytes(stock.bytes)
        )),
        Err(why) if why.kind() == ErrorKind::NotFound => {
            report.fact(format!("no audio files are kept at {at} yet"));
        }
        Err(why) => report.found(Finding::notice(
            "cache_hidden",
            format!("the audio files kept at {at} cannot be looked at"),
            why.to_string(),
            "ask as root, or as the user that siskin runs as",
        )),
    }
    if let Some(disk) = disk_of(folder, Path::new("/sys/dev/block"))
        && disk.contains(CARD)
    {
        report.found(Finding::notice(
            "cache_on_card",
            "audio files are kept on an SD card, which writing wears out",
            format!("{at} lies on {disk}"),
            "give [cache] a path on another disk, or switch it off",
        ));
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// The name of the disk that a folder lies on, or will, as the kernel calls it.
fn disk_of(folder: &Path, block: &Path) -> Option<String> {
    let about = folder.ancestors().find_map(|at| fs::metadata(at).ok())?;
    let (major, minor) = (major(about.dev()), minor(about.dev()));
    let link: PathBuf = fs::read_link(block.join(format!("{major}:{minor}"))).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_of_a_folder_that_is_not_there_yet_is_that_of_the_nearest_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let about = fs::metadata(dir.path()).expect("it is there");
        let number = format!("{}:{}", major(about.dev()), minor(about.dev()));
        let block = dir.path().join("block");
        fs::create_dir(&block).expect("a folder");
        let there = "../../devices/platform/emmc2bus/mmcblk0/mmcblk0p2";
        std::os::unix::fs::symlink(there, block.join(number)).expect("a link");
        let disk = disk_of(&dir.path().join("cache/siskin"), &block);
        assert_eq!(disk.as_deref(), Some("mmcblk0p2"));
    }
}
