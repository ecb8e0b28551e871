//! In force: would Elasticsearch keep a record as it was sent?
//!
//! Newer versions give `logs-*-*` an index mode that may reorder and reprint `_source`. What was shipped altered cannot be
//! undone, so this is looked at before anything is shipped, and again from time to time:
//!
//! ```text
//! GET NAME                                     what the index has that is written to, where it is there
//! POST _index_template/_simulate_index/NAME    what the next one will have
//! ```
//!
//! A mode other than `standard` counts also where its `_source` is stored: without a licence for a synthetic one it is, and
//! with one it is not any more from the next index on. Looking takes `view_index_metadata` and `manage_index_templates`,
//! which shipping does not need.

use serde_json::Value;

use super::bulk;
use super::client::{Body, Client, Method, Reply};
use super::exchange::Unready;
use super::target::Target;
use crate::flow::answer::Trouble;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InForce {
    /// Records are kept as they are sent.
    Kept,
    /// They would not be.
    Altered(Trouble),
    /// This user is not shown all that decides on it.
    NotShown,
}

/// What is in force in one place: what is wrong with it, if anything.
enum Seen {
    Missing,
    NotShown,
    Settings(Option<String>),
}

/// Looks at all that a target's records go into.
///
/// # Errors
/// When the server does not answer, or is not ready.
pub async fn look(client: &Client, target: &Target) -> Result<InForce, Unready> {
    let mut found = InForce::Kept;
    for name in target.names_now() {
        match look_at(client, &name).await? {
            InForce::Kept => {}
            InForce::NotShown => found = InForce::NotShown,
            altered @ InForce::Altered(_) => return Ok(altered),
        }
    }
    Ok(found)
}

async fn look_at(client: &Client, name: &str) -> Result<InForce, Unready> {
    let present = seen(
        client,
        Method::Get,
        name,
        "*.settings.index.mode,*.settings.index.mapping.source,*.mappings._source,*.settings.index.provided_name",
        newest,
    )
    .await?;
    let path = format!("_index_template/_simulate_index/{name}");
    let kept = "template.settings.index.mode,template.settings.index.mapping.source,template.mappings._source";
    let next = seen(client, Method::Post, &path, kept, |answer| &answer["template"]).await?;
    Ok(judge(name, &present, &next))
}

async fn seen(
    client: &Client,
    method: Method,
    path: &str,
    kept: &str,
    part: impl Fn(&Value) -> &Value,
) -> Result<Seen, Unready> {
    let reply = client.send(method, &format!("{path}?filter_path={kept}"), &Body::None).await?;
    if is_refused_for_an_existing_stream(&reply) {
        return Ok(Seen::NotShown);
    }
    let Reply { status, body, .. } = bulk::ready(reply)?;
    let answer = serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object);
    Ok(match (status, answer) {
        (200, Some(answer)) => Seen::Settings(problem_of(part(&answer))),
        (404, Some(_)) => Seen::Missing,
        _ => Seen::NotShown,
    })
}

/// OpenSearch does not say what the next index of a stream that is there would have: it takes the name for a second one.
fn is_refused_for_an_existing_stream(reply: &Reply) -> bool {
    let reason = bulk::whole_reason(&reply.body);
    reply.status == 500 && reason.is_some_and(|reason| reason.kind == "illegal_state_exception")
}

/// What an answer tells of the index that is written to: of a stream's indexes the one with the highest generation, at the end of
/// its name.
pub(super) fn newest(answer: &Value) -> &Value {
    let indexes = answer.as_object().into_iter().flatten();
    let newest = indexes.max_by_key(|(index, _)| index.rsplit('-').next());
    newest.map_or(&Value::Null, |(_, index)| index)
}

