//! Every way to reach a real Elasticsearch and to say who we are, by `check --connect` of the built binary; and what is said
//! within seconds where it is not reached.
//!
//! Before the node stands a front of ours that speaks TLS with a certificate of a private authority and passes on what comes
//! below a path.

use std::fs;
use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio::net::TcpListener as AsyncListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;

use crate::elasticsearch_tls::certificates;
use crate::place::{Ended, Place, free_address, pipeline, start};
use crate::support::{Method, Node, provided};

/// Below this path the front passes on.
const PREFIX: &str = "/behind/a/path";

/// Far above the five seconds within which it shall be said, so that a busy machine fails nothing, and far below the minute that
/// a request may take.
const SAID_WITHIN: Duration = Duration::from_secs(30);

/// Which certificate a front shows, and whether it asks for one.
#[derive(Clone, Copy)]
struct Tls<'f> {
    folder: &'f Path,
    name: &'f str,
    asks_for_ours: bool,
}

impl Tls<'_> {
    /// The server's certificate, its authority's above it, as Elasticsearch sends them.
    fn acceptor(self) -> TlsAcceptor {
        let read = |name: &str| fs::read(self.folder.join(name)).unwrap();
        let authority = CertificateDer::from_pem_slice(&read("ca.pem")).unwrap();
        let own = CertificateDer::from_pem_slice(&read(&format!("{}.pem", self.name))).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&read(&format!("{}.key", self.name))).unwrap();
        let mut roots = tokio_rustls::rustls::RootCertStore::empty();
        roots.add(authority.clone()).unwrap();
        let config = ServerConfig::builder();
        let config = if self.asks_for_ours {
            config.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        } else {
            config.with_no_client_auth()
        };
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![own, authority], key).unwrap()))
    }
}

/// Where TLS ends.
struct TlsListener {
    tcp: AsyncListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            // Those who do not get on with our certificate are gone.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// Starts a front before the node, which ends with the test's process, and gives its port.
fn front(node: &Node, tls: Option<Tls<'_>>) -> u16 {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.set_nonblocking(true).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let upstream = node.options.hosts[0].as_str().trim_end_matches('/').to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let app = Router::new().fallback(move |request: Request| pass_on(http.clone(), upstream.clone(), request));
    let acceptor = tls.map(Tls::acceptor);
    spawn(async move {
        let tcp = AsyncListener::from_std(tcp).unwrap();
        match acceptor {
            Some(acceptor) => axum::serve(TlsListener { tcp, acceptor }, app).await,
            None => axum::serve(tcp, app).await,
        }
        .unwrap();
    });
    port
}

fn spawn(serving: impl Future<Output = ()> + Send + 'static) {
    std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serving);
    });
}

