//! Detection: what does this server know?
//!
//! Nothing is written: each part of templates is shown to `_index_template/_simulate`, all of them in one request first.

use serde_json::{Value, json};

use super::error::{SetupError, of_reply};
use crate::elastic::bulk::whole_reason;
use crate::elastic::capabilities::{Capabilities, Lifecycle, Part};
use crate::elastic::client::{Body, Client, Method};
use crate::elastic::describe;
use crate::elastic::exchange::Reply;

const SIMULATE: &str = "_index_template/_simulate";

/// A policy that nobody has: whether it is missing, or the path is, says what is known.
const NO_POLICY: &str = "_ilm/policy/inferlog-probe";

/// What a server knows, and what it calls itself.
pub(super) async fn detect(client: &Client) -> Result<(Capabilities, String), SetupError> {
    let server = server(client).await?;
    let missing = missing_parts(client).await?;
    let lifecycle = lifecycle(client).await?;
    Ok((Capabilities { lifecycle, missing }, server))
}

/// A server that does not tell us what it is may still take assets.
async fn server(client: &Client) -> Result<String, SetupError> {
    let reply = ask(client, Method::Get, "/", None).await?;
    if matches!(reply.status, 401 | 407 | 300..=399 | 500..=599) {
        return Err(of_reply(&reply, "/"));
    }
    let about: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let (name, number) = (&about["version"]["distribution"], &about["version"]["number"]);
    let name = name.as_str().unwrap_or("Elasticsearch");
    let version = number.as_str().map_or(String::new(), |number| format!(" {number}"));
    Ok(describe::quote(&format!("{} ({name}{version})", reply.host)))
}

async fn missing_parts(client: &Client) -> Result<Vec<Part>, SetupError> {
    let of_elasticsearch: Vec<Part> = Part::ALL.into_iter().filter(|part| *part != Part::DisableObjects).collect();
    if simulates(client, of_elasticsearch.iter().map(|part| part.probe())).await? {
        return Ok(vec![Part::DisableObjects]);
    }
    if !simulates(client, []).await? {
        let host = ask(client, Method::Get, "/", None).await?.host;
        return Err(SetupError::NotUnderstood { host, path: SIMULATE.to_owned(), status: 400 });
    }
    let mut missing = Vec::new();
    for part in Part::ALL {
        if !simulates(client, [part.probe()]).await? {
            missing.push(part);
        }
    }
    Ok(missing)
}

/// Whether the server takes a template with all of these members.
async fn simulates(client: &Client, probes: impl IntoIterator<Item = Value>) -> Result<bool, SetupError> {
    // A pattern of no stream, and a priority of no other template.
    let mut body =
        json!({ "index_patterns": ["inferlog-probe-*"], "priority": 987_654, "data_stream": {}, "template": {} });
    probes.into_iter().for_each(|probe| merge(&mut body, probe));
    let reply = ask(client, Method::Post, SIMULATE, Some(&body)).await?;
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match reply.status {
        200 if answer["template"].is_object() => Ok(true),
        400 => Ok(false),
        _ => Err(of_reply(&reply, SIMULATE)),
    }
}

fn merge(into: &mut Value, other: Value) {
    match (into, other) {
        (Value::Object(into), Value::Object(other)) => {
            for (name, member) in other {
                merge(into.entry(name).or_insert(Value::Null), member);
            }
        }
        (into, other) => *into = other,
    }
}

async fn lifecycle(client: &Client) -> Result<Lifecycle, SetupError> {
    let reply = ask(client, Method::Get, NO_POLICY, None).await?;
    let reason = whole_reason(&reply.body);
    let is_missing = reason.as_ref().is_some_and(|reason| reason.kind == "resource_not_found_exception");
    let is_denied = reason.is_some_and(|reason| reason.kind == "security_exception");
    match reply.status {
        200 => return Ok(Lifecycle::Policies),
        404 if is_missing => return Ok(Lifecycle::Policies),
        403 if is_denied => return Err(of_reply(&reply, NO_POLICY)),
        401 | 407 | 429 | 300..=399 | 500..=599 => return Err(of_reply(&reply, NO_POLICY)),
        // A path that it does not know: 400, 404, 405, or 410 where the feature is taken away.
        _ => {}
    }
    let known = simulates(client, [json!({ "template": { "lifecycle": {} } })]).await?;
    Ok(if known { Lifecycle::DataStreams } else { Lifecycle::None })
}

pub(super) async fn ask(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Reply, SetupError> {
    let body = body.map_or(Body::None, |body| Body::Json(body.to_string().into()));
    client.send(method, path, &body).await.map_err(SetupError::Unready)
}
