//! A lane: the way of documents of inferlog's own into one sink, beside the delivery of records.
//!
//! One request at a time with one document in it, outside of the pace that records keep. The lane ends with the delivery,
//! whatever it is doing: what the sink has not taken by then stays in the outbox, and goes at the next start.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::order::{Next, Order};
use super::word::{Answered, NumberedDocument, Word};
use crate::flow::answer::{Answer, Outcome};
use crate::flow::batch::Batch;
use crate::flow::wake::Wake;
use crate::sink::policy::Policy;
use crate::sink::{Request, Sink};

/// How long a sink may take to answer for one document. Shorter than for records: it is small, and nothing waits for it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

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
        Lane { sink, arriving, words, wake, timeout: REQUEST_TIMEOUT, failures: 0, is_said: false }
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
                    let (answered, why) = self.send(&*sink, &document).await;
                    order.answered(answered, Instant::now(), fastrand::f64());
                    self.say(document.document.stream.as_str(), answered, &why, order.refuses_none());
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

    async fn send(&mut self, sink: &dyn Sink, numbered: &NumberedDocument) -> (Answered, String) {
        let document = &numbered.document;
        let mut batch = Batch::of(document.stream);
        let write = |body: &mut Vec<u8>| body.extend_from_slice(document.text.get().as_bytes());
        batch.push(document.id, document.timestamp_us, None, write);
        let request = Request { batch: Arc::new(batch), selection: None };
        let (answered, why) = match tokio::time::timeout(self.timeout, sink.deliver(&request)).await {
            Ok(answer) => judge(answer),
            Err(_) => (Answered::Trouble, format!("no answer within {} s", self.timeout.as_secs())),
        };
        // The pipeline may be gone at a stop; the next start sends it again.
        let _ = self.words.send(Word { sink: Arc::clone(&self.sink), number: numbered.number, answered });
        self.wake.ring();
        (answered, why)
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
                        and the privileges of `metrics-ml.pipeline-*` or `metrics-ml.drift-*`, and how large a request may be";
            tracing::warn!(sink, hint, "the sink does not take the pipeline's own {stream} ({why})");
        }
    }
}

/// What an answer says of the only document of a request, and why in a few words without its content.
fn judge(answer: Answer) -> (Answered, String) {
    match answer {
        Answer::Items(outcomes) => match <[Outcome; 1]>::try_from(outcomes) {
            Ok([outcome]) => judge_outcome(outcome),
            Err(outcomes) => (Answered::Trouble, format!("BUG: it answered for {} documents of 1", outcomes.len())),
        },
        Answer::Halve(reason) => (Answered::Refused, reason.kind),
        Answer::Wait(trouble) | Answer::WaitAtLeast(_, trouble) | Answer::Closed(trouble) => {
            (Answered::Trouble, trouble.problem)
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
