//! Readiness: would this cluster take what is to be shipped?
//!
//! Nothing is written to find out. Each thing that was looked at is a [`ReadinessFinding`] of its own, so that whoever
//! reads them knows what was seen, what is not so, and what could not be seen:
//!
//! - each host by itself: is it there, and is it Elasticsearch, by what it says and by its `X-elastic-product`;
//! - for the records, and for the pipelines' own accounts: what this user may do (`_security/user/_has_privileges`, which
//!   every user may ask), whether the target is there and may be written to, and whether inferlog's template is in force;
//! - for the records: whether they would be kept as they are sent ([`in_force`]), and whether a failure store takes some.
//!
//! Shipping needs `create_doc` and `auto_configure` alone. What only a user with more privileges is shown is no fault.

use serde_json::{Value, json};

use super::assets::MANAGED_BY;
use super::bulk::{trouble_of, whole_reason};
use super::client::{Body, Client, Method, Reply};
use super::describe;
use super::exchange::Unready;
use super::in_force::{self, InForce};
use super::installation::FailureStore;
use super::target::Target;
use crate::flow::answer::Trouble;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// A server.
    Server,
    /// What is shipped.
    Records,
    /// What pipelines say of themselves.
    Accounts,
    /// What they say of windows of values.
    Drift,
    /// What labels and reviews say of predictions.
    Outcomes,
}

/// How it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assessment {
    /// As it should be; it says what was seen.
    Good(String),
    /// Otherwise.
    NotSo(Trouble),
    /// Nobody knows.
    CouldNotLook(Trouble),
    /// It takes privileges that shipping does not need to know.
    NotShown(String),
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadinessFinding {
    /// What it is about.
    pub matter: Matter,
    /// How it is.
    pub verdict: Assessment,
}

/// Looks at everything that can be looked at without writing.
pub async fn examine(client: &Client, target: &Target) -> Vec<ReadinessFinding> {
    let replies = client.send_to_each(Method::Get, "/").await;
    let verdicts: Vec<Assessment> = replies.into_iter().map(|(host, reply)| server(&host, reply)).collect();
    let is_there = verdicts.iter().any(|verdict| matches!(verdict, Assessment::Good(_) | Assessment::NotShown(_)));
    let of_server = |verdict| ReadinessFinding { matter: Matter::Server, verdict };
    let mut findings: Vec<ReadinessFinding> = verdicts.into_iter().map(of_server).collect();
    if !is_there {
        return findings;
    }
    let records = target.names_now().into_iter().map(|name| (Matter::Records, name));
    for (matter, name) in records.chain([(Matter::Accounts, target.accounts())]) {
        findings.extend(examine_stream(client, matter, &name).await);
    }
    findings
}

/// Looks whether records would be kept as they are sent, of a server that is known to be there.
pub async fn examine_keeping(client: &Client, target: &Target, wanted: FailureStore) -> Vec<ReadinessFinding> {
    let name = target.searched();
    let kept = match in_force::look(client, target).await {
        Ok(InForce::Kept) => {
            Assessment::Good(format!("`{name}`: what is in force there keeps records as they are sent"))
        }
        Ok(InForce::Altered(trouble)) => Assessment::NotSo(trouble),
        Ok(InForce::NotShown) => Assessment::NotShown(format!(
            "`{name}`: whether it keeps records as they are sent (needs the privileges `view_index_metadata` and \
             `manage_index_templates`)"
        )),
        Err(Unready { trouble, .. }) => Assessment::CouldNotLook(trouble),
    };
    let mut verdicts = vec![kept];
    if !matches!(target, Target::Index(_)) && !wanted.is_on() {
        verdicts.push(failure_store(client, &name).await);
    }
    verdicts.into_iter().map(|verdict| ReadinessFinding { matter: Matter::Records, verdict }).collect()
}

/// Looks whether a failure store takes what does not fit.
async fn failure_store(client: &Client, name: &str) -> Assessment {
    let path = format!("_data_stream/{name}?filter_path=data_streams.name,data_streams.failure_store.enabled");
    let reply = match ask(client, Method::Get, &path, &Body::None).await {
        Ok(reply) => reply,
        Err(verdict) => return verdict,
    };
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let streams = answer["data_streams"].as_array();
    let is_on = streams.into_iter().flatten().any(|stream| stream["failure_store"]["enabled"] == true);
    match reply.status {
        200 if is_on => not_so(
            format!(
                "the failure store of `{name}` is on: a document that does not fit gets a new id there each time it is sent, \
                 and is not searched with the others"
            ),
            "`inferlog setup plan FILE` prints the request that switches it off; or say `failure_store: on` in the sink",
        ),
        200 | 404 => Assessment::Good(format!("`{name}`: no failure store takes what does not fit")),
        403 => Assessment::NotShown(format!(
            "`{name}`: whether its failure store is on (needs the privilege `view_index_metadata`)"
        )),
        _ => Assessment::CouldNotLook(trouble_of(&reply)),
    }
}

