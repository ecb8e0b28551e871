//! Accounted: what do the pipelines that ship into a sink say of themselves there?
//!
//! Their accounts tell when each was heard of last, what waited then, and how much went to the dead letter. That is known of
//! pipelines on other machines, too, but only up to the last account, which comes once a minute.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::completeness::PipelineState;
use crate::elastic::pages;
use crate::query::ask::{AskError, Source};

/// Hosts that are told apart in one data stream of accounts.
const HOSTS_MAX: usize = 1_000;

/// Pipelines that are told apart on each of them.
const PIPELINES_MAX: usize = 50;

/// An account, as far as completeness needs it.
#[derive(Debug, Deserialize)]
struct Account {
    #[serde(rename = "@timestamp")]
    time: DateTime<Utc>,
    #[serde(rename = "host.name")]
    host: String,
    #[serde(rename = "inferlog.pipeline")]
    pipeline: String,
    #[serde(rename = "account.waiting_bytes", default)]
    waiting_bytes: u64,
    #[serde(rename = "account.oldest_waiting_seconds", default)]
    oldest_waiting_seconds: f64,
    #[serde(rename = "account.dead_lettered", default)]
    dead_lettered: u64,
}

impl Account {
    /// The state that it tells of, with the dead letters of the range.
    fn state(self, dead_letters: u64) -> PipelineState {
        let waited = TimeDelta::milliseconds((self.oldest_waiting_seconds * 1_000.0) as i64);
        PipelineState {
            name: format!("{}` on `{}", self.pipeline, self.host),
            is_running: None,
            last_account: Some(self.time),
            lag_bytes: self.waiting_bytes,
            oldest_waiting: (self.waiting_bytes > 0).then_some(self.time - waited),
            dead_letters,
        }
    }
}

/// Asks for the states of all pipelines that ship into a source but `but`, a host and a pipeline of which more is known.
///
/// # Errors
/// When the source cannot be asked.
pub async fn states(
    source: &Source,
    but: Option<(&str, &str)>,
    from_ms: Option<i64>,
    until_ms: Option<i64>,
) -> Result<Vec<PipelineState>, AskError> {
    let is_in_range = |time: DateTime<Utc>| {
        let time_ms = time.timestamp_millis();
        from_ms.is_none_or(|from_ms| time_ms >= from_ms) && until_ms.is_none_or(|until_ms| time_ms < until_ms)
    };
    let found = match source {
        Source::Store(reader) => {
            let accounts = reader.accounts()?;
            let accounts: Vec<Account> =
                accounts.iter().filter_map(|text| serde_json::from_str::<Account>(text).ok()).collect();
            let dead = accounts.iter().filter(|account| is_in_range(account.time)).map(|a| a.dead_lettered).sum();
            accounts.into_iter().max_by_key(|account| account.time).map(|last| (last, dead)).into_iter().collect()
        }
        Source::Elasticsearch(client, target) => {
            let question = question(&target.searched(), from_ms, until_ms);
            let answer = pages::search(client, &target.accounts(), &question).await?;
            answer.map_or_else(Vec::new, |answer| read(&answer))
        }
    };
    let is_wanted = |account: &Account| but != Some((&account.host, &account.pipeline));
    Ok(found.into_iter().filter(|(account, _)| is_wanted(account)).map(|(account, dead)| account.state(dead)).collect())
}

/// The last account of each pipeline on each host that ships into a target, and the dead letters of the range.
fn question(target: &str, from_ms: Option<i64>, until_ms: Option<i64>) -> Value {
    let mut range = json!({ "format": "epoch_millis" });
    from_ms.into_iter().for_each(|from| range["gte"] = from.into());
    until_ms.into_iter().for_each(|until| range["lt"] = until.into());
    json!({
        "size": 0,
        "query": { "term": { "account.targets": target } },
        "aggs": { "hosts": {
            "terms": { "field": "host.name", "size": HOSTS_MAX },
            "aggs": { "pipelines": {
                "terms": { "field": "inferlog.pipeline", "size": PIPELINES_MAX },
                "aggs": {
                    "last": { "top_hits": { "size": 1, "sort": [{ "@timestamp": "desc" }] } },
                    "in_range": {
                        "filter": { "range": { "@timestamp": range } },
                        "aggs": { "dead": { "sum": { "field": "account.dead_lettered" } } },
                    },
                },
            } },
        } },
    })
}

fn read(answer: &Value) -> Vec<(Account, u64)> {
    let hosts = answer["aggregations"]["hosts"]["buckets"].as_array().into_iter().flatten();
    let pipelines = hosts.filter_map(|host| host["pipelines"]["buckets"].as_array()).flatten();
    let account = |bucket: &Value| {
        let last = bucket["last"]["hits"]["hits"][0]["_source"].clone();
        let dead = bucket["in_range"]["dead"]["value"].as_f64().unwrap_or_default();
        Some((serde_json::from_value::<Account>(last).ok()?, dead as u64))
    };
    pipelines.filter_map(account).collect()
}
