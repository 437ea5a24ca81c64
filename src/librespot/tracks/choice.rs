//! Which of a track's files to play.

use librespot_core::FileId;
use librespot_protocol::metadata::audio_file::Format;

use crate::{config::Bitrate, decode::Kind};

/// One file, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    pub kind: Kind,
    /// kbit/s, nominal.
    pub kbps: u32,
    pub file: FileId,
}

/// The file nearest to the bitrate that is wanted, the lower of two that are equally near. Vorbis
/// before MP3, whatever the rates: it is what music comes as, and what podcasts are made into.
pub fn choose(files: &[(Format, FileId)], wanted: Bitrate) -> Option<Chosen> {
    let wanted = match wanted {
        Bitrate::Kbps96 => 96,
        Bitrate::Kbps160 => 160,
        Bitrate::Kbps320 => 320,
    };
    files
        .iter()
        .filter_map(|(format, file)| {
            let (kind, kbps) = known(*format)?;
            let file = *file;
            Some(Chosen { kind, kbps, file })
        })
        .min_by_key(|chosen| {
            let mp3 = chosen.kind == Kind::Mp3;
            (mp3, chosen.kbps.abs_diff(wanted), chosen.kbps)
        })
}

fn known(format: Format) -> Option<(Kind, u32)> {
    Some(match format {
        Format::OGG_VORBIS_96 => (Kind::Vorbis, 96),
        Format::OGG_VORBIS_160 => (Kind::Vorbis, 160),
        Format::OGG_VORBIS_320 => (Kind::Vorbis, 320),
        Format::MP3_96 => (Kind::Mp3, 96),
        Format::MP3_160 | Format::MP3_160_ENC => (Kind::Mp3, 160),
        Format::MP3_256 => (Kind::Mp3, 256),
        Format::MP3_320 => (Kind::Mp3, 320),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kbps(formats: &[Format], wanted: Bitrate) -> Option<(Kind, u32)> {
        let files: Vec<_> = formats
            .iter()
            .map(|format| (*format, FileId([0; 20])))
            .collect();
        choose(&files, wanted).map(|chosen| (chosen.kind, chosen.kbps))
    }

    #[test]
    fn the_wanted_rate_is_taken_or_the_nearest() {
        use Format::*;
        let all = [OGG_VORBIS_320, OGG_VORBIS_96, OGG_VORBIS_160];
        assert_eq!(kbps(&all, Bitrate::Kbps320), Some((Kind::Vorbis, 320)));
        assert_eq!(kbps(&all, Bitrate::Kbps96), Some((Kind::Vorbis, 96)));
        let two = [OGG_VORBIS_320, OGG_VORBIS_96];
        assert_eq!(kbps(&two, Bitrate::Kbps160), Some((Kind::Vorbis, 96)));
    }

    #[test]
    fn an_episode_may_be_mp3_and_nothing_else_is_played() {
        use Format::*;
        let mixed = [MP3_320, OGG_VORBIS_96, AAC_48];
        assert_eq!(kbps(&mixed, Bitrate::Kbps320), Some((Kind::Vorbis, 96)));
        assert_eq!(
            kbps(&[MP3_256, MP3_96], Bitrate::Kbps320),
            Some((Kind::Mp3, 256))
        );
        assert_eq!(kbps(&[AAC_24, FLAC_FLAC], Bitrate::Kbps320), None);
        assert_eq!(kbps(&[], Bitrate::Kbps320), None);
    }
}
