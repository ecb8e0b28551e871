//! Options of `timestamp`: where is the time, and how is it written?

use super::{made, paths};
use crate::config::field::Field;
use crate::config::section::{Section, nearest};
use crate::enrich::{Action, Step, Timestamp, Zone};
use crate::text::time::{Format, host_zone};

const HOST: &str = "host";

pub(super) fn timestamp(section: &mut Section<'_>) -> Option<Step> {
    let from = section.optional("from", paths);
    let zone_field = section.field("zone");
    let zone = zone_field.as_ref().and_then(zone);
    let has_zone = zone_field.is_some();
    let formats = section.optional("formats", |field| field.list(|item| format(item, has_zone)));
    let (from, formats) = (from.unwrap_or_default(), formats.unwrap_or_default());
    made(section, Some(Action::Timestamp(Timestamp { from, zone, formats })))
}

fn format(field: &Field<'_>, has_zone: bool) -> Option<Format> {
    match Format::new(field.text()?, has_zone) {
        Ok(format) => Some(format),
        Err(problem) => {
            let hint = "write it in the letters of `strftime`, such as `%d.%m.%Y %H:%M:%S%.f`";
            field.refuse_with(problem, Some(hint.to_owned()))
        }
    }
}

fn zone(field: &Field<'_>) -> Option<Zone> {
    let text = field.text()?;
    if text == HOST {
        return match host_zone() {
            Ok(zone) => Some(Zone::Host(zone)),
            Err(error) => {
                field.refuse_with(&error.to_string(), Some("write its name, such as `Europe/Berlin`".to_owned()))
            }
        };
    }
    if let Ok(zone) = text.parse() {
        return Some(Zone::Named(zone));
    }
    let names: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).chain([HOST]).collect();
    let near = nearest(text, &names).filter(|_| !field.is_expanded());
    let hint = near.map_or("write a name such as `Europe/Berlin` or `UTC`, or `host`".to_owned(), |n| {
        format!("did you mean `{n}`?")
    });
    field.refuse_with(&format!("`{text}` is not the name of a time zone"), Some(hint))
}
