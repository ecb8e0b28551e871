//! Whole answers: did Elasticsearch look at everything before it answered?
//!
//! An answer in which a shard or a cluster is missing, or whose search was broken off, has status 200 like any other one:
//!
//! ```text
//! {"took":3,"timed_out":false,"terminated_early":true,"_shards":{"total":2,"successful":1,"skipped":0,"failed":1},
//!  "_clusters":{"total":2,"successful":1,"skipped":1},…}
//! ```
//!
//! Nothing here believes such an answer: it is a trouble, as if there were none. Shards that are `skipped` are among the
//! successful ones: by their least and greatest values they hold nothing that was asked for.

use serde::Deserialize;
use serde_json::Value;

use super::bulk;
use super::exchange::Reply;
use crate::flow::answer::Trouble;

/// What an answer says of how much was looked at. A type of answers has it as a flattened member, behind its own ones, so
/// that an answer is read once.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Extent {
    #[serde(rename = "_shards")]
    pub(super) shards: Option<Shards>,
    #[serde(rename = "_clusters")]
    clusters: Option<Clusters>,
    timed_out: Option<bool>,
    terminated_early: Option<bool>,
}

/// The shards that were asked.
#[derive(Debug, Deserialize)]
pub(super) struct Shards {
    pub(super) total: u64,
    successful: u64,
    failed: u64,
}

/// The clusters that were asked.
#[derive(Debug, Deserialize)]
struct Clusters {
    total: u64,
    successful: u64,
}

impl AsRef<Extent> for Extent {
    fn as_ref(&self) -> &Extent {
        self
    }
}

impl Extent {
    /// What an answer says that speaks of shards alone.
    pub(super) fn of(shards: Shards) -> Extent {
        Extent { shards: Some(shards), ..Extent::default() }
    }

    /// Refuses what is not whole. An answer that does not say it is none of Elasticsearch's.
    pub(super) fn check(&self, host: &str) -> Result<(), Trouble> {
        let Some(shards) = &self.shards else { return Err(garbled(host)) };
        let what = if shards.failed > 0 || shards.successful < shards.total {
            format!("{} of {} shards did not answer", shards.total - shards.successful.min(shards.total), shards.total)
        } else if self.clusters.as_ref().is_some_and(|clusters| clusters.successful < clusters.total) {
            "a cluster was left out".to_owned()
        } else if self.timed_out == Some(true) {
            "the search ran out of time".to_owned()
        } else if self.terminated_early == Some(true) {
            "the search was broken off".to_owned()
        } else {
            return Ok(());
        };
        Err(incomplete(host, &what))
    }
}

/// Reads an answer of success that says how much was looked at, if that was everything.
pub(super) fn read<'r, T: Deserialize<'r> + AsRef<Extent>>(reply: &'r Reply) -> Result<T, Trouble> {
    let read: T = read_plain(reply)?;
    read.as_ref().check(&reply.host)?;
    Ok(read)
}

/// The same, with whatever else it says.
pub(super) fn read_value(reply: &Reply) -> Result<Value, Trouble> {
    let read: Value = read_plain(reply)?;
    Extent::deserialize(&read).map_err(|_| garbled(&reply.host))?.check(&reply.host)?;
    Ok(read)
}

/// Reads an answer of success that tells nothing of shards.
pub(super) fn read_plain<'r, T: Deserialize<'r>>(reply: &'r Reply) -> Result<T, Trouble> {
    if !(200..300).contains(&reply.status) {
        return Err(bulk::trouble_of(reply));
    }
    serde_json::from_slice(&reply.body).map_err(|_| garbled(&reply.host))
}

/// The trouble of an answer that cannot be read.
pub(super) fn garbled(host: &str) -> Trouble {
    Trouble {
        problem: format!("{host} did not answer a search as Elasticsearch does"),
        hint: Some("look at `hosts`: is this Elasticsearch?".to_owned()),
    }
}

/// The trouble of an answer that is not about all of it.
pub(super) fn incomplete(host: &str, what: &str) -> Trouble {
    Trouble {
        problem: format!("{host} could not answer for all of its shards: {what}"),
        hint: Some("wait until the indices are green or yellow again".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_about_everything_is_no_answer() {
        let well = r#""_shards":{"total":2,"successful":2,"skipped":1,"failed":0}"#;
        let cases = [
            (format!(r#"{{"count":1,{well}}}"#), None),
            (format!(r#"{{"count":1,"timed_out":false,"terminated_early":false,{well}}}"#), None),
            (format!(r#"{{"count":1,{well},"_clusters":{{"total":2,"successful":2,"skipped":0}}}}"#), None),
            (r#"{"count":1,"_shards":{"total":2,"successful":1,"failed":1}}"#.to_owned(), Some("1 of 2 shards")),
            (r#"{"count":1,"_shards":{"total":2,"successful":2,"failed":1}}"#.to_owned(), Some("0 of 2 shards")),
            (r#"{"count":1,"_shards":{"total":2,"successful":1,"failed":0}}"#.to_owned(), Some("1 of 2 shards")),
            (format!(r#"{{"count":1,"timed_out":true,{well}}}"#), Some("ran out of time")),
            (format!(r#"{{"count":1,"terminated_early":true,{well}}}"#), Some("broken off")),
            (
                format!(r#"{{"count":1,{well},"_clusters":{{"total":2,"successful":1,"skipped":1}}}}"#),
                Some("a cluster"),
            ),
            (r#"{"count":1}"#.to_owned(), Some("as Elasticsearch does")),
            ("<html>".to_owned(), Some("as Elasticsearch does")),
        ];
        for (body, expected) in cases {
            let reply = Reply { host: "http://es".into(), status: 200, body: body.clone().into(), ..Reply::default() };
            let found = read::<Extent>(&reply).map(drop).map_err(|trouble| trouble.problem);
            assert_eq!(read_value(&reply).map(drop).map_err(|trouble| trouble.problem), found, "{body}");
            match expected {
                None => assert!(found.is_ok(), "{body}: {found:?}"),
                Some(words) => {
                    assert!(found.as_ref().is_err_and(|problem| problem.contains(words)), "{body}: {found:?}");
                }
            }
        }
    }
}
