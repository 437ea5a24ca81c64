//! One function a setting: from a value as given to a value that cannot be wrong.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use url::Url;

use super::{
    household::Guests,
    settings::{
        Autoplay, Bitrate, Curve, LogLevel, Mpris, Normalisation, NormalisationMethod, Offer,
        SampleFormat, Socket,
    },
    value::{Fault, Value},
};
use crate::model::{DeviceType, Percent};

/// As [`super::Output`], before it is known whether path and device fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Card,
    Pipe,
    Wav,
    Null,
}

/// The mDNS instance name carries the device id beside it; 64 bytes leave room.
const NAME_BYTES: usize = 64;
/// Ids name folders.
const ID_BYTES: usize = 32;
const CLIENT_ID_BYTES: usize = 32;
/// The kernel's `IFNAMSIZ`, less its closing zero.
const INTERFACE_BYTES: usize = 15;

/// `None`: take the host name.
pub(super) fn name(given: &Value) -> Result<Option<String>, Fault> {
    let name = speaker_name(given.text()?);
    name.map_err(|(what, help)| Fault::new(what, help))
}

/// What phones may be shown; `None` for nothing.
///
/// # Errors
/// What is wrong with it, and the cure.
pub fn speaker_name(text: &str) -> Result<Option<String>, (String, &'static str)> {
    let text = text.trim();
    if text.len() > NAME_BYTES {
        let what = format!("is {} bytes long", text.len());
        return Err((what, "use at most 64 bytes"));
    }
    if text.chars().any(char::is_control) {
        let what = format!(
            "is {}, which holds a control character",
            super::quoted(text)
        );
        return Err((what, "use letters that can be shown"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

pub(super) fn id(given: &Value) -> Result<String, Fault> {
    let text = given.text()?;
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if (1..=ID_BYTES).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(Fault::new(
            format!("is {given}, which cannot name a folder"),
            "use 1 to 32 of a–z, 0–9, - and _",
        ))
    }
}

pub(super) fn device_type(given: &Value) -> Result<DeviceType, Fault> {
    choice(given, &DeviceType::ALL.map(|kind| (kind.key(), kind)))
}

pub(super) fn log(given: &Value) -> Result<LogLevel, Fault> {
    if let Some(level) = given.text().ok().and_then(LogLevel::named) {
        return Ok(level);
    }
    choice(
        given,
        &[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ],
    )
}

pub(super) fn offer(given: &Value) -> Result<Offer, Fault> {
    choice(
        given,
        &[("when-needed", Offer::WhenNeeded), ("never", Offer::Never)],
    )
}

/// As Spotify writes them; `None` where nothing stands in the quotes.
pub(super) fn client_id(given: &Value) -> Result<Option<String>, Fault> {
    let text = given.text()?;
    if text.is_empty() {
        return Ok(None);
    }
    let fits = text.len() == CLIENT_ID_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits {
        Ok(Some(text.to_ascii_lowercase()))
    } else {
        Err(Fault::new(
            format!("is {given}, which is no client id of Spotify"),
            "use the 32 hexadecimal digits that Spotify gave, or nothing",
        ))
    }
}

pub(super) fn bitrate(given: &Value) -> Result<Bitrate, Fault> {
    let help = "use 96, 160 or 320 (kbit/s)";
    match given.whole(help)? {
        96 => Ok(Bitrate::Kbps96),
        160 => Ok(Bitrate::Kbps160),
        320 => Ok(Bitrate::Kbps320),
        other => Err(Fault::new(
            format!("is {other}, which Spotify does not stream"),
            help,
        )),
    }
}

pub(super) fn normalisation(given: &Value) -> Result<Normalisation, Fault> {
    choice(
        given,
        &[
            ("off", Normalisation::Off),
            ("track", Normalisation::Track),
            ("album", Normalisation::Album),
            ("auto", Normalisation::Auto),
        ],
    )
}

pub(super) fn normalisation_method(given: &Value) -> Result<NormalisationMethod, Fault> {
    choice(
        given,
        &[
            ("basic", NormalisationMethod::Basic),
            ("dynamic", NormalisationMethod::Dynamic),
        ],
    )
}

pub(super) fn autoplay(given: &Value) -> Result<Autoplay, Fault> {
    choice(
        given,
        &[
            ("app", Autoplay::App),
            ("on", Autoplay::On),
            ("off", Autoplay::Off),
        ],
    )
}

pub(super) fn kind(given: &Value) -> Result<Kind, Fault> {
    choice(
        given,
        &[
            ("card", Kind::Card),
            ("pipe", Kind::Pipe),
            ("wav", Kind::Wav),
            ("null", Kind::Null),
        ],
    )
}

pub(super) fn format(given: &Value) -> Result<SampleFormat, Fault> {
    choice(
        given,
        &[
            ("s16", SampleFormat::S16),
            ("s24", SampleFormat::S24),
            ("s24_3", SampleFormat::S24In3),
            ("s32", SampleFormat::S32),
            ("f32", SampleFormat::F32),
        ],
    )
}

pub(super) fn curve(given: &Value) -> Result<Curve, Fault> {
    choice(
        given,
        &[
            ("log", Curve::Log),
            ("cubic", Curve::Cubic),
            ("linear", Curve::Linear),
            ("fixed", Curve::Fixed),
        ],
    )
}

pub(super) fn guests(given: &Value) -> Result<Guests, Fault> {
    choice(
        given,
        &[
            ("open", Guests::Open),
            ("idle-only", Guests::IdleOnly),
            ("household", Guests::Household),
            ("locked", Guests::Locked),
        ],
    )
}

/// Whose settings an `[[account]]` holds.
pub(super) fn user(given: &Value) -> Result<String, Fault> {
    let text = given.text()?.trim();
    if (1..=NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        let help = "use the name that siskin accounts shows";
        Err(Fault::new(format!("is {given}, which names nobody"), help))
    }
}

pub(super) fn switch(given: &Value) -> Result<bool, Fault> {
    given.switch()
}

pub(super) fn pregain_db(given: &Value) -> Result<f64, Fault> {
    decimal_between(given, -10.0, 10.0, "use −10 to 10 (dB)")
}

/// Seconds in the file; ms in here.
pub(super) fn crossfade(given: &Value) -> Result<u32, Fault> {
    let seconds = decimal_between(given, 0.0, 12.0, "use 0 to 12 (s), 0 for none")?;
    Ok((seconds * 1000.0).round() as u32)
}

/// Seconds in the file; ms in here.
pub(super) fn sleep_fade(given: &Value) -> Result<u32, Fault> {
    let seconds = decimal_between(given, 0.0, 600.0, "use 0 to 600 (s), 0 for none")?;
    Ok((seconds * 1000.0).round() as u32)
}

pub(super) fn range_db(given: &Value) -> Result<f64, Fault> {
    decimal_between(given, 20.0, 100.0, "use 20 to 100 (dB)")
}

pub(super) fn buffer_ms(given: &Value) -> Result<u32, Fault> {
    whole_between(given, 20, 2000, "use 20 to 2000 (ms)")
}

pub(super) fn percent(given: &Value) -> Result<Percent, Fault> {
    whole_between(given, 0, 100, "use 0 to 100 (%)").map(Percent::clamped)
}

pub(super) fn steps(given: &Value) -> Result<u16, Fault> {
    whole_between(given, 8, 256, "use 8 to 256")
}

/// 0 leaves the choice open.
pub(super) fn port(given: &Value) -> Result<u16, Fault> {
    whole_between(given, 0, 65535, "use 1 to 65535, or 0 for any")
}

/// `None` where nothing stands in the quotes.
pub(super) fn text(given: &Value) -> Result<Option<String>, Fault> {
    let text = given.text()?;
    if text.contains('\0') {
        return Err(Fault::new("holds a zero byte", "take it out"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

pub(super) fn path(given: &Value) -> Result<Option<PathBuf>, Fault> {
    Ok(text(given)?.map(PathBuf::from))
}

/// The same, from the root on.
pub(super) fn full_path(given: &Value) -> Result<Option<PathBuf>, Fault> {
    match path(given)? {
        Some(path) if !path.is_absolute() => {
            let what = format!("is {given}, which is no full path");
            Err(Fault::new(what, "use a path that begins with /"))
        }
        path => Ok(path),
    }
}

/// Bytes, as in `"500 MB"`; `None` for `"off"`.
pub(super) fn size(given: &Value) -> Result<Option<u64>, Fault> {
    let help = r#"use a number with MB or GB, such as "500 MB" or "2 GB", or "off""#;
    let wrong = |why: &str| Fault::new(format!("is {given}, {why}"), help);
    let text = given.text().map_err(|_| wrong("not a size"))?.trim();
    if text == "off" || text == "0" {
        return Ok(None);
    }
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = text[..text.len() - unit.len()].parse::<f64>();
    let number = number.map_err(|_| wrong("not a size"))?;
    let each: f64 = match unit.trim().to_ascii_uppercase().as_str() {
        "MB" | "M" => 1e6,
        "GB" | "G" => 1e9,
        "TB" | "T" => 1e12,
        "MIB" => 1_048_576.0,
        "GIB" => 1_073_741_824.0,
        _ => return Err(wrong("not a size")),
    };
    let bytes = number * each;
    if !(1e6..=1e14).contains(&bytes) {
        return Err(wrong("not between 1 MB and 100 TB"));
    }
    Ok(Some(bytes as u64))
}

/// Relative to nothing: the daemon and those who look for it may stand in different folders.
pub(super) fn socket(given: &Value) -> Result<Socket, Fault> {
    let path = match text(given)?.as_deref() {
        None => return Ok(Socket::Usual),
        Some("none") => return Ok(Socket::Off),
        Some(path) => PathBuf::from(path),
    };
    if path.is_absolute() {
        Ok(Socket::At(path))
    } else {
        let help = r#"use a path that begins with /, or "none""#;
        Err(Fault::new(
            format!("is {given}, which is no full path"),
            help,
        ))
    }
}

/// Where TCP is listened on; `None`: nowhere.
pub(super) fn listen(given: &Value) -> Result<Option<SocketAddr>, Fault> {
    let text = given.text()?;
    if text == "none" {
        return Ok(None);
    }
    let parsed = text.parse::<SocketAddr>().ok();
    parsed.filter(|at| at.port() != 0).map(Some).ok_or_else(|| {
        let help = r#"use "127.0.0.1:7070", "0.0.0.0:7070" for the whole network, or "none""#;
        Fault::new(format!("is {given}, which is no address with a port"), help)
    })
}

pub(super) fn mpris(given: &Value) -> Result<Mpris, Fault> {
    choice(
        given,
        &[
            ("off", Mpris::Off),
            ("session", Mpris::Session),
            ("system", Mpris::System),
        ],
    )
}

pub(super) fn host_names(given: &Value) -> Result<Vec<String>, Fault> {
    let help = r#"use names or addresses without port: "music.example", "192.168.1.20""#;
    each(given, |text| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let named = (1..=253).contains(&text.len()) && text.chars().all(plain);
        if named || text.parse::<IpAddr>().is_ok() {
            Ok(text.to_owned())
        } else {
            Err(Fault::new(
                format!("names {text:?}, which is no host"),
                help,
            ))
        }
    })
}

pub(super) fn origins(given: &Value) -> Result<Vec<String>, Fault> {
    let help = r#"use scheme, host and port, and no more: "https://house.example""#;
    each(given, |text| {
        let parsed = Url::parse(text).ok();
        let origin = parsed.map(|url| url.origin().ascii_serialization());
        if origin.as_deref() == Some(text) && text.starts_with("http") {
            Ok(text.to_owned())
        } else {
            Err(Fault::new(
                format!("names {text:?}, which is no origin"),
                help,
            ))
        }
    })
}

pub(super) fn interfaces(given: &Value) -> Result<Vec<String>, Fault> {
    let help = r#"use names ("eth0"), globs ("wl*") or networks ("192.168.1.0/24")"#;
    each(given, |text| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@+*?".contains(c);
        let named = (1..=INTERFACE_BYTES).contains(&text.len()) && text.chars().all(plain);
        let net = text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok();
        if named || net {
            Ok(text.to_owned())
        } else {
            let what = format!("names {text:?}, which is no interface, glob or network");
            Err(Fault::new(what, help))
        }
    })
}

pub(super) fn addresses(given: &Value) -> Result<Vec<IpAddr>, Fault> {
    let help = r#"use addresses that phones reach, such as "192.168.1.20""#;
    each(given, |text| {
        let usable = |ip: &IpAddr| !ip.is_unspecified() && !ip.is_multicast();
        text.parse()
            .ok()
            .filter(usable)
            .ok_or_else(|| Fault::new(format!("names {text:?}, which no phone can reach"), help))
    })
}

/// The text itself is not shown where it might hold a password.
pub(super) fn proxy(given: &Value) -> Result<Option<String>, Fault> {
    let help = r#"use "http://host:port""#;
    let Some(text) = text(given)? else {
        return Ok(None);
    };
    let url = Url::parse(&text).map_err(|why| Fault::new(format!("is no URL ({why})"), help))?;
    if !url.username().is_empty() || url.password().is_some() {
        let what = "holds a user name or password, which cannot be sent to proxies";
        return Err(Fault::new(what, help));
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if url.scheme() != "http" || url.host().is_none() || !bare {
        return Err(Fault::new(format!("is {given}, not an HTTP proxy"), help));
    }
    Ok(Some(text))
}

/// 0 leaves the choice open.
pub(super) fn ap_port(given: &Value) -> Result<Option<u16>, Fault> {
    Ok(Some(port(given)?).filter(|port| *port != 0))
}

fn choice<T: Copy>(given: &Value, choices: &[(&str, T)]) -> Result<T, Fault> {
    let words: Vec<_> = choices
        .iter()
        .map(|(word, _)| format!("{word:?}"))
        .collect();
    let help = match words.split_last() {
        Some((last, rest)) => format!("use {} or {last}", rest.join(", ")),
        None => String::new(),
    };
    let unknown = || Fault::new(format!("is {given}, which is none of its values"), &help);
    let text = given.text().map_err(|_| unknown())?;
    choices
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, choice)| *choice)
        .ok_or_else(unknown)
}

fn whole_between<T: TryFrom<i64>>(
    given: &Value,
    least: i64,
    most: i64,
    help: &str,
) -> Result<T, Fault> {
    let number = given.whole(help)?;
    let beyond = || Fault::new(format!("is {number}, out of range"), help);
    if (least..=most).contains(&number) {
        T::try_from(number).map_err(|_| beyond())
    } else {
        Err(beyond())
    }
}

fn decimal_between(given: &Value, least: f64, most: f64, help: &str) -> Result<f64, Fault> {
    let number = given.decimal(help)?;
    // Not a number is in no range.
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(Fault::new(format!("is {number}, out of range"), help))
    }
}

/// Every item of a list of texts; the first wrong one is pointed at.
fn each<T>(given: &Value, check: impl Fn(&str) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    given
        .list()?
        .iter()
        .map(|item| {
            item.text().and_then(&check).map_err(|fault| Fault {
                within: Some(item.origin.clone()),
                ..fault
            })
        })
        .collect()
}
