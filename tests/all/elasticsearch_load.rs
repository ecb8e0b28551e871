//! Elasticsearch in trouble under load, judged by number and by id: hosts that go away and come back, a node that is
//! stopped and killed in the middle of its bulk requests, and servers that take less than they are offered.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use inferlog::elastic::options::ClientOptions;
use inferlog::elastic::target::Target;
use serde_json::value::RawValue;
use url::Url;

use crate::endpoint::{Endpoint, Room};
use crate::numbered::{Found, Workshop, is_long, lines, number_of, report};
use crate::place::{PATIENCE, Place, Signal, append, free_address, pipeline, records, send_signal};
use crate::support::{Method, Node};

/// Writes numbered records without end, so many every 20 ms, until told to stop; gives how many.
fn write(log: &Path, burst: u64, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let (log, stop) = (log.to_owned(), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut number = 0;
        while !stop.load(Ordering::Acquire) {
            append(&log, lines(number..number + burst));
            number += burst;
            std::thread::sleep(Duration::from_millis(20));
        }
        number
    })
}

/// A stream of the test's own with our templates in force.
async fn prepared(node: &Node, name: &str) -> String {
    let stream = format!("logs-ml.inference-{name}");
    node.forget(&stream).await;
    node.set_up(&Target::data_stream(&stream).unwrap()).await;
    stream
}

fn sink(hosts: &[String], stream: &str, more: &str) -> String {
    format!(
        "{{ elasticsearch: {{ hosts: {hosts:?}, data_stream: {stream}, retry: {{ initial: 50ms, max: 500ms }}{more} }} }}"
    )
}

#[derive(serde::Deserialize)]
struct Answer {
    hits: Hits,
}

#[derive(serde::Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(serde::Deserialize)]
struct Hit {
    _id: String,
    _source: Box<RawValue>,
}

