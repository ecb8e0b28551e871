//! Styles: how other loggers write what ISO 8601 would say.
//!
//! Each is an expression with the parts `y`, `m`, `d`, `t` and `z` in some order, out of which ISO 8601 is made; the one
//! reader of that then judges the parts. What would have to be guessed is told apart by its reason.

use std::sync::LazyLock;

use chrono_tz::Tz;
use regex::{Captures, Regex};

use super::instant::Unreadable;

/// What a text says, in a form that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rewritten {
    /// ISO 8601, or a number.
    Plain(String),
    /// ISO 8601, in a zone that the text names.
    Zoned(String, Tz),
}

/// A longer text is no time.
const BYTES_MAX: usize = 128;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Parts of the expressions below.
const MONTH: &str = "(?<m>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const DAY_NAME: &str = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const TIME: &str = "(?<t>[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?)";
const OFFSET: &str = "(?<z>[+-][0-9]{2}:?[0-9]{2}|Z|UTC|GMT)";

/// What is read.
static READ: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    compiled(&[
        // Go's `log`, nginx's error log: 2026/11/23 10:00:01.5
        "^(?<y>[0-9]{4})(?:/(?<m>[0-9]{2})/|[.](?<m2>[0-9]{2})[.])(?<d>[0-9]{2})[ T]TIME(?: ?OFFSET)?$",
        // Go's `String()`: 2026-11-23 10:00:01.5 +0100 CET m=+0.004
        "^(?<y>[0-9]{4})-(?<m>[0-9]{2})-(?<d>[0-9]{2}) TIME OFFSET(?: [A-Z]{1,5}| [+-][0-9]{2,4})?(?: m=[+-][0-9.]+)?$",
        // HTTP and e-mail: Mon, 23 Nov 2026 10:00:01 GMT
        "^(?:DAY_NAME, ?)?(?<d>[0-9]{1,2})[ -]MONTH[ -](?<y>[0-9]{4}) TIME(?: ?OFFSET)?$",
        // C's `ctime`, `date`: Mon Nov 23 10:00:01 UTC 2026
        "^(?:DAY_NAME )?MONTH +(?<d>[0-9]{1,2}) TIME(?: OFFSET)? (?<y>[0-9]{4})$",
        // Web servers: 23/Nov/2026:10:00:01 +0000
        "^\\[?(?<d>[0-9]{2})/MONTH/(?<y>[0-9]{4}):TIME OFFSET\\]?$",
        // glog with a year, and without its letter: I20261123 10:00:01.5
        "^[IWEF]?(?<y>[0-9]{4})(?<m>[0-9]{2})(?<d>[0-9]{2})[ T]TIME(?: ?OFFSET)?$",
        // In brackets: [2026-11-23 10:00:01]
        "^\\[(?<y>[0-9]{4})-(?<m>[0-9]{2})-(?<d>[0-9]{2})[ T]TIME(?: ?OFFSET)?\\]$",
    ])
});

/// What is not read, and why.
static REFUSED: LazyLock<Vec<(Regex, Unreadable)>> = LazyLock::new(|| {
    let reasons = [Unreadable::NoYear, Unreadable::NoYear, Unreadable::DayOrMonth, Unreadable::ZoneName];
    let expressions = compiled(&[
        // klog: I1123 10:00:01.5
        "^[IWEF][0-9]{4} TIME",
        // syslog: Nov 23 10:00:01
        "^MONTH +[0-9]{1,2} TIME",
        "^[0-9]{1,2}[/.-][0-9]{1,2}[/.-](?:[0-9]{4}|[0-9]{2})(?:[ T,]|$)",
        "^[0-9]{4}([-/.])[0-9]{2}[-/.][0-9]{2}[ T]TIME ?[A-Za-z]{1,5}$",
    ]);
    expressions.into_iter().zip(reasons).collect()
});

static DOT_NET: LazyLock<Vec<Regex>> = LazyLock::new(|| compiled(&["^/Date\\((?<n>[0-9]+)(?:[+-][0-9]{4})?\\)/$"]));

