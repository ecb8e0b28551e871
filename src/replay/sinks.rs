//! Sinks of a replay: what do they make of a batch of documents, within the patience of somebody who waits?
//!
//! Each batch is settled as a run settles it (`pipeline::settle`), with a limit: when nothing was settled for
//! [`PATIENCE`], what is open stays in the dead letter, and the trouble is told. The sinks are those of the present pipeline
//! file; where they are those of a running process, too, they are asked in its turns, so that whatever one of the two has
//! heard of a sink that is busy counts for both, and records go first.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use url::Url;

use crate::config::model::{self, SinkOptions};
use crate::flow::answer::Trouble;
use crate::flow::batch::Batch;
use crate::flow::wake::Wake;
use crate::pipeline::build::{self, BuildError};
use crate::pipeline::pace::Turns;
use crate::pipeline::settle::{Burial, Fate, GivenUp, Limit, PacedSink, Patience};
use crate::queue::Queue;
use crate::sink::policy::Policy;
use crate::telemetry::{Counters, Gauge};

/// How long nothing may move.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest wait between two tries: somebody waits.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How often somebody who waits is asked whether to go on.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Tries for an item on which the server fails.
const FAILURES_MAX: u32 = 5;

/// What a replay asks sinks with.
pub(crate) struct Means {
    /// Where requests run.
    pub(crate) runtime: Handle,
    /// The sinks of a running process, and the turns in which it asks each of them.
    pub(crate) turns: Vec<(model::Sink, Arc<Turns>)>,
}

/// The sinks of a pipeline.
pub(super) struct Sinks {
    sinks: Vec<Arc<PacedSink>>,
    runtime: Handle,
    /// Nothing was sent yet.
    is_first: bool,
    /// Why nothing was taken at last.
    pub(super) trouble: Option<Trouble>,
}

impl Sinks {
    /// Opens the sinks of a pipeline file; connects to nothing.
    pub(super) fn open(
        pipeline: &model::Pipeline,
        data_dir: &Path,
        counters: &Counters,
        means: &Means,
    ) -> Result<Sinks, BuildError> {
        let _inside = means.runtime.enter();
        let open = |described: &model::Sink| {
            let mut sink = build::open_sink(described, data_dir, &pipeline.name)?;
            sink.policy.retry_max = sink.policy.retry_max.min(RETRY_MAX);
            let lent = means.turns.iter().find(|(other, _)| is_same_place(described, other));
            let turns = lent.map_or_else(|| own_turns(sink.policy), |(_, turns)| Arc::clone(turns));
            Ok(Arc::new(PacedSink::new(sink, turns, counters)))
        };
        let sinks = pipeline.sinks.iter().map(open).collect::<Result<_, BuildError>>()?;
        Ok(Sinks { sinks, runtime: means.runtime.clone(), is_first: true, trouble: None })
    }

    /// Sends a batch into every sink. `goes_on` is asked every now and then.
    pub(super) fn settle(&mut self, batch: Batch, goes_on: &dyn Fn() -> bool) -> Vec<Fate> {
        let batch = Arc::new(batch);
        let mut fates = vec![Fate::Duplicate; batch.items().len()];
        for sink in &self.sinks {
            let (of_sink, trouble) = self.settle_in(sink, &batch, goes_on);
            fates.iter_mut().zip(of_sink).for_each(|(all, this)| merge(all, this));
            self.trouble = self.trouble.take().or(trouble);
        }
        self.is_first = false;
        fates
    }

    /// Sends a batch into one sink, on the runtime, which may end meanwhile.
    fn settle_in(
        &self,
        sink: &Arc<PacedSink>,
        batch: &Arc<Batch>,
        goes_on: &dyn Fn() -> bool,
    ) -> (Vec<Fate>, Option<Trouble>) {
        let (wanting, wanted) = watch::channel(());
        let (sender, settled) = channel();
        let (sink, of_batch, is_first) = (Arc::clone(sink), Arc::clone(batch), self.is_first);
        self.runtime.spawn(async move {
            let mut fates = vec![Fate::Open; of_batch.items().len()];
            let given_up = settle(&sink, &of_batch, &mut fates, is_first, wanted).await.err();
            // A store that is closed waits for its thread: not here.
            drop(sink);
            let _ = sender.send((fates, given_up.and_then(|GivenUp(trouble)| trouble)));
        });
        let mut wanting = Some(wanting);
        loop {
            if !goes_on() {
                drop(wanting.take());
            }
            match settled.recv_timeout(LOOK_EVERY) {
                Ok(settled) => return settled,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return (vec![Fate::Open; batch.items().len()], None),
            }
        }
    }
}

