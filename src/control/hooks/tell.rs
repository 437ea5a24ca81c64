//! An event as a program is told it: variables, and one JSON object. Pure.

use super::events::Event;
use crate::config::HOOK_VARIABLES;

/// Bytes of one variable. The kernel takes far more; no title of a song needs it.
const LONGEST: usize = 4 * 1024;

/// The line for standard input.
pub fn line(event: &Event) -> Vec<u8> {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line
}

/// All of [`HOOK_VARIABLES`] that there is something to say about, in their order.
pub fn variables(event: &Event) -> Vec<(&'static str, String)> {
    HOOK_VARIABLES
        .into_iter()
        .filter_map(|name| Some((name, fit(value(name, event)?))))
        .collect()
}

fn value(name: &str, event: &Event) -> Option<String> {
    let track = event.track.as_ref();
    let condition = event.condition.as_ref();
    let flag = |is_so: bool| if is_so { "1" } else { "0" }.to_owned();
    Some(match name {
        "SISKIN_EVENT" => event.on.key().to_owned(),
        "SISKIN_SPEAKER" => event.speaker.clone(),
        "SISKIN_SPEAKER_NAME" => event.speaker_name.clone(),
        "SISKIN_STATE" => event.state.key().to_owned(),
        "SISKIN_ACTIVE" => flag(event.active),
        "SISKIN_ACCOUNT" => event.account.clone()?,
        "SISKIN_VOLUME_PERCENT" => event.volume_percent?.get().to_string(),
        "SISKIN_URI" => track?.uri.clone(),
        "SISKIN_TITLE" => track?.title.clone(),
        "SISKIN_ARTISTS" => track?.artists.join(", "),
        "SISKIN_ALBUM" => track?.album.clone(),
        "SISKIN_DURATION_MS" => track?.duration_ms.to_string(),
        "SISKIN_EXPLICIT" => flag(track?.explicit),
        "SISKIN_COVER" => track?.covers.first()?.clone(),
        "SISKIN_CONTEXT" => event.context.clone()?,
        "SISKIN_POSITION_MS" => track.map(|_| event.position_ms.to_string())?,
        "SISKIN_CONDITION" => condition?.code.key().to_owned(),
        "SISKIN_SEVERITY" => format!("{:?}", condition?.severity).to_lowercase(),
        "SISKIN_WHAT" => condition?.what.clone(),
        "SISKIN_WHY" => condition?.why.clone(),
        "SISKIN_CURE" => condition?.cure.clone(),
        _ => return None,
    })
}

/// As the kernel takes it: no zero byte, and an end.
fn fit(mut text: String) -> String {
    if text.contains('\0') {
        text = text.replace('\0', " ");
    }
    if text.len() > LONGEST {
        let mut end = LONGEST;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        config::Occasion,
        control::hooks::events::{Now, Watcher},
        model::{Condition, ConditionCode, Conditions, Percent, Standing, Track},
    };

    #[test]
    fn every_variable_can_have_a_value_and_only_those_that_have_one_are_set() {
        let now = Now {
            steady: Instant::now(),
            unix_ms: 1,
        };
        let mut event = Watcher::default().event("main", Occasion::Condition, now);
        let bare: Vec<_> = variables(&event)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let always = [
            "SISKIN_EVENT",
            "SISKIN_SPEAKER",
            "SISKIN_SPEAKER_NAME",
            "SISKIN_STATE",
            "SISKIN_ACTIVE",
        ];
        assert_eq!(bare, always);
        let mut conditions = Conditions::default();
        let lost = Condition::new(ConditionCode::OutputLost, "no sound", "why", "plug");
        conditions.raise(lost, 1);
        let standing: Vec<Standing> = conditions.into();
        event.condition = standing.into_iter().next();
        event.account = Some("Kim".into());
        event.volume_percent = Percent::new(7);
        event.context = Some("spotify:album:1".into());
        event.track = Some(Track {
            uri: "spotify:track:1".into(),
            title: format!("zero\0byte {}", "ü".repeat(LONGEST)),
            artists: vec!["One".into(), "Two".into()],
            album: "$(reboot); `x`".into(),
            duration_ms: 5,
            explicit: true,
            covers: vec!["https://i.scdn.co/image/1".into()],
            ..Track::default()
        });
        let all = variables(&event);
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, HOOK_VARIABLES);
        let of = |name: &str| &all.iter().find(|(known, _)| *known == name).expect("set").1;
        assert!(of("SISKIN_TITLE").starts_with("zero byte ü"));
        assert!(of("SISKIN_TITLE").len() <= LONGEST);
        assert_eq!(of("SISKIN_ARTISTS"), "One, Two");
        assert_eq!(
            of("SISKIN_ALBUM"),
            "$(reboot); `x`",
            "nobody takes it apart"
        );
        assert_eq!(of("SISKIN_SEVERITY"), "trouble");
        let line = line(&event);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
