//! `otlp`: which records does an export of OpenTelemetry's logs hold?
//!
//! A line is what the Collector's file exporter writes: `resourceLogs`, of each its `scopeLogs`, of each its `logRecords`.
//! Each of those is a record of plain members:
//!
//! ```text
//! attributes of the record, the scope, the resource     members of their own names
//! body                                                  message if it is a text; its members; else body
//! severityText, severityNumber                          log.level, severity_number
//! traceId, spanId, eventName                            trace.id, span.id, event.name
//! name and version of the scope                         otel.scope.name, otel.scope.version
//! timeUnixNano, else observedTimeUnixNano               the record's time
//! observedTimeUnixNano                                  observed_time_unix_nano
//! whatever else a record has                            otel.<its name>
//! ```
//!
//! Two values of one name become a list, so that a rule which hides the name hides both. Whole numbers in texts become
//! numbers, digit by digit; `NaN` and infinities are what `non_finite` says.
//!
//! The format: OTLP 1.x, JSON Protobuf encoding.

use super::json::JsonOptions;
use super::non_finite::{self, NonFinite};
use super::other_text::{LEFT_OUT, OtherText};
use super::texts::Texts;
use crate::flow::line::{Given, GivenTime, TimeGiver};
use crate::flow::reject::{Reject, Stage};
use crate::record::{Record, Space, json};

/// Members of ours, of whoever read the line before.
const OURS: [&str; 2] = ["inferlog.", "log."];

/// What of a log record has a place of its own.
const PLACES: [(&str, &str); 5] = [
    ("severityText", "log.level"),
    ("severityNumber", "severity_number"),
    ("traceId", "trace.id"),
    ("spanId", "span.id"),
    ("eventName", "event.name"),
];

/// Makes records of exports. The name under which the line is left out, where it has none and that is wanted.
///
/// # Errors
/// When the line is no export of logs.
pub(super) fn open(options: JsonOptions, exports: &Texts, out: &mut Texts) -> Result<Option<&'static str>, Reject> {
    let mut space = Space::default();
    for (text, given) in exports.iter() {
        let export = Record::parse(text, &mut space)?;
        let Some(logs) = member(text, "resourceLogs") else {
            return match options.other_text {
                OtherText::Drop => Ok(Some(LEFT_OUT)),
                OtherText::DeadLetter | OtherText::Wrap => Err(without_logs(text)),
            };
        };
        let ours = export.name_values().filter(|(name, _)| OURS.iter().any(|ours| name.starts_with(ours)));
        let ours = Members { list: ours.map(of_text).collect(), non_finite: Vec::new(), how: options.non_finite };
        for group in elements(logs)? {
            let resource = member(group, "resource").unwrap_or("{}");
            for scoped in elements(member(group, "scopeLogs").unwrap_or("[]"))? {
                let scope = member(scoped, "scope").unwrap_or("{}");
                for record in elements(member(scoped, "logRecords").unwrap_or("[]"))? {
                    ours.write(record, scope, resource, given, out)?;
                }
            }
        }
    }
    Ok(None)
}

fn of_text((name, raw): (&str, &str)) -> (String, String) {
    (name.to_owned(), raw.to_owned())
}

/// The members of a record to be.
struct Members {
    /// Names and raw values.
    list: Vec<(String, String)>,
    /// Where numbers stand that JSON has not.
    non_finite: Vec<String>,
    how: NonFinite,
}

impl Members {
    /// Writes a log record, behind which these members stand.
    fn write(&self, log: &str, scope: &str, resource: &str, given: Given, out: &mut Texts) -> Result<(), Reject> {
        let mut members = Members { list: Vec::new(), non_finite: Vec::new(), how: self.how };
        members.attributes(log)?;
        members.body(member(log, "body").unwrap_or("null"))?;
        members.fields(log)?;
        for (name, under) in [("name", "otel.scope.name"), ("version", "otel.scope.version")] {
            member(scope, name).filter(|raw| is_something(raw)).into_iter().for_each(|raw| members.add(under, raw));
        }
        members.attributes(scope)?;
        members.attributes(resource)?;
        members.list.extend(self.list.iter().cloned());
        let mut space = Space::default();
        let names = members.list.iter().map(|(name, raw)| (name.as_str(), raw.as_str()));
        let mut record = Record::of_members(&mut space, names, |raw, out| out.push_str(raw));
        non_finite::list(&mut record, members.non_finite)?;
        let time =
            ["timeUnixNano", "observedTimeUnixNano"].into_iter().find_map(|name| nanoseconds(member(log, name)?));
        out.push(Given { time: time.or(given.time), ..given }, |out| record.render(out))
    }

