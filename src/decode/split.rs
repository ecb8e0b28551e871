//! `split`: arrays of a batch become records, one an element; everything else of the line is repeated in each, byte for byte.
//!
//! ```text
//! split: { each: [features, predictions] }
//! {"request_id":"r","features":[{"a":1},{"a":2}],"predictions":[0,1],"model_version":"3"}
//! {"request_id":"r","features":{"a":1},"predictions":0,"model_version":"3","batch.id":"…","batch.index":0}
//! {"request_id":"r","features":{"a":2},"predictions":1,"model_version":"3","batch.id":"…","batch.index":1}
//! ```
//!
//! A field that is not there is passed over. A record of which none is there, or one is no array or stands in several places,
//! or whose arrays are empty, is no batch and stays as it is. Arrays of unequal lengths are a reject.

use super::texts::Texts;
use crate::flow::line::Given;
use crate::flow::reject::{Reject, Stage};
use crate::record::{Path, Record, Space, json};

/// Makes records of the elements of arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The arrays that belong together.
    pub each: Vec<Path>,
}

/// Stands where an element goes: what no JSON text has.
const HOLE: u8 = 0;

/// The place of a field in `each`, and the elements of its array as JSON texts.
type Column = (usize, Vec<String>);

impl Split {
    pub(super) fn apply(&self, records: &Texts, out: &mut Texts) -> Result<(), Reject> {
        let mut space = Space::default();
        for (text, given) in records.iter() {
            let mut record = Record::parse(text, &mut space)?;
            match self.elements(&record)? {
                Some(columns) => self.parts(&mut record, &columns, given, out)?,
                _ => out.push(given, |out| out.extend_from_slice(text.as_bytes()))?,
            }
        }
        Ok(())
    }

    /// The elements of each array, with the place of its field; `None` where the record is no batch.
    fn elements(&self, record: &Record<'_>) -> Result<Option<Vec<Column>>, Reject> {
        let mut columns: Vec<Column> = Vec::new();
        for (field, path) in self.each.iter().enumerate() {
            let (mut places, mut elements) = (0, None);
            record.any(path.as_str(), &mut |raw| {
                places += 1;
                let of_array = || json::elements(raw).map(|element| element.as_raw_str().to_owned()).collect();
                elements = raw.starts_with('[').then(of_array);
                false
            });
            match elements {
                _ if places == 0 => {}
                Some(elements) if places == 1 => columns.push((field, elements)),
                _ => return Ok(None),
            }
        }
        let Some((_, first)) = columns.first() else { return Ok(None) };
        if let Some((field, other)) = columns.iter().find(|(_, other)| other.len() != first.len()) {
            let names = (&self.each[columns[0].0], first.len(), &self.each[*field], other.len());
            let detail = format!("`{}` has {} elements and `{}` has {}", names.0, names.1, names.2, names.3);
            return Err(Reject::new(Stage::Decode, "split_unequal_lengths", detail));
        }
        Ok((!first.is_empty()).then_some(columns))
    }

    /// Writes the record as often as there are elements. What is around them is rendered once, with holes for them.
    fn parts(&self, record: &mut Record<'_>, columns: &[Column], given: Given, out: &mut Texts) -> Result<(), Reject> {
        for (column, (field, _)) in columns.iter().enumerate() {
            record.replace(&self.each[*field], &format!("\0{column}\0"))?;
        }
        let mut around = Vec::new();
        record.render(&mut around);
        let pieces: Vec<&[u8]> = around.split(|byte| *byte == HOLE).collect();
        let column_of = |hole: &[u8]| std::str::from_utf8(hole).ok().and_then(|digits| digits.parse::<usize>().ok());
        for index in 0..columns[0].1.len() {
            out.push(Given { part: Some(index as u32), ..given }, |out| {
                for (place, piece) in pieces.iter().enumerate() {
                    let column = column_of(piece).filter(|_| place % 2 == 1).and_then(|column| columns.get(column));
                    match column {
                        Some((_, elements)) => out.extend_from_slice(elements[index].as_bytes()),
                        None => out.extend_from_slice(piece),
                    }
                }
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records that a text is split into, or the reason of the reject.
    fn check(each: &[&str], text: &str, expected: &[&str]) {
        let split = Split { each: each.iter().map(|path| Path::new(path).unwrap()).collect() };
        let mut space = Space::default();
        let (mut records, mut out) = (Texts::default(), Texts::default());
        records.begin(&Record::parse(text, &mut space).unwrap(), Given::default()).unwrap();
        let found = match split.apply(&records, &mut out) {
            Ok(()) => {
                let part = |(text, given): (&str, Given)| match given.part {
                    Some(part) => format!("{part} {text}"),
                    None => text.to_owned(),
                };
                out.iter().map(part).collect()
            }
            Err(reject) => vec![reject.reason.into_owned()],
        };
        assert_eq!(found, expected, "{each:?} of {text}");
    }

    #[test]
    fn arrays_become_records_and_the_rest_is_repeated() {
        let both = ["features", "predictions"];
        check(
            &both,
            r#"{ "id" : 1.50, "features":[{"a":[1]}, "x,]"],"predictions": [ 0 ,null],"z":"\u00e4" }"#,
            &[
                r#"0 { "id" : 1.50, "features":{"a":[1]},"predictions": 0,"z":"\u00e4" }"#,
                r#"1 { "id" : 1.50, "features":"x,]","predictions": null,"z":"\u00e4" }"#,
            ],
        );
        check(
            &["r.features", "r.p"],
            r#"{"r":{"features":[1,2],"k":0},"r.p":[3,4]}"#,
            &[r#"0 {"r":{"features":1,"k":0},"r.p":3}"#, r#"1 {"r":{"features":2,"k":0},"r.p":4}"#],
        );
        check(&both, r#"{"features":[[1,2]]}"#, &[r#"0 {"features":[1,2]}"#]);
        check(&["u.a"], r#"{"u.a":[1],"u":{"b":2}}"#, &[r#"0 {"u.a":1,"u":{"b":2}}"#]);
        for alone in [
            r#"{"n":1}"#,
            r#"{"features":[1,2],"predictions":0.5}"#,
            r#"{"features":[],"predictions":[]}"#,
            r#"{"features":{"a":1}}"#,
        ] {
            check(&both, alone, &[alone]);
        }
        check(&["u.a"], r#"{"u":[{"a":[1]},{"a":[2]}]}"#, &[r#"{"u":[{"a":[1]},{"a":[2]}]}"#]);
        check(&both, r#"{"features":[1],"predictions":[1,2]}"#, &["split_unequal_lengths"]);
        let many = format!(r#"{{"features":[{}0]}}"#, "0,".repeat(super::super::texts::RECORDS_MAX));
        check(&both, &many, &["too_many_records"]);
        let wide = format!(r#"{{"features":[{}0],"a":"{}"}}"#, "0,".repeat(100), "x".repeat(200_000));
        check(&both, &wide, &["too_many_records"]);
    }
}
