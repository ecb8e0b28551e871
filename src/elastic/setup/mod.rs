//! Setup: what is to be installed in Elasticsearch, and how is it done?
//!
//! [`plan`] compares what [`assets`] holds with what is there, both in their normal form, and says how they differ. An
//! object whose content still has the digest that was noted in its `_meta` was last written by inferlog: it may be updated.
//! One that has another content, or that was made by somebody else or by a newer inferlog, is a conflict: [`apply`] keeps
//! it, unless it is told to overwrite. What is kept is there, so what builds on it is installed all the same; what is
//! refused is not, and what builds on it is not tried. Everything can be repeated.
//!
//! [`streams`] are held against the templates. Nothing here rolls over, deletes or reindexes.

mod detect;
mod difference;
mod error;
pub mod export;
pub mod privileges;
mod step;
mod streams;

use serde_json::Value;

pub use difference::differences;
pub use error::SetupError;
pub use step::{Conflicts, SetupAction, SetupOutcome, SetupResult, SetupStep};

use self::detect::ask;
use self::error::of_reply;
use super::assets::normal::{content_digest, normal_form};
use super::assets::{self, Asset, MANAGED_BY};
use super::bulk::whole_reason;
use super::client::{Client, Method};
use super::describe;
use super::exchange::Reply;
use super::installation::Installation;

/// What is to be done, and what was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// A step for each object, in the order in which they are installed, then for each data stream that is there.
    pub steps: Vec<SetupStep>,
    /// Who was asked, what the server does not know, and what that means.
    pub remarks: Vec<String>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What became of each step.
    pub results: Vec<SetupResult>,
    /// As a plan's.
    pub remarks: Vec<String>,
}

/// Says what is to be done, in order, and changes nothing.
///
/// # Errors
/// Something could not be looked at.
pub async fn plan(client: &Client, installation: &Installation<'_>) -> Result<Plan, SetupError> {
    let Comparison { work, mut remarks } = compare(client, installation).await?;
    let assets: Vec<Asset> = work.iter().map(|(_, asset)| asset.clone()).collect();
    let mut steps: Vec<SetupStep> = work.into_iter().map(|(step, _)| step).collect();
    let found = streams::look(client, &assets::streams(installation), &assets).await?;
    remarks.push(looked_at(steps.len(), &found));
    steps.extend(found.steps);
    Ok(Plan { steps, remarks })
}

/// Does what [`plan`] says. Nothing is written if something could not be looked at before.
///
/// # Errors
/// As for [`plan`]; what happens once something was written is in the results.
pub async fn apply(
    client: &Client,
    installation: &Installation<'_>,
    conflicts: Conflicts,
) -> Result<Applied, SetupError> {
    let Comparison { work, mut remarks } = compare(client, installation).await?;
    let assets: Vec<Asset> = work.iter().map(|(_, asset)| asset.clone()).collect();
    let streams = assets::streams(installation);
    let before = streams::look(client, &streams, &assets).await?;
    let mut results = carry_out(client, work, conflicts).await;
    let objects = results.len();
    let lost = results.iter().find_map(|result| match &result.outcome {
        SetupOutcome::Unreached(problem) => Some(problem.clone()),
        _ => None,
    });
    // What was written may have changed which template is in force for them.
    let after = match lost {
        Some(problem) => Err(problem),
        None => streams::look(client, &streams, &assets).await.map_err(|error| error.to_string()),
    };
    match after {
        Ok(found) => {
            remarks.push(looked_at(objects, &found));
            results.extend(found.steps.into_iter().map(of_stream));
        }
        Err(problem) => {
            let unreached = |step| SetupResult { step, outcome: SetupOutcome::Unreached(problem.clone()) };
            results.extend(before.steps.into_iter().map(unreached));
        }
    }
    Ok(Applied { results, remarks })
}

/// A data stream is never changed.
fn of_stream(step: SetupStep) -> SetupResult {
    let is_conflict = step.action == SetupAction::Conflict;
    SetupResult { step, outcome: if is_conflict { SetupOutcome::Kept } else { SetupOutcome::Unchanged } }
}

struct Comparison {
    work: Vec<(SetupStep, Asset)>,
    remarks: Vec<String>,
}