/// Ids and numbers of everything in a stream.
async fn found(node: &Node, stream: &str) -> Found {
    const PAGE: usize = 5_000;
    let count = node.count(stream, r#"{"match_all":{}}"#).await;
    let mut found = Found::new();
    loop {
        // Those that have the number of the last one come again.
        let from = found.last().map_or(0, |(_, number): &(String, u64)| *number);
        let query =
            format!("{{\"size\":{PAGE},\"sort\":[\"n\"],\"query\":{{\"range\":{{\"n\":{{\"gte\":{from}}}}}}}}}");
        let (status, text) = node.ask_text(Method::Post, &format!("{stream}/_search"), &query).await;
        assert_eq!(status, 200, "{text}");
        let hits = serde_json::from_str::<Answer>(&text).unwrap().hits.hits;
        let is_last = hits.len() < PAGE;
        found.retain(|(_, number)| *number < from);
        found.extend(hits.into_iter().map(|hit| (hit._id, number_of(hit._source.get().as_bytes()))));
        if is_last {
            assert_eq!(found.len() as u64, count, "all of it is seen");
            return found;
        }
    }
}

/// What stands between a client and a node, and can be gone for a while.
struct Gate {
    address: SocketAddr,
    to: SocketAddr,
    open: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    /// Bytes that went to the node.
    bytes: Arc<AtomicU64>,
}

impl Gate {
    fn new(to: &Url) -> Gate {
        let to = format!("{}:{}", to.host_str().unwrap(), to.port().unwrap()).parse().unwrap();
        let (open, streams, bytes) = Default::default();
        let mut gate = Gate { address: free_address(), to, open, listening: None, streams, bytes };
        gate.open();
        gate
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn open(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.open.store(true, Ordering::Release);
        let (to, open) = (self.to, Arc::clone(&self.open));
        let (streams, bytes) = (Arc::clone(&self.streams), Arc::clone(&self.bytes));
        self.listening = Some(std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !open.load(Ordering::Acquire) {
                    return;
                }
                let server = TcpStream::connect(to).unwrap();
                streams.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                pass_on(client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&bytes));
                pass_on(server, client, Arc::default());
            }
        }));
    }

    /// Nobody listens any more, and every connection ends wherever it is.
    fn close(&mut self) {
        self.open.store(false, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        self.listening.take().unwrap().join().unwrap();
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits until so many more bytes have gone through.
    fn wait_for_bytes(&self, workshop: &Workshop, bytes: u64) {
        let wanted = self.bytes.load(Ordering::Acquire) + bytes;
        workshop.wait_until("bytes go through", || self.bytes.load(Ordering::Acquire) >= wanted);
    }
}

/// Copies what comes from one side to the other until either goes away.
fn pass_on(mut from: TcpStream, mut to: TcpStream, bytes: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut block = [0; 16 * 1024];
        while let Ok(count) = io::Read::read(&mut from, &mut block) {
            if count == 0 || io::Write::write_all(&mut to, &block[..count]).is_err() {
                break;
            }
            bytes.fetch_add(count as u64, Ordering::AcqRel);
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_die_under_load_are_left_out_and_taken_back() {
    const SOME: u64 = 400_000;
    let Some(node) = Node::plain("hosts that die under load") else { return };
    let stream = prepared(&node, "hostsunderload").await;
    let (mut first, mut second) = (Gate::new(&node.options.hosts[0]), Gate::new(&node.options.hosts[0]));
    let workshop =
        Workshop::new("[\"logs/*.log\"]", &sink(&[first.url(), second.url()], &stream, ", in_flight_max: 4"));
    let stop = Arc::default();
    let writer = write(&workshop.log("a.log"), 50, &stop);
    let running = workshop.start(&[]);
    first.wait_for_bytes(&workshop, SOME);
    second.wait_for_bytes(&workshop, SOME);
    first.close();
    second.wait_for_bytes(&workshop, SOME);
    first.open();
    let reopened = Instant::now();
    first.wait_for_bytes(&workshop, SOME);
    let taken_back = reopened.elapsed();
    second.close();
    first.wait_for_bytes(&workshop, SOME);
    // Both are gone.
    first.close();
    workshop.wait_until("it is said", || workshop.said().contains("refused"));
    second.open();
    first.open();
    second.wait_for_bytes(&workshop, SOME);
    stop.store(true, Ordering::Release);
    let written = writer.join().unwrap();
    running.stop();
    workshop.start(&["--once"]).code();
    let said = workshop.said();
    for words in ["is left out", "answers again"] {
        let count = said.matches(words).count();
        assert!((1..=20).contains(&count), "`{words}` is said {count} times: {}", workshop.last_words());
    }
    workshop.must_be_exact("hosts", written, false, &found(&node, &stream).await);
    report(&format!(
        "hosts under load: {written} records, a host was taken back after {:.1} s; 0 missing, 0 doubled",
        taken_back.as_secs_f64()
    ));
}

/// The node takes 200 kB a request and has one place in its queue: requests are halved until they fit, asked again when
/// the node is busy, and what is too large alone is dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_strict_node_gets_everything_but_what_it_never_takes() {
    const COUNT: u64 = 30_000;
    let Some(node) = Node::strict("a strict node") else { return };
    let stream = prepared(&node, "strictnode").await;
    let password = std::env::var("INFERLOG_TEST_ES_STRICT_PASSWORD").unwrap();
    let more = format!(", in_flight_max: 8, username: elastic, password: {password}");
    let place = Place::new(&pipeline(&sink(&[node.options.hosts[0].to_string()], &stream, &more)));
    place.append(records(0..COUNT));
    append(&place.path("logs/b.ndjson"), format!("{{\"text\":\"{}\"}}\n", "x".repeat(250_000)));
    place.run_once_to(1);
    assert_eq!(node.count(&stream, r#"{"exists":{"field":"n"}}"#).await, COUNT);
    assert_eq!(node.count(&stream, r#"{"match_all":{}}"#).await, COUNT);
    let dead = place.dead_letters();
    assert_eq!(dead.iter().map(|entry| &entry["reason"]).collect::<Vec<_>>(), ["content_too_large"]);
}

/// A node of the test's own, on a port that it keeps.
struct OwnNode {
    address: SocketAddr,
    data: tempfile::TempDir,
}

impl OwnNode {
    fn es_node(&self, verb: &str, more: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/es/es-node");
        let mut command = Command::new(script);
        command.arg(verb).arg("--data").arg(self.data.path()).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "es-node {verb}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn start(&self) {
        let (port, parent) = (self.address.port().to_string(), std::process::id().to_string());
        self.es_node("start", &["--port", &port, "--heap", "512m", "--parent", &parent]);
    }

    fn stop(&self) {
        self.es_node("stop", &[]);
    }

    /// `kill -9`.
    fn kill(&self) {
        let pid = std::fs::read_to_string(self.data.path().join("pid")).unwrap();
        send_signal(pid.trim().parse().unwrap(), Signal::KILL);
    }
}

impl Drop for OwnNode {
    fn drop(&mut self) {
        self.es_node("stop", &[]);
    }
}

/// How many documents a search finds now; none as long as there is no stream, or its shards are not back.
async fn count_now(node: &Node, stream: &str) -> u64 {
    node.ask(Method::Post, &format!("{stream}/_refresh"), "").await;
    node.ask(Method::Get, &format!("{stream}/_count"), "").await.1["count"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stopped_and_killed_in_mid_bulk_has_everything_once() {
    if !is_long() {
        return report("left out: a node that is stopped and killed in mid-bulk (takes minutes; `./test --long`)");
    }
    if crate::support::provided("INFERLOG_TEST_ES_URL", "node restarted in mid-bulk").is_none() {
        return;
    }
    let own = OwnNode { address: free_address(), data: tempfile::tempdir().unwrap() };
    own.start();
    let url = format!("http://{}", own.address);
    let node = Node::new(ClientOptions::new(vec![Url::parse(&url).unwrap()]));
    let stream = prepared(&node, "restarted").await;
    let workshop = Workshop::new("[\"logs/*.log\"]", &sink(&[url], &stream, ""));
    let stop = Arc::default();
    let writer = write(&workshop.log("a.log"), 20, &stop);
    let running = workshop.start(&[]);
    let mut counts = Vec::new();
    for how in [OwnNode::stop, OwnNode::kill] {
        let before = counts.last().copied().unwrap_or(0);
        let mut count = before;
        let deadline = Instant::now() + PATIENCE;
        while count < before + 5_000 {
            assert!(Instant::now() < deadline, "{count} documents; {}", workshop.last_words());
            count = count_now(&node, &stream).await;
        }
        counts.push(count);
        how(&own);
        own.start();
    }
    assert!(workshop.said().contains("no answer from"), "{}", workshop.last_words());
    stop.store(true, Ordering::Release);
    let written = writer.join().unwrap();
    running.stop();
    workshop.start(&["--once"]).code();
    workshop.must_be_exact("node restarted", written, false, &found(&node, &stream).await);
    report(&format!("node stopped and killed at {counts:?} of {written} records; 0 missing, 0 doubled"));
}

const ALL: u64 = 100_000;

/// A pipeline that has much to send in small requests, eight at a time if it may.
fn busy_workshop(endpoint: &Endpoint) -> Workshop {
    let sink = format!("{}\nbatch: {{ bytes_max: 64KiB }}", endpoint.sink_with(", in_flight_max: 8"));
    let workshop = Workshop::new("[\"logs/*.log\"]", &sink);
    append(&workshop.log("a.log"), lines(0..ALL));
    workshop
}

#[test]
fn an_endpoint_with_room_for_two_is_not_asked_by_eight() {
    let endpoint = Endpoint::start(1, 0.0);
    endpoint.set_room(Room { requests: 2, takes: Duration::from_millis(10) });
    let workshop = busy_workshop(&endpoint);
    let began = Instant::now();
    workshop.start(&["--once"]).code();
    let took = began.elapsed();
    let load = endpoint.take_load();
    report(&format!("room for two: {load:?} in {:.1} s", took.as_secs_f64()));
    assert!(load.requests > 300 && load.working_max == 2, "{load:?}");
    assert!(load.refused < load.requests / 8, "{load:?}");
    workshop.must_be_exact("room for two", ALL, true, &endpoint.documents());
}

#[test]
fn an_endpoint_that_takes_nothing_is_asked_by_one_request_now_and_then_and_then_by_all() {
    let endpoint = Endpoint::start(1, 0.0);
    let plenty = Room { requests: 100, takes: Duration::from_millis(10) };
    endpoint.set_room(Room { requests: 0, ..plenty });
    let workshop = busy_workshop(&endpoint);
    let mut running = workshop.start(&["--once"]);
    workshop.wait_until("it was asked", || endpoint.count_refused() >= 1);
    let began = Instant::now();
    workshop.wait_until("it was asked often", || endpoint.count_refused() >= 12);
    let took = began.elapsed();
    // Half of 20, 40, 80, 160, 320, 500, 500… ms at least.
    assert!(took >= Duration::from_millis(310 + 6 * 250), "{took:?}");
    endpoint.take_load();
    endpoint.set_room(plenty);
    assert_eq!(running.code(), Some(1), "some are refused by the oracle");
    let load = endpoint.take_load();
    report(&format!("back again: {load:?}"));
    assert_eq!((load.working_max, load.refused), (8, 0), "{load:?}");
    workshop.must_be_exact("back again", ALL, true, &endpoint.documents());
}

#[test]
fn a_record_on_which_the_server_fails_for_ever_is_dead_lettered_and_a_single_run_ends() {
    let endpoint = Endpoint::start(1, 0.0);
    endpoint.fail_on(60);
    let workshop = Workshop::new("[\"logs/*.log\"]", &endpoint.sink_with(", item_attempts_max: 5"));
    append(&workshop.log("a.log"), lines(0..100));
    assert_eq!(workshop.start(&["--once"]).code(), Some(1), "{}", workshop.last_words());
    assert!(workshop.dead().iter().any(|(_, number)| *number == 60));
    assert_eq!(endpoint.documents().len(), 47 * 2 - 1, "all others are there");
}
