//! A server that answers what a function says, one request a connection; it ends with the test's process.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The first line, as it came.
    pub(crate) line: String,
    pub(crate) path: String,
    /// In small letters.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer(String);

impl Answer {
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        Answer(format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"))
    }

    /// A bulk answer, in which every item of the body is `created`.
    pub(crate) fn created(body: &[u8]) -> Answer {
        let items = body.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{\"create\"")).count();
        let items = vec![r#"{"create":{"status":201}}"#; items].join(",");
        Answer::new(200, &[], &format!("{{\"took\":1,\"errors\":false,\"items\":[{items}]}}"))
    }
}

/// Starts it and gives its URL.
pub(crate) fn scripted(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let asked = read_request(&mut BufReader::new(&stream))?;
                (&stream).write_all(answer(&asked).0.as_bytes()).ok()
            });
        }
    });
    url
}

/// Reads one request; `None` when the client is gone.
pub(crate) fn read_request(reader: &mut impl BufRead) -> Option<Asked> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).ok().filter(|length| *length > 0)?;
    }
    let line = head.lines().next()?.to_owned();
    let path = line.split(' ').nth(1)?.to_owned();
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line, path, head, body })
}
