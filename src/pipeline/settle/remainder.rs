//! Remainder: what does an answer leave to be done?

use crate::flow::answer::{Outcome, Reason, Trouble};

/// What an answer leaves to be done.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Remainder {
    /// To be sent again.
    pub(super) retry: Vec<u32>,
    /// The server failed on these.
    pub(super) failing: Vec<(u32, Reason)>,
    /// These will never succeed.
    pub(super) rejected: Vec<(u32, Reason)>,
    /// Why the target is not ready, if it is not.
    target: Option<Trouble>,
    /// Why something is to be sent again, in a word.
    busy: Option<String>,
    pub(super) indexed: u64,
    pub(super) duplicates: u64,
    pub(super) erased: u64,
    pub(super) failure_store: Vec<u32>,
}

impl Remainder {
    /// Sorts the outcome of one item by what is to be done.
    pub(super) fn add(&mut self, position: u32, outcome: Outcome) {
        match outcome {
            Outcome::Indexed => self.indexed += 1,
            Outcome::Duplicate => self.duplicates += 1,
            Outcome::Erased => self.erased += 1,
            Outcome::FailureStore => self.failure_store.push(position),
            Outcome::Retry(reason) => {
                self.retry.push(position);
                self.busy = Some(reason.kind);
            }
            Outcome::Failing(reason) => self.failing.push((position, reason)),
            Outcome::Rejected(reason) => self.rejected.push((position, reason)),
            Outcome::TargetUnready(reason) => {
                self.retry.push(position);
                self.target = Some(unready(&reason));
            }
        }
    }

    /// How many items of the answer are settled.
    pub(super) fn settled(&self) -> u64 {
        self.indexed + self.duplicates + self.erased + (self.failure_store.len() + self.rejected.len()) as u64
    }

    /// What people are to be told: of a target that is not ready, or of a server that answers and takes nothing.
    pub(super) fn trouble(&mut self, others_succeed: bool) -> Option<Trouble> {
        if self.target.is_some() || others_succeed {
            return self.target.take();
        }
        let kind = self.failing.first().map(|(_, reason)| &reason.kind).or(self.busy.as_ref())?;
        Some(Trouble { problem: format!("the sink answers, but takes nothing now ({kind})"), hint: None })
    }

    /// The positions of what is to be sent again, ascending.
    pub(super) fn into_retry(self) -> Vec<u32> {
        let mut retry = self.retry;
        retry.extend(self.failing.iter().map(|(position, _)| *position));
        retry.sort_unstable();
        retry
    }
}

fn unready(reason: &Reason) -> Trouble {
    let problem = format!("the target does not take documents now ({}): {}", reason.kind, reason.detail);
    let hint = if reason.detail.contains("data stream") && reason.detail.contains("require") {
        "no template makes a data stream of that name: `inferlog setup apply FILE` installs one, and records go on by themselves"
    } else if reason.kind == "cluster_block_exception" {
        "it is read-only: Elasticsearch sets that when a disk is nearly full, and takes it back when there is room; else \
         somebody set `index.blocks`. Nothing is lost, records wait in their files"
    } else {
        "check that the data stream or index exists, is open, and that this user may write to it"
    };
    Trouble { problem, hint: Some(hint.to_owned()) }
}
