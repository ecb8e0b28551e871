//! Numbers that JSON has not: `NaN`, `Infinity` and `-Infinity`, as Python writes them, become `null` or texts.
//!
//! Only a line that is not valid JSON as it stands is looked at. The words are replaced where they stand outside of texts;
//! every other byte stays as it was written. Where they stood is kept in `inferlog.non_finite`, a list of paths.

use crate::flow::reject::{Reject, Stage};
use crate::record::{NESTING_DEPTH_MAX, Path, Record, json};

/// What becomes of these numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// `null`.
    #[default]
    Null,
    /// The word as a text.
    Text,
    /// The line is turned away.
    Reject,
}

/// The name of the member that lists where they stood.
const PATHS: Path = Path::known("inferlog.non_finite");

/// So many paths are listed.
const PATHS_MAX: usize = 32;

const WORDS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// A line without them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mended {
    pub(super) text: String,
    /// Where they stood, once each: names joined by dots, elements of an array under its name.
    pub(super) paths: Vec<String>,
}

/// Lists where they stood in a record, behind those that it lists already.
///
/// # Errors
/// When a member that must be rewritten repeats a name inside.
pub(super) fn list(record: &mut Record<'_>, mut paths: Vec<String>) -> Result<(), Reject> {
    if paths.is_empty() {
        return Ok(());
    }
    let listed = record.first(PATHS.as_str()).and_then(|raw| serde_json::from_str::<Vec<String>>(raw).ok());
    if let Some(mut listed) = listed {
        listed.append(&mut paths);
        paths = listed;
    }
    paths.dedup();
    paths.truncate(PATHS_MAX);
    record.set(&PATHS, &serde_json::Value::from(paths).to_string()).map(|_| ())
}

impl NonFinite {
    /// Mends a line that is not valid JSON; `None` when it has no such number.
    ///
    /// # Errors
    /// When the line has one and is to be turned away.
    pub(super) fn mend(self, text: &str) -> Result<Option<Mended>, Reject> {
        if !WORDS.iter().any(|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some()) {
            return Ok(None);
        }
        let mended = Scan { text, ..Scan::default() }.mend(self);
        match mended {
            Some(_) if self == NonFinite::Reject => {
                let detail = "the line has `NaN` or `Infinity`, and `decode: { json: { non_finite: reject } }` is set";
                Err(Reject::new(Stage::Decode, "non_finite", detail.to_owned()))
            }
            mended => Ok(mended),
        }
    }
}

/// A pass over a line.
#[derive(Default)]
struct Scan<'t> {
    text: &'t str,
    /// The open objects and arrays.
    open: Vec<Open<'t>>,
    /// How far the text is copied.
    copied: usize,
    out: String,
    paths: Vec<String>,
}

/// An object with the name of its member that is being read, quotes included, or an array.
enum Open<'t> {
    Object { name: &'t str, has_name: bool },
    Array,
}

impl<'t> Scan<'t> {
    fn mend(mut self, how: NonFinite) -> Option<Mended> {
        let bytes = self.text.as_bytes();
        let mut position = 0;
        while let Some(byte) = bytes.get(position) {
            let start = position;
            position += 1;
            match byte {
                b'"' => {
                    position = end_of_string(bytes, position);
                    self.string(&self.text[start..position]);
                }
                b'{' => self.open.push(Open::Object { name: "", has_name: false }),
                b'[' => self.open.push(Open::Array),
                b'}' | b']' => drop(self.open.pop()),
                b',' => self.next_member(),
                b'N' | b'I' | b'-' => position = self.word(start, how).unwrap_or(position),
                _ => {}
            }
            if self.open.len() > NESTING_DEPTH_MAX {
                return None;
            }
        }
        self.out.push_str(&self.text[self.copied..]);
        (self.copied > 0).then_some(Mended { text: self.out, paths: self.paths })
    }

    fn string(&mut self, raw: &'t str) {
        if let Some(Open::Object { name, has_name: has_name @ false }) = self.open.last_mut() {
            (*name, *has_name) = (raw, true);
        }
    }

    fn next_member(&mut self) {
        if let Some(Open::Object { has_name, .. }) = self.open.last_mut() {
            *has_name = false;
        }
    }

    /// Replaces the word that stands here, and gives its end.
    fn word(&mut self, start: usize, how: NonFinite) -> Option<usize> {
        let rest = &self.text[start..];
        let word = WORDS.into_iter().find(|word| rest.starts_with(word))?;
        let end = start + word.len();
        if rest[word.len()..].starts_with(|next: char| next.is_alphanumeric()) {
            return None;
        }
        self.out.push_str(&self.text[self.copied..start]);
        match how {
            NonFinite::Text => json::write_string(word, &mut self.out),
            NonFinite::Null | NonFinite::Reject => self.out.push_str("null"),
        }
        self.copied = end;
        if self.paths.len() < PATHS_MAX {
            let path = self.path();
            if !self.paths.contains(&path) {
                self.paths.push(path);
            }
        }
        Some(end)
    }

    fn path(&self) -> String {
        let names = self.open.iter().filter_map(|open| match open {
            Open::Object { name, .. } => Some(json::unescape(name)),
            Open::Array => None,
        });
        names.collect::<Vec<_>>().join(".")
    }
}

/// Just behind the closing quote of a string whose inside begins here.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut position = start;
    while let Some(distance) = memchr::memchr2(b'"', b'\\', &bytes[position..]) {
        position += distance + 1;
        if bytes[position - 1] == b'"' {
            return position;
        }
        position = (position + 1).min(bytes.len());
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(how: NonFinite, text: &str, expected: &str, paths: &[&str]) {
        let mended = how.mend(text).unwrap();
        let found = mended.map_or((String::new(), Vec::new()), |mended| (mended.text, mended.paths));
        assert_eq!((found.0.as_str(), found.1), (expected, paths.iter().map(|path| (*path).to_owned()).collect()));
    }

    #[test]
    fn words_outside_of_texts_are_replaced_and_nothing_else() {
        let (null, text) = (NonFinite::Null, NonFinite::Text);
        check(null, r#"{"a": NaN, "b":1.50}"#, r#"{"a": null, "b":1.50}"#, &["a"]);
        check(
            text,
            r#"{"a":[-Infinity,{"b":Infinity}, NaN ]}"#,
            r#"{"a":["-Infinity",{"b":"Infinity"}, "NaN" ]}"#,
            &["a", "a.b"],
        );
        check(
            null,
            r#"{"NaN":"NaN \" Infinity","é\u0022":{"x":NaN},"y":NaN}"#,
            r#"{"NaN":"NaN \" Infinity","é\u0022":{"x":null},"y":null}"#,
            &["é\".x", "y"],
        );
        check(null, r#"{"a":"NaN"}"#, "", &[]);
        check(null, r#"{"a":NaNs,"b":Infinity7}"#, "", &[]);
        check(null, r#"{"a":1}"#, "", &[]);
        check(null, "{\"a\":\"NaN\\", "", &[]);
        check(null, &"[NaN,".repeat(NESTING_DEPTH_MAX + 1), "", &[]);
        let many: String = (0..40).map(|n| format!("\"a{n}\":NaN,")).collect();
        let mended = null.mend(&format!("{{{many}\"z\":0}}")).unwrap().unwrap();
        assert_eq!((mended.paths.len(), mended.text.matches("null").count()), (PATHS_MAX, 40));
        assert_eq!(NonFinite::Reject.mend(r#"{"a":NaN}"#).unwrap_err().reason, "non_finite");
        assert_eq!(NonFinite::Reject.mend(r#"{"a":"NaN"#), Ok(None));
    }
}
