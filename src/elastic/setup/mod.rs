//! Setup: what is to be installed in Elasticsearch, and how is it done?
//!
//! [`plan`] compares what is there with what [`assets`] holds, by the digest in `_meta`; [`apply`] puts
//! what is missing or older. Both can be repeated. An asset of the same name that is not ours is never overwritten. An
//! existing data stream takes a changed template at its next rollover; nothing here rolls over, deletes or reindexes.

use serde_json::Value;
use thiserror::Error;

use super::assets::{self, Asset, AssetKind, MANAGED_BY};
use super::bulk::{trouble_of, whole_reason};
use super::client::{Body, Client, Method, Reply};
use super::describe;
use super::target::Target;
use crate::flow::answer::Trouble;

mod step;

pub use step::{SetupAction, SetupStep};

/// Why setup cannot go on.
#[derive(Debug, Error)]
pub enum SetupError {
    /// No answer, or one that has nothing to do with a single asset.
    #[error("{}", .0.problem)]
    Unready(Trouble),
    /// A server without lifecycle policies.
    #[error("{server} knows no lifecycle policies (`_ilm`)")]
    NotElasticsearch {
        /// What it is called here.
        server: String,
    },
    /// Something else has this name.
    #[error("the {kind} `{name}` is there already and was not made by inferlog")]
    NotOurs {
        /// What it is.
        kind: AssetKind,
        /// Its name.
        name: String,
    },
    /// Elasticsearch does not take it.
    #[error("Elasticsearch refused the {kind} `{name}` ({status}): {problem}")]
    Refused {
        /// What it is.
        kind: AssetKind,
        /// Its name.
        name: String,
        /// The HTTP status.
        status: u16,
        /// In Elasticsearch's words.
        problem: String,
    },
}

impl SetupError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            SetupError::Unready(trouble) => trouble.hint.clone(),
            SetupError::NotElasticsearch { .. } => {
                Some("`run` ships to it all the same; install a template there by its own means".to_owned())
            }
            SetupError::NotOurs { kind, name } => Some(format!(
                "rename or delete it (`DELETE {}/{name}`) if nothing needs it; it is never overwritten",
                kind.path()
            )),
            SetupError::Refused { status: 401 | 403, .. } => {
                Some("setup needs the cluster privileges `manage_ilm` and `manage_index_templates`".to_owned())
            }
            SetupError::Refused { .. } => Some("the templates need Elasticsearch 8.14 or later".to_owned()),
        }
    }
}

/// Says what is to be done, in order, and does nothing.
pub async fn plan(client: &Client, target: &Target) -> Result<Vec<SetupStep>, SetupError> {
    let work = compare(client, target).await?;
    Ok(work.into_iter().map(|(step, _)| step).collect())
}

/// Does what [`plan`] says and gives the plan that was carried out. Nothing is written if any asset cannot be.
pub async fn apply(client: &Client, target: &Target) -> Result<Vec<SetupStep>, SetupError> {
    let work = compare(client, target).await?;
    for (step, asset) in &work {
        if step.action != SetupAction::Unchanged {
            put(client, asset).await?;
        }
    }
    Ok(work.into_iter().map(|(step, _)| step).collect())
}

async fn compare(client: &Client, target: &Target) -> Result<Vec<(SetupStep, Asset)>, SetupError> {
    check_server(client).await?;
    let mut work = Vec::new();
    for asset in assets::for_target(target) {
        let action = action_for(client, &asset).await?;
        let (kind, name) = (asset.kind.to_string(), asset.name.clone());
        work.push((SetupStep { kind, name, action, differences: Vec::new() }, asset));
    }
    Ok(work)
}

/// Fails for a server that says it is something else. One that does not tell us what it is may still take assets.
async fn check_server(client: &Client) -> Result<(), SetupError> {
    let reply = client.send(Method::Get, "/", &Body::None).await.map_err(SetupError::Unready)?;
    let about: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match (reply.status, about["version"]["distribution"].as_str()) {
        (401, _) => Err(SetupError::Unready(trouble_of(&reply))),
        (_, Some(server)) if server != "elasticsearch" => {
            Err(SetupError::NotElasticsearch { server: describe::quote(&format!("this server ({server})")) })
        }
        _ => Ok(()),
    }
}

async fn action_for(client: &Client, asset: &Asset) -> Result<SetupAction, SetupError> {
    let path = format!("{}/{}", asset.kind.path(), asset.name);
    let reply = client.send(Method::Get, &path, &Body::None).await.map_err(SetupError::Unready)?;
    if reply.status == 404 {
        return Ok(SetupAction::Create);
    }
    let installed = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(installed) if reply.status == 200 => installed,
        _ => return Err(refused(asset, &reply)),
    };
    let meta = match asset.kind {
        AssetKind::LifecyclePolicy => &installed[&asset.name]["policy"]["_meta"],
        AssetKind::ComponentTemplate => &installed["component_templates"][0]["component_template"]["_meta"],
        AssetKind::IndexTemplate => &installed["index_templates"][0]["index_template"]["_meta"],
    };
    if meta["managed_by"] != MANAGED_BY {
        return Err(SetupError::NotOurs { kind: asset.kind, name: asset.name.clone() });
    }
    Ok(if meta["digest"] == asset.digest { SetupAction::Unchanged } else { SetupAction::Update })
}

async fn put(client: &Client, asset: &Asset) -> Result<(), SetupError> {
    let path = format!("{}/{}", asset.kind.path(), asset.name);
    let body = Body::Json(asset.body.to_string().into());
    let reply = client.send(Method::Put, &path, &body).await.map_err(SetupError::Unready)?;
    if reply.status == 200 { Ok(()) } else { Err(refused(asset, &reply)) }
}

fn refused(asset: &Asset, reply: &Reply) -> SetupError {
    let (status, name) = (reply.status, asset.name.clone());
    let reason = whole_reason(&reply.body);
    // Servers without lifecycle policies take `_ilm` for a bad path or a bad index name.
    let no_such_path = matches!(status, 400 | 405) && asset.kind == AssetKind::LifecyclePolicy;
    match reason {
        Some(reason) if !no_such_path => {
            let problem = describe::quote(&format!("{}: {}", reason.kind, reason.detail));
            SetupError::Refused { kind: asset.kind, name, status, problem }
        }
        _ if no_such_path => SetupError::NotElasticsearch { server: "this server".to_owned() },
        _ => SetupError::Unready(trouble_of(reply)),
    }
}
