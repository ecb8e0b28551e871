//! Accounted: what do the pipelines that ship into a sink say of themselves there?
//!
//! Their accounts tell when each was heard of last, what waited then, and how much went to the dead letter. That is known of
//! pipelines on other machines, too, but only up to the last account, which comes once a minute.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::is_account;
use super::completeness::PipelineState;
use crate::elastic::pages;
use crate::elastic::search::in_range;
use crate::flow::answer::Trouble;
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
    #[serde(rename = "account.kind", default)]
    kind: String,
    #[serde(rename = "account.waiting_bytes", default)]
    waiting_bytes: u64,
    #[serde(rename = "account.oldest_waiting_seconds", default)]
    oldest_waiting_seconds: f64,
    #[serde(rename = "account.dead_lettered", default)]
    dead_lettered: u64,
}

/// What is heard of one pipeline.
struct PipelineAccount {
    pipeline: String,
    host: String,
    /// Its last account that tells what waits.
    last: Option<Account>,
    /// Dead letters of the range.
    dead_letters: u64,
}

impl PipelineAccount {
    fn state(self) -> PipelineState {
        let PipelineAccount { pipeline, host, last, dead_letters } = self;
        let waiting_bytes = last.as_ref().map_or(0, |last| last.waiting_bytes);
        let oldest = last
            .as_ref()
            .filter(|_| waiting_bytes > 0)
            .map(|last| last.time - TimeDelta::milliseconds((last.oldest_waiting_seconds * 1_000.0) as i64));
        PipelineState {
            name: format!("{pipeline}` on `{host}"),
            is_running: None,
            last_account: last.map(|last| last.time),
            lag_bytes: waiting_bytes,
            oldest_waiting: oldest,
            dead_letters,
            ..PipelineState::default()
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
            let accounts = accounts.iter().filter_map(|text| serde_json::from_str::<Account>(text).ok());
            of_store(accounts.collect(), is_in_range)
        }
        Source::Elasticsearch(client, target) => {
            let question = question(&target.account_names(), from_ms, until_ms);
            let answer = pages::search(client, &target.accounts(), &question).await?;
            answer.map_or_else(|| Ok(Vec::new()), |answer| read(&answer))?
        }
    };
    let is_wanted = |heard: &PipelineAccount| but != Some((&heard.host, &heard.pipeline));
    Ok(found.into_iter().filter(is_wanted).map(PipelineAccount::state).collect())
}

/// A store is that of one pipeline.
fn of_store(mut accounts: Vec<Account>, is_in_range: impl Fn(DateTime<Utc>) -> bool) -> Vec<PipelineAccount> {
    // Configurations, verdicts and others are there, too.
    accounts.retain(|account| is_account(&account.kind));
    let dead_letters = accounts.iter().filter(|account| is_in_range(account.time)).map(|a| a.dead_lettered).sum();
    let Some(Account { pipeline, host, .. }) = accounts.first() else { return Vec::new() };
    let (pipeline, host) = (pipeline.clone(), host.clone());
    // At its start a pipeline has not looked yet what waits.
    let last = accounts.into_iter().filter(|account| account.kind != "start").max_by_key(|account| account.time);
    vec![PipelineAccount { pipeline, host, last, dead_letters }]
}

/// The last account of each pipeline on each host that ships into a target, and the dead letters of the range.
fn question(targets: &[String], from_ms: Option<i64>, until_ms: Option<i64>) -> Value {
    json!({
        "size": 0,
        "query": { "terms": { "account.targets": targets } },
        "aggs": { "hosts": {
            "terms": { "field": "host.name", "size": HOSTS_MAX },
            "aggs": { "pipelines": {
                "terms": { "field": "inferlog.pipeline", "size": PIPELINES_MAX },
                "aggs": {
                    // At its start a pipeline has not looked yet what waits.
                    "heard": {
                        "filter": { "bool": { "should": [
                            { "match": { "account.kind": "interval" } },
                            { "match": { "account.kind": "stop" } },
                        ] } },
                        "aggs": { "last": { "top_hits": { "size": 1, "sort": [{ "@timestamp": "desc" }] } } },
                    },
                    "in_range": {
                        "filter": in_range(from_ms, until_ms),
                        "aggs": { "dead": { "sum": { "field": "account.dead_lettered" } } },
                    },
                },
            } },
        } },
    })
}

