//! One connection, kept: bodies go out, answers are skimmed.

use std::borrow::Cow;
use std::io::{IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;
use memchr::memmem;

/// The answer's parts that inferlog asks for.
const PATH: &str = "/_bulk?filter_path=took,errors,items.*.status,items.*.error.type,items.*.error.reason,\
                    items.*.failure_store";

/// Whoever sends: this thread, or another one to which bodies go and from which their buffers come back.
pub(super) enum Socket {
    Here(Box<Connection>),
    There { bodies: SyncSender<(Vec<u8>, usize)>, spent: Receiver<Vec<u8>>, thread: JoinHandle<()> },
}

impl Socket {
    pub(super) fn new(url: &str, gzip: bool, two_threads: bool) -> Socket {
        let mut connection = Connection::new(url, gzip);
        if !two_threads {
            return Socket::Here(Box::new(connection));
        }
        let (bodies, received) = sync_channel::<(Vec<u8>, usize)>(1);
        let (give_back, spent) = sync_channel(2);
        let thread = std::thread::spawn(move || {
            for (mut body, items) in received {
                connection.send(&body, items);
                body.clear();
                let _ = give_back.try_send(body);
            }
        });
        Socket::There { bodies, spent, thread }
    }

    /// Sends a body of so many items, and leaves an empty one in its place.
    pub(super) fn send(&mut self, body: &mut Vec<u8>, items: usize) {
        match self {
            Socket::Here(connection) => {
                connection.send(body, items);
                body.clear();
            }
            Socket::There { bodies, spent, .. } => {
                let next = spent.try_recv().unwrap_or_else(|_| Vec::with_capacity(body.capacity()));
                bodies.send((std::mem::replace(body, next), items)).expect("the other thread");
            }
        }
    }

    pub(super) fn finish(self) {
        if let Socket::There { bodies, thread, .. } = self {
            drop(bodies);
            thread.join().expect("the other thread");
        }
    }
}

pub(super) struct Connection {
    stream: TcpStream,
    address: String,
    packed: Option<Vec<u8>>,
    head: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    fn new(url: &str, gzip: bool) -> Connection {
        let address = url.strip_prefix("http://").expect("an address").trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&address).expect("the endpoint");
        stream.set_nodelay(true).expect("a socket");
        Connection { stream, address, packed: gzip.then(Vec::new), head: Vec::new(), answer: vec![0; 64 * 1024] }
    }

    fn send(&mut self, body: &[u8], items: usize) {
        let mut encoding = "";
        let body = match &mut self.packed {
            None => body,
            Some(packed) => {
                packed.clear();
                let mut gzip = GzEncoder::new(&mut *packed, Compression::new(1));
                gzip.write_all(body).expect("memory");
                gzip.finish().expect("memory");
                encoding = "content-encoding: gzip\r\n";
                packed
            }
        };
        self.head.clear();
        let (address, length, stream) = (&self.address, body.len(), crate::shared::STREAM);
        write!(
            self.head,
            "POST /{stream}{PATH} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-ndjson\r\n{encoding}\
             content-length: {length}\r\n\r\n"
        )
        .expect("memory");
        write_both(&mut self.stream, &self.head, body);
        self.skim(items);
    }

    /// Reads an answer: it has to say of each item that it was created.
    fn skim(&mut self, items: usize) {
        let mut held = 0;
        let mut length = None;
        while !length.is_some_and(|length: Length| length.is_reached(&self.answer[..held])) {
            if held == self.answer.len() {
                self.answer.resize(2 * held, 0);
            }
            let count = self.stream.read(&mut self.answer[held..]).expect("an answer");
            assert!(count > 0, "the endpoint went away");
            held += count;
            length = length.or_else(|| Length::of(&self.answer[..held]));
        }
        let answer = &self.answer[..held];
        assert!(answer.starts_with(b"HTTP/1.1 200"), "the endpoint refused");
        let body = length.map(|length| length.body(answer)).unwrap_or_default();
        assert_eq!(memmem::find_iter(&body, b"\"status\":201").count(), items, "each item was created");
    }
}

/// Where an answer ends.
#[derive(Clone, Copy)]
enum Length {
    /// At this many bytes, of which so many are the head.
    Known { head: usize, whole: usize },
    /// With the chunk of no bytes: so a node of Elasticsearch answers.
    Chunked { head: usize },
}

impl Length {
    /// As the head says, once that is there.
    fn of(held: &[u8]) -> Option<Length> {
        let head = memmem::find(held, b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&held[..head]).expect("text");
        let mut headers = text.lines().filter_map(|line| line.split_once(':'));
        match headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            Some((_, length)) => Some(Length::Known { head, whole: head + length.trim().parse::<usize>().ok()? }),
            None => Some(Length::Chunked { head }),
        }
    }

    fn is_reached(self, held: &[u8]) -> bool {
        match self {
            Length::Known { whole, .. } => held.len() >= whole,
            Length::Chunked { head } => held[head..].ends_with(b"\r\n0\r\n\r\n"),
        }
    }

    fn body(self, answer: &[u8]) -> Cow<'_, [u8]> {
        let head = match self {
            Length::Known { head, .. } => return Cow::Borrowed(&answer[head..]),
            Length::Chunked { head } => head,
        };
        let (mut body, mut rest) = (Vec::new(), &answer[head..]);
        while let Some(line) = memmem::find(rest, b"\r\n") {
            let length = std::str::from_utf8(&rest[..line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
            let length = length.expect("a chunk");
            body.extend_from_slice(&rest[line + 2..line + 2 + length]);
            rest = &rest[line + 2 + length + 2..];
        }
        Cow::Owned(body)
    }
}

fn write_both(stream: &mut TcpStream, head: &[u8], body: &[u8]) {
    let mut slices = [IoSlice::new(head), IoSlice::new(body)];
    let mut slices = &mut slices[..];
    while !slices.is_empty() {
        let written = stream.write_vectored(slices).expect("the endpoint");
        IoSlice::advance_slices(&mut slices, written);
    }
}
