//! From a call on the bus to an answer, or to a request that takes longer. Reads messages; sends none.

use tokio::time::Instant;
use zbus::{
    Message, OwnedObjectPath, OwnedVariant, Variant, message::Body, wire::DynamicDeserialize,
};

use super::{
    fault::Fault,
    introspect::{self, INTROSPECTABLE, OBJECT, PEER, PLAYER, PROPERTIES, ROOT, TRACKS},
    lines::Line,
    request::Request,
    value::{Facts, Value},
    view::View,
};

/// Lines whose metadata is asked for at once. The whole list is some forty.
const ASKED: usize = 256;

/// What a call comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Answer(Answer),
    Request(Request),
}

/// An answer that can be given at once.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Nothing,
    Text(String),
    Value(Value),
    Facts(Facts),
    Each(Vec<Facts>),
}

type Understood = Result<Heard, Fault>;

/// Understands one call.
///
/// # Errors
/// What is wrong with it.
pub fn heard(message: &Message, view: &View, now: Instant) -> Understood {
    let header = message.header();
    let path = header.path().map_or("", |path| path.as_str());
    let member = header.member().map_or("", |member| member.as_str());
    // Naming the interface is up to the caller.
    let interface = match header.interface() {
        Some(interface) => interface.as_str(),
        None => interface_of(member),
    };
    let call = Call {
        member,
        body: &message.body(),
        view,
        now,
    };
    match interface {
        PEER => call.peer(),
        INTROSPECTABLE => match (member, introspect::at(path)) {
            ("Introspect", Some(xml)) => answer(Answer::Text(xml)),
            ("Introspect", None) => Err(Fault::unknown_object(path)),
            _ => Err(Fault::unknown_method(member)),
        },
        _ if path != OBJECT => Err(Fault::unknown_object(path)),
        PROPERTIES => call.properties(),
        ROOT => call.root(),
        PLAYER => call.player(),
        TRACKS => call.tracks(),
        "" => Err(Fault::unknown_method(member)),
        _ => Err(Fault::unknown_interface(interface)),
    }
}

fn interface_of(member: &str) -> &'static str {
    match member {
        "Ping" | "GetMachineId" => PEER,
        "Introspect" => INTROSPECTABLE,
        "Get" | "GetAll" | "Set" => PROPERTIES,
        "Raise" | "Quit" => ROOT,
        "Next" | "Previous" | "Pause" | "PlayPause" | "Stop" | "Play" | "Seek" | "SetPosition"
        | "OpenUri" => PLAYER,
        "GetTracksMetadata" | "AddTrack" | "RemoveTrack" | "GoTo" => TRACKS,
        _ => "",
    }
}

fn answer(answer: Answer) -> Understood {
    Ok(Heard::Answer(answer))
}

struct Call<'a> {
    member: &'a str,
    body: &'a Body,
    view: &'a View,
    now: Instant,
}