async fn compare(client: &Client, installation: &Installation<'_>) -> Result<Comparison, SetupError> {
    let (capabilities, server) = detect::detect(client).await?;
    let not_known = capabilities.remarks().into_iter().map(|words| format!("{server} does not know {words}"));
    let remarks = not_known.chain(assets::remarks(installation, &capabilities)).collect();
    let mut work = Vec::new();
    for asset in assets::of(installation, &capabilities) {
        let installed = installed(client, &asset).await?;
        work.push((judge(&asset, installed.as_ref()), asset));
    }
    Ok(Comparison { work, remarks })
}

fn looked_at(objects: usize, found: &streams::StreamFindings) -> String {
    let missing = match found.missing.as_slice() {
        [] => String::new(),
        missing => format!("; not there yet, and made by the first documents: {}", missing.join(", ")),
    };
    let is_missing = |name: &str| found.missing.iter().any(|missing| missing == name);
    let there = found.steps.iter().map(|step| step.name.as_str()).filter(|name| !is_missing(name));
    let there: Vec<&str> = there.collect();
    let streams = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    format!("looked at: {objects} objects; data streams: {streams}{missing}")
}

/// The part of an asset that describes it, as it is on the server.
async fn installed(client: &Client, asset: &Asset) -> Result<Option<Value>, SetupError> {
    let path = format!("{}/{}", asset.kind.path(), asset.name);
    let reply = ask(client, Method::Get, &path, None).await?;
    let answer: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let is_missing = whole_reason(&reply.body).is_some_and(|reason| reason.kind == "resource_not_found_exception");
    match (reply.status, answer) {
        (404, Some(_)) if is_missing => Ok(None),
        (200, Some(answer)) => match asset.kind.installed(&answer, &asset.name) {
            Value::Null => Err(of_reply(&reply, &path)),
            described => Ok(Some(described)),
        },
        _ => Err(of_reply(&reply, &path)),
    }
}

/// What is to be done about an asset, by what is there in its place.
fn judge(asset: &Asset, installed: Option<&Value>) -> SetupStep {
    let step =
        |action, differences| SetupStep { kind: asset.kind.to_string(), name: asset.name.clone(), action, differences };
    let Some(installed) = installed else { return step(SetupAction::Create, Vec::new()) };
    let there = normal_form(installed);
    let mut differences = differences(&there, &normal_form(asset.kind.described(&asset.body)));
    let meta = &installed["_meta"];
    if meta["managed_by"] != MANAGED_BY {
        let made_by = meta["managed_by"].as_str().map_or("nobody who says so".to_owned(), describe::quote);
        differences.insert(0, format!("_meta.managed_by: {made_by} -> {MANAGED_BY}"));
        return step(SetupAction::Conflict, differences);
    }
    if differences.is_empty() {
        return step(SetupAction::Unchanged, differences);
    }
    let version = meta["version"].as_str().unwrap_or_default();
    if is_newer(version, env!("CARGO_PKG_VERSION")) {
        let version = describe::quote(version);
        differences
            .insert(0, format!("_meta.version: {version}, newer than this inferlog, {}", env!("CARGO_PKG_VERSION")));
        return step(SetupAction::Conflict, differences);
    }
    let is_as_written = meta["digest"] == content_digest(&there);
    step(if is_as_written { SetupAction::Update } else { SetupAction::Conflict }, differences)
}

