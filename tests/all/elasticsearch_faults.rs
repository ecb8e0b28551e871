//! The Elasticsearch sink against a scripted server: what a real one cannot be asked to do.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use inferlog::elastic::bulk;
use inferlog::elastic::client::{Body, Client, Method};
use inferlog::elastic::installation::Installation;
use inferlog::elastic::options::{ClientOptions, Proxy};
use inferlog::elastic::setup::{self, Conflicts};
use inferlog::elastic::target::Target;
use inferlog::flow::answer::{Answer, Outcome};
use inferlog::sink::Sink;
use inferlog::sink::elasticsearch::{Elasticsearch, ElasticsearchOptions};
use url::Url;

use crate::scripted::read_request;
use crate::support::{batch, deliver};

/// What the server does with one request.
#[derive(Clone)]
enum Script {
    /// Answers with these bytes, and ends the connection.
    Bytes(Vec<u8>),
    /// Says nothing for as long as the client stays.
    Silence,
    /// Answers for ever, a byte now and then.
    Drip,
}

/// The heads of the requests that a server got.
type Heads = Arc<Mutex<Vec<String>>>;

/// Starts a server that follows a script for every request; it ends with the test.
fn serve(script: Script) -> (Url, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let heads = Heads::default();
    let seen = Arc::clone(&heads);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (script, seen) = (script.clone(), Arc::clone(&seen));
            std::thread::spawn(move || answer(stream.unwrap(), &script, &seen));
        }
    });
    (url, heads)
}

