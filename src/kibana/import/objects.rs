//! Saved objects: which are there, are they ours, and what does Kibana say to them?
//!
//! What is there is read by an export, which is part of Kibana's public interface and takes what a user may see. It fails as a whole
//! where one object is missing, and says which: it is asked again without those.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::marker::{Marker, digest};
use super::normal::{of_object, projected};
use super::server::{Area, Kibana, KibanaError, message, refusal};
use crate::elastic::client::{Body, Method};
use crate::elastic::describe::quote;
use crate::elastic::exchange::FORM_BOUNDARY;
use crate::elastic::setup::{Applied, Conflicts, SetupAction, SetupOutcome, SetupResult, SetupStep, differences};
use crate::kibana::object::{ObjectKind, SavedObject};

/// How often an export is asked for: once for all, once without what is missing, and once more for what went meanwhile.
const EXPORTS_MAX: usize = 3;

/// An object, and what is to be done about it.
pub(super) struct Work {
    pub(super) step: SetupStep,
    object: SavedObject,
}

/// What Kibana knows an object by: type and id.
type Key = (String, String);

fn key(object: &SavedObject) -> Key {
    (object.kind.as_str().to_owned(), object.id.clone())
}

fn key_of(value: &Value) -> Key {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    (text("type"), text("id"))
}

/// Looks at what is there in the place of each object.
pub(super) async fn look(kibana: &Kibana, objects: &[SavedObject]) -> Result<Vec<Work>, KibanaError> {
    let there = export(kibana, objects.iter().map(key).collect()).await?;
    let work = |object: &SavedObject| {
        let there = there.get(&key(object));
        let object = beside_others(object, there);
        Work { step: judge(&object, there), object }
    };
    Ok(objects.iter().map(work).collect())
}

/// The object together with the indices that others gave a data view: several pipelines share it, each with streams of its own.
fn beside_others(object: &SavedObject, there: Option<&Value>) -> SavedObject {
    let mut object = object.clone();
    let titles = [object.attributes["title"].as_str(), there.and_then(|there| there["attributes"]["title"].as_str())];
    if let ([Some(ours), Some(theirs)], ObjectKind::DataView) = (titles, object.kind) {
        let known: Vec<&str> = theirs.split(',').map(str::trim).collect();
        let missing = ours.split(',').filter(|name| !known.contains(name));
        object.attributes["title"] = Value::from([theirs].into_iter().chain(missing).collect::<Vec<_>>().join(","));
    }
    object
}

/// The objects of these keys that are there.
async fn export(kibana: &Kibana, mut keys: Vec<Key>) -> Result<BTreeMap<Key, Value>, KibanaError> {
    let what = "an export of saved objects";
    for _ in 0..EXPORTS_MAX {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let objects: Vec<Value> = keys.iter().map(|(kind, id)| json!({ "type": kind, "id": id })).collect();
        let body = json!({ "objects": objects, "excludeExportDetails": true });
        let reply = kibana.ask_json(Method::Post, "api/saved_objects/_export", &body).await?;
        match reply.status {
            200 => {
                let lines = reply.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                let objects: Result<Vec<Value>, _> = lines.map(serde_json::from_slice).collect();
                return match objects {
                    Ok(objects) => Ok(objects.into_iter().map(|object| (key_of(&object), object)).collect()),
                    Err(_) => Err(refusal(&reply, what, Area::Objects)),
                };
            }
            400 => {
                let missing = missing(&reply.body);
                let before = keys.len();
                keys.retain(|key| !missing.contains(key));
                if keys.len() == before {
                    return Err(refusal(&reply, what, Area::Objects));
                }
            }
            _ => return Err(refusal(&reply, what, Area::Objects)),
        }
    }
    Err(KibanaError::new("objects come and go in Kibana while they are looked at", "run it again"))
}

/// The objects that an export did not find.
fn missing(body: &[u8]) -> Vec<Key> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let failed = answer["attributes"]["objects"].as_array().into_iter().flatten();
    failed.filter(|object| object["error"]["statusCode"] == 404).map(key_of).collect()
}

/// An object of ours as it is compared.
fn normal(object: &SavedObject) -> Value {
    of_object(object.kind, &object.to_json()).0
}

/// The object with a marker in it.
pub(in crate::kibana) fn marked(object: &SavedObject, theirs: Option<String>) -> SavedObject {
    let mut object = object.clone();
    Marker { ours: digest(&normal(&object)), theirs }.write(object.kind, &mut object.attributes);
    object
}

/// Whether what stands there as JSON is what its marker says.
pub(in crate::kibana) fn is_as_marked(object: &Value) -> bool {
    let kind = ObjectKind::ALL.into_iter().find(|kind| object["type"] == kind.as_str());
    kind.is_some_and(|kind| {
        let (content, marker) = of_object(kind, object);
        marker.is_some_and(|marker| marker.ours == digest(&content))
    })
}