impl<'a> Call<'a> {
    /// The arguments, if they are of these types.
    fn arguments<T: DynamicDeserialize<'a>>(&self, signature: &str) -> Result<T, Fault> {
        let wrong = || {
            let member = self.member;
            Fault::invalid(format!(
                "{member} takes arguments of the types {signature:?}"
            ))
        };
        if self.body.signature().to_string_no_parens() != signature {
            return Err(wrong());
        }
        self.body.deserialize().map_err(|_| wrong())
    }

    fn plain(&self, request: Request) -> Understood {
        match self.body.is_empty() {
            true => Ok(Heard::Request(request)),
            false => Err(Fault::invalid(format!(
                "{} takes no arguments",
                self.member
            ))),
        }
    }

    fn peer(&self) -> Understood {
        match self.member {
            "Ping" => answer(Answer::Nothing),
            // It would have to be read from a file, and nobody asks a player for it.
            "GetMachineId" => {
                let text = "ask the bus itself: org.freedesktop.DBus has the name of the machine";
                Err(Fault::unsupported(text))
            }
            other => Err(Fault::unknown_method(other)),
        }
    }

    fn root(&self) -> Understood {
        match self.member {
            "Raise" => self.plain(Request::Raise),
            "Quit" => self.plain(Request::Quit),
            other => Err(Fault::unknown_method(other)),
        }
    }

    fn player(&self) -> Understood {
        let request = match self.member {
            "Next" => return self.plain(Request::Next),
            "Previous" => return self.plain(Request::Previous),
            "Pause" => return self.plain(Request::Pause),
            "PlayPause" => return self.plain(Request::PlayPause),
            "Stop" => return self.plain(Request::Stop),
            "Play" => return self.plain(Request::Play),
            "Seek" => Request::Seek(self.arguments("x")?),
            "SetPosition" => {
                let (track, us): (OwnedObjectPath, i64) = self.arguments("ox")?;
                Request::SetPosition(track.as_str().to_owned(), us)
            }
            "OpenUri" => Request::Open(self.arguments("s")?),
            other => return Err(Fault::unknown_method(other)),
        };
        Ok(Heard::Request(request))
    }

    fn tracks(&self) -> Understood {
        let request = match self.member {
            "GetTracksMetadata" => {
                let asked: Vec<OwnedObjectPath> = self.arguments("ao")?;
                let lines = &self.view.lines;
                let found = asked.iter().take(ASKED);
                let found = found.filter_map(|id| lines.all.get(lines.find(id.as_str())?));
                return answer(Answer::Each(found.map(Line::facts).collect()));
            }
            "AddTrack" => {
                let (uri, _, at_once): (String, OwnedObjectPath, bool) = self.arguments("sob")?;
                Request::Add(uri, at_once)
            }
            "RemoveTrack" => {
                let _: OwnedObjectPath = self.arguments("o")?;
                Request::Remove
            }
            "GoTo" => {
                let id: OwnedObjectPath = self.arguments("o")?;
                Request::GoTo(id.as_str().to_owned())
            }
            other => return Err(Fault::unknown_method(other)),
        };
        Ok(Heard::Request(request))
    }

    fn properties(&self) -> Understood {
        match self.member {
            "Get" => {
                let (interface, name): (String, String) = self.arguments("ss")?;
                let found = self.facts(&interface)?;
                let mut found = found.into_iter().filter(|(known, _)| *known == name);
                let value = found.next().map(|(_, value)| Answer::Value(value));
                answer(value.ok_or_else(|| Fault::unknown_property(&name))?)
            }
            "GetAll" => {
                let interface: String = self.arguments("s")?;
                answer(Answer::Facts(self.facts(&interface)?))
            }
            "Set" => {
                let (interface, name, value): (String, String, OwnedVariant) =
                    self.arguments("ssv")?;
                let known = self.facts(&interface)?;
                if !known.iter().any(|(known, _)| *known == name) {
                    return Err(Fault::unknown_property(&name));
                }
                set(&name, &value).map(Heard::Request)
            }
            other => Err(Fault::unknown_method(other)),
        }
    }

    /// Everything that one interface shows; that of all where none is named.
    fn facts(&self, interface: &str) -> Result<Facts, Fault> {
        let position = || {
            let us = i64::from(self.view.hand.ms(self.now)) * 1_000;
            ("Position", Value::Int(us))
        };
        Ok(match interface {
            ROOT => self.view.root(),
            PLAYER => [self.view.player(), vec![position()]].concat(),
            TRACKS => self.view.tracks(),
            "" => [
                self.view.root(),
                self.view.player(),
                vec![position()],
                self.view.tracks(),
            ]
            .concat(),
            // They have none.
            PEER | INTROSPECTABLE | PROPERTIES => Vec::new(),
            other => return Err(Fault::unknown_interface(other)),
        })
    }
}

/// What somebody wants a property to be.
fn set(name: &str, value: &Variant<'_>) -> Result<Request, Fault> {
    match (name, value) {
        ("LoopStatus", Variant::Str(word)) => Ok(Request::Loop(word.as_str().to_owned())),
        ("Shuffle", Variant::Bool(on)) => Ok(Request::Shuffle(*on)),
        ("Volume", Variant::F64(level)) => Ok(Request::Volume(*level)),
        ("Rate", Variant::F64(rate)) => Ok(Request::Rate(*rate)),
        ("LoopStatus", _) => Err(Fault::invalid("LoopStatus is a string")),
        ("Shuffle", _) => Err(Fault::invalid("Shuffle is a boolean")),
        ("Volume" | "Rate", _) => Err(Fault::invalid(format!("{name} is a double"))),
        _ => Err(Fault::read_only(name)),
    }
}
