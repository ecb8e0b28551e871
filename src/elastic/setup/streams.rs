//! Streams: are data streams that exist as a new one would be made?
//!
//! A template is read when a backing index is made, and what is of the data stream itself only when the stream is. So a
//! stream that is there is held against what the server says that a new one would be like (`_simulate` of the template in
//! force, with all `@custom` hooks in it), in what matters for the promises and for how long documents are kept. What differs is for a
//! person to decide: the request that would change it is said, and never sent.

use serde_json::{Map, Value, json};

use super::detect::ask;
use super::error::{SetupError, of_reply};
use super::step::{SetupAction, SetupStep};
use crate::elastic::assets::normal::flat_settings;
use crate::elastic::assets::{Asset, AssetKind, STREAM_TEMPLATE_PREFIX, StreamTemplate};
use crate::elastic::client::{Client, Method};
use crate::kql::Pattern;

/// As in the output of `setup plan`.
const KIND: &str = "data_stream";

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct StreamFindings {
    /// A step for each stream that is there, or for which another template would be in force.
    pub(super) steps: Vec<SetupStep>,
    /// The streams that are not there yet.
    pub(super) missing: Vec<String>,
}

/// An index template, as far as it says for which names it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    template: String,
    priority: u64,
    patterns: Vec<Pattern>,
    presence: Presence,
}

/// Whether a template is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    There,
    Planned,
}

/// Looks at the streams of an installation, taking its assets for installed.
pub(super) async fn look(
    client: &Client,
    streams: &[StreamTemplate],
    assets: &[Asset],
) -> Result<StreamFindings, SetupError> {
    let claims = claims(client, assets).await?;
    let mut findings = StreamFindings::default();
    for wanted in streams {
        let in_force = in_force(&wanted.stream, &claims);
        let of_template = in_force.and_then(|found| template_difference(wanted, found));
        let stream = match get(client, &format!("_data_stream/{}", wanted.stream)).await? {
            Some(answer) => answer["data_streams"][0].clone(),
            None => Value::Null,
        };
        let mut differences: Vec<String> = of_template.into_iter().collect();
        match in_force.filter(|found| found.presence == Presence::There) {
            _ if !stream.is_object() => findings.missing.push(wanted.stream.clone()),
            Some(found) => {
                differences.extend(stream_differences(client, &wanted.stream, &stream, &found.template).await?);
            }
            // How it would be made can be asked once the template is there.
            None => {}
        }
        if stream.is_object() || !differences.is_empty() {
            let action = if differences.is_empty() { SetupAction::Unchanged } else { SetupAction::Conflict };
            findings.steps.push(SetupStep { kind: KIND.to_owned(), name: wanted.stream.clone(), action, differences });
        }
    }
    Ok(findings)
}

/// A server's answer; `None` where there is no such thing.
async fn get(client: &Client, path: &str) -> Result<Option<Value>, SetupError> {
    let reply = ask(client, Method::Get, path, None).await?;
    match (reply.status, serde_json::from_slice(&reply.body)) {
        (200, Ok(answer)) => Ok(Some(answer)),
        (404, Ok::<Value, _>(_)) => Ok(None),
        _ => Err(of_reply(&reply, path)),
    }
}

/// All index templates that are there, and those that would be.
async fn claims(client: &Client, assets: &[Asset]) -> Result<Vec<Claim>, SetupError> {
    let path = "_index_template?filter_path=index_templates.name,index_templates.index_template.priority,\
                index_templates.index_template.index_patterns";
    let there = get(client, path).await?.unwrap_or_default();
    let there = there["index_templates"].as_array().into_iter().flatten();
    let there: Vec<Claim> = there
        .map(|it| claim(it["name"].as_str().unwrap_or_default(), &it["index_template"], Presence::There))
        .collect();
    let ours = assets.iter().filter(|asset| asset.kind == AssetKind::IndexTemplate);
    let is_there = |name: &str| there.iter().any(|claim| claim.template == name);
    let presence = |name: &str| if is_there(name) { Presence::There } else { Presence::Planned };
    let ours: Vec<Claim> = ours.map(|asset| claim(&asset.name, &asset.body, presence(&asset.name))).collect();
    let is_other = |claim: &&Claim| !ours.iter().any(|ours| ours.template == claim.template);
    Ok(there.iter().filter(is_other).chain(&ours).cloned().collect())
}

