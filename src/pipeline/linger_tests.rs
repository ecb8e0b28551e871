//! What is sealed when: a pipeline driven turn by turn, with a linger of a minute that no test waits for.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::build::{Assembly, build};
use super::{Limits, Pipeline, Turn};
use crate::config;
use crate::flow::answer::{Answer, Outcome, Trouble};
use crate::flow::batch::Stream;
use crate::sink::{Request, Sink, SinkFuture};
use crate::telemetry::Telemetry;

const LIMITS: Limits = Limits {
    once: false,
    once_timeout: Duration::from_secs(60),
    shutdown_timeout: Duration::from_secs(60),
    unacknowledged_bytes_max: u64::MAX,
};

/// Counts documents of records, and answers as often as it is allowed to.
#[derive(Default)]
struct Counting {
    asked: AtomicUsize,
    answers: AtomicUsize,
}

impl Sink for Counting {
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
        Box::pin(async move {
            if request.batch.stream() == Stream::Records {
                self.asked.fetch_add(request.len(), Ordering::SeqCst);
                while self.answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err() {
                    tokio::task::yield_now().await;
                }
            }
            Answer::Items(vec![Outcome::Indexed; request.len()])
        })
    }

    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
        Box::pin(async { Ok(()) })
    }
}

struct Stand {
    folder: tempfile::TempDir,
    pipeline: Pipeline,
    sinks: Vec<Arc<Counting>>,
    runtime: tokio::runtime::Runtime,
    _lock: std::fs::File,
}

impl Stand {
    /// `rest`: what the pipeline file says beside source and decode.
    fn new(rest: &str) -> Stand {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.yaml");
        let source = "source: { files: { paths: [\"*.ndjson\"], poll_interval: 1h } }";
        fs_err::write(&path, format!("{source}\ndecode: json\nbatch: {{ linger: 1m, items_max: 100 }}\n{rest}\n"))
            .unwrap();
        let pipelines = config::load(&[path]).unwrap_or_else(|report| panic!("{report}"));
        let counters = Telemetry::default().pipeline("p");
        let Assembly { pipeline, deliveries, lock, .. } =
            build(&pipelines[0], &folder.path().join("state"), LIMITS, counters, None).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut sinks = Vec::new();
        for delivery in deliveries {
            let sink = Arc::new(Counting::default());
            runtime.spawn(delivery.with_sink(Arc::clone(&sink) as Arc<dyn Sink>).run());
            sinks.push(sink);
        }
        Stand { folder, pipeline, sinks, runtime, _lock: lock }
    }

    /// Writes so many lines, and lets the pipeline read them to the end.
    fn write(&mut self, lines: usize) {
        let path = self.folder.path().join("a.ndjson");
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all("{\"n\":1}\n".repeat(lines).as_bytes()).unwrap();
        self.pipeline.source.look_next(false);
        self.get_on();
    }

    /// Takes turns until everything is read, and lets the deliveries hear of it.
    fn get_on(&mut self) {
        while self.pipeline.turn() == Turn::Busy {}
        self.runtime.block_on(async {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Lets one sink answer one request, and the pipeline hear of it.
    fn answer(&mut self, sink: usize) {
        self.sinks[sink].answers.fetch_add(1, Ordering::SeqCst);
        self.get_on();
        self.get_on();
    }

    /// How many documents each sink was asked to take so far.
    fn asked(&self) -> Vec<usize> {
        self.sinks.iter().map(|sink| sink.asked.load(Ordering::SeqCst)).collect()
    }
}

#[test]
fn a_line_goes_at_once_and_those_behind_it_when_it_is_answered() {
    let mut stand = Stand::new("sink: stdout");
    stand.write(1);
    assert_eq!(stand.asked(), [1]);
    stand.write(1);
    stand.write(2);
    assert_eq!(stand.asked(), [1], "the first is under way");
    stand.answer(0);
    assert_eq!(stand.asked(), [4]);
    stand.answer(0);
    stand.write(1);
    assert_eq!(stand.asked(), [5], "nothing is under way any more");
}

#[test]
fn many_lines_linger_though_nothing_is_under_way_until_the_batch_is_full() {
    let mut stand = Stand::new("sink: stdout");
    stand.write(15);
    stand.answer(0);
    assert_eq!(stand.asked(), [15]);
    stand.write(1);
    stand.write(98);
    assert_eq!(stand.asked(), [15], "that is a stream");
    stand.write(2);
    assert_eq!(stand.asked(), [115]);
}

#[test]
fn lines_that_become_no_documents_are_settled_at_once_and_are_no_stream() {
    let mut stand = Stand::new("enrich: [ drop: { when: \"n : 1\" } ]\nsink: stdout");
    stand.write(1_000);
    assert!(stand.pipeline.stages.linger_ends().is_none());
    stand.get_on();
    assert_eq!((stand.asked(), stand.pipeline.outlet.is_empty()), (vec![0], true));
}

#[test]
fn what_any_sink_has_not_answered_is_under_way() {
    let mut stand = Stand::new("sink:\n- store: { path: a.sqlite, name: a }\n- store: { path: b.sqlite, name: b }");
    stand.write(1);
    stand.write(1);
    assert_eq!(stand.asked(), [1, 1]);
    stand.answer(0);
    assert_eq!(stand.asked(), [1, 1], "the other one has not answered");
    stand.answer(1);
    assert_eq!(stand.asked(), [2, 2]);
}

#[test]
fn what_the_rate_limit_holds_back_is_not_followed_by_more() {
    let mut stand = Stand::new("rate_limit: { records_per_second: 1 }\nsink: stdout");
    stand.write(10);
    stand.write(1);
    assert_eq!((stand.asked(), stand.pipeline.stages.sealed.len()), (vec![0], 1));
}
