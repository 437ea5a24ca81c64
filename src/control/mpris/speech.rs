//! What is said on the bus: answers, refusals and signals, from our values to its messages.

use zbus::{Connection, Message, message::Flags};

use super::{
    fault::Fault,
    heard::Answer,
    introspect::{OBJECT, PLAYER, PROPERTIES, TRACKS},
    told::Signal,
    trouble::Trouble,
    value::{dict, path, paths},
};

/// Answers a call, unless nobody wants to hear it.
pub async fn answer(bus: &Connection, call: &Message, answer: &Answer) -> Result<(), Trouble> {
    if is_unasked(call) {
        return Ok(());
    }
    let call = call.header();
    let sent = match answer {
        Answer::Nothing => bus.reply(&call, &()).await,
        Answer::Text(text) => bus.reply(&call, text).await,
        Answer::Value(value) => bus.reply(&call, &value.variant()).await,
        Answer::Facts(facts) => bus.reply(&call, &dict(facts)).await,
        Answer::Each(all) => {
            let all: Vec<_> = all.iter().map(dict).collect();
            bus.reply(&call, &all).await
        }
    };
    sent.map_err(|_| Trouble::Lost)
}

/// Says why a call is not obeyed.
pub async fn refuse(bus: &Connection, call: &Message, fault: &Fault) -> Result<(), Trouble> {
    if is_unasked(call) {
        return Ok(());
    }
    // Sentences quote what was asked.
    let text = fault.text.replace('\0', "");
    let sent = bus.reply_error(&call.header(), fault.name, &text).await;
    sent.map_err(|_| Trouble::Lost)
}

/// Tells everybody.
pub async fn emit(bus: &Connection, signal: &Signal) -> Result<(), Trouble> {
    let to = None::<&str>;
    let sent = match signal {
        Signal::Changed {
            interface,
            changed,
            stale,
        } => {
            let body = (*interface, dict(changed), stale);
            bus.emit_signal(to, OBJECT, PROPERTIES, "PropertiesChanged", &body)
                .await
        }
        Signal::Seeked(us) => bus.emit_signal(to, OBJECT, PLAYER, "Seeked", us).await,
        Signal::Replaced { ids, current } => {
            let body = (paths(ids), path(current));
            bus.emit_signal(to, OBJECT, TRACKS, "TrackListReplaced", &body)
                .await
        }
        Signal::Added { facts, after } => {
            let body = (dict(facts), path(after));
            bus.emit_signal(to, OBJECT, TRACKS, "TrackAdded", &body)
                .await
        }
        Signal::Removed(id) => {
            bus.emit_signal(to, OBJECT, TRACKS, "TrackRemoved", &path(id))
                .await
        }
        Signal::Described { id, facts } => {
            let body = (path(id), dict(facts));
            bus.emit_signal(to, OBJECT, TRACKS, "TrackMetadataChanged", &body)
                .await
        }
    };
    sent.map_err(|_| Trouble::Lost)
}

fn is_unasked(call: &Message) -> bool {
    let flags = call.primary_header().flags();
    flags.contains(Flags::NO_REPLY_EXPECTED)
}
