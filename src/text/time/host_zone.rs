//! The zone of this machine, by its IANA name.

use std::path::Path;

use chrono_tz::Tz;

/// Why the machine's zone is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostZoneError {
    /// The variable `TZ` holds something else.
    #[error("the variable `TZ` is set and holds no name of a zone")]
    Variable,
    /// `/etc/localtime` is no link to a named zone, and `/etc/timezone` names none.
    #[error("this machine does not say the name of its zone: `/etc/localtime` is no link to one")]
    Nameless,
}

/// The zone in which programs of this machine write local times: that of `TZ`, else of `/etc/localtime`, else UTC, as the C
/// library has it.
///
/// # Errors
/// When there is one whose name is not known.
pub fn host_zone() -> Result<Tz, HostZoneError> {
    let variable = std::env::var("TZ").ok();
    let system = iana_time_zone::get_timezone().ok();
    zone_of(variable.as_deref(), system.as_deref(), Path::new("/etc/localtime").exists())
}

fn zone_of(variable: Option<&str>, system: Option<&str>, has_local_time: bool) -> Result<Tz, HostZoneError> {
    if let Some(text) = variable {
        let text = text.strip_prefix(':').unwrap_or(text);
        let name = text.rsplit_once("zoneinfo/").map_or(text, |(_, name)| name);
        return if name.is_empty() { Ok(Tz::UTC) } else { name.parse().map_err(|_| HostZoneError::Variable) };
    }
    match system {
        Some(name) => name.parse().map_err(|_| HostZoneError::Nameless),
        None if has_local_time => Err(HostZoneError::Nameless),
        None => Ok(Tz::UTC),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_this_zone() {
        for (variable, system, has_local_time, expected) in [
            (None, Some("Europe/Berlin"), true, Ok(Tz::Europe__Berlin)),
            (Some("Asia/Tokyo"), Some("Europe/Berlin"), true, Ok(Tz::Asia__Tokyo)),
            (Some(":/usr/share/zoneinfo/Asia/Tokyo"), None, true, Ok(Tz::Asia__Tokyo)),
            (Some(""), Some("Europe/Berlin"), true, Ok(Tz::UTC)),
            (Some("CET-1CEST"), Some("Europe/Berlin"), true, Err(HostZoneError::Variable)),
            (None, None, false, Ok(Tz::UTC)),
            (None, None, true, Err(HostZoneError::Nameless)),
            (None, Some("posixrules"), true, Err(HostZoneError::Nameless)),
        ] {
            assert_eq!(zone_of(variable, system, has_local_time), expected, "{variable:?} {system:?}");
        }
    }
}