/// Looks at one data stream, of a server that is known to be there.
pub async fn examine_stream(client: &Client, matter: Matter, name: &str) -> Vec<ReadinessFinding> {
    let verdicts = [privileges_and_target(client, name).await, template(client, name).await];
    verdicts.into_iter().map(|verdict| ReadinessFinding { matter, verdict }).collect()
}

fn server(host: &str, reply: Result<Reply, Trouble>) -> Assessment {
    let reply = match reply {
        Ok(reply) => reply,
        Err(trouble) => return Assessment::CouldNotLook(trouble),
    };
    let is_security = whole_reason(&reply.body).is_some_and(|reason| reason.kind == "security_exception");
    match reply.status {
        200 => about(host, &reply),
        403 if is_security => Assessment::NotShown(format!("{host}: its version (needs the privilege `monitor`)")),
        407 | 408 | 429 | 500..=599 => Assessment::CouldNotLook(trouble_of(&reply)),
        _ => Assessment::NotSo(trouble_of(&reply)),
    }
}

/// What a server says of itself.
fn about(host: &str, reply: &Reply) -> Assessment {
    let Ok(about) = serde_json::from_slice::<Value>(&reply.body) else {
        let problem = format!("{host} answers 200 with something that is no JSON: this is not Elasticsearch");
        return not_so(problem, "a login page, or another server: name the address of Elasticsearch itself in `hosts`");
    };
    let version = &about["version"];
    let Some(number) = version["number"].as_str().map(describe::quote) else {
        let problem = format!("{host} answers 200 with JSON that names no version: this is not Elasticsearch");
        return not_so(problem, "a proxy, or the health page of another server: look at the path in `hosts`, too");
    };
    if let Some(other) = version["distribution"].as_str() {
        return Assessment::Good(format!("{host}: {} {number}, which is not Elasticsearch", describe::quote(other)));
    }
    if reply.product.as_deref() != Some("Elasticsearch") {
        let problem = format!(
            "{host} says that it has version {number}, but without the header `X-elastic-product: Elasticsearch`"
        );
        let hint =
            "a proxy takes the header away, the server imitates Elasticsearch, or is older than 7.14; look which";
        return not_so(problem, hint);
    }
    Assessment::Good(format!("{host}: Elasticsearch {number}"))
}

/// What this user may do with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Permissions {
    create: bool,
    make: bool,
    map: bool,
}

impl Permissions {
    const ALL: Permissions = Permissions { create: true, make: true, map: true };
}

/// Whether a target is there.
enum Presence {
    There,
    ReadOnly(String),
    Missing,
    NotShown,
}

async fn privileges_and_target(client: &Client, name: &str) -> Assessment {
    let allowed = match privileges(client, name).await {
        Ok(allowed) => allowed,
        Err(verdict) => return verdict,
    };
    let presence = match presence(client, name).await {
        Ok(presence) => presence,
        Err(verdict) => return verdict,
    };
    judge(name, allowed, &presence)
}

fn judge(name: &str, allowed: Permissions, presence: &Presence) -> Assessment {
    let Permissions { create, make, map } = allowed;
    let may_not = |what: &str| {
        let hint = format!("give it the index privileges `create_doc` and `auto_configure` on `{name}`");
        Assessment::NotSo(Trouble { problem: format!("`{name}`: this user {what}"), hint: Some(hint) })
    };
    match presence {
        _ if !create => may_not("may not create documents there"),
        Presence::ReadOnly(block) => {
            let hint = if block.contains("read_only_allow_delete") {
                "Elasticsearch sets it when a disk is nearly full, and takes it back when there is room: free some"
            } else {
                "somebody set it: take it back in the index's settings"
            };
            not_so(format!("`{name}` is read-only (`index.blocks.{block}`)"), hint)
        }
        Presence::Missing if !make => may_not("may create documents, but the target is missing and it may not make it"),
        _ if !map => may_not("may create documents, but no fields: a record with a field that is new would be refused"),
        Presence::There => {
            Assessment::Good(format!("`{name}`: it is there, not read-only, and this user may ship to it"))
        }
        Presence::Missing => {
            Assessment::Good(format!("`{name}`: it is missing, and this user may make it and ship to it"))
        }
        Presence::NotShown if make => Assessment::Good(format!(
            "`{name}`: this user may make it and ship to it; whether it is read-only is not shown to it"
        )),
        Presence::NotShown => {
            let problem = format!("`{name}`: this user may not make it, and is not shown whether it is there");
            let hint = "give it the index privilege `auto_configure`, or `view_index_metadata` to look".to_owned();
            Assessment::CouldNotLook(Trouble { problem, hint: Some(hint) })
        }
    }
}