async fn pass_on(http: reqwest::Client, upstream: String, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asked = parts.uri.path_and_query().unwrap().as_str();
    let Some(path) = asked.strip_prefix(PREFIX) else {
        return Response::builder().status(404).body(Body::from("nothing is here")).unwrap();
    };
    let mut headers = parts.headers;
    headers.remove(HOST);
    headers.remove(CONTENT_LENGTH);
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let answer =
        http.request(parts.method, format!("{upstream}{path}")).headers(headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    let mut headers = answer.headers().clone();
    headers.remove(TRANSFER_ENCODING);
    response.headers_mut().unwrap().extend(headers);
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

/// A proxy that opens a tunnel to one port of this machine, whatever it is asked for; it gives its own port.
fn tunnel_to(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut line = String::new();
            let mut reader = BufReader::new(client.try_clone().unwrap());
            while !line.ends_with("\r\n\r\n") && reader.read_line(&mut line).is_ok_and(|length| length > 0) {}
            assert!(line.starts_with("CONNECT "), "{line}");
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            for (from, to) in [(client.try_clone(), server.try_clone()), (server.try_clone(), client.try_clone())] {
                let (mut from, mut to) = (from.unwrap(), to.unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    own
}

/// An address where nobody takes a connection and nobody refuses one, as long as what comes with it lives.
fn silent_address() -> (SocketAddr, (TcpListener, Vec<TcpStream>)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 100_000, "the queue of those who wait has no end");
    }
    (address, (listener, waiting))
}

/// `check --connect` of a pipeline whose sink has these keys.
fn check(keys: &str) -> Ended {
    let sink = format!("{{ elasticsearch: {{ {keys}, data_stream: logs-ml.inference-connection }} }}");
    let place = Place::new(&pipeline(&sink));
    let mut command = place.inferlog(&["check", "--connect", "p.yaml"]);
    command.env("NO_PROXY", "localhost");
    start(command).wait()
}

fn fingerprint(openssl: &str, certificate: &Path) -> String {
    let output =
        Command::new(openssl).args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(certificate).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.trim().rsplit_once('=').unwrap().1.to_owned()
}

/// A user that may ship, an API key and a bearer token.
async fn identities(node: &Node, test: &str) -> [String; 3] {
    let names = json!([{ "names": ["logs-ml.inference-connection", "metrics-ml.pipeline-*"],
        "privileges": ["create_doc", "auto_configure"] }]);
    let role = json!({ "cluster": ["monitor"], "indices": names });
    let user = json!({ "password": "connection-password", "roles": ["connection"] });
    for (path, body) in [("role/connection", role), ("user/connection", user)] {
        let (status, answer) = node.ask(Method::Put, &format!("_security/{path}"), &body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
    }
    let key =
        json!({ "name": "connection", "role_descriptors": { "ship": { "cluster": ["monitor"], "indices": names } } });
    let (_, key) = node.ask(Method::Post, "_security/api_key", &key.to_string()).await;
    // A service account's token is the one bearer token that a node gives without TLS of its own.
    let service = "_security/service/elastic/fleet-server/credential/token";
    node.ask(Method::Delete, &format!("{service}/connection-{test}"), "").await;
    let (_, token) = node.ask(Method::Post, &format!("{service}/connection-{test}"), "").await;
    [
        "username: connection, password: connection-password".to_owned(),
        format!("api_key: \"{}\"", key["encoded"].as_str().unwrap()),
        format!("bearer_token: \"{}\"", token["token"]["value"].as_str().unwrap()),
    ]
}

#[tokio::test]
async fn every_way_leads_to_the_node() {
    let Some(node) = Node::strict("connection matrix") else { return };
    let Some(openssl) = provided("INFERLOG_TEST_OPENSSL", "connection matrix") else { return };
    let folder = certificates(&openssl);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let [basic, api_key, bearer] = identities(&node, "ways").await;
    let tls = Tls { folder: folder.path(), name: "server", asks_for_ours: false };
    let (plain, secure, mutual) =
        (front(&node, None), front(&node, Some(tls)), front(&node, Some(Tls { asks_for_ours: true, ..tls })));
    let host = |scheme: &str, port: u16| format!("\"{scheme}://127.0.0.1:{port}{PREFIX}\"");
    let (http, https) = (host("http", plain), host("https", secure));
    let (ca, client) =
        (file("ca.pem"), format!("client_certificate: {}, client_key: {}", file("client.pem"), file("client.key")));
    let (of_authority, of_server) =
        (fingerprint(&openssl, Path::new(&ca)), fingerprint(&openssl, Path::new(&file("server.pem"))));
    let proxy = tunnel_to(secure);
    for keys in [
        format!("hosts: [{http}], {basic}"),
        format!("hosts: [{http}], {api_key}"),
        format!("hosts: [{http}], {bearer}"),
        format!("hosts: [{http}, {https}], {basic}, ca_file: {ca}"),
        format!("hosts: [{https}], {api_key}, ca_file: {ca}, gzip: true"),
        format!("hosts: [{}], {basic}, ca_file: {ca}, {client}", host("https", mutual)),
        format!("hosts: [{}], {basic}, fingerprint: \"{of_authority}\", {client}", host("https", mutual)),
        format!("hosts: [{https}], {basic}, fingerprint: \"{of_authority}\""),
        format!("hosts: [{https}], {basic}, fingerprint: \"{}\"", of_server.replace(':', "").to_lowercase()),
        format!("hosts: [{https}], {basic}, ca_file: {ca}, proxy: \"http://127.0.0.1:{proxy}\""),
    ] {
        let checked = check(&keys);
        let reached =
            checked.stderr.contains(": Elasticsearch 8.") && checked.stderr.contains("may make it and ship to it");
        assert!(reached, "{keys}: {checked:?}");
    }
}

#[tokio::test]
async fn a_cloud_id_is_an_address() {
    let Some(node) = Node::strict("cloud id") else { return };
    let Some(openssl) = provided("INFERLOG_TEST_OPENSSL", "cloud id") else { return };
    let folder = certificates(&openssl);
    let [basic, ..] = identities(&node, "cloud").await;
    let secure = front(&node, Some(Tls { folder: folder.path(), name: "server", asks_for_ours: false }));
    let id = format!("test:{}", BASE64_STANDARD.encode("cloud.invalid:9243$cluster$kibana"));
    let proxy = tunnel_to(secure);
    // The fingerprint is of the server's own certificate: no authority signs one for that name here. The cloud has no path.
    let own = fingerprint(&openssl, &folder.path().join("server.pem"));
    let checked =
        check(&format!("cloud_id: \"{id}\", {basic}, fingerprint: \"{own}\", proxy: \"http://127.0.0.1:{proxy}\""));
    assert!(checked.stderr.contains("https://cluster.cloud.invalid:9243 answered 404"), "{checked:?}");
}

#[tokio::test]
async fn who_does_not_get_there_is_told_why_within_seconds() {
    let Some(node) = Node::strict("connection failures") else { return };
    let Some(openssl) = provided("INFERLOG_TEST_OPENSSL", "connection failures") else { return };
    let folder = certificates(&openssl);
    let ca = folder.path().join("ca.pem").display().to_string();
    let [basic, ..] = identities(&node, "failures").await;
    let tls = Tls { folder: folder.path(), name: "server", asks_for_ours: false };
    let (plain, secure) = (front(&node, None), front(&node, Some(tls)));
    let expired = front(&node, Some(Tls { name: "expired", ..tls }));
    let mutual = front(&node, Some(Tls { asks_for_ours: true, ..tls }));
    let host = |scheme: &str, port: u16| format!("hosts: [\"{scheme}://127.0.0.1:{port}{PREFIX}\"]");
    let (http, https, trust) = (host("http", plain), host("https", secure), format!("ca_file: {ca}"));
    let other = fingerprint(&openssl, &folder.path().join("client.pem"));
    let nobody = free_address().port();
    let (silent, _full) = silent_address();
    let reader = json!({ "password": "connection-password", "roles": ["viewer"] }).to_string();
    assert_eq!(node.ask(Method::Put, "_security/user/connection-reader", &reader).await.0, 200);
    let reader = "username: connection-reader, password: connection-password";
    for (keys, code, problem, hint) in [
        (format!("{http}, username: connection, password: wrong"), 1, "401 (unauthorized)", "password"),
        (format!("{http}, api_key: \"wrong:key\""), 1, "401 (unauthorized)", "API key"),
        (format!("{http}, bearer_token: wrong"), 1, "401 (unauthorized)", "token"),
        (http.replace(PREFIX, "") + ", " + &basic, 1, "answered 404 (not found)", "the path in `hosts`"),
        (format!("{https}, {basic}"), 2, "UnknownIssuer", "`ca_file`"),
        (format!("{}, {basic}, {trust}", host("https", expired)), 2, "Expired", "renew it"),
        (
            format!("{}, {basic}, {trust}", https.replace("127.0.0.1", "localhost")),
            2,
            "not valid for name",
            "another name",
        ),
        (format!("{}, {basic}, {trust}", host("https", mutual)), 2, "CertificateRequired", "`client_certificate`"),
        (format!("{https}, {basic}, fingerprint: \"{other}\""), 2, "has the `fingerprint`", "openssl x509"),
        (format!("{}, {basic}", host("http", secure)), 2, "no answer", "write `https://`"),
        (format!("{}, {basic}, {trust}", host("https", plain)), 2, "no answer", "is it `http://`?"),
        (format!("{}, {basic}", host("http", nobody)), 2, "no answer", "nothing listens there"),
        ("hosts: [\"http://nowhere.invalid:9200\"], username: x, password: y".to_owned(), 2, "no answer", "unknown"),
        (host("http", silent.port()), 2, "no connection to", "does a firewall let this machine pass?"),
        (format!("{http}, {reader}"), 1, "may not create documents there", "`create_doc` and `auto_configure`"),
    ] {
        let since = Instant::now();
        let checked = check(&keys);
        let took = since.elapsed();
        assert!(checked.stderr.contains(problem) && checked.stderr.contains(hint), "{keys}: {}", checked.stderr);
        assert_eq!(checked.code, Some(code), "{keys}: {}", checked.stderr);
        assert!(!checked.stderr.contains("connection-password"), "{}", checked.stderr);
        assert!(took < SAID_WITHIN, "{keys} took {took:?}");
    }
}
