//! Variables that begin like settings and are none: what container orchestrators set by themselves.
//!
//! Kubernetes tells every container where the services beside it are, in variables that begin with
//! the service's name. For one called siskin: `SISKIN_SERVICE_HOST=10.0.0.5` and
//! `SISKIN_PORT=tcp://10.0.0.5:7070`. Nobody wrote them, so they are no mistake of anybody's.

/// Whether a variable is one of them: by its name, and by what is in it.
pub(super) fn of_a_service(name: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    let port_named = |(at, found): (usize, &str)| {
        let rest = &name[at + found.len()..];
        value.parse::<u16>().is_ok() && (rest.is_empty() || rest.starts_with('_'))
    };
    let port_numbered = |(at, found): (usize, &str)| is_port(&name[at + found.len()..]);
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_PORT") && is_url
        || name.match_indices("_SERVICE_PORT").any(port_named)
        || name.match_indices("_PORT_").any(port_numbered)
}

/// `7070_TCP`, and what is said of it: `7070_TCP_ADDR`.
fn is_port(text: &str) -> bool {
    let mut parts = text.split('_');
    let number = parts.next().is_some_and(|part| part.parse::<u16>().is_ok());
    number
        && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"))
        && matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_orchestrator_sets_for_a_service_is_known() {
        for (name, value) in [
            ("SISKIN_SERVICE_HOST", "10.0.0.5"),
            ("SISKIN_SERVICE_PORT", "7070"),
            ("SISKIN_SERVICE_PORT_HTTP", "7070"),
            ("SISKIN_PORT", "tcp://10.0.0.5:7070"),
            ("SISKIN_PORT", "udp://[fd00::5]:5353"),
            ("SISKIN_PORT_7070_TCP", "tcp://10.0.0.5:7070"),
            ("SISKIN_PORT_7070_TCP_PROTO", "tcp"),
            ("SISKIN_PORT_7070_TCP_PORT", "7070"),
            ("SISKIN_PORT_7070_TCP_ADDR", "10.0.0.5"),
            ("SISKIN_HTTP_PORT", "tcp://10.0.0.5:7070"),
        ] {
            assert!(of_a_service(name, value), "{name}={value}");
        }
    }

    #[test]
    fn a_setting_and_a_mistake_are_not_taken_for_that() {
        for (name, value) in [
            ("SISKIN_NETWORK_PORT", "4070"),
            ("SISKIN_PORT", "4070"),
            ("SISKIN_PORT", "http://10.0.0.5"),
            ("SISKIN_SERVICE_PORT", "tcp"),
            ("SISKIN_SERVICE_PORTS", "7070"),
            ("SISKIN_PORT_HTTP", "7070"),
            ("SISKIN_PORT_7070_TCP_NAME", "x"),
            ("SISKIN_HOST", "10.0.0.5"),
            ("SISKIN_AUDIO_BITRAT", "320"),
        ] {
            assert!(!of_a_service(name, value), "{name}={value}");
        }
    }
}
