//! An endpoint for bulk requests that is never what a run waits for: it counts documents and bytes, answers as
//! Elasticsearch 8 does for the `filter_path` of the request, keeps a sample of the documents, and does nothing else. It
//! is a process of its own, so that its CPU time is nobody else's; nothing is allocated for a document that is not
//! kept. Answers are not compressed.
//!
//! It is asked by lines on its standard input, and answers on its standard output:
//!
//! ```text
//! count      DOCUMENTS BYTES REQUESTS           of records; bytes as they came over the wire
//! samples    N, then N action lines, each with its document on the line behind it
//! ```

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use memchr::{memchr, memchr_iter, memmem};

use super::usage::{Usage, usage};

/// How much is read at a time.
const BLOCK_BYTES: usize = 256 * 1024;

/// A head that is longer is not one of ours.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A document is kept of one block in so many.
const SAMPLE_EVERY: u64 = 4;

/// The most documents that are kept.
const SAMPLES_MAX: usize = 1_000;

/// What came to an endpoint so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) documents: u64,
    /// Of bodies, as they came.
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
}

/// A document that was kept.
pub(crate) struct Sample {
    pub(crate) action: String,
    pub(crate) document: String,
}

/// An endpoint in a process of its own.
pub(crate) struct Endpoint {
    child: Child,
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) url: String,
}

impl Endpoint {
    /// Starts this bench anew as the endpoint: [`serve`] has to be called where the argument is `endpoint`.
    pub(crate) fn start() -> Endpoint {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("endpoint")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the endpoint");
        let mut told = BufReader::new(child.stdout.take().expect("its stdout"));
        let asked = child.stdin.take().expect("its stdin");
        let url = next_line(&mut told);
        Endpoint { child, asked, told, url }
    }

    /// Holds it to some cores, in the words of `taskset`.
    pub(crate) fn hold_to(&self, cores: &str) {
        let mut taskset = Command::new("taskset");
        taskset.args(["--all-tasks", "--cpu-list", "--pid", cores, &self.child.id().to_string()]);
        assert!(taskset.stdout(Stdio::null()).status().expect("taskset").success(), "the endpoint is held");
    }

    /// How many records came so far.
    pub(crate) fn count(&mut self) -> u64 {
        self.counted().documents
    }

    /// What came so far, but for what inferlog writes about itself.
    pub(crate) fn counted(&mut self) -> Counted {
        let answer = self.ask("count");
        let mut numbers = answer.split(' ').map(|number| number.parse().expect("a count"));
        let mut next = || numbers.next().expect("three numbers");
        Counted { documents: next(), bytes: next(), requests: next() }
    }

    /// Some of the documents, with their action lines.
    pub(crate) fn samples(&mut self) -> Vec<Sample> {
        let count: usize = self.ask("samples").parse().expect("a count");
        let mut next = || next_line(&mut self.told);
        (0..count).map(|_| Sample { action: next(), document: next() }).collect()
    }

    /// What it has used itself.
    pub(crate) fn usage(&self) -> Usage {
        usage(&self.child)
    }

    fn ask(&mut self, what: &str) -> String {
        self.asked.write_all(format!("{what}\n").as_bytes()).expect("it listens");
        next_line(&mut self.told)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(from: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a line");
    line.trim_end_matches('\n').to_owned()
}

/// What all connections add to.
#[derive(Default)]
struct Sum {
    documents: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
    blocks: AtomicU64,
    /// Action line, line end, document.
    samples: Mutex<Vec<Vec<u8>>>,
}

/// Is the endpoint, until its standard input ends.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let sum = Arc::new(Sum::default());
    let added = Arc::clone(&sum);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sum = Arc::clone(&added);
            std::thread::spawn(move || Connection::new(stream, &sum).answer_all());
        }
    });
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let number = |of: &AtomicU64| of.load(Ordering::SeqCst);
        if line == "count" {
            println!("{} {} {}", number(&sum.documents), number(&sum.bytes), number(&sum.requests));
            continue;
        }
        let samples = sum.samples.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{}", samples.len());
        for sample in samples.iter() {
            println!("{}", String::from_utf8_lossy(sample));
        }
    }
}

