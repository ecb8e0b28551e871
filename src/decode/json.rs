//! `json`: the line is one JSON object, or what else it may be.

use super::non_finite::NonFinite;
use super::other_text::{self, LEFT_OUT, OtherText, Prefix};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Space, json};
use crate::text::encoding::looks_like_utf16;

/// What becomes of text that is not one JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// Of `NaN` and infinities, as Python writes them.
    pub non_finite: NonFinite,
    /// Of a line without any.
    pub other_text: OtherText,
    /// Of what stands before one.
    pub prefix: Prefix,
}

/// What a line is.
pub(super) enum Read<'l> {
    /// A record.
    Record(Record<'l>),
    /// Text, as a document.
    Text(Record<'l>),
    /// An array of objects.
    Batch,
    /// Nothing that is shipped, under this name.
    LeftOut(&'static str),
}

impl JsonOptions {
    /// Reads a line. One that begins like an object and is none is turned away, whatever the options: it is a broken record.
    pub(super) fn read<'l>(self, text: &'l str, space: &'l mut Space) -> Result<Read<'l>, Reject> {
        if text.trim_start().starts_with('{') {
            return Record::parse(text, space).map(Read::Record);
        }
        if self.prefix == Prefix::Skip
            && let Some(start) = other_text::object_behind(text, space)
        {
            let mut record = Record::parse(&text[start..], space)?;
            keep_prefix(&mut record, text[..start].trim_end());
            return Ok(Read::Record(record));
        }
        match self.other_text {
            // Not that it is in another encoding: that is said by whoever looks at the bytes.
            _ if looks_like_utf16(text.as_bytes()) => turn_away(text, space),
            OtherText::DeadLetter => turn_away(text, space),
            _ if other_text::is_part_of_record(text) => turn_away(text, space),
            OtherText::Drop => Ok(Read::LeftOut(LEFT_OUT)),
            OtherText::Wrap => Ok(Read::Text(wrap(text, space))),
        }
    }
}

fn turn_away<'l>(text: &'l str, space: &'l mut Space) -> Result<Read<'l>, Reject> {
    let lines = text.lines().count();
    let parsed = Record::parse(text, space);
    parsed.map(Read::Record).map_err(|reject| match lines {
        0 | 1 => reject,
        _ => Reject { detail: format!("{lines} lines of text that belong together: {}", reject.detail), ..reject },
    })
}

/// Keeps what stood before an object, and the level that it says.
fn keep_prefix(record: &mut Record<'_>, prefix: &str) {
    let hidden = other_text::without_patterns(prefix);
    record.add(&Path::known("inferlog.prefix"), |out| json::write_string(&hidden, out));
    add_level(record, prefix);
}

/// Text as a document.
fn wrap<'l>(text: &str, space: &'l mut Space) -> Record<'l> {
    let hidden = other_text::without_patterns(text);
    let mut record = Record::of_members(space, std::iter::once(("message", &*hidden)), json::write_string);
    add_level(&mut record, text);
    let lines = text.lines().count();
    record.add(&Path::known("inferlog.lines"), |out| out.push_str(&lines.to_string()));
    record
}

fn add_level(record: &mut Record<'_>, text: &str) {
    if let Some(level) = other_text::level(text) {
        record.add(&Path::known("log.level"), |out| json::write_string(level, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: JsonOptions, text: &str, expected: &str) {
        let mut space = Space::default();
        let shown = |record: &Record<'_>| {
            let mut out = Vec::new();
            record.render(&mut out);
            String::from_utf8(out).unwrap()
        };
        let found = match options.read(text, &mut space) {
            Ok(Read::Record(record)) => shown(&record),
            Ok(Read::Text(record)) => format!("text {}", shown(&record)),
            Ok(Read::Batch) => "a batch".to_owned(),
            Ok(Read::LeftOut(name)) => format!("left out: {name}"),
            Err(reject) => format!("{}: {}", reject.reason, reject.detail.split(':').next().unwrap()),
        };
        assert!(found.starts_with(expected), "{text}: {found}, not {expected}");
    }

    #[test]
    fn text_that_is_no_record_is_turned_away_left_out_or_shipped() {
        let of = |other_text, prefix| JsonOptions { other_text, prefix, ..JsonOptions::default() };
        let drop = of(OtherText::Drop, Prefix::None);
        let wrap = of(OtherText::Wrap, Prefix::None);
        let skip = of(OtherText::Drop, Prefix::Skip);
        let traceback = "Traceback (most recent call last):\n  x\nKeyError";
        check(JsonOptions::default(), "INFO: a", "not_an_object");
        check(JsonOptions::default(), traceback, "not_an_object: 3 lines of text that belong together");
        check(drop, "INFO: a", "left out: other_text");
        check(drop, "{\"a\":NaN}", "invalid_json");
        check(drop, " {\"a\":1}", " {\"a\":1}");
        check(drop, "\0I\0N", "not_an_object");
        check(
            wrap,
            "INFO: of a@b.de",
            "text {\"message\":\"INFO: of [redacted]\",\"log.level\":\"info\",\"inferlog.lines\":1}",
        );
        check(
            wrap,
            traceback,
            "text {\"message\":\"Traceback (most recent call last):\\n  x\\nKeyError\",\"log.level\":\"error\",\"inferlog.lines\":3}",
        );
        check(wrap, "{\"a\":", "invalid_json");
        check(
            skip,
            "10:00 INFO m: {\"a\":1}",
            "{\"a\":1,\"inferlog.prefix\":\"10:00 INFO m:\",\"log.level\":\"info\"}",
        );
        // Parts of torn records are no text.
        for torn in ["10:00 INFO m: {\"a\":1", "of a value\",\"b\":2}", "10:00 INFO m: {\"a\":{\"b\":1}"] {
            for options in [drop, wrap, skip] {
                check(options, torn, "not_an_object");
            }
        }
        check(drop, "10:00 INFO m: {\"a\":NaN}", "left out: other_text");
    }
}