async fn settle(
    sink: &PacedSink,
    batch: &Arc<Batch>,
    fates: &mut [Fate],
    is_first: bool,
    wanted: watch::Receiver<()>,
) -> Result<(), GivenUp> {
    let limit = Limit { idle_max: PATIENCE, item_attempts_max: FAILURES_MAX, wanted };
    let mut patience = Patience::Limited(limit);
    if is_first {
        sink.prepare(&mut patience).await?;
    }
    sink.settle(batch, &mut patience, Burial::Remains(fates)).await.map(|_| ())
}

/// Turns that nobody shares.
fn own_turns(policy: Policy) -> Arc<Turns> {
    Arc::new(Turns::new(policy, Gauge::default(), Queue::new(0, Wake::default())))
}

/// Whether two sinks are one and the same server, file or pipe under one name, whatever else was changed in the file.
fn is_same_place(one: &model::Sink, other: &model::Sink) -> bool {
    one.name == other.name
        && match (&one.options, &other.options) {
            (SinkOptions::Elasticsearch(one), SinkOptions::Elasticsearch(other)) => {
                let addresses = |hosts: &[Url]| hosts.iter().map(address).collect::<Vec<_>>();
                addresses(&one.client.hosts) == addresses(&other.client.hosts)
            }
            (SinkOptions::Store(one), SinkOptions::Store(other)) => one.path == other.path,
            (SinkOptions::Stdout, SinkOptions::Stdout) => true,
            _ => false,
        }
}

fn address(host: &Url) -> (Option<String>, Option<u16>) {
    (host.host_str().map(str::to_owned), host.port_or_known_default())
}