/// What is to be done about an object, by what is there in its place.
fn judge(object: &SavedObject, there: Option<&Value>) -> SetupStep {
    let step = |action, differences| SetupStep {
        kind: object.kind.as_str().to_owned(),
        name: object.id.clone(),
        action,
        differences,
    };
    let Some(there) = there else { return step(SetupAction::Create, Vec::new()) };
    let ours = normal(object);
    let (there, marker) = of_object(object.kind, there);
    let differences = differences(&projected(&there, &ours), &ours);
    let is_untouched = marker.and_then(|marker| marker.theirs).is_some_and(|theirs| theirs == digest(&there));
    match (differences.is_empty(), is_untouched) {
        (true, _) => step(SetupAction::Unchanged, Vec::new()),
        (false, true) => step(SetupAction::Update, differences),
        (false, false) => step(SetupAction::Conflict, differences),
    }
}

/// Imports what is missing or older, and what is in conflict if one says so.
pub(super) async fn carry_out(kibana: &Kibana, work: Vec<Work>, conflicts: Conflicts) -> Applied {
    let is_chosen = |work: &&Work| match work.step.action {
        SetupAction::Create | SetupAction::Update => true,
        SetupAction::Conflict => conflicts == Conflicts::Overwrite,
        SetupAction::Unchanged => false,
    };
    let chosen: Vec<&SavedObject> = work.iter().filter(is_chosen).map(|work| &work.object).collect();
    let mut outcomes = import(kibana, chosen.iter().map(|object| marked(object, None)).collect()).await;
    let mut remarks = Vec::new();
    let done: Vec<&SavedObject> =
        chosen.into_iter().filter(|object| outcomes.get(&key(object)) == Some(&SetupOutcome::Done)).collect();
    if let Err(problem) = note_what_kibana_made(kibana, &done).await {
        remarks.push(format!(
            "what Kibana made of the objects could not be noted in them, so that a later update will be taken for a conflict: \
             {problem}"
        ));
    }
    let result = |work: Work| {
        let outcome = outcomes.remove(&key(&work.object)).unwrap_or(match work.step.action {
            SetupAction::Conflict => SetupOutcome::Kept,
            _ => SetupOutcome::Unchanged,
        });
        SetupResult { step: work.step, outcome }
    };
    Applied { results: work.into_iter().map(result).collect(), remarks }
}

/// Reads what became of the objects, and writes them again with its digests.
async fn note_what_kibana_made(kibana: &Kibana, objects: &[&SavedObject]) -> Result<(), String> {
    let keys = objects.iter().map(|object| key(object)).collect();
    let there = export(kibana, keys).await.map_err(|error| error.problem)?;
    let noted = |object: &&SavedObject| {
        let theirs = digest(&of_object(object.kind, there.get(&key(object))?).0);
        Some(marked(object, Some(theirs)))
    };
    let outcomes = import(kibana, objects.iter().filter_map(noted).collect()).await;
    outcomes.values().find_map(SetupOutcome::problem).map_or(Ok(()), |problem| Err(problem.to_owned()))
}

/// Imports objects, over what is there, and says what became of each.
async fn import(kibana: &Kibana, objects: Vec<SavedObject>) -> BTreeMap<Key, SetupOutcome> {
    let all = |outcome: SetupOutcome| objects.iter().map(|object| (key(object), outcome.clone())).collect();
    if objects.is_empty() {
        return BTreeMap::new();
    }
    let path = "api/saved_objects/_import?overwrite=true";
    let reply = match kibana.ask(Method::Post, path, &form(&objects)).await {
        Ok(reply) => reply,
        Err(error) => return all(SetupOutcome::Unreached(error.problem)),
    };
    if reply.status != 200 {
        let KibanaError { problem, hint } = refusal(&reply, "an import of saved objects", Area::Objects);
        return all(SetupOutcome::Refused(format!("{problem}; {hint}")));
    }
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let failures = answer["errors"].as_array().cloned().unwrap_or_default();
    let count = answer["successCount"].as_u64().unwrap_or(0);
    let mut outcomes: BTreeMap<Key, SetupOutcome> = all(SetupOutcome::Done);
    for failure in &failures {
        outcomes.insert(key_of(failure), SetupOutcome::Refused(reason(&failure["error"])));
    }
    // An answer that does not add up is believed in nothing.
    let is_believed = answer["success"] == failures.is_empty() && count + failures.len() as u64 == objects.len() as u64;
    if is_believed {
        return outcomes;
    }
    let problem = format!(
        "Kibana's answer to the import does not add up: {count} imported and {} refused, of {}; {}",
        failures.len(),
        objects.len(),
        message(&reply)
    );
    let doubted = |outcome| match outcome {
        SetupOutcome::Done => SetupOutcome::Unreached(problem.clone()),
        other => other,
    };
    outcomes.into_iter().map(|(key, outcome)| (key, doubted(outcome))).collect()
}