/// Compares versions such as `0.10.1` number by number.
fn is_newer(version: &str, than: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> { version.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    numbers(version) > numbers(than)
}

/// Writes what is to be written, one by one. After the first one without an answer nothing more is tried.
async fn carry_out(client: &Client, work: Vec<(SetupStep, Asset)>, conflicts: Conflicts) -> Vec<SetupResult> {
    let mut results: Vec<SetupResult> = Vec::new();
    let mut not_there: Vec<String> = Vec::new();
    let mut lost: Option<String> = None;
    for (step, asset) in work {
        let missing = asset.needs.iter().find(|name| not_there.contains(name));
        let outcome = match (step.action, conflicts, &lost, missing) {
            (SetupAction::Unchanged, ..) => SetupOutcome::Unchanged,
            (SetupAction::Conflict, Conflicts::Keep, ..) => SetupOutcome::Kept,
            (_, _, Some(problem), _) => SetupOutcome::Unreached(problem.clone()),
            (_, _, _, Some(missing)) => SetupOutcome::Blocked(format!("it builds on `{missing}`, which is not there")),
            _ => put(client, &asset).await,
        };
        match &outcome {
            SetupOutcome::Refused(_) | SetupOutcome::Blocked(_) if step.action == SetupAction::Create => {
                not_there.push(asset.name);
            }
            SetupOutcome::Unreached(problem) => lost = Some(problem.clone()),
            _ => {}
        }
        results.push(SetupResult { step, outcome });
    }
    results
}

async fn put(client: &Client, asset: &Asset) -> SetupOutcome {
    let path = format!("{}/{}", asset.kind.path(), asset.name);
    match ask(client, Method::Put, &path, Some(&asset.body)).await {
        Ok(reply) if reply.status == 200 => SetupOutcome::Done,
        Ok(reply) if matches!(reply.status, 400..=499) && !matches!(reply.status, 401 | 407 | 408 | 429) => {
            SetupOutcome::Refused(refusal(&reply, &path))
        }
        Ok(reply) => SetupOutcome::Unreached(of_reply(&reply, &path).to_string()),
        Err(error) => SetupOutcome::Unreached(error.to_string()),
    }
}

/// Why an asset was not taken. It holds nothing but what inferlog itself has written, so the server may be quoted.
fn refusal(reply: &Reply, path: &str) -> String {
    match (reply.status, whole_reason(&reply.body)) {
        (403, _) | (_, None) => of_reply(reply, path).to_string(),
        (status, Some(reason)) => describe::quote(&format!("{status}, {}: {}", reason.kind, reason.detail)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::assets::AssetKind;
    use super::super::capabilities::Capabilities;
    use super::super::target::Target;
    use super::*;

    fn asset() -> Asset {
        let target = Target::data_stream("logs-ml.inference-default").unwrap();
        let mut all = assets::of(&Installation::new(&target), &Capabilities::all());
        all.retain(|asset| asset.name == "inferlog-inference" && asset.kind == AssetKind::IndexTemplate);
        all.remove(0)
    }

    /// As it would be installed by an inferlog whose template had another priority.
    fn installed(priority: u64, version: &str) -> Value {
        let mut body = asset().body;
        body["priority"] = json!(priority);
        body["_meta"]["version"] = json!(version);
        body["_meta"]["digest"] = json!(content_digest(&normal_form(&body)));
        body
    }

    #[test]
    fn what_is_there_is_ours_older_changed_newer_or_somebody_elses() {
        let ours = installed(250, "0.1.0");
        let older = installed(100, "0.0.9");
        let newer = installed(300, "999.0.0");
        let mut changed = ours.clone();
        changed["priority"] = json!(100);
        let mut repaired = ours.clone();
        repaired["_meta"]["digest"] = json!("0");
        let mut foreign = ours.clone();
        foreign["_meta"] = json!({ "managed_by": "somebody" });
        let mut bare = ours.clone();
        bare.as_object_mut().unwrap().remove("_meta");
        let priority = "priority: 100 -> 250";
        for (installed, action, differences) in [
            (None, SetupAction::Create, vec![]),
            (Some(ours), SetupAction::Unchanged, vec![]),
            (Some(older), SetupAction::Update, vec![priority]),
            (Some(changed), SetupAction::Conflict, vec![priority]),
            (Some(repaired), SetupAction::Unchanged, vec![]),
            (Some(foreign), SetupAction::Conflict, vec!["_meta.managed_by: somebody -> inferlog"]),
            (Some(bare), SetupAction::Conflict, vec!["_meta.managed_by: nobody who says so -> inferlog"]),
            (
                Some(newer),
                SetupAction::Conflict,
                vec!["_meta.version: 999.0.0, newer than this inferlog, 0.1.0", "priority: 300 -> 250"],
            ),
        ] {
            let step = judge(&asset(), installed.as_ref());
            assert_eq!(
                (step.action, step.differences),
                (action, differences.iter().map(|d| (*d).to_owned()).collect())
            );
        }
    }

    #[test]
    fn versions_are_compared_number_by_number() {
        for (version, than, expected) in
            [("0.10.0", "0.9.9", true), ("0.1.0", "0.1.0", false), ("0.0.9", "0.1.0", false), ("", "0.1.0", false)]
        {
            assert_eq!(is_newer(version, than), expected, "{version} {than}");
        }
    }
}
