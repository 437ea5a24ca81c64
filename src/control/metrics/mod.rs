//! Numbers for those who draw curves: `GET /metrics`, in OpenMetrics.
//!
//! Nothing is measured for its own sake, and nothing runs in between: the state and what was counted
//! are read when somebody asks, and engines are asked then, too. One that does not answer is left
//! out. Over TCP the token is required, as for everything that tells of people. [`page`] is pure;
//! the format is in [`text`].

mod process;
mod text;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use self::{
    process::{Usage, usage},
    text::{Kind, Page},
};
use crate::{
    bus::{Answer, Bus, Order},
    model::{House, LayerState, Measures, PlayState, Severity},
    tally::Counts,
};

const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An engine: the id of its speaker, what it measures, and what its process uses.
type Engine = (String, Measures, Option<Usage>);

pub async fn metrics(State(bus): State<Bus>) -> Response {
    let measured = match bus.order(Order::Measure).await {
        Ok(Answer::Measures(measured)) => measured,
        // The rest is still worth telling.
        _ => Vec::new(),
    };
    let engines: Vec<Engine> = measured
        .into_iter()
        .map(|(speaker, measures)| (speaker, measures, usage(measures.pid)))
        .collect();
    let daemon = usage(std::process::id());
    let page = page(
        &bus.now(),
        &bus.tally().now(),
        &engines,
        daemon,
        bus.born_ms(),
    );
    ([(header::CONTENT_TYPE, TYPE)], page).into_response()
}

fn page(
    house: &House,
    counts: &Counts,
    engines: &[Engine],
    daemon: Option<Usage>,
    born_ms: i64,
) -> String {
    let mut page = Page::default();
    page.family("siskin_build", Kind::Info, None, "Which siskin this is.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family(
        "siskin_start_time_seconds",
        Kind::Gauge,
        Some("seconds"),
        "When this daemon began, in Unix time.",
    )
    .sample(&[], born_ms as f64 / 1_000.0);
    speakers(&mut page, house);
    conditions(&mut page, house);
    counted(&mut page, counts);
    measured(&mut page, engines);
    processes(&mut page, engines, daemon);
    page.end()
}

fn speakers(page: &mut Page, house: &House) {
    let help =
        "Whether a part of the way from a phone to the music stands. Unknown ones are left out.";
    let mut layers = page.family("siskin_layer_up", Kind::Gauge, None, help);
    for speaker in &house.speakers {
        for (layer, found) in speaker.presence.layers() {
            let up = match found.state {
                LayerState::Ok => 1,
                LayerState::Failed => 0,
                LayerState::Unknown => continue,
            };
            layers.sample(&[("speaker", &speaker.id), ("layer", layer)], up);
        }
    }
    let mut gauge = |name, help, value: &dyn Fn(&crate::model::SpeakerState) -> Option<f64>| {
        let mut family = page.family(name, Kind::Gauge, None, help);
        for speaker in &house.speakers {
            if let Some(value) = value(speaker) {
                family.sample(&[("speaker", &speaker.id)], value);
            }
        }
    };
    let flag = |is_so: bool| Some(f64::from(u8::from(is_so)));
    gauge(
        "siskin_active",
        "Whether a listener plays on the speaker.",
        &|speaker| flag(speaker.playback.as_ref().is_some_and(|it| it.active)),
    );
    gauge("siskin_playing", "Whether music is heard.", &|speaker| {
        let playing = |it: &crate::model::Playback| it.active && it.state == PlayState::Playing;
        flag(speaker.playback.as_ref().is_some_and(playing))
    });
    gauge("siskin_volume_ratio", "How loud, 0 to 1.", &|speaker| {
        Some(f64::from(speaker.volume_percent?.get()) / 100.0)
    });
}

fn conditions(page: &mut Page, house: &House) {
    let help = "What is wrong now. The daemon's own conditions have no speaker.";
    let mut family = page.family("siskin_condition", Kind::Gauge, None, help);
    let places = house
        .speakers
        .iter()
        .map(|it| (it.id.as_str(), &it.conditions));
    for (speaker, conditions) in std::iter::once(("", &house.conditions)).chain(places) {
        for (_, condition) in conditions.iter() {
            let severity = match condition.code.severity() {
                Severity::Notice => "notice",
                Severity::Trouble => "trouble",
            };
            let code = condition.code.key();
            let labels = [("speaker", speaker), ("code", code), ("severity", severity)];
            family.sample(&labels, 1);
        }
    }
}

fn counted(page: &mut Page, counts: &Counts) {
    let help = "Sessions with Spotify that were lost, by what.";
    let mut family = page.family("siskin_reconnects", Kind::Counter, None, help);
    for ((speaker, cut), count) in &counts.cuts {
        family.sample(&[("speaker", speaker), ("cause", cut.key())], count);
    }
    let help = "From an order about what plays to its effect.";
    let name = "siskin_order_latency_seconds";
    let mut family = page.family(name, Kind::Histogram, Some("seconds"), help);
    for (order, took) in &counts.orders {
        family.histogram(&[("order", order)], took);
    }
    let help = "Orders about what plays that had no effect, by why not.";
    let mut family = page.family("siskin_orders_refused", Kind::Counter, None, help);
    for (code, count) in &counts.refused {
        family.sample(&[("code", code)], count);
    }
    let help = "Programs that were run, by what became of them.";
    let mut family = page.family("siskin_hook_runs", Kind::Counter, None, help);
    for ((hook, done), count) in &counts.hooks {
        let outcome = if *done { "done" } else { "failed" };
        family.sample(&[("hook", hook), ("outcome", outcome)], count);
    }
}