/// The objects as the file of a form.
fn form(objects: &[SavedObject]) -> Body {
    let mut body = format!(
        "--{FORM_BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"inferlog.ndjson\"\r\n\
         Content-Type: application/ndjson\r\n\r\n"
    );
    for object in objects {
        body.push_str(&object.to_line());
        body.push('\n');
    }
    body.push_str(&format!("\r\n--{FORM_BOUNDARY}--\r\n"));
    Body::Form(body.into())
}

/// Why Kibana did not take an object.
fn reason(error: &Value) -> String {
    let kind = error["type"].as_str().unwrap_or("unknown");
    match kind {
        "missing_references" => {
            let references = error["references"].as_array().into_iter().flatten();
            let names: Vec<String> = references.map(key_of).map(|(kind, id)| quote(&format!("{kind} {id}"))).collect();
            format!("it needs what is not there: {}", names.join(", "))
        }
        "unsupported_type" => "this Kibana does not know such objects".to_owned(),
        "conflict" | "ambiguous_conflict" => {
            "an object with this id is in another space, or there are several: look at it in Saved Objects".to_owned()
        }
        _ => match error["message"].as_str() {
            Some(message) => quote(message),
            None => quote(kind),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_in_words() {
        for (error, words) in [
            (
                json!({ "type": "missing_references", "references": [{ "type": "index-pattern", "id": "x" }] }),
                "it needs what is not there: index-pattern x",
            ),
            (json!({ "type": "unsupported_type" }), "does not know such objects"),
            (json!({ "type": "conflict" }), "in another space"),
            (json!({ "type": "unknown", "message": "too new", "statusCode": 422 }), "too new"),
            (json!({ "type": "odd" }), "odd"),
            (Value::Null, "unknown"),
        ] {
            assert!(reason(&error).contains(words), "{error}: {}", reason(&error));
        }
    }

    fn object(title: &str) -> SavedObject {
        let attributes = json!({ "title": title, "description": "D" });
        SavedObject { kind: ObjectKind::Lens, id: "l".to_owned(), attributes, references: Vec::new() }
    }

    #[test]
    fn pipelines_share_a_data_view_each_with_its_streams() {
        let view = |title: &str| SavedObject { kind: ObjectKind::DataView, ..object(title) };
        for (ours, theirs, expected) in [
            ("a-*", "a-*", "a-*"),
            ("a-*,b", "a-*,c", "a-*,c,b"),
            ("a-*", "c, a-*", "c, a-*"),
            ("a-*", "mine", "mine,a-*"),
        ] {
            assert_eq!(beside_others(&view(ours), Some(&view(theirs).to_json())).attributes["title"], expected);
        }
        assert_eq!(beside_others(&object("T"), Some(&object("Mine").to_json())), object("T"), "only data views do");
    }

    #[test]
    fn what_nobody_changed_is_updated_and_the_rest_is_a_conflict() {
        let (old, new) = (object("Old"), object("New"));
        let there = |object: &SavedObject, theirs: bool, title: &str| {
            let mut there = object.to_json();
            there["attributes"]["added"] = json!("by Kibana");
            let theirs = theirs.then(|| digest(&of_object(object.kind, &there).0));
            Marker { ours: digest(&normal(object)), theirs }.write(object.kind, &mut there["attributes"]);
            there["attributes"]["title"] = json!(title);
            there
        };
        for (there, action, differences) in [
            (None, SetupAction::Create, vec![]),
            (Some(there(&new, true, "New")), SetupAction::Unchanged, vec![]),
            (Some(there(&new, false, "New")), SetupAction::Unchanged, vec![]),
            (Some(there(&old, true, "Old")), SetupAction::Update, vec!["attributes.title: Old -> New"]),
            // Imported by hand, so that nobody knows; changed by hand; not ours.
            (Some(there(&old, false, "Old")), SetupAction::Conflict, vec!["attributes.title: Old -> New"]),
            (Some(there(&new, true, "Mine")), SetupAction::Conflict, vec!["attributes.title: Mine -> New"]),
            (Some(object("Mine").to_json()), SetupAction::Conflict, vec!["attributes.title: Mine -> New"]),
        ] {
            let step = judge(&new, there.as_ref());
            assert_eq!(
                (step.action, step.differences),
                (action, differences.iter().map(|d| (*d).to_owned()).collect())
            );
        }
    }
}