fn claim(template: &str, body: &Value, presence: Presence) -> Claim {
    let patterns = body["index_patterns"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Claim {
        template: template.to_owned(),
        priority: body["priority"].as_u64().unwrap_or(0),
        patterns: patterns.map(pattern).collect(),
        presence,
    }
}

/// A pattern of index names, in which `*` stands for any text.
fn pattern(text: &str) -> Pattern {
    Pattern::new(text.split('*').map(str::to_owned).collect())
}

/// The template that is in force for a stream.
fn in_force<'c>(stream: &str, claims: &'c [Claim]) -> Option<&'c Claim> {
    let matching = claims.iter().filter(|claim| claim.patterns.iter().any(|pattern| pattern.matches(stream)));
    matching.max_by_key(|claim| claim.priority)
}

/// Another template that would be in force, with what to do about it.
fn template_difference(wanted: &StreamTemplate, found: &Claim) -> Option<String> {
    let StreamTemplate { template, .. } = wanted;
    let to_do = match found.template.starts_with(STREAM_TEMPLATE_PREFIX) {
        _ if found.template == *template => return None,
        true => format!("it is of an earlier set-up: `DELETE _index_template/{}`", found.template),
        false => "give it a lower priority, or patterns without this stream".to_owned(),
    };
    Some(format!("template in force: {} (priority {}) -> {template}; to do: {to_do}", found.template, found.priority))
}

/// What of a stream differs from how it would be made today.
async fn stream_differences(
    client: &Client,
    name: &str,
    stream: &Value,
    template: &str,
) -> Result<Vec<String>, SetupError> {
    let path = format!("_index_template/_simulate/{template}");
    let reply = ask(client, Method::Post, &path, None).await?;
    let new: Value = match (reply.status, serde_json::from_slice(&reply.body)) {
        (200, Ok(new @ Value::Object(_))) => new,
        _ => return Err(of_reply(&reply, &path)),
    };
    let index =
        stream["indices"].as_array().and_then(|indices| indices.last()).map_or(&Value::Null, |it| &it["index_name"]);
    let index = index.as_str().unwrap_or_default();
    let there = get(client, &format!("{index}?filter_path=*.settings,*.mappings._source")).await?.unwrap_or_default();
    let there = Made::of(&there[index]["settings"], &there[index]["mappings"]);
    let template = &new["template"];
    let new = Made::of(&template["settings"], &template["mappings"]);
    let options = [
        options_difference(name, "failure_store", "enabled", stream, template),
        options_difference(name, "lifecycle", "data_retention", stream, template),
    ];
    Ok(there.differences(&new, name).into_iter().chain(options.into_iter().flatten()).collect())
}

/// What a backing index is made like, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    mode: String,
    source: String,
    lifecycle: Option<String>,
}

impl Made {
    fn of(settings: &Value, mappings: &Value) -> Made {
        let settings: Map<String, Value> = flat_settings(settings);
        let text = |name: &str| settings.get(name).and_then(Value::as_str).map(str::to_owned);
        let mode = text("index.mode").unwrap_or_else(|| "standard".to_owned());
        let by_mode = if mode == "standard" { "stored" } else { "synthetic" };
        let of_mappings = mappings["_source"]["mode"].as_str().map(str::to_owned);
        let source = text("index.mapping.source.mode").or(of_mappings).unwrap_or_else(|| by_mode.to_owned());
        Made { mode, source, lifecycle: text("index.lifecycle.name") }
    }

    fn differences(&self, new: &Made, stream: &str) -> Vec<String> {
        let rollover = format!("to do: `POST {stream}/_rollover`");
        let mut lines = Vec::new();
        for (what, there, new) in
            [("index.mode", &self.mode, &new.mode), ("index.mapping.source.mode", &self.source, &new.source)]
        {
            if there != new {
                lines.push(format!("{what}: {there} -> {new}; {rollover}"));
            }
        }
        if let (there, Some(new)) = (&self.lifecycle, &new.lifecycle)
            && there.as_ref() != Some(new)
        {
            let there = there.as_deref().unwrap_or("none");
            let body = json!({ "index.lifecycle.name": new });
            lines.push(format!("index.lifecycle.name: {there} -> {new}; to do: `PUT {stream}/_settings {body}`"));
        }
        lines
    }
}

