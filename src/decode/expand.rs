//! `expand`: what lies inside of a text becomes members, so that rules, conditions and queries reach it.
//!
//! ```text
//! expand: { field: captureData.endpointInput.data, as: json }
//! {"captureData":{"endpointInput":{"data":"{\"age\":41}"}}}
//! {"captureData":{"endpointInput":{"data":{"age":41}}}}
//! ```
//!
//! The text is replaced, wherever the field stands, also in the elements of an array; with `into` it moves there. No copy of
//! it stays, because a rule that hides a name could not reach into one. A text that cannot be read so stays as it is, and its
//! record is noted as `not_expanded`. Where a rule hides something inside of the field, such a text is hidden as a whole
//! ([`Conceal`]).

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use csv::ReaderBuilder;
use serde_json::value::RawValue;

use super::csv::write_cell;
use super::non_finite::{self, NonFinite};
use super::texts::{RECORDS_BYTES_MAX, Texts};
use crate::flow::line::{Given, GivenNote};
use crate::flow::reject::Reject;
use crate::kql::Expression;
use crate::record::{Path, PathPattern, Record, Room, Space, json};

/// Makes members of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Expand {
    /// Where the text stands.
    pub field: Path,
    /// How it is written.
    pub form: ExpandForm,
    /// Where what it says goes, if not in its place.
    pub into: Option<Path>,
    /// Which records have it.
    pub when: Option<Expression>,
}

/// How a text inside of a member is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpandForm {
    /// One JSON value.
    Json,
    /// Rows: one is a list of its cells, several are a list of such lists.
    Csv,
    /// Base64 of a text.
    Base64,
}

impl Expand {
    /// Expands the texts of all records.
    pub(super) fn apply(&self, how: NonFinite, records: &Texts, out: &mut Texts) -> Result<(), Reject> {
        let mut space = Space::default();
        for (text, given) in records.iter() {
            let mut record = Record::parse(text, &mut space)?;
            let holds = self.when.as_ref().is_none_or(|when| when.matches(&record));
            let is_read = !holds || self.expand(how, &mut record)?;
            let note = if is_read { given.note } else { Some(GivenNote::NotExpanded) };
            out.push(Given { note, ..given }, |out| record.render(out))?;
        }
        Ok(())
    }

    /// Expands the texts of a record. False when one of them could not be read.
    fn expand(&self, how: NonFinite, record: &mut Record<'_>) -> Result<bool, Reject> {
        if self.into.as_ref().is_some_and(|into| record.room(into.as_str()) != Room::Free) {
            return Ok(record.room(self.field.as_str()) != Room::Taken);
        }
        let (mut texts, paths) = (0, RefCell::new(Vec::new()));
        record.any(self.field.as_str(), &mut |raw| {
            texts += usize::from(raw.starts_with('"'));
            false
        });
        let read = |raw: &str| self.form.read(raw, how, &mut paths.borrow_mut());
        let expanded = if texts > 0 { record.replace_each(&self.field, &read)? } else { 0 };
        let target = match &self.into {
            Some(into) if texts > 0 && expanded == texts => {
                record.rename(&self.field, into)?;
                into
            }
            _ => &self.field,
        };
        let below = |path: String| if path.is_empty() { target.to_string() } else { format!("{target}.{path}") };
        non_finite::list(record, paths.into_inner().into_iter().map(below).collect())?;
        Ok(expanded == texts)
    }
}

impl ExpandForm {
    /// What a raw text says, as JSON on one line; `None` where it is not written so, or no text. Numbers that JSON has not are
    /// mended, and their places added to `paths`.
    fn read(self, raw: &str, how: NonFinite, paths: &mut Vec<String>) -> Option<String> {
        if !raw.starts_with('"') {
            return None;
        }
        let text = json::unescape(raw);
        match self {
            ExpandForm::Json => one_line(&text).or_else(|| {
                let mut mended = how.mend(&text).ok()??;
                paths.append(&mut mended.paths);
                one_line(&mended.text)
            }),
            ExpandForm::Csv => rows(&text),
            ExpandForm::Base64 => {
                let decoded = String::from_utf8(STANDARD.decode(text.trim().as_bytes()).ok()?).ok()?;
                let mut out = String::new();
                json::write_string(&decoded, &mut out);
                Some(out)
            }
        }
    }
}