    /// Adds a member; to another value of its name it is added as to a list.
    fn add(&mut self, name: &str, raw: &str) {
        match self.list.iter_mut().find(|(known, _)| known == name) {
            None => self.list.push((name.to_owned(), raw.to_owned())),
            Some((_, before)) if before == raw => {}
            Some((_, before)) => *before = format!("[{before},{raw}]"),
        }
    }

    /// Adds the attributes of something.
    fn attributes(&mut self, of: &str) -> Result<(), Reject> {
        for (name, raw) in self.pairs(member(of, "attributes").unwrap_or("[]"), "")? {
            self.add(&name, &raw);
        }
        Ok(())
    }

    /// Adds what a log record says.
    fn body(&mut self, body: &str) -> Result<(), Reject> {
        if let Some(list) = member(body, "kvlistValue") {
            for (name, raw) in self.pairs(member(list, "values").unwrap_or("[]"), "")? {
                self.add(&name, &raw);
            }
            return Ok(());
        }
        let name = if member(body, "stringValue").is_some() { "message" } else { "body" };
        let raw = self.value(body, name)?;
        if raw != "null" {
            self.add(name, &raw);
        }
        Ok(())
    }

    /// Adds all else that stands in a log record.
    fn fields(&mut self, log: &str) -> Result<(), Reject> {
        let mut level = None;
        for (name, raw) in members(log)?.into_iter().filter(|(_, raw)| is_something(raw)) {
            match name.as_str() {
                "attributes" | "body" => {}
                "timeUnixNano" if nanoseconds(raw).is_some() => {}
                "timeUnixNano" => self.add("time_unix_nano", raw),
                "observedTimeUnixNano" => self.add("observed_time_unix_nano", &whole_number(raw)),
                name => {
                    level = level.or(level_of(name, raw));
                    let place = PLACES.iter().find(|(known, _)| *known == name);
                    self.add(&place.map_or_else(|| format!("otel.{name}"), |(_, under)| (*under).to_owned()), raw);
                }
            }
        }
        match level {
            Some(level) if !self.list.iter().any(|(name, _)| name == "log.level") => self.add("log.level", level),
            _ => {}
        }
        Ok(())
    }

    /// A list of keys and values.
    fn pairs(&mut self, list: &str, under: &str) -> Result<Vec<(String, String)>, Reject> {
        let mut pairs = Vec::new();
        for pair in elements(list)? {
            let key = member(pair, "key").filter(|raw| raw.starts_with('"'));
            let key = key.ok_or_else(|| unreadable("an attribute has no `key`"))?;
            let name = json::unescape(key).into_owned();
            let path = if under.is_empty() { name.clone() } else { format!("{under}.{name}") };
            let raw = self.value(member(pair, "value").unwrap_or("null"), &path)?;
            pairs.push((name, raw));
        }
        Ok(pairs)
    }

    /// A value of any kind, at a path, as JSON.
    fn value(&mut self, value: &str, path: &str) -> Result<String, Reject> {
        let Some((kind, raw)) = members(value)?.into_iter().find(|(_, raw)| *raw != "null") else {
            return Ok("null".to_owned());
        };
        Ok(match kind.as_str() {
            "intValue" => whole_number(raw),
            "doubleValue" => self.number(raw, path)?,
            "arrayValue" => {
                let mut values = Vec::new();
                for element in elements(member(raw, "values").unwrap_or("[]"))? {
                    values.push(self.value(element, path)?);
                }
                format!("[{}]", values.join(","))
            }
            "kvlistValue" => {
                let mut inner = Members { list: Vec::new(), non_finite: Vec::new(), how: self.how };
                for (name, raw) in self.pairs(member(raw, "values").unwrap_or("[]"), path)? {
                    inner.add(&name, &raw);
                }
                object(&inner.list)
            }
            // `stringValue`, `boolValue`, and `bytesValue` in base64.
            _ => raw.to_owned(),
        })
    }

    /// A number, which may be written as a text.
    fn number(&mut self, raw: &str, path: &str) -> Result<String, Reject> {
        let text = raw.trim_matches('"');
        if !matches!(text, "NaN" | "Infinity" | "-Infinity") {
            let is_number = serde_json::from_str::<serde_json::Number>(text).is_ok();
            return Ok(if is_number { text.to_owned() } else { raw.to_owned() });
        }
        self.non_finite.push(path.to_owned());
        // As a bare word in a list of its own, it is what any such number is.
        let mended = self.how.mend(&format!("[{text}]"))?;
        Ok(mended.map_or_else(|| raw.to_owned(), |mended| mended.text[1..mended.text.len() - 1].to_owned()))
    }
}

