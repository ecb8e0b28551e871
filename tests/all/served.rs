//! The server of the built binary: who connects does not hold up who tails, and tools read what it says.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, http, pipeline};
use crate::support::provided;

const LINE: &str = "{\"event\":\"inference\",\"model_version\":\"1\",\"status\":\"success\",\"prediction\":\"a\",\
                    \"latency_ms\":12.5,\"confidence\":0.7,\"timestamp\":\"2026-11-23T10:00:01Z\"}\n";

#[test]
fn five_hundred_idle_connections_stop_neither_the_server_nor_the_tail() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(LINE);
    let running = place.run();
    let address = running.address.unwrap();
    let mut idle: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(address).unwrap()).collect();
    // Some of them begin to ask, and never end.
    idle.iter_mut().step_by(3).for_each(|stream| drop(stream.write_all(b"GET /metrics HT")));
    for _ in 0..5 {
        let asked = Instant::now();
        assert_eq!(running.get("/healthz"), (200, "alive\n".to_owned()));
        assert!(asked.elapsed() < Duration::from_secs(5), "answered after {:?}", asked.elapsed());
    }
    let sockets = std::fs::read_dir(format!("/proc/{}/fd", running.id())).unwrap();
    let sockets = sockets.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let sockets = sockets.filter(|target| target.to_string_lossy().starts_with("socket:")).count();
    assert!(sockets <= inferlog::server::CONNECTIONS_MAX + 8, "{sockets} sockets");
    std::fs::write(place.path("logs/b.ndjson"), LINE.repeat(20)).unwrap();
    place.append(LINE);
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"store\"}", 22);
    // Those that were let in last are told to go when they say nothing for long.
    let mut last = idle.pop().unwrap();
    last.set_read_timeout(Some(inferlog::server::HEAD_TIMEOUT + Duration::from_secs(50))).unwrap();
    assert!(matches!(last.read(&mut [0]), Ok(0) | Err(_)));
    running.stop();
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let place = Place::new(&format!("{}observe:\n  - model_metrics: {{}}\n", pipeline("{ store: {} }")));
    place.append(LINE);
    let running = place.run();
    running.wait_for_metric("inferlog_settled_lines_total{pipeline=\"p\"}", 1);
    let ask = |accept: &str| http(running.address.unwrap(), "GET", "/metrics", &[("accept", accept)], "").unwrap().1;
    let (text, open) = (ask("text/plain"), ask("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
    assert!(!text.contains("# EOF") && text.contains("# TYPE inferlog_source_read_lines_total counter\n"), "{text}");
    assert!(open.ends_with("# EOF\n") && open.contains("# TYPE inferlog_source_read_lines counter\n"), "{open}");
    let Some(promtool) = provided("INFERLOG_TEST_PROMTOOL", "lint of the metrics") else { return };
    let mut lint = Command::new(promtool);
    let mut lint = lint.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    lint.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let linted = lint.wait_with_output().unwrap();
    let findings = String::from_utf8_lossy(&linted.stderr).into_owned();
    assert!(linted.status.success() && findings.is_empty(), "{findings}\n{text}");
}