/// A JSON value on one line. Outside of its strings, which have none, a line end is white space.
pub(super) fn one_line(text: &str) -> Option<String> {
    let value: &RawValue = serde_json::from_str(text).ok()?;
    Some(value.get().replace(['\n', '\r'], " "))
}

fn rows(text: &str) -> Option<String> {
    if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return None;
    }
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut rows, mut count) = (String::new(), 0);
    for record in reader.records() {
        rows.push_str(if count > 0 { ",[" } else { "[" });
        for (place, cell) in record.ok()?.iter().enumerate() {
            rows.push_str(if place > 0 { "," } else { "" });
            match cell {
                "" => rows.push_str("null"),
                cell => write_cell(cell, &mut rows),
            }
        }
        rows.push(']');
        count += 1;
        if rows.len() > RECORDS_BYTES_MAX {
            return None;
        }
    }
    match count {
        0 => None,
        1 => Some(rows),
        _ => Some(format!("[{rows}]")),
    }
}

/// Hides texts that were not expanded, where a rule hides something inside of them and could not find it.
#[derive(Debug)]
pub(super) struct Conceal {
    fields: Vec<Path>,
}

impl Conceal {
    /// What must not stay a text, if these fields are hidden; `None` when nothing of it is.
    pub(super) fn new<'e>(expands: impl Iterator<Item = &'e Expand>, hidden: &[PathPattern]) -> Option<Conceal> {
        let mut fields = Vec::new();
        for expand in expands {
            let places = [Some(&expand.field), expand.into.as_ref()];
            let places = places.into_iter().flatten();
            let is_inside = |place: &Path, it: &PathPattern| it.meets(place.as_str()) && !it.covers(place.as_str());
            if places.clone().any(|place| hidden.iter().any(|pattern| is_inside(place, pattern))) {
                fields.extend(places.cloned());
            }
        }
        (!fields.is_empty()).then_some(Conceal { fields })
    }

    pub(super) fn apply(&self, records: &Texts, out: &mut Texts) -> Result<(), Reject> {
        let mut space = Space::default();
        let hide = |raw: &str| raw.starts_with('"').then(|| "\"[redacted]\"".to_owned());
        for (text, given) in records.iter() {
            let mut record = Record::parse(text, &mut space)?;
            let mut count = 0;
            for field in &self.fields {
                count += record.replace_each(field, &hide)?;
            }
            let note = if count > 0 { Some(GivenNote::NotExpanded) } else { given.note };
            out.push(Given { note, ..given }, |out| record.render(out))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expand: &Expand, text: &str, expected: &str, is_noted: bool) {
        let mut space = Space::default();
        let (mut records, mut out) = (Texts::default(), Texts::default());
        records.begin(&Record::parse(text, &mut space).unwrap(), Given::default()).unwrap();
        expand.apply(NonFinite::Null, &records, &mut out).unwrap();
        let found: Vec<_> = out.iter().map(|(text, given)| (text.to_owned(), given.note)).collect();
        assert_eq!(found, [(expected.to_owned(), is_noted.then_some(GivenNote::NotExpanded))], "{expand:?} of {text}");
    }

    fn of(field: &str, form: ExpandForm) -> Expand {
        Expand { field: Path::new(field).unwrap(), form, into: None, when: None }
    }

    #[test]
    fn texts_become_members_and_no_copy_of_them_stays() {
        let json = of("r.data", ExpandForm::Json);
        check(
            &json,
            r#"{"r":{"data":"{\"a\": 1.50,\n\"b\":[]}","k":1}}"#,
            r#"{"r":{"data":{"a": 1.50, "b":[]},"k":1}}"#,
            false,
        );
        check(&json, r#"{"r":[{"data":"1"},{"data":"\"x\""}]}"#, r#"{"r":[{"data":1},{"data":"x"}]}"#, false);
        check(
            &json,
            r#"{"r":{"data":"{\"a\":NaN}"}}"#,
            r#"{"r":{"data":{"a":null}},"inferlog.non_finite":["r.data.a"]}"#,
            false,
        );
        check(
            &json,
            r#"{"r.data":"NaN","inferlog.non_finite":["z"]}"#,
            r#"{"r.data":null,"inferlog.non_finite":["z","r.data"]}"#,
            false,
        );
        check(&json, r#"{"r.data":"{}"}"#, r#"{"r.data":{}}"#, false);
        for noted in [
            r#"{"r":{"data":"{\"a\":"}}"#,
            r#"{"r":{"data":"1,2"}}"#,
            r#"{"r":{"data":"1} {"}}"#,
            r#"{"r":{"data":"{\"a\":NaNs}"}}"#,
        ] {
            check(&json, noted, noted, true);
        }
        check(&json, r#"{"r":[{"data":"1"},{"data":"x"}]}"#, r#"{"r":[{"data":1},{"data":"x"}]}"#, true);
        for alone in [r#"{"r":{"data":{"a":1}}}"#, r#"{"n":"1"}"#] {
            check(&json, alone, alone, false);
        }
        let into = Expand { into: Path::new("request").ok(), ..json };
        check(&into, r#"{"r":{"data":"{\"a\":1}","k":1}}"#, r#"{"r":{"k":1},"request":{"a":1}}"#, false);
        check(&into, r#"{"r":{"data":"1"},"request":0}"#, r#"{"r":{"data":"1"},"request":0}"#, true);
        let csv = of("d", ExpandForm::Csv);
        check(&csv, r#"{"d":"41,jo,\"a, b\",,007\n"}"#, r#"{"d":[41,"jo","a, b",null,"007"]}"#, false);
        check(&csv, r#"{"d":"1,2\n3,4"}"#, r#"{"d":[[1,2],[3,4]]}"#, false);
        check(&csv, r#"{"d":"\"open"}"#, r#"{"d":"\"open"}"#, true);
        let base64 = of("d", ExpandForm::Base64);
        check(&base64, r#"{"d":"NDEsam8K"}"#, r#"{"d":"41,jo\n"}"#, false);
        check(&base64, r#"{"d":"no, none"}"#, r#"{"d":"no, none"}"#, true);
        let when = Expand { when: Expression::parse_condition("e : JSON").ok(), ..of("d", ExpandForm::Json) };
        check(&when, r#"{"d":"x","e":"CSV"}"#, r#"{"d":"x","e":"CSV"}"#, false);
    }

    #[test]
    fn a_text_in_which_a_rule_cannot_find_what_it_hides_is_hidden() {
        let expand = Expand { into: Path::new("q").ok(), ..of("r.data", ExpandForm::Json) };
        let concealed = |hidden: &str, text: &str| -> String {
            let hidden = [PathPattern::read(hidden).unwrap()];
            let Some(conceal) = Conceal::new(std::iter::once(&expand), &hidden) else { return "nothing".to_owned() };
            let mut space = Space::default();
            let (mut records, mut out) = (Texts::default(), Texts::default());
            records.begin(&Record::parse(text, &mut space).unwrap(), Given::default()).unwrap();
            conceal.apply(&records, &mut out).unwrap();
            let (text, given) = out.iter().next().unwrap();
            format!("{text} {}", given.note.map_or("", GivenNote::as_str))
        };
        let text = r#"{"r":{"data":"{\"email\":"}}"#;
        let hidden = r#"{"r":{"data":"[redacted]"}} not_expanded"#;
        assert_eq!(concealed("r.data.email", text), hidden);
        assert_eq!(concealed("q.email", text), hidden);
        assert_eq!(concealed("**.email", text), hidden);
        assert_eq!(concealed("q.email", r#"{"q":{"email":1}}"#), r#"{"q":{"email":1}} "#);
        // Rules that hide all of it, or something else, need no help.
        assert_eq!(concealed("r.data", text), "nothing");
        assert_eq!(concealed("r", text), "nothing");
        assert_eq!(concealed("email", text), "nothing");
    }
}