/// A document is settled when every sink holds it.
fn merge(all: &mut Fate, this: Fate) {
    *all = match (std::mem::replace(all, Fate::Open), this) {
        (Fate::Rejected(reason), _) | (_, Fate::Rejected(reason)) => Fate::Rejected(reason),
        (Fate::Open, _) | (_, Fate::Open) => Fate::Open,
        (Fate::Indexed, _) | (_, Fate::Indexed) => Fate::Indexed,
        (Fate::Duplicate, Fate::Duplicate) => Fate::Duplicate,
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use std::time::Instant;

    use super::*;
    use crate::elastic::options::ClientOptions;
    use crate::elastic::target::Target;
    use crate::flow::answer::{Answer, Outcome, Reason};
    use crate::flow::batch::{ID_CHARACTERS, Id};
    use crate::pipeline::settle::NamedSink;
    use crate::sink::elasticsearch::ElasticsearchOptions;
    use crate::sink::store::Retention;
    use crate::sink::{Request, Sink, SinkFuture};
    use crate::telemetry::Telemetry;

    /// Gives these answers in their order, then takes everything; counts how often it was asked.
    struct Scripted(Mutex<(Vec<Answer>, u32)>);

    impl Sink for Scripted {
        fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
            Box::pin(async move {
                let mut script = self.0.lock().unwrap();
                script.1 += 1;
                script.0.pop().unwrap_or_else(|| Answer::Items(vec![Outcome::Indexed; request.len()]))
            })
        }

        fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
            Box::pin(async { Ok(()) })
        }
    }

    fn busy() -> Trouble {
        Trouble { problem: "busy".to_owned(), hint: None }
    }

    /// What became of one document, how often the sink was asked, how long it took, and the trouble that is told.
    fn settle(answers: Vec<Answer>, goes_on: &dyn Fn() -> bool) -> (Vec<Fate>, u32, Duration, Option<Trouble>) {
        let script = Arc::new(Scripted(Mutex::new((answers, 0))));
        let policy = Policy { retry_initial: Duration::from_millis(1), ..Policy::default() };
        let counters = Telemetry::default().pipeline("p");
        let named = NamedSink { name: "s".into(), sink: Arc::<Scripted>::clone(&script), policy };
        let sinks = vec![Arc::new(PacedSink::new(named, own_turns(policy), &counters))];
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut sinks = Sinks { sinks, runtime: runtime.handle().clone(), is_first: true, trouble: None };
        let mut batch = Batch::default();
        batch.push(Id([b'A'; ID_CHARACTERS]), 0, None, |body| body.extend_from_slice(b"{}"));
        let began = Instant::now();
        let fates = sinks.settle(batch, goes_on);
        let asked = script.0.lock().unwrap().1;
        (fates, asked, began.elapsed(), sinks.trouble)
    }

    #[test]
    fn a_sink_is_left_alone_for_as_long_as_it_wants() {
        let least = Duration::from_millis(300);
        let (fates, asked, took, trouble) = settle(vec![Answer::WaitAtLeast(least, busy())], &|| true);
        assert_eq!((fates, asked, trouble), (vec![Fate::Indexed], 2, None));
        assert!(took >= least, "{took:?}");
        // Longer than anybody waits: what is open stays as it is, and why is told at once.
        let (fates, asked, took, trouble) = settle(vec![Answer::WaitAtLeast(PATIENCE, busy())], &|| true);
        assert_eq!((fates, asked, trouble), (vec![Fate::Open], 1, Some(busy())));
        assert!(took < PATIENCE, "{took:?}");
    }

    #[test]
    fn whoever_stops_it_does_not_wait_for_the_sink() {
        let asked_before = std::cell::Cell::new(0);
        let goes_on = || asked_before.replace(asked_before.get() + 1) < 1;
        let long = Answer::WaitAtLeast(PATIENCE / 2, busy());
        let (fates, asked, took, _) = settle(vec![long], &goes_on);
        assert_eq!((fates, asked), (vec![Fate::Open], 1));
        assert!(took < PATIENCE / 2, "{took:?}");
    }
    #[test]
    fn a_sink_that_was_edited_is_lent_its_turns_as_long_as_it_is_the_same_server_file_or_pipe() {
        let elasticsearch = |host: &str, stream: &str| {
            let client = ClientOptions::new(vec![Url::parse(host).unwrap()]);
            let target = Target::data_stream(stream).unwrap();
            SinkOptions::Elasticsearch(Box::new(ElasticsearchOptions::new(client, target)))
        };
        let store =
            |path: &str| SinkOptions::Store(model::Store { path: Some(path.into()), retention: Retention::default() });
        let sink = |name: &str, options| model::Sink { name: name.to_owned(), options, policy: Policy::default() };
        let one = sink("s", elasticsearch("http://es:9200", "a"));
        for (other, expected) in [
            (sink("s", elasticsearch("http://es:9200/", "b")), true),
            (sink("s", elasticsearch("http://es:9201", "a")), false),
            (sink("s", elasticsearch("http://other:9200", "a")), false),
            (sink("t", elasticsearch("http://es:9200", "a")), false),
            (sink("s", store("/a")), false),
        ] {
            assert_eq!(is_same_place(&one, &other), expected);
        }
        assert!(is_same_place(&sink("s", store("/a")), &sink("s", store("/a"))));
        assert!(!is_same_place(&sink("s", store("/a")), &sink("s", store("/b"))));
    }

    #[test]
    fn an_item_on_which_the_server_fails_stays_with_that_reason_after_some_tries() {
        let reason = Reason { kind: "boom".to_owned(), detail: "d".to_owned() };
        let failing = Answer::Items(vec![Outcome::Failing(reason.clone())]);
        let (fates, asked, _, trouble) = settle(vec![failing; 9], &|| true);
        assert_eq!((fates, asked, trouble), (vec![Fate::Rejected(reason)], FAILURES_MAX, None));
    }
}
