//! Settings: options in maps, whose names may be written nested or with dots.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::text::units::parse_duration;

/// A map of options, all nested, of which what is understood is taken out.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings(Map<String, Value>);

impl Settings {
    /// Takes names with dots apart, everywhere.
    pub(super) fn new(members: Map<String, Value>) -> Settings {
        let mut nested = Map::new();
        members.into_iter().for_each(|(name, value)| put(&mut nested, &name, normal(value)));
        Settings(nested)
    }

    /// Takes an option out.
    pub(super) fn take(&mut self, path: &str) -> Option<Value> {
        take(&mut self.0, path).filter(|value| !value.is_null())
    }

    /// Takes out a map of options.
    pub(super) fn take_map(&mut self, path: &str) -> Option<Settings> {
        match self.take(path)? {
            Value::Object(members) => Some(Settings(members)),
            _ => None,
        }
    }

    /// Takes out a text, number or boolean, as text.
    pub(super) fn take_text(&mut self, path: &str) -> Option<String> {
        let value = self.get(path).and_then(text)?;
        self.take(path);
        Some(value)
    }

    /// Takes out a single value if it is what `read` asks for; else it stays, and is told.
    pub(super) fn take_if<T>(&mut self, path: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = self.get(path).and_then(text).and_then(|text| read(&text))?;
        self.take(path);
        Some(value)
    }

    /// Takes out a list of texts, or a single one.
    pub(super) fn take_texts(&mut self, path: &str) -> Option<Vec<String>> {
        let texts = match self.get(path)? {
            Value::Array(items) => items.iter().map(text).collect::<Option<Vec<_>>>()?,
            single => vec![text(single)?],
        };
        self.take(path);
        Some(texts)
    }

    /// Takes out a boolean.
    pub(super) fn take_flag(&mut self, path: &str) -> Option<bool> {
        let flag = self.get(path)?.as_bool()?;
        self.take(path);
        Some(flag)
    }

    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        let mut names = path.split('.');
        let first = self.0.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// The dotted names of what is left.
    pub(super) fn leaves(&self) -> Vec<String> {
        let mut found = Vec::new();
        leaves(&self.0, "", &mut |path, _| found.push(path.to_owned()));
        found
    }

    /// The same with their values.
    pub(super) fn values(&self) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        leaves(&self.0, "", &mut |path, value| found.push((path.to_owned(), value.clone())));
        found
    }
}

fn normal(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(Settings::new(members).0),
        Value::Array(items) => Value::Array(items.into_iter().map(normal).collect()),
        single => single,
    }
}

fn put(into: &mut Map<String, Value>, name: &str, value: Value) {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let slot = into.entry(first).or_insert(Value::Null);
    match (rest, value) {
        (Some(rest), value) => {
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            if let Value::Object(inner) = slot {
                put(inner, rest, value);
            }
        }
        (None, Value::Object(members)) if slot.is_object() => {
            if let Value::Object(inner) = slot {
                members.into_iter().for_each(|(name, value)| put(inner, &name, value));
            }
        }
        (None, value) => *slot = value,
    }
}

fn take(from: &mut Map<String, Value>, path: &str) -> Option<Value> {
    let Some((first, rest)) = path.split_once('.') else { return from.remove(path) };
    let Some(Value::Object(inner)) = from.get_mut(first) else { return None };
    let taken = take(inner, rest);
    if inner.is_empty() {
        from.remove(first);
    }
    taken
}

fn leaves(members: &Map<String, Value>, above: &str, visit: &mut dyn FnMut(&str, &Value)) {
    for (name, value) in members {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Object(inner) if !inner.is_empty() => leaves(inner, &path, visit),
            _ => visit(&path, value),
        }
    }
}

/// A single value as text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A time within a range as inferlog reads it; a number alone is seconds.
pub(super) fn duration(text: &str, range: RangeInclusive<Duration>) -> Option<String> {
    let text = if text.parse::<u64>().is_ok() { format!("{text}s") } else { text.to_owned() };
    parse_duration(&text).is_ok_and(|duration| range.contains(&duration)).then_some(text)
}

/// A whole number within a range.
pub(super) fn number(text: &str, range: RangeInclusive<u64>) -> Option<String> {
    text.parse().is_ok_and(|number| range.contains(&number)).then(|| text.to_owned())
}

/// A text as YAML.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A list of texts as YAML.
pub(super) fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// The names of the plugins in `filter { … }` of a Logstash pipeline, each once, in order.
pub(super) fn logstash_filters(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    // What stands before each open brace.
    let mut open: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars().peekable();
    let is_block = |name: &str| matches!(name, "filter" | "if" | "else" | "");
    while let Some(character) = characters.next() {
        match character {
            '#' => while characters.next_if(|next| *next != '\n').is_some() {},
            '"' | '\'' => {
                while let Some(next) = characters.next().filter(|next| *next != character) {
                    if next == '\\' {
                        characters.next();
                    }
                }
            }
            '{' => {
                let name = word.split_whitespace().next().unwrap_or_default().to_owned();
                let is_filter =
                    open.first().is_some_and(|first| first == "filter") && open.iter().all(|name| is_block(name));
                if is_filter && !is_block(&name) && !names.contains(&name) {
                    names.push(name.clone());
                }
                open.push(name);
                word.clear();
            }
            '}' => {
                open.pop();
                word.clear();
            }
            '\n' if !word.trim_start().starts_with("if") && !word.trim_start().starts_with("else") => word.clear(),
            other => word.push(other),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_the_same_nested_and_dotted() {
        let settings = |text: &str| {
            let Ok(Value::Object(members)) = crate::text::yaml::value(text) else { panic!("{text}") };
            Settings::new(members)
        };
        let mut dotted = settings("a.b.c: 1\na: { d: [x] }\na.b: { e: { f.g: true } }\n");
        assert_eq!(dotted.leaves(), ["a.b.c", "a.b.e.f.g", "a.d"]);
        assert_eq!((dotted.take_text("a.b.c"), dotted.take_flag("a.b.e.f.g")), (Some("1".to_owned()), Some(true)));
        assert_eq!(dotted.take_texts("a.d"), Some(vec!["x".to_owned()]));
        assert!(dotted.leaves().is_empty());
    }

    #[test]
    fn filters_of_logstash_are_named_and_nothing_else() {
        let text = "input { beats { port => 5044 } }\nfilter {\n  # grok { }\n  if [type] == \"a { b\" {\n    grok { match => { \"m\" => \"%{X}\" } }\n  } else {\n    mutate { rename => { a => b } }\n  }\n  date { match => [\"t\", \"ISO8601\"] }\n}\noutput { elasticsearch { } }\n";
        assert_eq!(logstash_filters(text), ["grok", "mutate", "date"]);
    }
}
