//! Spaces: an id is taken in all of Kibana, whatever space its object is in. So what goes into another space than the default one has
//! ids of its own there: those of objects end with the space's, and those of rules are UUIDs made of both. Otherwise Kibana would
//! give new ids to what it imports, which nobody would find again, and refuse the rules.

use std::collections::BTreeSet;

use super::object::{ObjectKind, SavedObject};
use super::rule::Rule;
use crate::text::digest::sha256_hexadecimal;

/// How the ids of objects begin, the tag's apart.
const OPENING: &str = "inferlog-";

/// The objects with the ids that they have in a space.
pub fn objects(objects: &[SavedObject], space: Option<&str>) -> Vec<SavedObject> {
    let Some(space) = space else { return objects.to_vec() };
    let ids: BTreeSet<&str> = objects.iter().map(|object| object.id.as_str()).collect();
    objects.iter().map(|object| object_in(object, space, &ids)).collect()
}

fn object_in(object: &SavedObject, space: &str, ids: &BTreeSet<&str>) -> SavedObject {
    let mut object = object.clone();
    object.id = format!("{}-{space}", object.id);
    // Links and addresses name ids, too.
    let text = renamed(&object.attributes.to_string(), space, ids);
    object.attributes = serde_json::from_str(&text).unwrap_or(object.attributes);
    for reference in &mut object.references {
        reference.id = format!("{}-{space}", reference.id);
        if reference.kind == ObjectKind::Tag {
            reference.name = format!("tag-ref-{}", reference.id);
        }
    }
    object
}

/// A text in which each of these ids is that of the space.
fn renamed(text: &str, space: &str, ids: &BTreeSet<&str>) -> String {
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(OPENING) {
        let (before, found) = rest.split_at(start);
        let is_of_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let (word, behind) = found.split_at(found.find(|c| !is_of_id(c)).unwrap_or(found.len()));
        renamed.push_str(before);
        renamed.push_str(word);
        if ids.contains(word) {
            renamed.push_str(&format!("-{space}"));
        }
        rest = behind;
    }
    renamed + rest
}

/// A rule as it is in a space.
pub fn rule(rule: Rule, space: Option<&str>) -> Rule {
    let Some(name) = space else { return rule };
    Rule {
        id: uuid(&rule.id, space),
        connector: uuid(&rule.connector, space),
        index: format!("{}-{name}", rule.index),
        ..rule
    }
}

/// The UUID that stands in a space for one of the default space: of version 5, since it is made of a name.
pub fn uuid(id: &str, space: Option<&str>) -> String {
    let Some(space) = space else { return id.to_owned() };
    let digits = sha256_hexadecimal(format!("{id}/{space}").as_bytes());
    format!("{}-{}-5{}-8{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kibana::rule::CONNECTOR_ID;

    #[test]
    fn what_names_an_id_names_that_of_the_space() {
        let ids = BTreeSet::from(["inferlog-drift", "inferlog-dashboard-drift"]);
        for (text, expected) in [
            ("(#/view/inferlog-dashboard-drift)", "(#/view/inferlog-dashboard-drift-team)"),
            ("index:inferlog-drift,x", "index:inferlog-drift-team,x"),
            ("inferlog-drift", "inferlog-drift-team"),
            ("inferlog-drifting inferlog-other inferlog", "inferlog-drifting inferlog-other inferlog"),
        ] {
            assert_eq!(renamed(text, "team", &ids), expected);
        }
    }

    #[test]
    fn objects_of_a_space_need_each_other_and_none_of_another_space() {
        let default = crate::kibana::objects(None).unwrap();
        assert_eq!(objects(&default, None), default);
        let team = objects(&default, Some("team"));
        let ids: BTreeSet<&str> = team.iter().map(|object| object.id.as_str()).collect();
        for object in &team {
            assert!(object.id.ends_with("-team"));
            assert!(object.references.iter().all(|reference| ids.contains(reference.id.as_str())), "{object:?}");
        }
        let dashboards = team.iter().filter(|object| object.kind == ObjectKind::Dashboard);
        let mut texts = dashboards.map(|object| object.attributes["panelsJSON"].as_str().unwrap());
        assert!(texts.all(|text| text.matches("#/view/").count() == text.matches("-team)").count()));
    }

    #[test]
    fn a_uuid_of_a_space_is_one_and_its_own() {
        let of = |space| uuid(CONNECTOR_ID, space);
        assert_eq!(of(None), CONNECTOR_ID);
        let lengths: Vec<usize> = of(Some("team")).split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(BTreeSet::from([of(None), of(Some("team")), of(Some("other")), of(Some("team"))]).len(), 3);
    }
}