/// What a request's head says of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    pub(crate) body_bytes: usize,
    is_gzip: bool,
    wants_to_be_told_to_go_on: bool,
    /// It asks for the parts of an answer that inferlog asks for.
    is_filtered: bool,
    /// It carries inferlog's own accounts.
    pub(crate) is_account: bool,
    /// It asks who is there.
    is_root: bool,
}

struct Connection<'s> {
    stream: TcpStream,
    sum: &'s Sum,
    /// What was read, and which part of it is not dealt with.
    block: Vec<u8>,
    start: usize,
    end: usize,
    answer: Vec<u8>,
}

impl<'s> Connection<'s> {
    fn new(stream: TcpStream, sum: &'s Sum) -> Connection<'s> {
        let _ = stream.set_nodelay(true);
        Connection { stream, sum, block: vec![0; BLOCK_BYTES], start: 0, end: 0, answer: Vec::new() }
    }

    fn answer_all(mut self) -> Option<()> {
        loop {
            let head = self.head()?;
            if head.wants_to_be_told_to_go_on {
                self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
            }
            let (lines, action) = self.body(&head)?;
            let documents = lines / 2;
            if !head.is_account && documents > 0 {
                self.sum.requests.fetch_add(1, Ordering::SeqCst);
                self.sum.bytes.fetch_add(head.body_bytes as u64, Ordering::SeqCst);
                self.sum.documents.fetch_add(documents, Ordering::SeqCst);
            }
            write_answer(&head, documents, action, &mut self.answer);
            self.stream.write_all(&self.answer).ok()?;
        }
    }

    /// Reads on, behind what is there; `None` at the end of the connection.
    fn read(&mut self) -> Option<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let count = self.stream.read(&mut self.block[self.end..]).ok().filter(|count| *count > 0)?;
        self.end += count;
        Some(())
    }

    fn head(&mut self) -> Option<Head> {
        let length = loop {
            if let Some(length) = memmem::find(&self.block[self.start..self.end], b"\r\n\r\n") {
                break length + 4;
            }
            if self.start > 0 {
                self.block.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            if self.end > HEAD_BYTES_MAX {
                return None;
            }
            self.read()?;
        };
        let head = read_head(&self.block[self.start..self.start + length]);
        self.start += length;
        head
    }

    /// Reads a body; gives how many lines it has, and the name of its first action.
    fn body(&mut self, head: &Head) -> Option<(u64, Action)> {
        let lines = Lines { sum: self.sum, is_account: head.is_account, count: 0, action: None };
        let mut unzip = head.is_gzip.then(|| flate2::write::GzDecoder::new(lines));
        let mut left = head.body_bytes;
        let (mut plain, mut action) = (0, None);
        while left > 0 {
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
                let count = self.stream.read(&mut self.block).ok().filter(|count| *count > 0)?;
                self.end = count;
            }
            let taken = left.min(self.end - self.start);
            let part = &self.block[self.start..self.start + taken];
            match &mut unzip {
                Some(unzip) => unzip.write_all(part).ok()?,
                None => {
                    plain += count_lines(part);
                    action = action.or_else(|| Some(Action::of(part)));
                    self.sum.look_at(part, head.is_account);
                }
            }
            self.start += taken;
            left -= taken;
        }
        if let Some(unzip) = unzip {
            let lines = unzip.finish().ok()?;
            (plain, action) = (lines.count, lines.action);
        }
        Some((plain, action.unwrap_or(Action::Create)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    Index,
}

impl Action {
    fn of(beginning: &[u8]) -> Action {
        let name = beginning.iter().position(|byte| *byte == b'"').map_or(&b""[..], |quote| &beginning[quote + 1..]);
        if name.starts_with(b"index") { Action::Index } else { Action::Create }
    }
}

/// Counts the lines of a body that is being unpacked.
struct Lines<'s> {
    sum: &'s Sum,
    is_account: bool,
    count: u64,
    action: Option<Action>,
}

impl Write for Lines<'_> {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        self.action = self.action.or_else(|| Some(Action::of(part)));
        self.count += count_lines(part);
        self.sum.look_at(part, self.is_account);
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn count_lines(part: &[u8]) -> u64 {
    memchr_iter(b'\n', part).count() as u64
}

impl Sum {
    /// Keeps a document of one block in some.
    fn look_at(&self, part: &[u8], is_account: bool) {
        if is_account || !self.blocks.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE_EVERY) {
            return;
        }
        let Some(item) = first_item(part) else { return };
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() < SAMPLES_MAX {
            samples.push(item.to_vec());
        }
    }
}

/// The first action line with its document that is whole in a part of a body.
fn first_item(part: &[u8]) -> Option<&[u8]> {
    let is_action = |line: &[u8]| {
        let line = line.get(..line.len().min(12)).unwrap_or_default();
        [&b"{\"create\":"[..], b"{\"create\" :", b"{\"index\":", b"{\"index\" :"]
            .iter()
            .any(|way| line.starts_with(way))
    };
    let mut at = 0;
    loop {
        let line_end = at + memchr(b'\n', &part[at..])?;
        let next = line_end + 1;
        if is_action(&part[at..line_end]) {
            let end = next + memchr(b'\n', &part[next..])?;
            return Some(&part[at..end]);
        }
        at = next;
    }
}

/// Reads a request, packed as it may be; gives its head as it came, what that says, and the body. For benches that look at
/// each document.
pub(crate) fn read_request(reader: &mut impl std::io::BufRead) -> Option<(Vec<u8>, Head, Vec<u8>)> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        reader.read_until(b'\n', &mut text).ok().filter(|count| *count > 0)?;
    }
    let head = read_head(&text)?;
    let mut body = vec![0; head.body_bytes];
    reader.read_exact(&mut body).ok()?;
    Some((text, head, body))
}