async fn privileges(client: &Client, name: &str) -> Result<Permissions, Assessment> {
    let asked = ["create_doc", "auto_configure", "create_index", "write"];
    let body = json!({ "index": [{ "names": [name], "privileges": asked }] });
    let path = "_security/user/_has_privileges";
    let reply = ask(client, Method::Post, path, &Body::Json(body.to_string().into())).await?;
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let of_name = &answer["index"][name];
    let may = |privilege: &str| of_name[privilege].as_bool();
    match (reply.status, may("create_doc"), may("auto_configure"), may("create_index"), may("write")) {
        (200, Some(create), Some(configure), Some(make), Some(write)) => {
            Ok(Permissions { create, make: configure || make, map: configure || write })
        }
        // So answers Elasticsearch itself where security is switched off: everybody may everything.
        _ if reply.is_unknown_path() && reply.product.as_deref() == Some("Elasticsearch") => Ok(Permissions::ALL),
        _ if reply.is_unknown_path() => Err(Assessment::NotShown(format!(
            "`{name}`: what this user may do, and whether it is there (asked of Elasticsearch alone, and this server is none)"
        ))),
        (401, ..) => Err(Assessment::NotSo(trouble_of(&reply))),
        _ => {
            let problem = format!(
                "`{name}`: what this user may do could not be asked: {} answered {} to `{path}`",
                reply.host, reply.status
            );
            let hint = "only Elasticsearch is asked for it; is a proxy in between that does not pass it on?".to_owned();
            Err(Assessment::CouldNotLook(Trouble { problem, hint: Some(hint) }))
        }
    }
}

async fn presence(client: &Client, name: &str) -> Result<Presence, Assessment> {
    let path = format!("{name}/_settings?filter_path=*.settings.index.blocks,*.settings.index.provided_name");
    let reply = ask(client, Method::Get, &path, &Body::None).await?;
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match (reply.status, answer.is_object()) {
        (200, true) => {
            let blocks = &in_force::newest(&answer)["settings"]["index"]["blocks"];
            let set = |block: &&&str| blocks[**block] == "true" || blocks[**block] == true;
            let block = ["read_only_allow_delete", "read_only", "write"].iter().find(set);
            Ok(block.map_or(Presence::There, |block| Presence::ReadOnly((*block).to_owned())))
        }
        (404, _) => Ok(Presence::Missing),
        (403, _) => Ok(Presence::NotShown),
        _ => Err(Assessment::CouldNotLook(trouble_of(&reply))),
    }
}

/// Asks which mappings a new index of this name would get.
async fn template(client: &Client, name: &str) -> Assessment {
    let path = format!("_index_template/_simulate_index/{name}");
    let reply = match ask(client, Method::Post, &path, &Body::None).await {
        Ok(reply) => reply,
        Err(verdict) => return verdict,
    };
    let simulated: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let managed_by = simulated.as_ref().map(|simulated| &simulated["template"]["mappings"]["_meta"]["managed_by"]);
    match (reply.status, managed_by) {
        (200, Some(managed_by)) if managed_by == MANAGED_BY => {
            Assessment::Good(format!("`{name}`: inferlog's template is in force for it"))
        }
        (200, Some(_)) if simulated.as_ref().is_some_and(|simulated| simulated["template"].is_null()) => not_so(
            format!("no template is in force for `{name}`: a data stream cannot be made without one"),
            "`inferlog setup apply FILE` installs inferlog's; until then records wait in their files",
        ),
        (200, Some(_)) => not_so(
            format!("no template of inferlog's is in force for `{name}`: Elasticsearch will guess field types"),
            "`inferlog setup apply FILE` installs it; records are shipped with or without it",
        ),
        (403, _) => Assessment::NotShown(format!(
            "`{name}`: whether inferlog's template is in force (needs the privilege `manage_index_templates`)"
        )),
        _ => Assessment::CouldNotLook(trouble_of(&reply)),
    }
}

