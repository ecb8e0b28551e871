//! TLS of the Elasticsearch client against `openssl s_server`: a private authority, a client certificate, and what is said
//! when either is missing. The server answers every GET with a page.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use inferlog::elastic::client::{Body, Client, Method};
use inferlog::elastic::options::ClientOptions;
use tempfile::TempDir;
use url::Url;

use crate::support::provided;

/// A folder with `ca.pem`, and certificate and key of `server`, `client` and, whose time is over, `expired`, all signed by it.
pub(crate) fn certificates(openssl: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let make = |arguments: &str| {
        let output = Command::new(openssl).current_dir(&folder).args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    make(&format!("{key} -subj /CN=test-ca -keyout ca.key -out ca.pem"));
    for (name, extensions) in [("server", " -addext subjectAltName=IP:127.0.0.1"), ("client", "")] {
        let leaf = "-CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE";
        make(&format!("{key} -subj /CN={name} {leaf}{extensions} -keyout {name}.key -out {name}.pem"));
    }
    fs::write(folder.path().join("san"), "subjectAltName=IP:127.0.0.1").unwrap();
    make(
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=expired -keyout expired.key -out expired.csr",
    );
    make("x509 -req -in expired.csr -CA ca.pem -CAkey ca.key -days -1 -extfile san -out expired.pem");
    folder
}

/// A running `openssl s_server`; it ends with this value.
struct Server {
    process: Child,
    url: Url,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(openssl: &str, folder: &Path, more: &[&str]) -> Server {
    let mut process = Command::new(openssl)
        .current_dir(folder)
        .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert", "server.pem", "-key", "server.key"])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let accept = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned));
    Server { process, url: Url::parse(&format!("https://{}", accept.unwrap())).unwrap() }
}

async fn ask(options: &ClientOptions) -> Result<u16, String> {
    let client = Client::new(options).unwrap();
    let answer = client.send(Method::Get, "/", &Body::None).await;
    answer.map(|reply| reply.status).map_err(|trouble| format!("{} / {:?}", trouble.problem, trouble.hint))
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named() {
    let Some(openssl) = provided("INFERLOG_TEST_OPENSSL", "private authority") else { return };
    let folder = certificates(&openssl);
    let server = serve(&openssl, folder.path(), &[]);
    let unnamed = ClientOptions::new(vec![server.url.clone()]);
    let problem = ask(&unnamed).await.unwrap_err();
    assert!(problem.contains("UnknownIssuer") && problem.contains("ca_file"), "{problem}");
    let named = ClientOptions { ca_file: Some(folder.path().join("ca.pem")), ..unnamed.clone() };
    assert_eq!(ask(&named).await, Ok(200));
    let mut plain = unnamed.clone();
    plain.hosts[0] = Url::parse(&server.url.as_str().replace("https", "http")).unwrap();
    let problem = ask(&plain).await.unwrap_err();
    assert!(problem.contains("write `https://`"), "{problem}");
    let mut other_name = named;
    other_name.hosts[0].set_host(Some("localhost")).unwrap();
    let problem = ask(&other_name).await.unwrap_err();
    assert!(problem.contains("not valid for name"), "{problem}");
}

/// An `openssl s_server` that sends these bytes to the first who asks for something: an answer that comes before the question
/// is none.
fn serve_bytes(openssl: &str, folder: &Path, bytes: &str) -> Server {
    let mut process = Command::new(openssl)
        .current_dir(folder)
        .args(["s_server", "-accept", "127.0.0.1:0", "-cert", "server.pem", "-key", "server.key"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let accept = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned));
    let (mut input, bytes) = (process.stdin.take().unwrap(), bytes.to_owned());
    std::thread::spawn(move || {
        lines.find(|line| line.contains("HTTP/1.1")).expect("a question");
        input.write_all(bytes.as_bytes()).unwrap();
        // The input stays open: at its end the server would end, too.
        lines.for_each(drop);
    });
    Server { process, url: Url::parse(&format!("https://{}", accept.unwrap())).unwrap() }
}

#[tokio::test]
async fn a_redirect_out_of_tls_is_not_followed() {
    let Some(openssl) = provided("INFERLOG_TEST_OPENSSL", "redirect out of TLS") else { return };
    let folder = certificates(&openssl);
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    plain.set_nonblocking(true).unwrap();
    let to = format!("http://{}/logs-x/_bulk", plain.local_addr().unwrap());
    let moved = format!("HTTP/1.1 308 Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let server = serve_bytes(&openssl, folder.path(), &moved);
    let options =
        ClientOptions { ca_file: Some(folder.path().join("ca.pem")), ..ClientOptions::new(vec![server.url.clone()]) };
    let client = Client::new(&options).unwrap();
    let reply = client.send(Method::Post, "logs-x/_bulk", &Body::Lines("{}\n".into())).await.unwrap();
    assert_eq!((reply.status, reply.redirect.as_deref()), (308, Some(to.as_str())));
    let error = plain.accept().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "nobody may have come to the target");
}

#[tokio::test]
async fn certificates_are_read_again_when_their_files_change() {
    let Some(openssl) = provided("INFERLOG_TEST_OPENSSL", "renewed certificates") else { return };
    let (folder, other) = (certificates(&openssl), certificates(&openssl));
    let ours = TempDir::new().unwrap();
    let install = |from: &Path, names: &[&str]| {
        for name in names {
            let new = ours.path().join("new");
            std::fs::copy(from.join(name), &new).unwrap();
            std::fs::rename(&new, ours.path().join(name)).unwrap();
        }
    };
    let server = serve(&openssl, folder.path(), &["-Verify", "1", "-CAfile", "ca.pem", "-verify_return_error"]);
    install(other.path(), &["ca.pem", "client.pem", "client.key"]);
    let options = ClientOptions {
        ca_file: Some(ours.path().join("ca.pem")),
        client_certificate: Some((ours.path().join("client.pem"), ours.path().join("client.key"))),
        ..ClientOptions::new(vec![server.url.clone()])
    };
    let client = Client::new(&options).unwrap();
    let ask = async || client.send(Method::Get, "/", &Body::None).await.map(|reply| reply.status);
    assert!(ask().await.is_err(), "its authority is not trusted");
    install(folder.path(), &["ca.pem"]);
    assert!(ask().await.is_err(), "and it does not trust ours");
    install(folder.path(), &["client.pem"]);
    assert!(ask().await.is_err(), "a certificate without its key is not used");
    install(folder.path(), &["client.key"]);
    assert_eq!(ask().await, Ok(200));
}

#[tokio::test]
async fn tls_spoken_to_a_server_without_it_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let problem = ask(&ClientOptions::new(vec![url])).await.unwrap_err();
    assert!(problem.contains("is it `http://`?"), "{problem}");
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let Some(openssl) = provided("INFERLOG_TEST_OPENSSL", "client certificate") else { return };
    let folder = certificates(&openssl);
    let server = serve(&openssl, folder.path(), &["-Verify", "1", "-CAfile", "ca.pem", "-verify_return_error"]);
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    let mut options = ClientOptions::new(vec![server.url.clone()]);
    options.ca_file = Some(file("ca.pem"));
    let problem = ask(&options).await.unwrap_err();
    assert!(problem.contains("CertificateRequired"), "{problem}");
    options.client_certificate = Some((file("client.pem"), file("client.key")));
    assert_eq!(ask(&options).await, Ok(200));
}