fn answer(mut stream: TcpStream, script: &Script, heads: &Heads) {
    let Some(asked) = read_request(&mut BufReader::new(&stream)) else { return };
    heads.lock().unwrap().push(asked.head);
    match script {
        Script::Bytes(bytes) => {
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(Shutdown::Write);
        }
        Script::Silence => {}
        Script::Drip => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
            while stream.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    let _ = stream.read_to_end(&mut Vec::new());
}

fn bytes(text: impl Into<String>) -> Script {
    Script::Bytes(text.into().into_bytes())
}

fn response(status: &str, body: &str) -> Script {
    bytes(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

fn sink(hosts: Vec<Url>, request_timeout: Duration) -> Elasticsearch {
    let client = ClientOptions { request_timeout, ..ClientOptions::new(hosts) };
    Elasticsearch::new(&ElasticsearchOptions::new(client, Target::data_stream("logs-faults").unwrap())).unwrap()
}

const GOOD: &str = r#"{"took":1,"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#;

async fn ship(sink: &dyn Sink) -> Answer {
    deliver(sink, &batch(&[("a", r#""n":1"#), ("b", r#""n":2"#)]), None).await
}

#[tokio::test]
async fn an_answer_that_does_not_say_what_became_of_each_item_is_waited_for() {
    let fewer = r#"{"took":1,"errors":false,"items":[{"create":{"status":201}}]}"#;
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", GOOD.len(), &GOOD[..40]);
    let cut_chunk = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1000\r\n{GOOD}");
    let table = [
        (bytes(""), "no answer"),
        (bytes("HTTP/1.1 200"), "no answer"),
        (bytes("garbage\r\n\r\n"), "no answer"),
        (bytes(cut), "no answer"),
        (bytes(cut_chunk), "no answer"),
        (bytes("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"), "longer than"),
        (response("200 OK", ""), "cannot be read"),
        (response("200 OK", "{\"took\":"), "cannot be read"),
        (response("200 OK", "<html>"), "cannot be read"),
        (response("200 OK", fewer), "has 1 items, but 2 were sent"),
        (response("401 Unauthorized", ""), "401 (unauthorized)"),
        (response("404 Not Found", "{}"), "404"),
        (response("502 Bad Gateway", "<html>"), "502"),
        (response("503 Service Unavailable", ""), "503"),
        (response("307 Temporary Redirect", ""), "redirect"),
    ];
    for (script, words) in table {
        let (url, _) = serve(script);
        let answer = ship(&sink(vec![url], Duration::from_secs(20))).await;
        let Answer::Wait(trouble) = answer else { panic!("{words}: {answer:?}") };
        assert!(trouble.problem.contains(words), "{words}: {}", trouble.problem);
    }
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_heard() {
    for (status, wait) in [("429 Too Many Requests", 7), ("503 Service Unavailable", 11)] {
        let head = format!("HTTP/1.1 {status}\r\nretry-after: {wait}\r\ncontent-length: 0\r\n\r\n");
        let (url, _) = serve(bytes(head));
        let answer = ship(&sink(vec![url], Duration::from_secs(20))).await;
        let Answer::WaitAtLeast(at_least, trouble) = answer else { panic!("{answer:?}") };
        assert_eq!(at_least, Duration::from_secs(wait));
        assert!(trouble.problem.contains(&status[..3]), "{}", trouble.problem);
    }
}

#[tokio::test]
async fn a_host_that_is_not_available_is_left_out_and_another_one_asked_the_next_time() {
    let (away, heads) = serve(response("503 Service Unavailable", ""));
    let (good, _) = serve(response("200 OK", GOOD));
    let sink = sink(vec![away, good], Duration::from_secs(20));
    assert!(matches!(ship(&sink).await, Answer::Wait(_)), "its answer is passed on");
    for _ in 0..6 {
        assert_eq!(ship(&sink).await, Answer::Items(vec![Outcome::Indexed, Outcome::Indexed]));
    }
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_failure_store_is_not_success() {
    let body = r#"{"took":1,"errors":false,"items":[{"create":{"status":201,"failure_store":"used"}},{"create":{"status":201}}]}"#;
    let (url, _) = serve(response("200 OK", body));
    let answer = ship(&sink(vec![url], Duration::from_secs(20))).await;
    assert_eq!(answer, Answer::Items(vec![Outcome::FailureStore, Outcome::Indexed]));
}

#[tokio::test]
async fn silence_and_an_answer_without_end_stop_at_the_timeout() {
    for script in [Script::Silence, Script::Drip] {
        let (url, heads) = serve(script);
        let began = Instant::now();
        let answer = ship(&sink(vec![url], Duration::from_millis(300))).await;
        let Answer::Wait(trouble) = answer else { panic!("{answer:?}") };
        assert!(trouble.problem.contains("within 0.3 s"), "{}", trouble.problem);
        assert!(began.elapsed() < Duration::from_secs(15));
        assert_eq!(heads.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn setup_says_plainly_that_a_server_is_another_one() {
    let no_handler = r#"{"error":"no handler found for uri [/_index_template/_simulate] and method [POST]"}"#;
    let page = "<!doctype html><title>Sign in</title>";
    for (status, body) in [("200 OK", page), ("400 Bad Request", no_handler), ("405 Method Not Allowed", "")] {
        let (url, _) = serve(response(status, body));
        let client = Client::new(&ClientOptions::new(vec![url])).unwrap();
        let target = Target::data_stream("logs-faults").unwrap();
        let error = setup::plan(&client, &Installation::new(&target)).await.unwrap_err();
        assert!(error.to_string().contains("as Elasticsearch does") && error.hint().is_some(), "{error}");
    }
}

/// An address at which nothing listens.
fn nowhere() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
}

#[tokio::test]
async fn a_dead_host_among_several_costs_nothing_but_a_try() {
    let (good, heads) = serve(response("200 OK", GOOD));
    let sink = sink(vec![nowhere(), good], Duration::from_secs(20));
    for _ in 0..6 {
        assert_eq!(ship(&sink).await, Answer::Items(vec![Outcome::Indexed, Outcome::Indexed]));
    }
    // Three times it is looked at first: which parameters it knows, what is in force now and for the next index.
    assert_eq!(heads.lock().unwrap().len(), 6 + 3);
}

#[tokio::test]
async fn nobody_there_is_said_with_a_hint_and_without_the_password() {
    let mut url = nowhere();
    url.set_username("shipper").unwrap();
    url.set_password(Some("s3cret")).unwrap();
    let sink = sink(vec![url], Duration::from_secs(20));
    let Answer::Wait(trouble) = ship(&sink).await else { panic!("not a reason to wait") };
    assert!(trouble.problem.contains("refused") && trouble.hint.is_some(), "{trouble:?}");
    assert!(!format!("{trouble:?} {sink:?}").contains("s3cret"), "{trouble:?} {sink:?}");
}

#[tokio::test]
async fn no_redirect_is_followed_whatever_is_asked() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let (other, heads) = serve(response("200 OK", GOOD));
        let to = other.as_str().replace("http://", "http://user:s3cret@");
        let moved = format!("HTTP/1.1 {status}\r\nlocation: {to}logs/_bulk?token=s3cret\r\nconnection: close\r\n\r\n");
        let (mut url, first_heads) = serve(bytes(moved));
        url.set_username("shipper").unwrap();
        url.set_password(Some("s3cret")).unwrap();
        let sink = sink(vec![url.clone()], Duration::from_secs(20));
        let answer = ship(&sink).await;
        let Answer::Wait(trouble) = answer else { panic!("{answer:?}") };
        assert!(trouble.problem.contains(&format!("(a redirect to {other}logs/_bulk)")), "{}", trouble.problem);
        assert!(trouble.hint.clone().unwrap().contains("name the address that answers itself in `hosts`"));
        assert!(!format!("{trouble:?}").contains("s3cret"), "{trouble:?}");
        assert!(first_heads.lock().unwrap()[0].contains("authorization: basic"), "the first server is the one meant");
        // What sets up, and what asks, goes the same way.
        let client = Client::new(&ClientOptions::new(vec![url])).unwrap();
        let target = Target::data_stream("logs-faults").unwrap();
        let error = setup::apply(&client, &Installation::new(&target), Conflicts::Keep).await.unwrap_err();
        assert!(error.to_string().contains("a redirect to"), "{error}");
        for method in [Method::Get, Method::Put, Method::Post, Method::Delete] {
            assert_eq!(
                client.send(method, "x", &Body::Json("{}".into())).await.unwrap().status.to_string(),
                status[..3]
            );
        }
        assert!(heads.lock().unwrap().is_empty(), "nothing may reach the target of a {status}");
    }
}

#[tokio::test]
async fn what_has_no_body_says_so_and_a_proxy_that_wants_more_is_named() {
    let (url, heads) = serve(response("411 Length Required", ""));
    let client = Client::new(&ClientOptions::new(vec![url])).unwrap();
    for (method, has_length) in
        [(Method::Get, false), (Method::Post, true), (Method::Put, true), (Method::Delete, true)]
    {
        let reply = client.send(method, "x/_refresh", &Body::None).await.unwrap();
        let trouble = bulk::trouble_of(&reply);
        assert!(trouble.problem.contains("411 (a length is required)"), "{}", trouble.problem);
        let head = heads.lock().unwrap().pop().unwrap();
        assert_eq!(head.contains("content-length: 0"), has_length, "{head}");
    }
}

#[tokio::test]
async fn an_answer_is_unpacked_or_refused_with_words() {
    let packed = |members: &[&str]| {
        let mut bytes = Vec::new();
        for member in members {
            let mut encoder = flate2::write::GzEncoder::new(&mut bytes, flate2::Compression::fast());
            encoder.write_all(member.as_bytes()).unwrap();
            encoder.finish().unwrap();
        }
        bytes
    };
    let (first, second) = GOOD.split_at(30);
    // A gibibyte of blanks in ten megabytes: it is unpacked no further than the longest answer that is read.
    let bomb = packed(&[&" ".repeat(1 << 20)]).repeat(1_024);
    assert!(bomb.len() < 16 << 20, "{} bytes", bomb.len());
    for (encoding, bytes, words) in [
        ("gzip", packed(&[GOOD]), ""),
        ("x-gzip", packed(&[GOOD]), ""),
        ("GZIP", packed(&[first, second]), ""),
        ("gzip", packed(&[GOOD])[..20].to_vec(), "its gzip is damaged"),
        ("zstd", packed(&[GOOD]), "packed as `zstd`, which was not asked for"),
        ("gzip", bomb, "is longer than 67108864 bytes"),
    ] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            bytes.len()
        );
        let (url, heads) = serve(Script::Bytes([head.into_bytes(), bytes].concat()));
        let answer = ship(&sink(vec![url], Duration::from_secs(20))).await;
        match answer {
            Answer::Items(outcomes) => assert_eq!((outcomes.len(), words), (2, "")),
            Answer::Wait(trouble) => assert!(!words.is_empty() && trouble.problem.contains(words), "{trouble:?}"),
            other => panic!("{other:?}"),
        }
        assert!(heads.lock().unwrap()[0].contains("accept-encoding: gzip"));
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_or_does_not_let_through_is_named_without_its_password() {
    let with_user = |mut url: Url| {
        url.set_username("gate").unwrap();
        url.set_password(Some("s3cret")).unwrap();
        url
    };
    let asks = || serve(response("407 Proxy Authentication Required", "")).0;
    let denies = || serve(response("403 Forbidden", "<html>")).0;
    let table = [
        (nowhere(), "http", "no answer from the proxy P (`proxy` in the pipeline file), through which H is asked: "),
        (nowhere(), "https", "no answer from the proxy P (`proxy` in the pipeline file), through which H is asked: "),
        (asks(), "http", "H answered 407 (a proxy asks who we are) through the proxy P (`proxy` in the pipeline file)"),
        (asks(), "https", "no answer from H through the proxy P (`proxy` in the pipeline file): "),
        (denies(), "http", "H answered 403 (forbidden) through the proxy P (`proxy` in the pipeline file)"),
        (denies(), "https", "no answer from H through the proxy P (`proxy` in the pipeline file): "),
    ];
    for (proxy, scheme, words) in table {
        let host = Url::parse(&format!("{scheme}://es.invalid:9243")).unwrap();
        let options =
            ClientOptions { proxy: Some(Proxy::new(&with_user(proxy.clone()))), ..ClientOptions::new(vec![host]) };
        let target = Target::data_stream("logs-faults").unwrap();
        let sink = Elasticsearch::new(&ElasticsearchOptions::new(options, target)).unwrap();
        let Answer::Wait(trouble) = ship(&sink).await else { panic!("{words}") };
        let problem = trouble.problem.replace(proxy.as_str().trim_end_matches('/'), "P");
        let problem = problem.replace(&format!("{scheme}://es.invalid:9243"), "H");
        assert!(problem.starts_with(words), "{problem}\n{words}");
        assert!(trouble.hint.is_some() && !format!("{trouble:?}").contains("s3cret"), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_proxy_and_a_path_before_elasticsearch_are_used() {
    let (mut proxy, heads) = serve(response("200 OK", GOOD));
    proxy.set_username("gate").unwrap();
    proxy.set_password(Some("s3cret")).unwrap();
    let hosts = vec![Url::parse("http://es.invalid:9200/search/cluster").unwrap()];
    let client = ClientOptions { proxy: Some(Proxy::new(&proxy)), ..ClientOptions::new(hosts) };
    let target = Target::data_stream("logs-faults").unwrap();
    let sink = Elasticsearch::new(&ElasticsearchOptions::new(client, target)).unwrap();
    assert_eq!(ship(&sink).await, Answer::Items(vec![Outcome::Indexed, Outcome::Indexed]));
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("post http://es.invalid:9200/search/cluster/logs-faults/_bulk?filter_path="), "{head}");
    assert!(
        head.contains("proxy-authorization: basic") && head.contains("content-type: application/x-ndjson"),
        "{head}"
    );
}