/// An option of the data stream itself, which its template gives it once. Where one of the two is silent, nothing is known.
fn options_difference(name: &str, what: &str, option: &str, stream: &Value, template: &Value) -> Option<String> {
    let (there, path, new) = match what {
        "failure_store" => (&stream[what], "_options", &template["data_stream_options"][what]),
        _ => (&stream[what], "_lifecycle", &template[what]),
    };
    let (there, new) = (&there[option], &new[option]);
    if new.is_null() || there == new || !stream[what].is_object() {
        return None;
    }
    let body = match what {
        "failure_store" => json!({ what: { option: new } }),
        _ => json!({ option: new }),
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let there = if there.is_null() { "none".to_owned() } else { text(there) };
    let request = format!("PUT _data_stream/{name}/{path} {body}");
    Some(format!("{what}.{option}: {there} -> {}; to do: `{request}`", text(new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_of_the_highest_priority_is_in_force() {
        let claim = |template: &str, priority, pattern: &str| Claim {
            template: template.to_owned(),
            priority,
            patterns: vec![super::pattern(pattern)],
            presence: Presence::There,
        };
        let ours = claim("inferlog-inference", 250, "logs-ml.inference-*");
        let wanted = StreamTemplate { stream: "logs-ml.inference-a".to_owned(), template: ours.template.clone() };
        let line = |other: Claim| {
            let claims = [other, ours.clone()];
            template_difference(&wanted, in_force(&wanted.stream, &claims).unwrap())
        };
        assert_eq!(line(claim("logs", 100, "logs-*-*")), None);
        assert_eq!(line(claim("x", 900, "logs-other-*")), None);
        let found = line(claim("theirs", 500, "logs-*-*")).unwrap();
        assert!(found.starts_with("template in force: theirs (priority 500) -> inferlog-inference; "), "{found}");
        let found = line(claim("inferlog-stream-logs-ml.inference-a", 300, "logs-ml.inference-a")).unwrap();
        assert!(found.ends_with("`DELETE _index_template/inferlog-stream-logs-ml.inference-a`"), "{found}");
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("logs-*-*", "logs-a-b", true),
            ("logs-*-*", "logs-a", false),
            ("*", "x", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "a-b-b-c", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(super::pattern(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_a_stream_was_made_like_is_held_against_how_it_would_be_made() {
        let new = Made::of(&json!({ "index": { "mode": "standard", "lifecycle": { "name": "p" } } }), &json!({}));
        let table = [
            (json!({ "index": { "mode": "standard", "lifecycle": { "name": "p" } } }), json!({}), vec![]),
            (json!({ "index.lifecycle.name": "p" }), json!({}), vec![]),
            (
                json!({ "index.mode": "logsdb", "index.lifecycle.name": "p" }),
                json!({}),
                vec!["index.mode: logsdb -> standard", "index.mapping.source.mode: synthetic -> stored"],
            ),
            (
                json!({ "index.lifecycle.name": "p" }),
                json!({ "_source": { "mode": "synthetic" } }),
                vec!["index.mapping.source.mode: synthetic -> stored; to do: `POST s/_rollover`"],
            ),
            (
                json!({}),
                json!({}),
                vec!["index.lifecycle.name: none -> p; to do: `PUT s/_settings {\"index.lifecycle.name\":\"p\"}`"],
            ),
        ];
        for (settings, mappings, expected) in table {
            let found = Made::of(&settings, &mappings).differences(&new, "s");
            let is_so = found.len() == expected.len() && found.iter().zip(&expected).all(|(f, e)| f.starts_with(e));
            assert!(is_so, "{settings}: {found:?}");
        }
    }

    #[test]
    fn options_of_the_stream_itself_are_compared_where_the_server_shows_them() {
        let template = json!({ "data_stream_options": { "failure_store": { "enabled": false } },
                               "lifecycle": { "enabled": true, "data_retention": "370d" } });
        let line = |stream: Value, what, option| options_difference("s", what, option, &stream, &template);
        let failure_store = |stream| line(stream, "failure_store", "enabled");
        assert_eq!(failure_store(json!({})), None, "an older server shows none");
        assert_eq!(failure_store(json!({ "failure_store": { "enabled": false } })), None);
        let found = failure_store(json!({ "failure_store": { "enabled": true } })).unwrap();
        let request = "`PUT _data_stream/s/_options {\"failure_store\":{\"enabled\":false}}`";
        assert_eq!(found, format!("failure_store.enabled: true -> false; to do: {request}"));
        let found = line(json!({ "lifecycle": { "enabled": true } }), "lifecycle", "data_retention").unwrap();
        assert!(found.contains("none -> 370d; to do: `PUT _data_stream/s/_lifecycle {\"data_retention\""), "{found}");
    }
}
