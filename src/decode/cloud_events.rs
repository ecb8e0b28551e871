//! `cloudevents`: what is the data of an event, as CloudEvents have it in JSON, alone or several in an array?
//!
//! ```text
//! {"specversion":"1.0","id":"r-1","type":"t","time":"2026-11-23T10:00:00Z","data":{"score":0.5}}
//! {"score":0.5,"cloudevents.specversion":"1.0","cloudevents.id":"r-1","cloudevents.type":"t", …}
//! ```
//!
//! The members of `data` are the record, and the attributes of the event, extensions too, stand behind them under
//! `cloudevents.`; both as they were written. Its `time` is that of the record, unless a processor finds another. Data that is
//! no object stays `data`; text of a type that is not JSON is `message`; bytes are read out of `data_base64` where they are
//! either, and stay there where they are neither.
//!
//! The format: CloudEvents 1.0, JSON Event Format, structured and batched mode.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::expand::one_line;
use super::non_finite::NonFinite;
use super::texts::Texts;
use crate::flow::line::{Given, GivenTime, TimeGiver};
use crate::flow::reject::{Reject, Stage};
use crate::record::{Path, Record, Space, json};

/// What attributes stand under.
const UNDER: &str = "cloudevents.";

/// Members of ours, of whoever read the line before.
const OURS: [&str; 2] = ["inferlog.", "log."];

/// Begins with the events of an array.
///
/// # Errors
/// When it is no array, or a number in it is none of JSON and is not to be mended.
pub(super) fn begin(how: NonFinite, text: &str, given: Given, out: &mut Texts) -> Result<(), Reject> {
    out.clear();
    let Ok(events) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        let mended = how.mend(text)?.filter(|mended| one_line(&mended.text).is_some());
        let unreadable = || reject("invalid_json", "the line begins with `[` and is no array of events".to_owned());
        return begin(how, &mended.ok_or_else(unreadable)?.text, given, out);
    };
    events.iter().try_for_each(|event| out.push(given, |out| out.extend_from_slice(event.get().as_bytes())))
}

/// Makes records of events.
///
/// # Errors
/// When one of them is none, or its data is not of the type that it names.
pub(super) fn open(events: &Texts, out: &mut Texts) -> Result<(), Reject> {
    let (mut space, mut inner) = (Space::default(), Space::default());
    for (text, given) in events.iter() {
        let event = Record::parse(text, &mut space)?;
        if member(&event, "specversion").is_none() {
            let detail = "the object has no `specversion`, so it is no event as `decode: cloudevents` reads them";
            return Err(reject("not_a_cloudevent", detail.to_owned()));
        }
        let data = Data::of(&event)?;
        let mut record = match &data {
            Data::Members(text) => Record::parse(text, &mut inner)?,
            Data::Value(name, raw) => {
                Record::of_members(&mut inner, std::iter::once((*name, raw.as_str())), |raw, out| out.push_str(raw))
            }
            Data::None => Record::of_members(&mut inner, std::iter::empty(), |_, _| {}),
        };
        let attributes = event.name_values().filter(|(name, _)| !matches!(*name, "data" | "data_base64"));
        for (name, raw) in attributes {
            let is_ours = OURS.iter().any(|ours| name.starts_with(ours));
            let under = if is_ours { name.to_owned() } else { format!("{UNDER}{name}") };
            let path = Path::new(&under).map_err(|_| attribute_name())?;
            record.add(&path, |out| out.push_str(raw));
        }
        let time = member(&event, "time").and_then(|raw| GivenTime::read(&json::unescape(raw), TimeGiver::Event));
        out.push(Given { time: time.or(given.time), ..given }, |out| record.render(out))?;
    }
    Ok(())
}

/// What an event is about.
enum Data {
    /// An object.
    Members(String),
    /// Something else, as JSON, under this name.
    Value(&'static str, String),
    None,
}

impl Data {
    fn of(event: &Record<'_>) -> Result<Data, Reject> {
        let kind = member(event, "datacontenttype").map(|raw| json::unescape(raw).into_owned());
        match (member(event, "data"), member(event, "data_base64")) {
            (None, None) => Ok(Data::None),
            (Some(raw), None) if raw.starts_with('{') => Ok(Data::Members(raw.to_owned())),
            (Some(raw), None) if raw.starts_with('"') && !is_json(kind.as_deref()) => {
                Ok(Data::Value("message", raw.to_owned()))
            }
            (Some(raw), None) => Ok(Data::Value("data", raw.to_owned())),
            (None, Some(raw)) => Data::of_bytes(raw, kind.as_deref()),
            (Some(_), Some(_)) => {
                Err(reject("not_a_cloudevent", "the event has both `data` and `data_base64`".to_owned()))
            }
        }
    }

