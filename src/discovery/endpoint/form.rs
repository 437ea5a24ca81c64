//! What a request asks for: its query and its body become a checked [`Call`].

use super::answer::Status;

/// Of the guide's table, in bytes of text.
const BLOB: usize = 2047;
const CLIENT_KEY: usize = 511;
/// Canonical user names are far shorter; old ones were made from mail addresses.
const USER: usize = 128;
/// Shown in logs only; longer names are cut.
const DEVICE_NAME: usize = 64;
/// More fields than any phone sends. The rest is not looked at.
const FIELDS: usize = 32;

/// One request, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    GetInfo,
    AddUser(Handover),
    ResetUsers,
}

/// The fields of `addUser` that we use.
#[derive(Clone, PartialEq, Eq)]
pub struct Handover {
    pub user: String,
    /// base64.
    pub blob: String,
    /// base64.
    pub client_key: String,
    /// What the phone calls itself.
    pub device_name: Option<String>,
}

impl std::fmt::Debug for Handover {
    /// The blob is a login: it never shows.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Handover({})", crate::model::masked(&self.user))
    }
}

/// Reads a request. `post` tells GET from POST: what changes something must be a POST, so that a
/// picture on a web page, which a browser fetches by GET, cannot sign anybody out.
///
/// # Errors
/// The status to answer with.
pub fn parse(post: bool, query: &str, body: &[u8]) -> Result<Call, Status> {
    let fields = Fields::of(query.as_bytes(), body)?;
    let action = fields.get("action").filter(|action| !action.is_empty());
    match action.ok_or(Status::MissingAction)? {
        "getInfo" => Ok(Call::GetInfo),
        "addUser" if post => handover(&fields),
        "resetUsers" if post => Ok(Call::ResetUsers),
        _ => Err(Status::InvalidAction),
    }
}

fn handover(fields: &Fields) -> Result<Call, Status> {
    let required = |name: &str, longest: usize| {
        let field = fields.get(name).filter(|value| value.len() <= longest);
        field.ok_or(Status::InvalidArguments)
    };
    let user = required("userName", USER)?;
    let blob = required("blob", BLOB)?;
    let client_key = required("clientKey", CLIENT_KEY)?;
    // Also when all of them are empty. "Empty new credentials mean forget this user" is said of what a
    // login hands out, not of this: anybody can leave fields empty, and whoever wants everybody gone
    // has `resetUsers`.
    if user.is_empty() || blob.is_empty() || client_key.is_empty() {
        return Err(Status::InvalidArguments);
    }
    Ok(Call::AddUser(Handover {
        user: user.to_owned(),
        blob: base64_text(blob),
        client_key: base64_text(client_key),
        device_name: fields.get("deviceName").map(|name| {
            let shown = name.chars().filter(|c| !c.is_control());
            shown.take(DEVICE_NAME).collect()
        }),
    }))
}

/// A `+` that was sent as it is, and not as `%2B`, has become a space by the rules of forms.
fn base64_text(field: &str) -> String {
    field.replace(' ', "+")
}

struct Fields(Vec<(String, String)>);

impl Fields {
    /// The body's fields before the query's. A text that is not UTF-8 spoils the request.
    fn of(query: &[u8], body: &[u8]) -> Result<Self, Status> {
        let body = form_urlencoded::parse(body);
        let all = body.chain(form_urlencoded::parse(query)).take(FIELDS);
        let fields: Vec<(String, String)> = all
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        // The decoder puts this character where the bytes made no sense.
        let broken = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        if fields
            .iter()
            .any(|(name, value)| broken(name) || broken(value))
        {
            return Err(Status::Bad);
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn post(body: &str) -> Result<Call, Status> {
        parse(true, "", body.as_bytes())
    }

    #[test]
    fn the_action_stands_in_the_query_or_in_the_body() {
        assert_eq!(
            parse(false, "action=getInfo&version=2.10.0", b""),
            Ok(Call::GetInfo)
        );
        assert_eq!(parse(true, "action=resetUsers", b""), Ok(Call::ResetUsers));
        assert_eq!(post("action=resetUsers"), Ok(Call::ResetUsers));
    }

    #[test]
    fn a_missing_an_unknown_and_a_misplaced_action_are_told_apart() {
        assert_eq!(post("userName=kim"), Err(Status::MissingAction));
        assert_eq!(post("action="), Err(Status::MissingAction));
        assert_eq!(post("action=makeTea"), Err(Status::InvalidAction));
        assert_eq!(
            parse(false, "action=resetUsers", b""),
            Err(Status::InvalidAction)
        );
    }

    #[test]
    fn a_handover_needs_its_three_fields_in_their_sizes() {
        let full =
            "action=addUser&userName=kim&blob=AA+A%2F&clientKey=BBBB&deviceName=Kim%0As+phone";
        let Ok(Call::AddUser(handover)) = post(full) else {
            panic!("a full handover");
        };
        assert_eq!(handover.blob, "AA+A/");
        assert_eq!(handover.device_name.as_deref(), Some("Kims phone"));
        assert_eq!(format!("{handover:?}"), "Handover(ki***)");
        for field in ["userName", "blob", "clientKey"] {
            let missing = full.replace(field, "other");
            assert_eq!(post(&missing), Err(Status::InvalidArguments), "{field}");
            let long = full.replace(&format!("{field}="), &format!("{field}={:2048}", "A"));
            assert_eq!(post(&long), Err(Status::InvalidArguments), "{field}");
        }
        let no_blob = "action=addUser&userName=kim&blob=&clientKey=BBBB";
        assert_eq!(post(no_blob), Err(Status::InvalidArguments));
    }

    #[test]
    fn a_handover_of_nothing_is_a_mistake_and_no_reset() {
        for user in ["kim", ""] {
            let nothing = format!("action=addUser&userName={user}&blob=&clientKey=");
            assert_eq!(post(&nothing), Err(Status::InvalidArguments));
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_a_bad_request() {
        assert_eq!(post("action=addUser&userName=%FF%FE"), Err(Status::Bad));
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(
            post: bool,
            query in "\\PC{0,64}",
            body in prop::collection::vec(any::<u8>(), 0..512),
        ) {
            crate::fuzz::login::handover(post, &query, &body);
        }

        #[test]
        fn encoded_fields_come_out_as_they_went_in(
            user in "[^\u{FFFD}\\pC]{1,32}",
            blob in "[A-Za-z0-9+/]{1,200}",
        ) {
            let body = form_urlencoded::Serializer::new(String::new())
                .extend_pairs([
                    ("action", "addUser"),
                    ("userName", &user),
                    ("blob", &blob),
                    ("clientKey", "key"),
                ])
                .finish();
            let parsed = parse(true, "", body.as_bytes());
            let Ok(Call::AddUser(handover)) = parsed else {
                return Err(TestCaseError::fail(format!("{parsed:?}")));
            };
            prop_assert_eq!(handover.user, user);
            prop_assert_eq!(handover.blob, blob);
        }
    }
}
