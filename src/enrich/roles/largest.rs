//! Largest: of several numbers, which one is it, and what is it called?
//!
//! An object has names, an array has places. What a batch of one is wrapped into (`[[0.1,0.9]]`) is taken off.

use super::source::Source;
use crate::record::{IndexedPath, Record, json};
use crate::text::exact::Exact;

/// Which numbers are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Largest {
    /// Where the object or array is.
    pub of: Source,
    /// What the elements of an array are called.
    pub labels: Option<Labels>,
    /// The member of an element that is an object which is compared.
    pub score: String,
    /// The member of such an element that names it.
    pub label: String,
}

/// What the elements of an array are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// As the pipeline file says.
    Fixed(Vec<String>),
    /// As an array of the record says.
    At(IndexedPath),
}

impl Labels {
    /// The label of an index, as JSON.
    pub(super) fn of_index(&self, index: usize, record: &Record<'_>) -> Option<String> {
        match self {
            Labels::Fixed(labels) => labels.get(index).map(|label| quoted(label)),
            Labels::At(path) => {
                let raw = record.at(path)?;
                json::elements(&raw).nth(index).map(|label| label.as_raw_str().to_owned())
            }
        }
    }
}

/// The largest number, and what it is called.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// As JSON.
    pub(super) label: String,
    pub(super) value: Exact,
}

impl Largest {
    /// The largest of the numbers in an object or array; `None` where there is none, or it has no label.
    pub(super) fn find(&self, raw: &str, record: &Record<'_>) -> Option<Found> {
        let mut numbers: Vec<(String, Exact)> = Vec::new();
        match raw.as_bytes().first()? {
            b'{' => {
                let members = sonic_rs::to_object_iter(raw).flatten();
                numbers.extend(members.filter_map(|(name, raw)| Some((quoted(&name), number(raw.as_raw_str())?))));
            }
            b'[' => {
                let elements: Vec<_> = json::elements(raw).collect();
                if let [only] = &elements[..]
                    && only.as_raw_str().starts_with('[')
                {
                    return self.find(only.as_raw_str(), record);
                }
                let element = |(index, raw): (usize, &str)| self.element(index, raw);
                numbers.extend(elements.iter().map(|element| element.as_raw_str()).enumerate().filter_map(element));
            }
            _ => return None,
        }
        let (label, value) = first_largest(numbers)?;
        let of_index = |index| self.labels.as_ref().map(|labels| labels.of_index(index, record));
        match label.parse().ok().and_then(of_index) {
            Some(label) => Some(Found { label: label?, value }),
            None => Some(Found { label, value }),
        }
    }

    fn element(&self, index: usize, raw: &str) -> Option<(String, Exact)> {
        if !raw.starts_with('{') {
            return Some((index.to_string(), number(raw)?));
        }
        let member = |wanted: &str| {
            let mut members = sonic_rs::to_object_iter(raw).flatten();
            members.find_map(|(name, value)| (name == wanted).then(|| value.as_raw_str().to_owned()))
        };
        Some((member(&self.label)?, number(&member(&self.score)?)?))
    }
}

fn first_largest(numbers: Vec<(String, Exact)>) -> Option<(String, Exact)> {
    numbers.into_iter().reduce(|best, next| if next.1.as_f64() > best.1.as_f64() { next } else { best })
}

fn number(raw: &str) -> Option<Exact> {
    Exact::read(raw)
}

fn quoted(text: &str) -> String {
    let mut raw = String::new();
    json::write_string(text, &mut raw);
    raw
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Space;

    #[test]
    fn the_largest_is_found_in_every_shape() {
        let fixed = Some(Labels::Fixed(vec!["cat".into(), "dog".into()]));
        let at = Some(Labels::At(IndexedPath::read("classes").unwrap()));
        for (raw, labels, expected) in [
            (r#"{"cat":0.2,"dog":0.7,"n/a":null}"#, None, Some(("\"dog\"", "0.7"))),
            (r#"{"1":0.2,"0":0.7}"#, None, Some(("\"0\"", "0.7"))),
            ("[0.2,0.8]", None, Some(("1", "0.8"))),
            ("[0.2,0.8]", fixed.clone(), Some(("\"dog\"", "0.8"))),
            ("[[0.2,0.8]]", at, Some(("\"b\"", "0.8"))),
            ("[0.5,0.5]", fixed.clone(), Some(("\"cat\"", "0.5"))),
            ("[0.1,0.1,0.8]", fixed, None),
            ("[-1.5e1,-3]", None, Some(("1", "-3"))),
            (
                r#"[{"label":"POSITIVE","score":0.9},{"label":"NEGATIVE","score":0.1}]"#,
                None,
                Some(("\"POSITIVE\"", "0.9")),
            ),
            ("[[0.1],[0.9]]", None, None),
            ("[]", None, None),
            ("{}", None, None),
            ("0.9", None, None),
            ("\"0.9\"", None, None),
        ] {
            let of = Source { paths: vec![IndexedPath::read("p").unwrap()] };
            let largest = Largest { of, labels, score: "score".into(), label: "label".into() };
            let mut space = Space::default();
            let record = Record::parse(r#"{"classes":["a","b"]}"#, &mut space).unwrap();
            let found = largest.find(raw, &record).map(|found| (found.label, found.value.to_string()));
            assert_eq!(found, expected.map(|(label, value)| (label.to_owned(), value.to_owned())), "{raw}");
        }
    }
}
