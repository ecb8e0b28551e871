//! A lane: the way of documents of inferlog's own into one sink, beside the delivery of records.
//!
//! One request at a time, outside of the pace that records keep, with one document in it; of outcomes, of which there may be as
//! many as records, with some hundred, and fewer where a sink finds that too much. The lane ends with the delivery,
//! whatever it is doing: what the sink has not taken by then stays in the outbox, and goes at the next start.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::order::{Next, Order};
use super::word::{Answered, NumberedDocument, Word};
use crate::flow::answer::{Answer, Outcome};
use crate::flow::batch::{Batch, Stream};
use crate::flow::wake::Wake;
use crate::sink::policy::Policy;
use crate::sink::{Request, Sink};

/// How long a sink may take to answer for one document. Shorter than for records: it is small, and nothing waits for it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The most documents of a request.
const GROUP_MAX: usize = 500;

/// So many troubles in a row are said. A sink that is restarted is none of it, and one that is down is said by records.
const TROUBLES_SAID: u32 = 3;

/// The way of documents into one sink.
#[derive(Debug)]
pub struct Lane {
    sink: Arc<str>,
    arriving: UnboundedReceiver<Arc<NumberedDocument>>,
    words: Sender<Word>,
    wake: Wake,
    timeout: Duration,
    /// The most documents of the next request.
    group_max: usize,
    /// Troubles and refusals in a row.
    failures: u32,
    is_said: bool,
}

impl Lane {
    pub(super) fn new(
        sink: Arc<str>,
        arriving: UnboundedReceiver<Arc<NumberedDocument>>,
        words: Sender<Word>,
        wake: Wake,
    ) -> Lane {
        Lane {
            sink,
            arriving,
            words,
            wake,
            timeout: REQUEST_TIMEOUT,
            group_max: GROUP_MAX,
            failures: 0,
            is_said: false,
        }
    }

    /// The same with less patience.
    #[cfg(test)]
    pub(super) fn with_timeout(self, timeout: Duration) -> Lane {
        Lane { timeout, ..self }
    }

    /// Sends what arrives until the outbox is gone.
    pub(crate) async fn run(mut self, sink: Arc<dyn Sink>, policy: Policy) {
        let mut order = Order::new(policy);
        loop {
            while let Ok(document) = self.arriving.try_recv() {
                order.arrived(document);
            }
            let pause = match order.next(Instant::now()) {
                Next::Send(document) => {
                    let mut group = vec![document];
                    if group[0].document.stream == Stream::Outcomes && self.group_max > 1 {
                        let together =
                            order.group(self.group_max, |first, other| first.document.stream == other.document.stream);
                        // What was refused goes alone.
                        group = if together.is_empty() { group } else { together };
                    }
                    self.send_group(&*sink, &group, &mut order).await;
                    continue;
                }
                Next::At(moment) => moment.saturating_duration_since(Instant::now()),
                Next::Nothing => Duration::MAX,
            };
            tokio::select! {
                arrived = self.arriving.recv() => match arrived {
                    Some(document) => order.arrived(document),
                    None => return,
                },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Sends documents of one kind in one request, and tells what became of them.
    async fn send_group(
        &mut self,
        sink: &dyn Sink,
        group: &[Arc<NumberedDocument>],
        order: &mut Order<Arc<NumberedDocument>>,
    ) {
        let answers = self.send(sink, group).await;
        if group.len() > 1 && matches!(answers.as_slice(), [(Answered::Refused, _)]) {
            // It was all of them that were too much.
            self.group_max = group.len() / 2;
            return;
        }
        self.group_max = (self.group_max * 2).min(GROUP_MAX);
        for (document, (answered, why)) in group.iter().zip(answers) {
            order.answered(answered, Instant::now(), fastrand::f64());
            self.say(document.document.stream.as_str(), answered, &why, order.refuses_none());
            // The pipeline may be gone at a stop; the next start sends it again.
            let _ = self.words.send(Word { sink: Arc::clone(&self.sink), number: document.number, answered });
            if answered == Answered::Trouble {
                // Those behind it go again with it.
                break;
            }
        }
        self.wake.ring();
    }

    /// What became of each document, or of all of them in one word.
    async fn send(&mut self, sink: &dyn Sink, group: &[Arc<NumberedDocument>]) -> Vec<(Answered, String)> {
        let mut batch = Batch::of(group[0].document.stream);
        for NumberedDocument { document, .. } in group.iter().map(AsRef::as_ref) {
            let write = |body: &mut Vec<u8>| body.extend_from_slice(document.text.get().as_bytes());
            batch.push(document.id, document.timestamp_us, None, write);
        }
        let request = Request { batch: Arc::new(batch), selection: None };
        match tokio::time::timeout(self.timeout, sink.deliver(&request)).await {
            Ok(answer) => judge(answer, group.len()),
            Err(_) => vec![(Answered::Trouble, format!("no answer within {} s", self.timeout.as_secs()))],
        }
    }

    /// Says once that the sink does not take them, and once that it takes them again.
    fn say(&mut self, stream: &str, answered: Answered, why: &str, refuses_none: bool) {
        self.failures = if answered == Answered::Taken { 0 } else { self.failures + 1 };
        let is_worth_it = answered == Answered::Refused || self.failures >= TROUBLES_SAID;
        let sink = &*self.sink;
        if answered == Answered::Taken {
            if refuses_none && std::mem::take(&mut self.is_said) {
                tracing::info!(sink, "the sink takes the pipeline's own {stream} again");
            }
        } else if is_worth_it && !std::mem::replace(&mut self.is_said, true) {
            let hint = "they wait in the checkpoint and are tried again; records do not wait for them. Check the template \
                        and the privileges of `metrics-ml.pipeline-*`, `metrics-ml.drift-*` or `logs-ml.outcome-*`, and how large a request may be";
            tracing::warn!(sink, hint, "the sink does not take the pipeline's own {stream} ({why})");
        }
    }
}

/// What an answer says of each of so many documents, or of all of them, and why in a few words without their content.
fn judge(answer: Answer, documents: usize) -> Vec<(Answered, String)> {
    match answer {
        Answer::Items(outcomes) if outcomes.len() == documents => outcomes.into_iter().map(judge_outcome).collect(),
        Answer::Items(outcomes) => {
            let problem = format!("BUG: it answered for {} documents of {documents}", outcomes.len());
            vec![(Answered::Trouble, problem)]
        }
        Answer::Halve(reason) => vec![(Answered::Refused, reason.kind)],
        Answer::Wait(trouble) | Answer::WaitAtLeast(_, trouble) | Answer::Closed(trouble) => {
            vec![(Answered::Trouble, trouble.problem)]
        }
    }
}

fn judge_outcome(outcome: Outcome) -> (Answered, String) {
    match outcome {
        Outcome::Indexed | Outcome::Duplicate | Outcome::FailureStore | Outcome::Erased => {
            (Answered::Taken, String::new())
        }
        Outcome::Rejected(reason) | Outcome::Failing(reason) => (Answered::Refused, reason.kind),
        Outcome::Retry(reason) | Outcome::TargetUnready(reason) => (Answered::Trouble, reason.kind),
    }
}