/// The level that a number of severity means, for a record that names none.
fn level_of(name: &str, raw: &str) -> Option<&'static str> {
    if name != "severityNumber" {
        return None;
    }
    Some(match raw.parse::<u8>().ok()? {
        1..=4 => "\"trace\"",
        5..=8 => "\"debug\"",
        9..=12 => "\"info\"",
        13..=16 => "\"warn\"",
        17..=20 => "\"error\"",
        21..=24 => "\"fatal\"",
        _ => return None,
    })
}

/// The digits of a whole number that is written as a text; what is none stays.
fn whole_number(raw: &str) -> String {
    let text = raw.trim_matches('"');
    let is_number = text.parse::<i128>().is_ok_and(|number| number.to_string() == text);
    if is_number { text.to_owned() } else { raw.to_owned() }
}

/// A time in nanoseconds since 1970; 0 is none.
fn nanoseconds(raw: &str) -> Option<GivenTime> {
    let nanoseconds: u64 = raw.trim_matches('"').parse().ok().filter(|nanoseconds| *nanoseconds > 0)?;
    let (seconds, nanoseconds) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    Some(GivenTime { seconds: seconds as i64, nanoseconds: nanoseconds as u32, by: TimeGiver::Event })
}

/// Whether a member of a log record says something.
fn is_something(raw: &str) -> bool {
    !matches!(raw, "null" | "\"\"" | "0" | "\"0\"")
}

fn object(members: &[(String, String)]) -> String {
    let mut out = String::from("{");
    for (place, (name, raw)) in members.iter().enumerate() {
        out.push_str(if place > 0 { "," } else { "" });
        json::write_string(name, &mut out);
        out.push(':');
        out.push_str(raw);
    }
    out + "}"
}

/// The members of an object; nothing has none.
fn members(raw: &str) -> Result<Vec<(String, &str)>, Reject> {
    match raw.as_bytes().first() {
        Some(b'{') => Ok(json::members(raw).map(|(name, raw)| (name.into_owned(), raw)).collect()),
        Some(b'n') => Ok(Vec::new()),
        _ => Err(unreadable("something else stands where an object is expected")),
    }
}

/// The raw value of a member of an object, which is not `null`.
fn member<'r>(raw: &'r str, name: &str) -> Option<&'r str> {
    if !raw.starts_with('{') {
        return None;
    }
    json::members(raw).find(|(known, raw)| known == name && *raw != "null").map(|(_, raw)| raw)
}

/// The elements of an array.
fn elements(raw: &str) -> Result<Vec<&str>, Reject> {
    match raw.starts_with('[') {
        true => Ok(json::raw_elements(raw).collect()),
        false => Err(unreadable("something else stands where a list is expected")),
    }
}

fn without_logs(text: &str) -> Reject {
    let has = |name: &str| member(text, name).is_some();
    let detail = match (has("resourceSpans"), has("resourceMetrics")) {
        (true, _) => "the line is an export of spans, and `decode: otlp` reads logs",
        (_, true) => "the line is an export of metrics, and `decode: otlp` reads logs",
        _ => "the object has no `resourceLogs`, so it is no export of logs as `decode: otlp` reads them",
    };
    Reject::new(Stage::Decode, "otlp_without_logs", detail.to_owned())
}

