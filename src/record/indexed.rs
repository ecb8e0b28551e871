//! Indexed paths: which element of an array is meant?
//!
//! Most of a pipeline file means all that is at a path, whatever arrays are on the way. Where one value is wanted, as by
//! `roles`, a path may name an element: `outputs[0].data[0]`, counted from 0. Between the indices it means every spelling,
//! as a [`Path`] does.

use std::borrow::Cow;
use std::fmt;

use super::gather::whole_inside;
use super::json::{self, place};
use super::notation::PathError;
use super::path::Path;

/// A path that may name elements of arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedPath {
    first: Path,
    rest: Vec<Leg>,
    /// The names alone.
    names: Path,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Leg {
    Element(usize),
    Names(Path),
}

impl IndexedPath {
    /// Reads a path as it is written in a pipeline file. Brackets that are part of a name are written `\[` and `\]`.
    ///
    /// # Errors
    /// Says what is wrong with it, and how it is spelled right.
    pub fn read(text: &str) -> Result<IndexedPath, PathError> {
        let mut indices = indices(text);
        let start = indices.first().map_or(text.len(), |index| index.start);
        let first = Path::read(&text[..start])?;
        let mut rest = Vec::new();
        let mut names = first.as_str().to_owned();
        indices.push(Index { start: text.len(), end: text.len(), number: 0 });
        for pair in indices.windows(2) {
            let (index, next) = (&pair[0], &pair[1]);
            rest.push(Leg::Element(index.number));
            let between = &text[index.end..next.start];
            if !between.is_empty() {
                let path = Path::read(between.strip_prefix('.').unwrap_or(between))?;
                names = format!("{names}.{path}");
                rest.push(Leg::Names(path));
            }
        }
        let names = Path::new(&names).map_err(|problem| PathError { problem, hint: None })?;
        Ok(IndexedPath { first, rest, names })
    }

    /// Where the path begins, up to the first index.
    pub(super) fn first(&self) -> &Path {
        &self.first
    }

    /// What it means inside of the value at its [`IndexedPath::first`]; `null` is nothing.
    pub(super) fn inside<'r>(&self, first: Cow<'r, str>) -> Option<Cow<'r, str>> {
        let found = match first {
            Cow::Borrowed(raw) => descend(raw, &self.rest)?,
            Cow::Owned(raw) => Cow::Owned(descend(&raw, &self.rest)?.into_owned()),
        };
        (found != "null").then_some(found)
    }

    /// The path without its indices: what it means is part of what this means.
    pub fn names(&self) -> &Path {
        &self.names
    }
}

impl fmt::Display for IndexedPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.first)?;
        for leg in &self.rest {
            match leg {
                Leg::Element(index) => write!(formatter, "[{index}]")?,
                Leg::Names(path) => write!(formatter, ".{path}")?,
            }
        }
        Ok(())
    }
}

struct Index {
    start: usize,
    end: usize,
    number: usize,
}

/// The indices in a text: digits in brackets that are not escaped, behind a name or another index.
fn indices(text: &str) -> Vec<Index> {
    let mut found: Vec<Index> = Vec::new();
    for (start, _) in text.match_indices('[') {
        let before = &text[..start];
        let is_escaped = before.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
        let digits = text[start + 1..].split(']').next().unwrap_or_default();
        let end = start + digits.len() + 2;
        let ends_a_name = text.get(end..).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let number = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(number) =
            number.filter(|_| !is_escaped && ends_a_name && text.as_bytes().get(end - 1) == Some(&b']'))
        {
            found.push(Index { start, end, number });
        }
    }
    found
}

fn descend<'r>(raw: &'r str, legs: &[Leg]) -> Option<Cow<'r, str>> {
    let Some((leg, rest)) = legs.split_first() else { return Some(Cow::Borrowed(raw)) };
    let inside = match leg {
        Leg::Element(index) if raw.starts_with('[') => {
            Cow::Borrowed(place(raw, json::elements(raw).nth(*index)?.as_raw_str()))
        }
        Leg::Element(_) => return None,
        Leg::Names(path) => whole_inside(raw, path.as_str())?,
    };
    match inside {
        Cow::Borrowed(raw) => descend(raw, rest),
        Cow::Owned(raw) => descend(&raw, rest).map(|found| Cow::Owned(found.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Record, Space};

    #[test]
    fn elements_are_found_by_their_place() {
        let line = r#"{"outputs":[{"name":"p","data":[0.1,0.9]},{"name":"q","data":[[7]]}],"a":{"b":[1,null]},
            "x[0]":8,"d.e":[{"f.g":5}],"i":3}"#;
        for (path, expected) in [
            ("outputs[0].data[1]", Some("0.9")),
            ("outputs[0].data", Some("[0.1,0.9]")),
            ("outputs[1].data[0][0]", Some("7")),
            ("outputs[1].name", Some("\"q\"")),
            ("outputs.name", Some("[\"p\",\"q\"]")),
            ("outputs[2].name", None),
            ("outputs[0][0]", None),
            ("a.b[0]", Some("1")),
            ("a.b[1]", None),
            (r"x\[0\]", Some("8")),
            ("d.e[0].f.g", Some("5")),
            ("d.e[0].f", Some("{\"g\":5}")),
            ("i", Some("3")),
            ("i[0]", None),
        ] {
            let mut space = Space::default();
            let record = Record::parse(line, &mut space).unwrap();
            let read = IndexedPath::read(path).unwrap();
            assert_eq!(record.at(&read).as_deref(), expected, "{path}");
            assert_eq!(read.to_string().replace(['[', ']'], ""), path.replace(['\\', '[', ']'], ""), "{path}");
        }
    }

    #[test]
    fn other_notations_are_still_refused() {
        for (path, names) in [
            ("outputs[0].data[1]", Some("outputs.data")),
            ("latency[ms]", Some("latency[ms]")),
            ("outputs[*].data", None),
            ("outputs[-1]", None),
            ("[0].a", None),
            ("$.outputs[0]", None),
            ("outputs[0]..a", None),
            ("outputs[0].", None),
            ("outputs[99999999999999999999]", None),
            ("", None),
        ] {
            let read = IndexedPath::read(path);
            assert_eq!(read.as_ref().ok().map(|read| read.names().as_str()), names, "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in r"[ab.\[\]0-9\\*$ é]{0,16}") {
            if let Ok(path) = IndexedPath::read(&text) {
                let mut space = Space::default();
                let record = Record::parse(r#"{"a":[[1,{"b":2}],{"a":[3]}],"b.a":[4]}"#, &mut space).unwrap();
                let _ = record.at(&path);
            }
        }
    }
}