fn measured(page: &mut Page, engines: &[Engine]) {
    let seconds = |ms: u32| f64::from(ms) / 1_000.0;
    let mut family = |name, kind, unit, help, value: &dyn Fn(&Measures) -> Option<f64>| {
        let mut family = page.family(name, kind, unit, help);
        for (speaker, measures, _) in engines {
            if let Some(value) = value(measures) {
                family.sample(&[("speaker", speaker)], value);
            }
        }
    };
    let (gauge, counter) = (Kind::Gauge, Kind::Counter);
    let help = "Music that is decoded and waits for the output.";
    family(
        "siskin_buffer_seconds",
        gauge,
        Some("seconds"),
        help,
        &|it| Some(seconds(it.buffered_ms)),
    );
    let help = "How much can wait.";
    family(
        "siskin_buffer_depth_seconds",
        gauge,
        Some("seconds"),
        help,
        &|it| Some(seconds(it.depth_ms)),
    );
    let help = "Times the sound card ran out of samples, or the music out of time.";
    family("siskin_output_xruns", counter, None, help, &|it| {
        Some(it.xruns as f64)
    });
    let help = "Times the music broke off because nothing was decoded.";
    family("siskin_output_gaps", counter, None, help, &|it| {
        Some(it.gaps as f64)
    });
    let help = "The place that is heard, less the one that others are shown.";
    family(
        "siskin_position_drift_seconds",
        gauge,
        Some("seconds"),
        help,
        &|it| Some(f64::from(it.drift_ms?) / 1_000.0),
    );
    let help = "From a request to an audio server to the head of its answer.";
    let name = "siskin_cdn_latency_seconds";
    let mut family = page.family(name, Kind::Histogram, Some("seconds"), help);
    for (speaker, measures, _) in engines {
        family.histogram(&[("speaker", speaker)], &measures.fetches);
    }
}

fn processes(page: &mut Page, engines: &[Engine], daemon: Option<Usage>) {
    let of_engines = engines.iter().filter_map(|(speaker, _, usage)| {
        let usage = (*usage)?;
        Some(("engine", speaker.as_str(), usage))
    });
    let of_daemon = daemon.map(|usage| ("daemon", "", usage));
    let all: Vec<_> = of_daemon.into_iter().chain(of_engines).collect();
    let help = "Memory that is resident.";
    let name = "siskin_resident_memory_bytes";
    let mut family = page.family(name, Kind::Gauge, Some("bytes"), help);
    for (process, speaker, usage) in &all {
        let labels = [("process", *process), ("speaker", *speaker)];
        family.sample(&labels, usage.resident_bytes);
    }
    let help = "Processor time.";
    let name = "siskin_cpu_seconds";
    let mut family = page.family(name, Kind::Counter, Some("seconds"), help);
    for (process, speaker, usage) in &all {
        family.sample(&[("process", *process), ("speaker", *speaker)], usage.cpu_s);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::{Cut, Percent, SpeakerState},
        tally::Tally,
    };

    #[test]
    fn what_is_not_known_is_not_told() {
        let bare = page(&House::default(), &Counts::default(), &[], None, 5_000);
        let samples: Vec<_> = bare.lines().filter(|line| !line.starts_with('#')).collect();
        let version = format!(
            "siskin_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(samples, [version.as_str(), "siskin_start_time_seconds 5"]);
    }

    #[test]
    fn what_is_known_is_told_once() {
        let mut speaker = SpeakerState {
            id: "main".into(),
            volume_percent: Percent::new(40),
            ..SpeakerState::default()
        };
        speaker.presence.session.is(LayerState::Failed, None, 1);
        let house = House {
            speakers: vec![speaker],
            ..House::default()
        };
        let tally = Tally::default();
        tally.cut("main", Cut::Dealer);
        tally.hook("amp", true);
        tally.order("pause", Duration::from_millis(3));
        let measures = Measures {
            drift_ms: Some(-20),
            buffered_ms: 1_250,
            ..Measures::default()
        };
        let engines = [("main".to_owned(), measures, None)];
        let text = page(&house, &tally.now(), &engines, None, 0);
        for line in [
            r#"siskin_layer_up{speaker="main",layer="session"} 0"#,
            r#"siskin_volume_ratio{speaker="main"} 0.4"#,
            r#"siskin_reconnects_total{speaker="main",cause="dealer"} 1"#,
            r#"siskin_hook_runs_total{hook="amp",outcome="done"} 1"#,
            r#"siskin_order_latency_seconds_bucket{order="pause",le="0.005"} 1"#,
            r#"siskin_position_drift_seconds{speaker="main"} -0.02"#,
            r#"siskin_buffer_seconds{speaker="main"} 1.25"#,
        ] {
            let times = text.lines().filter(|known| *known == line).count();
            assert_eq!(times, 1, "{line}\n{text}");
        }
    }
}