fn compiled(expressions: &[&str]) -> Vec<Regex> {
    let parts = [("DAY_NAME", DAY_NAME), ("MONTH", MONTH), ("TIME", TIME), ("OFFSET", OFFSET)];
    let whole = |text: &&str| parts.iter().fold((*text).to_owned(), |text, (name, part)| text.replace(name, part));
    expressions.iter().filter_map(|text| Regex::new(&whole(text)).ok()).collect()
}

/// Rewrites a text that is neither ISO 8601 nor a number.
///
/// # Errors
/// Says why it cannot be read.
pub(super) fn rewrite(text: &str) -> Result<Rewritten, Unreadable> {
    if text.len() > BYTES_MAX {
        return Err(Unreadable::UnknownForm);
    }
    if text.contains('\u{2212}') {
        return Ok(Rewritten::Plain(text.replace('\u{2212}', "-")));
    }
    if let Some(rewritten) = of_java(text) {
        return rewritten;
    }
    if let Some(parts) = READ.iter().find_map(|style| style.captures(text)) {
        return iso(&parts).map(Rewritten::Plain).ok_or(Unreadable::UnknownForm);
    }
    if let Some(parts) = DOT_NET.iter().find_map(|style| style.captures(text)) {
        return Ok(Rewritten::Plain(parts["n"].to_owned()));
    }
    let refused = REFUSED.iter().find(|(style, _)| style.is_match(text));
    Err(refused.map_or(Unreadable::UnknownForm, |(_, reason)| *reason))
}

/// ISO 8601 with the zone's name in brackets behind it, as Java's `ZonedDateTime` writes it.
fn of_java(text: &str) -> Option<Result<Rewritten, Unreadable>> {
    let (time, name) = text.strip_suffix(']')?.split_once('[').filter(|(time, _)| !time.is_empty())?;
    let has_offset = time.ends_with(['Z', 'z']) || time.get(19..).is_some_and(|rest| rest.contains(['+', '-']));
    Some(match name.parse() {
        _ if has_offset => Ok(Rewritten::Plain(time.to_owned())),
        Ok(zone) => Ok(Rewritten::Zoned(time.to_owned(), zone)),
        Err(_) => Err(Unreadable::ZoneName),
    })
}

fn iso(parts: &Captures<'_>) -> Option<String> {
    let part = |name: &str| parts.name(name).map(|part| part.as_str());
    let month = part("m").or_else(|| part("m2"))?;
    let month = match MONTHS.iter().position(|name| *name == month) {
        Some(position) => format!("{:02}", position + 1),
        None => month.to_owned(),
    };
    let (year, day, time, offset) = (part("y")?, part("d")?, part("t")?, part("z").unwrap_or_default());
    Some(format!("{year}-{month}-{day:0>2}T{time}{offset}"))
}

/// Rewrites a JSON array of 3 to 7 numbers: year, month, day, hour, minute, second, nanosecond.
///
/// # Errors
/// When it is another one.
pub(super) fn of_array(raw: &str) -> Result<String, Unreadable> {
    let numbers = raw.trim_start_matches('[').trim_end_matches(']').split(',').map(|number| number.trim().parse());
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().map_err(|_| Unreadable::UnknownForm)?;
    let (date, time) =
        numbers.split_at_checked(3).filter(|(_, time)| time.len() <= 4).ok_or(Unreadable::UnknownForm)?;
    let part = |position: usize| time.get(position).copied().unwrap_or(0);
    let nanoseconds = part(3);
    if nanoseconds > 999_999_999 || date[0] > 9999 {
        return Err(Unreadable::NoSuchTime);
    }
    let [hour, minute, second] = [part(0), part(1), part(2)];
    let [year, month, day] = [date[0], date[1], date[2]];
    Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_is_one() {
        assert_eq!((READ.len(), REFUSED.len(), DOT_NET.len()), (7, 4, 1));
    }
}