/// Why an index with these settings and mappings would not keep records as they are sent.
fn problem_of(index: &Value) -> Option<String> {
    let settings = &index["settings"]["index"];
    let source = &index["mappings"]["_source"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
    let mode = word(&settings["mode"]);
    if !["", "standard"].contains(&mode.as_str()) {
        return Some(format!("its index mode is `{mode}`, in which `_source` may be reordered and reprinted"));
    }
    for mode in [word(&settings["mapping"]["source"]["mode"]), word(&source["mode"])] {
        match mode.as_str() {
            "" | "stored" => {}
            "synthetic" => return Some("its `_source` is synthetic: made anew from the fields".to_owned()),
            _ => return Some(format!("its `_source` is `{mode}`")),
        }
    }
    if source["enabled"] == false || source["enabled"] == "false" {
        return Some("its `_source` is switched off: nothing of a record could be shown again".to_owned());
    }
    let has = |list: &str| source[list].as_array().is_some_and(|list| !list.is_empty());
    (has("includes") || has("excludes")).then(|| "its `_source` leaves members out".to_owned())
}

fn judge(name: &str, present: &Seen, next: &Seen) -> InForce {
    let unmanaged = "or `template: unmanaged` in the sink, if that is what you want";
    let roll_over = format!("`POST {name}/_rollover` (what it holds already stays as it is)");
    let altered = |problem: String, hint: String| InForce::Altered(Trouble { problem, hint: Some(hint) });
    let held = "records are held back in their files";
    match (present, next) {
        (Seen::Settings(Some(problem)), Seen::Settings(Some(_))) => altered(
            format!("`{name}` would not keep records as they are sent: {problem}; {held}"),
            format!("`inferlog setup apply FILE`, then {roll_over}; {unmanaged}"),
        ),
        (Seen::Settings(Some(problem)), _) => altered(
            format!("`{name}` would not keep records as they are sent: {problem}; {held}"),
            format!(
                "if the template is right, roll it over: {roll_over}; else `inferlog setup apply FILE` first; {unmanaged}"
            ),
        ),
        (_, Seen::Settings(Some(problem))) => altered(
            format!("the template in force for `{name}` would not keep records as they are sent: {problem}; {held}"),
            format!("`inferlog setup apply FILE` installs inferlog's own, before the next index is made; {unmanaged}"),
        ),
        // That there is no template is an answer with nothing in it; without any answer it was not shown.
        (Seen::NotShown, _) | (_, Seen::NotShown | Seen::Missing) => InForce::NotShown,
        _ => InForce::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_alters_records_is_told_from_what_does_not() {
        for (index, words) in [
            (json!({}), ""),
            (json!({"settings": {"index": {"mode": "standard"}}}), ""),
            (json!({"settings": {"index": {"mode": "STANDARD", "mapping": {"source": {"mode": "STORED"}}}}}), ""),
            (json!({"mappings": {"_source": {"enabled": true, "includes": []}}}), ""),
            (json!({"settings": {"index": {"mode": "logsdb", "mapping": {"source": {"mode": "STORED"}}}}}), "`logsdb`"),
            (json!({"settings": {"index": {"mode": "time_series"}}}), "`time_series`"),
            (json!({"settings": {"index": {"mapping": {"source": {"mode": "synthetic"}}}}}), "synthetic"),
            (json!({"settings": {"index": {"mapping": {"source": {"mode": "disabled"}}}}}), "`disabled`"),
            (json!({"mappings": {"_source": {"mode": "synthetic"}}}), "synthetic"),
            (json!({"mappings": {"_source": {"enabled": false}}}), "switched off"),
            (json!({"mappings": {"_source": {"excludes": ["prompt"]}}}), "leaves members out"),
        ] {
            let problem = problem_of(&index).unwrap_or_default();
            assert!(problem.contains(words) && problem.is_empty() == words.is_empty(), "{index}: {problem}");
        }
    }

    #[test]
    fn the_index_that_is_written_to_counts_and_so_does_the_next_one() {
        let good = || Seen::Settings(None);
        let bad = || Seen::Settings(Some("p".to_owned()));
        for (present, next, expected, words) in [
            (good(), good(), "kept", ""),
            (Seen::Missing, good(), "kept", ""),
            (bad(), bad(), "altered", "setup apply FILE`, then `POST s/_rollover`"),
            (bad(), good(), "altered", "roll it over"),
            (bad(), Seen::NotShown, "altered", "roll it over"),
            (good(), bad(), "altered", "before the next index is made"),
            (Seen::Missing, bad(), "altered", "installs inferlog's own"),
            (Seen::NotShown, bad(), "altered", "installs inferlog's own"),
            (Seen::NotShown, good(), "not shown", ""),
            (good(), Seen::NotShown, "not shown", ""),
            (Seen::Missing, Seen::NotShown, "not shown", ""),
            (Seen::Missing, Seen::Missing, "not shown", ""),
        ] {
            let (found, hint) = match judge("s", &present, &next) {
                InForce::Kept => ("kept", String::new()),
                InForce::NotShown => ("not shown", String::new()),
                InForce::Altered(trouble) => ("altered", trouble.hint.unwrap()),
            };
            assert!(found == expected && hint.contains(words), "{found}: {hint}");
            assert_eq!(hint.contains("template: unmanaged"), expected == "altered");
        }
        let streams = json!({".ds-s-2026.11.09-000009": {"a": 9}, ".ds-s-2026.11.10-000010": {"a": 10}});
        assert_eq!(*newest(&streams), json!({"a": 10}));
    }
}
