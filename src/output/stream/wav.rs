//! A WAV file whose header is right at any moment, give or take a second.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::PathBuf,
};

use super::Target;
use crate::{
    config::SampleFormat,
    model::{CHANNELS, Condition, RATE},
    output::{
        format::{name, width},
        report::{Opened, lost},
    },
};

const HEADER: usize = 44;

pub(in crate::output) struct Wav {
    path: PathBuf,
    format: SampleFormat,
    file: Option<File>,
    /// Bytes of samples written, and how many of them the header knows of.
    length: u64,
    told: u64,
}

impl Wav {
    pub(in crate::output) fn new(path: PathBuf, format: SampleFormat) -> Self {
        Self {
            path,
            format: stored(format),
            file: None,
            length: 0,
            told: 0,
        }
    }

    fn tell(&mut self) -> io::Result<()> {
        let header = header(self.format, self.length);
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.seek(SeekFrom::End(0))?;
            self.told = self.length;
        }
        Ok(())
    }

    fn trouble(&self, error: &io::Error) -> Condition {
        lost(
            format!("the file {} cannot be written", self.path.display()),
            error.to_string(),
            "check the folder and the space on the disk; siskin tries again by itself",
        )
    }
}

/// A WAV file has no 24 bits in four bytes: they are stored in three.
pub(in crate::output) fn stored(format: SampleFormat) -> SampleFormat {
    match format {
        SampleFormat::S24 => SampleFormat::S24In3,
        other => other,
    }
}

fn header(format: SampleFormat, length: u64) -> [u8; HEADER] {
    let width = width(format) as u16;
    let frame = width * CHANNELS as u16;
    let kind: u16 = if format == SampleFormat::F32 { 3 } else { 1 };
    // Longer than the format can say (six hours and more): readers then go by the file's end.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let parts: [&[u8]; 13] = [
        b"RIFF",
        &length.saturating_add(HEADER as u32 - 8).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &kind.to_le_bytes(),
        &(CHANNELS as u16).to_le_bytes(),
        &RATE.to_le_bytes(),
        &(RATE * u32::from(frame)).to_le_bytes(),
        &frame.to_le_bytes(),
        &(width * 8).to_le_bytes(),
        b"data",
        &length.to_le_bytes(),
    ];
    let mut header = [0; HEADER];
    for (to, from) in header.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    header
}

impl Target for Wav {
    fn open(&mut self) -> Result<Opened, Condition> {
        if self.file.is_none() {
            let file = File::create(&self.path).map_err(|error| self.trouble(&error))?;
            self.file = Some(file);
            self.length = 0;
        }
        self.tell().map_err(|error| self.trouble(&error))?;
        Ok(Opened {
            device: self.path.display().to_string(),
            rate: RATE,
            format: name(self.format).into(),
        })
    }

    fn write(&mut self, bytes: &mut Vec<u8>, _: &dyn Fn() -> bool) -> Result<(), Condition> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let written = file.write_all(bytes);
        if let Err(error) = written {
            // Back to the last whole block; it is written again when there is room.
            let whole = HEADER as u64 + self.length;
            let _ = file
                .set_len(whole)
                .and_then(|()| file.seek(SeekFrom::End(0)));
            return Err(self.trouble(&error));
        }
        self.length += bytes.len() as u64;
        bytes.clear();
        let second = (RATE as usize * CHANNELS * width(self.format)) as u64;
        if self.length - self.told >= second {
            self.tell().map_err(|error| self.trouble(&error))?;
        }
        Ok(())
    }

    fn finish(&mut self) {
        if let Err(error) = self.tell() {
            tracing::warn!(%error, "the header of the WAV file could not be completed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_can_be_read_at_any_moment_and_is_exact_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.wav");
        let mut wav = Wav::new(path.clone(), SampleFormat::S16);
        wav.open().expect("opens");
        let second = vec![7; RATE as usize * 4];
        wav.write(&mut second.clone(), &|| false).expect("writes");
        wav.write(&mut vec![7; 8], &|| false).expect("writes");
        let told = |path| {
            let bytes = std::fs::read(path).expect("the file");
            let length = u32::from_le_bytes(bytes[40..44].try_into().expect("four"));
            (bytes.len() - HEADER, length as usize)
        };
        assert_eq!(told(&path), (second.len() + 8, second.len()));
        wav.finish();
        assert_eq!(told(&path), (second.len() + 8, second.len() + 8));
    }

    #[test]
    fn the_header_names_rate_channels_and_bits() {
        let header = header(stored(SampleFormat::S24), 600);
        assert_eq!(&header[..4], b"RIFF");
        assert_eq!(header[4..8], 636u32.to_le_bytes());
        assert_eq!(header[20..24], [1, 0, 2, 0]);
        assert_eq!(header[24..28], 44_100u32.to_le_bytes());
        assert_eq!(header[32..36], [6, 0, 24, 0]);
        assert_eq!(super::header(SampleFormat::F32, 0)[20], 3);
    }

    #[test]
    fn a_folder_that_is_not_there_is_trouble_and_not_the_end() {
        let mut wav = Wav::new("/nowhere/at/all.wav".into(), SampleFormat::S16);
        let condition = wav.open().expect_err("no folder");
        assert!(condition.what.contains("/nowhere/at/all.wav"));
    }
}
