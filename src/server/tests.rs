//! The routes: who is answered what, with which head, by which name and method.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::flow::answer::Trouble;
use crate::pipeline::pulse::{Obstacle, Pulse};

/// The whole answer to a request.
async fn asked(address: SocketAddr, method: &'static str, path: &'static str, host: &'static str) -> String {
    let ask = move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let host = if host.is_empty() { String::new() } else { format!("host: {host}\r\n") };
        stream.write_all(format!("{method} {path} HTTP/1.0\r\n{host}content-length: 0\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

#[tokio::test]
async fn every_route_answers_to_its_names_and_methods_alone() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let status = ProcessStatus { allowed_hosts: Arc::new(["allowed.example".to_owned()]), ..ProcessStatus::default() };
    let serving = tokio::spawn(serve(listener, status));
    let (ours, allowed, other) = ("127.0.0.1:9614", "allowed.example:80", "attacker.example:9614");
    for (method, path, host, expected) in [
        ("GET", "/", ours, 200),
        ("GET", "/", allowed, 200),
        ("GET", "/", other, 421),
        ("GET", "/", "", 421),
        ("POST", "/", ours, 405),
        ("HEAD", "/", ours, 200),
        ("GET", "/page/page.js", ours, 200),
        ("GET", "/page/page.js", other, 421),
        ("GET", "/page/uplot.js", ours, 200),
        ("GET", "/page/page.css", ours, 200),
        ("GET", "/page/../metrics", ours, 404),
        ("GET", "/status.json", ours, 200),
        ("GET", "/status.json", other, 421),
        ("POST", "/status.json", ours, 405),
        ("POST", "/-/reload", other, 421),
        ("POST", "/-/reload", ours, 404),
        ("GET", "/-/reload", ours, 405),
        ("POST", "/-/log-level", other, 421),
        ("POST", "/-/log-level", ours, 404),
        ("POST", "/query", other, 421),
        ("POST", "/query", "", 421),
        ("POST", "/query", ours, 403),
        ("GET", "/query", ours, 405),
        ("GET", "/metrics", other, 200),
        ("GET", "/healthz", other, 200),
        ("GET", "/readyz", other, 200),
        ("GET", "/other", ours, 404),
    ] {
        let answer = asked(address, method, path, host).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.split(' ').nth(1).unwrap(), expected.to_string(), "{method} {path} {host}: {answer}");
        let is_open = ["/metrics", "/healthz", "/readyz"].contains(&path);
        for line in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert_eq!(head.contains(line), !is_open, "{method} {path} {host}: {line}\n{head}");
        }
        assert!(!head.contains("access-control-allow-origin") && !head.contains("unsafe"), "{head}");
        assert!(expected != 421 || body.contains("--allow-host"), "{body}");
    }
    serving.abort();
}

/// What `POST /query` answers to this question with this token.
async fn asked_for_records(served: &ProcessStatus, token: &str, question: &str) -> (u16, String) {
    let head =
        [(header::AUTHORIZATION, format!("Bearer {token}")), (header::CONTENT_TYPE, "application/json".to_owned())];
    let headers = HeaderMap::from_iter(head.map(|(name, value)| (name, value.parse().unwrap())));
    let answer = records::records(State(served.clone()), None, headers, question.to_owned().into()).await;
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn one_question_for_records_is_answered_at_a_time() {
    let records = Records::new(Token::new("t0ken"), std::path::Path::new("/nowhere"));
    let served = ProcessStatus { records: Some(records.clone()), ..ProcessStatus::default() };
    assert_eq!(asked_for_records(&served, "t0ken", "{}").await.0, 404, "there is no pipeline");
    let turn = Arc::clone(&records.turn).try_acquire_owned().unwrap();
    let (status, words) = asked_for_records(&served, "t0ken", "{}").await;
    assert!(status == 429 && words.contains("one is at a time"), "{words}");
    assert_eq!(asked_for_records(&served, "other", "{}").await.0, 401, "who has no token is not told");
    drop(turn);
    assert_eq!(asked_for_records(&served, "t0ken", "{}").await.0, 404);
}

#[tokio::test]
async fn what_is_held_up_is_not_ready_and_what_is_dead_is_not_alive() {
    let (pulse, is_running) = (Arc::new(Pulse::default()), Arc::new(AtomicBool::new(true)));
    let pipeline = PipelineStatus {
        name: "p".to_owned(),
        is_running: Arc::clone(&is_running),
        pulse: Arc::clone(&pulse),
        ..PipelineStatus::default()
    };
    let served = ProcessStatus { pipelines: Arc::new(RwLock::new(vec![pipeline])), ..ProcessStatus::default() };
    let said = async || {
        let [alive, ready] =
            [alive(State(served.clone())).await.into_response(), ready(State(served.clone())).await.into_response()]
                .map(|response| response.status().as_u16());
        (alive, ready)
    };
    assert_eq!(said().await, (200, 200));
    pulse.hold(Obstacle::DeadLetter, Trouble { problem: "it is full".to_owned(), hint: None });
    assert_eq!(said().await, (200, 503));
    pulse.free(Obstacle::DeadLetter);
    assert_eq!(said().await, (200, 200));
    pulse.panicked("BUG: x");
    is_running.store(false, Ordering::Release);
    assert_eq!(said().await, (503, 503));
}
