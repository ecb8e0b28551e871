//! Idle rules: which fields that a pipeline hides were in no record of a sample, and where may they be instead?
//!
//! A rule that finds nothing is silent, so whoever writes it has to hear of it before anything is shipped. What it means
//! may be spelled in other letters, may stand as JSON inside of a text (a request that was captured as a string, say), which
//! is one value to every rule, or may be in a list of keys and values, where its name is a value.

use std::collections::BTreeMap;

use crate::enrich::Enrichment;
use crate::kql::{Fields as _, Value};
use crate::record::{Path, PathPattern, Record};

/// What a sample shows of the fields that are hidden.
#[derive(Debug, Default)]
pub struct IdleFields {
    /// Where something stands that may be meant, by the field; the first one that is met.
    instead: BTreeMap<Path, Instead>,
}

/// A place that no rule for the field reaches.
#[derive(Debug)]
enum Instead {
    /// A field of this name, which differs in the case of letters.
    OtherCase(String),
    /// A text of this name that holds JSON, which names the field.
    InText(String),
    /// A text of this name that is the field's name.
    AsKey(String),
}

impl IdleFields {
    /// Looks at a record before anything is done to it.
    pub fn look(&mut self, enrichment: &Enrichment, record: &Record<'_>) {
        let all = enrichment.hidden_fields().iter().filter_map(PathPattern::path);
        let unseen: Vec<&Path> = all.filter(|path| !self.instead.contains_key(path)).collect();
        if unseen.is_empty() {
            return;
        }
        record.any_leaf(&mut |name, value| {
            for path in &unseen {
                if let Some(instead) = instead(path, name, &value) {
                    self.instead.entry((*path).clone()).or_insert(instead);
                }
            }
            false
        });
    }

    /// Fields that were not found, and whose names stand inside of a text.
    pub fn in_texts(&self, enrichment: &Enrichment) -> Vec<InText> {
        let in_text = |path: &Path| match self.instead.get(path) {
            Some(Instead::InText(text)) => Some(InText { field: path.to_string(), text: text.clone() }),
            _ => None,
        };
        enrichment.idle_fields().filter_map(|field| in_text(field.pattern.path()?)).collect()
    }

    /// A sentence for each field that was not found, and for each that there is in other letters.
    pub fn in_words(&self, enrichment: &Enrichment) -> Vec<String> {
        let idle = enrichment.idle_fields().map(|field| {
            let instead = field.pattern.path().and_then(|path| self.instead.get(path));
            let instead = instead.map(Instead::in_words).unwrap_or_default();
            format!("processor {} hides `{}`, which no record has{instead}", field.processor, field.pattern)
        });
        let is_idle = |path: &Path| enrichment.idle_fields().any(|field| field.pattern.path() == Some(path));
        let in_other_case = self.instead.iter().filter_map(|(path, instead)| match instead {
            Instead::OtherCase(_) if !is_idle(path) => Some(format!("`{path}` is hidden{}", instead.in_words())),
            _ => None,
        });
        idle.chain(in_other_case).collect()
    }
}

/// A field that no record had, and a text in which its name stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InText {
    /// The field.
    pub field: String,
    /// The text.
    pub text: String,
}

/// What a leaf has to do with a field that it is not.
fn instead(path: &Path, name: &str, value: &Value<'_>) -> Option<Instead> {
    let path = path.as_str();
    let is_below = |start: &str| name[start.len()..].is_empty() || name[start.len()..].starts_with('.');
    if let Some(start) = name.get(..path.len()).filter(|start| is_below(start) && start.eq_ignore_ascii_case(path)) {
        return (start != path).then(|| Instead::OtherCase(start.to_owned()));
    }
    let Value::String(text) = value else { return None };
    let last = path.rsplit('.').next().unwrap_or_default();
    let is_name = || path.strip_suffix(&**text).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if text.trim_start().starts_with(['{', '[']) && text.contains(&format!("\"{last}\"")) {
        Some(Instead::InText(name.to_owned()))
    } else if !text.is_empty() && is_name() {
        Some(Instead::AsKey(name.to_owned()))
    } else {
        None
    }
}

impl Instead {
    fn in_words(&self) -> String {
        match self {
            Instead::OtherCase(name) => format!("; `{name}` is another field, since letter case counts"),
            Instead::InText(name) => format!(
                "; a text that holds JSON, at `{name}`, names it: `decode: [json, {{ expand: {{ field: {name}, as: json }} }}]` \
                 makes members of it, which rules find, or hide it as a whole"
            ),
            Instead::AsKey(name) => format!(
                "; the text at `{name}` is its name, as in a list of keys and values; a rule finds a value by its key only where \
                 the elements have `key` (or `name`) and `value` and nothing else: hide the values of the list"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_meant_is_seen() {
        let text = |text: &str| Value::String(text.to_owned().into());
        for (path, name, value, expected) in [
            ("user.email", "user.email", text("x"), ""),
            ("user.email", "user.email.work", text("x"), ""),
            ("user.email", "USER.Email", Value::Boolean(true), "; `USER.Email` is another"),
            ("user.email", "User.email.work", text("x"), "; `User.email` is another"),
            ("user.email", "user.emails", text("x"), ""),
            ("user.email", "data", text("{\"email\":1}"), "; a text that holds JSON, at `data`,"),
            ("user.email", "data", text("email"), "; the text at `data` is its name"),
            ("user.email", "a.key", text("user.email"), "; the text at `a.key` is its name"),
            ("user.email", "a.key", text("mail"), ""),
            ("user.email", "a", text(""), ""),
            ("user.email", "é", text("é"), ""),
        ] {
            let words = instead(&Path::new(path).unwrap(), name, &value).map(|instead| instead.in_words());
            let words = words.unwrap_or_default();
            assert!(words.starts_with(expected) && words.is_empty() == expected.is_empty(), "{path} {name}: {words}");
        }
    }
}
