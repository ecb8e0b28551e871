//! Options of `extract`: which parts of which text become members?

use regex::Regex;

use super::made;
use crate::config::field::Field;
use crate::config::section::{Section, did_you_mean};
use crate::config::yaml::Value;
use crate::enrich::{Action, Extract, Group, GroupKind, Step};
use crate::record::Path;

const KINDS: [&str; 2] = ["text", "number"];

pub(super) fn extract(section: &mut Section<'_>) -> Option<Step> {
    let field = section.required("field", Field::field_path);
    let pattern = section.required("pattern", pattern);
    let kinds = section.field("as");
    let groups = pattern.as_ref().and_then(|pattern| groups(pattern, kinds.as_ref()));
    let extract = field.zip(pattern).zip(groups);
    made(section, extract.map(|((field, pattern), groups)| Action::Extract(Extract { field, pattern, groups })))
}

/// A regular expression with named groups.
fn pattern(field: &Field<'_>) -> Option<Regex> {
    let Ok(pattern) = Regex::new(field.text()?) else {
        let hint = "the syntax is that of the Rust crate `regex`: no look-around, no back-references";
        return field.refuse_with("this is not a regular expression", Some(hint.to_owned()));
    };
    match pattern.capture_names().flatten().next() {
        Some(_) => Some(pattern),
        None => field.refuse_with(
            "it has no named group",
            Some("write `(?P<latency>[0-9.]+)` for what becomes the member `latency`".to_owned()),
        ),
    }
}

fn groups(pattern: &Regex, kinds: Option<&Field<'_>>) -> Option<Vec<Group>> {
    let names: Vec<&str> = pattern.capture_names().flatten().collect();
    let all = kinds.filter(|kinds| !matches!(kinds.node.value, Value::Map(_))).map(kind);
    let of_each = match kinds.filter(|_| all.is_none()) {
        None => Vec::new(),
        Some(kinds) => kinds.by_path(kind)?,
    };
    if let Some((unknown, _)) = of_each.iter().find(|(path, _)| !names.contains(&path.as_str())) {
        let hint = did_you_mean(unknown.as_str(), &names, "groups");
        return kinds?.refuse_with(&format!("the pattern has no group `{unknown}`"), Some(hint));
    }
    let kind_of = |name: &str| of_each.iter().find(|(path, _)| path.as_str() == name).map(|(_, kind)| *kind);
    let default = match all {
        Some(kind) => kind?,
        None => GroupKind::Text,
    };
    let group = |name: &&str| Some(Group { into: Path::new(name).ok()?, kind: kind_of(name).unwrap_or(default) });
    names.iter().map(group).collect()
}

fn kind(field: &Field<'_>) -> Option<GroupKind> {
    let word = field.word(&KINDS)?;
    Some(if word == "number" { GroupKind::Number } else { GroupKind::Text })
}