    fn of_bytes(raw: &str, kind: Option<&str>) -> Result<Data, Reject> {
        let unreadable = |what: &str| reject("cloudevent_data_unreadable", format!("`data_base64` is not {what}"));
        let decoded = STANDARD.decode(json::unescape(raw).as_bytes()).map_err(|_| unreadable("base64"))?;
        let Ok(text) = String::from_utf8(decoded) else {
            return match is_json(kind) && kind.is_some() {
                true => Err(unreadable("JSON, which `datacontenttype` says")),
                false => Ok(Data::Value("data_base64", raw.to_owned())),
            };
        };
        match one_line(&text).filter(|_| is_json(kind)) {
            Some(object) if object.starts_with('{') => Ok(Data::Members(object)),
            Some(value) => Ok(Data::Value("data", value)),
            None if is_json(kind) && kind.is_some() => Err(unreadable("JSON, which `datacontenttype` says")),
            None => {
                let mut message = String::new();
                json::write_string(&text, &mut message);
                Ok(Data::Value("message", message))
            }
        }
    }
}

/// The raw value of a member of an event, which is not `null`.
fn member<'e>(event: &'e Record<'_>, name: &str) -> Option<&'e str> {
    event.name_values().find(|(known, raw)| *known == name && *raw != "null").map(|(_, raw)| raw)
}

/// Whether data of a type is JSON; without one it is.
fn is_json(kind: Option<&str>) -> bool {
    let Some(kind) = kind else { return true };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json")
}

fn attribute_name() -> Reject {
    reject("not_a_cloudevent", "an attribute of the event has a name that cannot be a path".to_owned())
}

fn reject(reason: &'static str, detail: String) -> Reject {
    Reject::new(Stage::Decode, reason, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let (mut events, mut out) = (Texts::default(), Texts::default());
        let is_batch = text.starts_with('[');
        let read = match is_batch {
            true => begin(NonFinite::Null, text, Given::default(), &mut events),
            false => events.push(Given::default(), |out| out.extend_from_slice(text.as_bytes())),
        };
        let found = match read.and_then(|()| open(&events, &mut out)) {
            Ok(()) => out.iter().map(|(text, _)| text.to_owned()).collect(),
            Err(reject) => vec![reject.reason.into_owned()],
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_data_is_the_record_and_attributes_stand_under_their_name() {
        check(
            r#"{"specversion":"1.0","id":"a","data":{"x": 1.50,"y":[]},"ext":null}"#,
            &[r#"{"x": 1.50,"y":[],"cloudevents.specversion":"1.0","cloudevents.id":"a","cloudevents.ext":null}"#],
        );
        let event = |data: &str| format!(r#"{{"specversion":"1.0",{data}}}"#);
        let record = |data: &str| format!(r#"{{{data}"cloudevents.specversion":"1.0"}}"#);
        let kind = |kind: &str| format!(r#""datacontenttype":"{kind}","#);
        let kinds = |kind: &str| format!(r#","cloudevents.datacontenttype":"{kind}"}}"#);
        for (data, expected) in [
            (r#""data":[1]"#, r#""data":[1],"#),
            (r#""data":"t""#, r#""data":"t","#),
            (r#""data":null"#, ""),
            (r#""data_base64":"eyJhIjoxfQ==""#, r#""a":1,"#),
            (r#""data_base64":"WzFd""#, r#""data":[1],"#),
            (r#""data_base64":"dGV4dA==""#, r#""message":"text","#),
            (r#""data_base64":"/w==""#, r#""data_base64":"/w==","#),
        ] {
            check(&event(data), &[&record(expected)]);
        }
        for (of, data, expected) in [
            ("text/plain; charset=utf-8", r#""data":"t \u00e4""#, r#""message":"t \u00e4","#),
            ("application/vnd.x+json", r#""data":"t""#, r#""data":"t","#),
            ("text/csv", r#""data_base64":"WzFd""#, r#""message":"[1]","#),
        ] {
            let expected = record(expected).replace("\"1.0\"}", &format!("\"1.0\"{}", kinds(of)));
            check(&event(&(kind(of) + data)), &[&expected]);
        }
        // What the data says of itself stays.
        check(
            &event(r#""id":"a","data":{"cloudevents":{"id":1}}"#),
            &[r#"{"cloudevents":{"id":1},"cloudevents.specversion":"1.0"}"#],
        );
        check(
            &event(r#""data":{},"inferlog.prefix":"p""#),
            &[r#"{"cloudevents.specversion":"1.0","inferlog.prefix":"p"}"#],
        );
    }

    #[test]
    fn several_events_are_several_records_and_what_is_none_is_turned_away() {
        check(
            r#"[{"specversion":"1.0","data":{"a":NaN}}, {"specversion":"1.0","data":{"a":2}}]"#,
            &[r#"{"a":null,"cloudevents.specversion":"1.0"}"#, r#"{"a":2,"cloudevents.specversion":"1.0"}"#],
        );
        check("[]", &[]);
        for (text, expected) in [
            (r#"{"id":"a","data":{}}"#, "not_a_cloudevent"),
            (r#"[{"specversion":"1.0"},{}]"#, "not_a_cloudevent"),
            (r#"{"specversion":"1.0","data":1,"data_base64":"WzFd"}"#, "not_a_cloudevent"),
            (r#"{"specversion":"1.0","":1}"#, "not_a_cloudevent"),
            (r#"{"specversion":"1.0","data_base64":"no base64"}"#, "cloudevent_data_unreadable"),
            (
                r#"{"specversion":"1.0","datacontenttype":"application/json","data_base64":"dGV4dA=="}"#,
                "cloudevent_data_unreadable",
            ),
            (r#"{"specversion":"1.0","data":{"a":1,"a":2}}"#, "repeated_name"),
            (r#"[{"specversion":"1.0"}"#, "invalid_json"),
            ("[1]", "not_an_object"),
        ] {
            check(text, &[expected]);
        }
    }
}