/// The answer to a request of so many documents that are to be created.
pub(crate) fn answer_of(head: &Head, documents: u64) -> Vec<u8> {
    let mut answer = Vec::new();
    write_answer(head, documents, Action::Create, &mut answer);
    answer
}

fn read_head(head: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.lines();
    let path = lines.next()?.split(' ').nth(1)?;
    let mut head = Head {
        is_filtered: path.contains("filter_path=") && path.contains("items"),
        is_account: path.contains("/metrics-ml.pipeline-"),
        is_root: path == "/",
        ..Head::default()
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name {
            _ if name.eq_ignore_ascii_case("content-length") => head.body_bytes = value.parse().ok()?,
            _ if name.eq_ignore_ascii_case("content-encoding") => head.is_gzip = value == "gzip",
            _ if name.eq_ignore_ascii_case("expect") => head.wants_to_be_told_to_go_on = true,
            _ => {}
        }
    }
    Some(head)
}

/// What Elasticsearch 8 says of an item that was created, whole and as `filter_path` leaves it.
const ITEM: &str = concat!(
    r#":{"_index":".ds-logs-ml.inference-default-2026.11.23-000001","_id":"AGoi0yCxYzq4kWb2Zq1kV3m7pXnD","_version":1,"#,
    r#""result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":100000,"_primary_term":1,"status":201}}"#
);
const FILTERED_ITEM: &str = r#":{"status":201}}"#;

fn write_answer(head: &Head, documents: u64, action: Action, answer: &mut Vec<u8>) {
    const ROOT: &str = r#"{"name":"bench","cluster_name":"bench","version":{"number":"8.17.0","build_flavor":"default"},"tagline":"You Know, for Search"}"#;
    let item = if head.is_filtered { FILTERED_ITEM } else { ITEM };
    let name = if action == Action::Index { r#"{"index""# } else { r#"{"create""# };
    let (before, after) = (r#"{"errors":false,"took":1,"items":["#, "]}");
    let commas = documents.saturating_sub(1) as usize;
    let length = if head.is_root {
        ROOT.len()
    } else {
        before.len() + documents as usize * (name.len() + item.len()) + commas + after.len()
    };
    answer.clear();
    let _ = write!(
        answer,
        "HTTP/1.1 200 OK\r\nX-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    if head.is_root {
        return answer.extend_from_slice(ROOT.as_bytes());
    }
    answer.extend_from_slice(before.as_bytes());
    for n in 0..documents {
        if n > 0 {
            answer.push(b',');
        }
        answer.extend_from_slice(name.as_bytes());
        answer.extend_from_slice(item.as_bytes());
    }
    answer.extend_from_slice(after.as_bytes());
}