async fn ask(client: &Client, method: Method, path: &str, body: &Body) -> Result<Reply, Assessment> {
    client.send(method, path, body).await.map_err(Assessment::CouldNotLook)
}

fn not_so(problem: String, hint: &str) -> Assessment {
    Assessment::NotSo(Trouble { problem, hint: Some(hint.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(verdict: &Assessment) -> (&'static str, &str) {
        match verdict {
            Assessment::Good(words) => ("good", words),
            Assessment::NotSo(trouble) => ("not so", &trouble.problem),
            Assessment::CouldNotLook(trouble) => ("could not look", &trouble.problem),
            Assessment::NotShown(words) => ("not shown", words),
        }
    }

    #[test]
    fn a_server_is_what_it_says_and_shows() {
        let es = r#"{"version":{"number":"8.19.0"},"tagline":"You Know, for Search"}"#;
        let opensearch = r#"{"version":{"number":"2.11.0","distribution":"opensearch"}}"#;
        let denied = r#"{"error":{"type":"security_exception","reason":"x"},"status":403}"#;
        for (status, product, body, verdict, words) in [
            (200, true, es, "good", "h: Elasticsearch 8.19.0"),
            (200, false, es, "not so", "without the header `X-elastic-product: Elasticsearch`"),
            (200, false, opensearch, "good", "opensearch 2.11.0, which is not Elasticsearch"),
            (200, false, "<!doctype html><title>Sign in</title>", "not so", "no JSON"),
            (200, true, "<html>", "not so", "no JSON"),
            (200, false, "", "not so", "no JSON"),
            (200, false, r#"{"status":"ok"}"#, "not so", "names no version"),
            (200, true, "[]", "not so", "names no version"),
            (200, false, "1", "not so", "names no version"),
            (403, false, denied, "not shown", "its version"),
            (403, false, "<html>", "not so", "403"),
            (401, false, denied, "not so", "401 (unauthorized)"),
            (404, false, "", "not so", "404"),
            (301, false, "", "not so", "a redirect"),
            (407, false, "", "could not look", "407"),
            (429, false, "", "could not look", "429"),
            (503, true, "", "could not look", "503"),
        ] {
            let product = product.then(|| "Elasticsearch".to_owned());
            let reply = Reply { host: "h".to_owned(), status, body: body.into(), product, ..Reply::default() };
            let found = server("h", Ok(reply));
            assert!(word(&found).0 == verdict && word(&found).1.contains(words), "{status} {body}: {found:?}");
        }
        let trouble = Trouble { problem: "no answer".to_owned(), hint: None };
        assert_eq!(word(&server("h", Err(trouble))), ("could not look", "no answer"));
    }

    #[test]
    fn what_a_user_may_do_is_held_against_what_is_there() {
        let allowed = |create, make, map| Permissions { create, make, map };
        let read_only = || Presence::ReadOnly("write".to_owned());
        for (allowed, presence, verdict, words) in [
            (Permissions::ALL, Presence::There, "good", "may ship to it"),
            (Permissions::ALL, Presence::Missing, "good", "may make it"),
            (Permissions::ALL, Presence::NotShown, "good", "whether it is read-only is not shown"),
            (Permissions::ALL, read_only(), "not so", "read-only (`index.blocks.write`)"),
            (allowed(false, true, true), Presence::There, "not so", "may not create documents"),
            (allowed(false, false, false), Presence::NotShown, "not so", "may not create documents"),
            (allowed(true, false, false), Presence::Missing, "not so", "missing and it may not make it"),
            (allowed(true, false, true), Presence::Missing, "not so", "missing and it may not make it"),
            (allowed(true, false, true), Presence::There, "good", "may ship"),
            (allowed(true, false, true), Presence::NotShown, "could not look", "not shown whether it is there"),
            (allowed(true, true, false), Presence::There, "not so", "no fields"),
            (allowed(true, false, false), Presence::NotShown, "not so", "no fields"),
        ] {
            let found = judge("x", allowed, &presence);
            assert!(word(&found).0 == verdict && word(&found).1.contains(words), "{allowed:?}: {found:?}");
        }
    }
}