/// Reads the answer, which has to name every pipeline: one that is not looked at may be the one that lags.
fn read(answer: &Value) -> Result<Vec<PipelineAccount>, AskError> {
    let failed = |problem: String| Err(AskError::from(Trouble { problem, hint: None }));
    let hosts = &answer["aggregations"]["hosts"];
    let mut found = Vec::new();
    for host in buckets(hosts) {
        for pipeline in buckets(&host["pipelines"]) {
            let (names, text) =
                ([&pipeline["key"], &host["key"]], |value: &Value| value.as_str().unwrap_or_default().to_owned());
            let last = match &pipeline["heard"]["last"]["hits"]["hits"][0]["_source"] {
                Value::Null => None,
                last => match Account::deserialize(last) {
                    Ok(account) => Some(account),
                    Err(_) => {
                        return failed(format!("the last account of pipeline {} on {} is none", names[0], names[1]));
                    }
                },
            };
            let dead = pipeline["in_range"]["dead"]["value"].as_f64().unwrap_or_default() as u64;
            found.push(PipelineAccount { pipeline: text(names[0]), host: text(names[1]), last, dead_letters: dead });
        }
        if is_cut(&host["pipelines"]) {
            return failed(format!("more than {PIPELINES_MAX} pipelines give account on {}", host["key"]));
        }
    }
    if is_cut(hosts) {
        return failed(format!("pipelines on more than {HOSTS_MAX} hosts give account there"));
    }
    Ok(found)
}

fn buckets(terms: &Value) -> impl Iterator<Item = &Value> {
    terms["buckets"].as_array().into_iter().flatten()
}

/// Whether there are more terms than were asked for.
fn is_cut(terms: &Value) -> bool {
    terms["sum_other_doc_count"].as_u64().is_some_and(|others| others > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A verdict that has seen nothing wait, or a reason of dead letters, says nothing of what waits.
    #[test]
    fn only_accounts_tell_what_waits() {
        let account = |kind: &str, second: u32, waiting_bytes: u64| {
            let time = format!("2026-11-26T10:00:{second:02}Z");
            let json = json!({
                "@timestamp": time, "host.name": "h", "inferlog.pipeline": "p", "account.kind": kind,
                "account.waiting_bytes": waiting_bytes, "account.dead_lettered": 1,
            });
            serde_json::from_value::<Account>(json).unwrap()
        };
        let accounts = vec![
            account("configuration", 0, 0),
            account("interval", 1, 4_711),
            account("dead_letter", 1, 0),
            account("reconcile", 2, 0),
            account("start", 3, 0),
        ];
        let state = of_store(accounts, |_| true).remove(0).state();
        assert_eq!((state.lag_bytes, state.dead_letters), (4_711, 2));
    }

    #[test]
    fn a_pipeline_that_is_not_told_of_makes_the_answer_none() {
        let account = json!({"@timestamp": "2026-11-26T10:00:00Z", "host.name": "h", "inferlog.pipeline": "p"});
        let answer = |hits: Value, others: [u64; 2]| {
            let pipeline =
                json!({"key": "p", "heard": {"last": {"hits": {"hits": hits}}}, "in_range": {"dead": {"value": 2.0}}});
            let pipelines = json!({"sum_other_doc_count": others[1], "buckets": [pipeline]});
            let hosts = json!({"sum_other_doc_count": others[0], "buckets": [{"key": "h", "pipelines": pipelines}]});
            json!({"aggregations": {"hosts": hosts}})
        };
        let found = read(&answer(json!([{"_source": account}]), [0, 0])).unwrap();
        assert_eq!((found.len(), found[0].dead_letters, found[0].last.is_some()), (1, 2, true));
        // One that has only begun is named, and nothing is known of what it delivered.
        let begun = read(&answer(json!([]), [0, 0])).unwrap().remove(0).state();
        assert_eq!((begun.name.as_str(), begun.last_account), ("p` on `h", None));
        let mut other = account.clone();
        other["account.waiting_bytes"] = json!("many");
        for (source, others) in [(&account, [1, 0]), (&account, [0, 1]), (&other, [0, 0])] {
            assert!(read(&answer(json!([{"_source": source}]), others)).is_err(), "{others:?}");
        }
    }
}