fn unreadable(what: &str) -> Reject {
    Reject::new(Stage::Decode, "otlp_unreadable", format!("in an export of OpenTelemetry's logs {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(options: JsonOptions, text: &str) -> Vec<String> {
        let (mut exports, mut out) = (Texts::default(), Texts::default());
        exports.push(Given::default(), |out| out.extend_from_slice(text.as_bytes())).unwrap();
        match open(options, &exports, &mut out) {
            Ok(None) => out
                .iter()
                .map(|(text, given)| {
                    let time =
                        given.time.map_or(String::new(), |time| format!(" {}.{:09}", time.seconds, time.nanoseconds));
                    format!("{text}{time}")
                })
                .collect(),
            Ok(Some(name)) => vec![format!("left out: {name}")],
            Err(reject) => vec![reject.reason.into_owned()],
        }
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(opened(JsonOptions::default(), text), expected, "{text}");
    }

    /// An export of one log record with these members.
    fn log(members: &str) -> String {
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{members}}}]}}]}}]}}"#)
    }

    #[test]
    fn each_log_record_is_a_record_of_plain_members() {
        check(
            concat!(
                r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},"#,
                r#""scopeLogs":[{"scope":{"name":"m","version":"1"},"logRecords":["#,
                r#"{"timeUnixNano":"1795428000277000001","observedTimeUnixNano":"1795428000277000002","severityNumber":9,"#,
                r#""severityText":"INFO","body":{"stringValue":"in\u0066erence"},"traceId":"0af7","spanId":"","flags":1,"#,
                r#""attributes":[{"key":"n","value":{"intValue":"9007199254740993"}},{"key":"d","value":{"doubleValue":1.50}}]},"#,
                r#"{"severityNumber":17,"body":{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}}]}]},"#,
                r#"{"scopeLogs":[{"logRecords":[{"body":{"intValue":7}}]}]}]}"#,
            ),
            &[
                concat!(
                    r#"{"n":9007199254740993,"d":1.50,"message":"in\u0066erence","observed_time_unix_nano":1795428000277000002,"#,
                    r#""severity_number":9,"log.level":"INFO","trace.id":"0af7","otel.flags":1,"otel.scope.name":"m","#,
                    r#""otel.scope.version":"1","service.name":"s"} 1795428000.277000001"#,
                ),
                concat!(
                    r#"{"a":true,"severity_number":17,"log.level":"error","otel.scope.name":"m","otel.scope.version":"1","#,
                    r#""service.name":"s"}"#,
                ),
                r#"{"body":7}"#,
            ],
        );
    }

    #[test]
    fn values_of_all_kinds_are_json() {
        for (value, expected) in [
            (r#"{"stringValue":"a\"b"}"#, r#""a\"b""#),
            (r#"{"boolValue":false}"#, "false"),
            (r#"{"intValue":"-9223372036854775808"}"#, "-9223372036854775808"),
            (r#"{"intValue":"007"}"#, r#""007""#),
            (r#"{"intValue":12}"#, "12"),
            (r#"{"doubleValue":"1.5e3"}"#, "1.5e3"),
            (r#"{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"x"},{}]}}"#, r#"[1,"x",null]"#),
            (r#"{"arrayValue":{}}"#, "[]"),
            (
                r#"{"kvlistValue":{"values":[{"key":"k","value":{"kvlistValue":{"values":[]}}},{"key":"l"}]}}"#,
                r#"{"k":{},"l":null}"#,
            ),
            (r#"{"bytesValue":"AAE="}"#, r#""AAE=""#),
            ("{}", "null"),
        ] {
            let attribute = format!(r#""attributes":[{{"key":"v","value":{value}}}]"#);
            check(&log(&attribute), &[&format!(r#"{{"v":{expected}}}"#)]);
        }
        let infinite = log(r#""attributes":[{"key":"v","value":{"doubleValue":"-Infinity"}}]"#);
        check(&infinite, &[r#"{"v":null,"inferlog.non_finite":["v"]}"#]);
        let of = |non_finite| JsonOptions { non_finite, ..JsonOptions::default() };
        let text = opened(of(NonFinite::Text), &infinite);
        assert_eq!(text, [r#"{"v":"-Infinity","inferlog.non_finite":["v"]}"#]);
        assert_eq!(opened(of(NonFinite::Reject), &infinite), ["non_finite"]);
    }

    #[test]
    fn values_of_one_name_are_a_list_so_that_no_rule_misses_one() {
        let pair = |value: &str| format!(r#"{{"key":"user.email","value":{{"stringValue":"{value}"}}}}"#);
        let text = |one: &str, other: &str| log(&format!(r#""attributes":[{},{}]"#, pair(one), pair(other)));
        check(&text("a", "b"), &[r#"{"user.email":["a","b"]}"#]);
        check(&text("a", "a"), &[r#"{"user.email":"a"}"#]);
        let message = r#""body":{"stringValue":"x"},"attributes":[{"key":"message","value":{"stringValue":"y"}}]"#;
        check(&log(message), &[r#"{"message":["y","x"]}"#]);
    }

    #[test]
    fn what_is_no_export_of_logs_is_named() {
        for (text, expected) in [
            (r#"{"resourceSpans":[]}"#, "otlp_without_logs"),
            (r#"{"resourceMetrics":[{}]}"#, "otlp_without_logs"),
            (r#"{"event":"inference"}"#, "otlp_without_logs"),
            (r#"{"resourceLogs":{}}"#, "otlp_unreadable"),
            (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[7]}]}]}"#, "otlp_unreadable"),
            (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"value":{}}]}]}]}]}"#, "otlp_unreadable"),
        ] {
            check(text, &[expected]);
        }
        check(r#"{"resourceLogs":[{"resource":{}}]}"#, &[]);
        let drop = JsonOptions { other_text: OtherText::Drop, ..JsonOptions::default() };
        assert_eq!(opened(drop, r#"{"resourceSpans":[]}"#), ["left out: other_text"]);
        check(&log(r#""timeUnixNano":"soon""#), &[r#"{"time_unix_nano":"soon"}"#]);
        check(
            &log(r#""timeUnixNano":"0","observedTimeUnixNano":"1795428000000000000""#),
            &[r#"{"observed_time_unix_nano":1795428000000000000} 1795428000.000000000"#],
        );
    }
}
