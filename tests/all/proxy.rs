//! A proxy before a real Elasticsearch that spoils a share of the bulk requests in random ways, and passes on the rest.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is done to a bulk request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Refused with this status; Elasticsearch hears nothing of it.
    Status(u16),
    /// Elasticsearch does it, and the answer is a gateway's.
    StatusAfter(u16),
    CutBefore,
    CutAfter,
    Half,
    Slow,
}

const FAULTS: [Fault; 9] = [
    Fault::Status(429),
    Fault::Status(503),
    Fault::Status(401),
    Fault::StatusAfter(502),
    Fault::StatusAfter(504),
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::Half,
    Fault::Slow,
];

/// The proxy; its threads end with the test's process.
#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    backend: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    random: fastrand::Rng,
    fault_share: f64,
    requests: u64,
    faults: BTreeMap<Fault, u64>,
}

impl Proxy {
    /// Starts one before `backend` that spoils this share of the bulk requests.
    pub(crate) fn start(backend: SocketAddr, seed: u64, fault_share: f64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let random = fastrand::Rng::with_seed(seed);
        let state = State { random, fault_share, requests: 0, faults: BTreeMap::new() };
        let address = listener.local_addr().unwrap();
        let proxy = Proxy { address, backend, state: Arc::new(Mutex::new(state)) };
        let serving = proxy.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(&stream));
            }
        });
        proxy
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Spoils nothing any more.
    pub(crate) fn calm(&self) {
        self.state.lock().unwrap().fault_share = 0.0;
    }

    /// What it did.
    pub(crate) fn summary(&self) -> String {
        let state = self.state.lock().unwrap();
        let kinds: Vec<String> = state.faults.iter().map(|(fault, count)| format!("{fault:?} {count}")).collect();
        let faults: u64 = state.faults.values().sum();
        format!("{} bulk requests, {faults} of them spoilt ({})", state.requests, kinds.join(", "))
    }

    /// Serves one request after the other until either side goes away.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let request = read_request(&mut reader)?;
            self.answer(stream, &request)?;
        }
    }

    fn answer(&self, mut stream: &TcpStream, request: &[u8]) -> Option<()> {
        let fault = if request.windows(7).take(200).any(|part| part == b"/_bulk?") { self.next_fault() } else { None };
        match fault {
            Some(Fault::CutBefore) => return None,
            Some(Fault::Status(status)) => return refuse(stream, status),
            _ => {}
        }
        let reply = self.ask(request)?;
        match fault {
            Some(Fault::CutAfter) => None,
            Some(Fault::StatusAfter(status)) => refuse(stream, status),
            Some(Fault::Half) => stream.write_all(&reply[..reply.len() / 2]).ok().filter(|()| false),
            Some(Fault::Slow) => {
                std::thread::sleep(Duration::from_millis(300));
                stream.write_all(&reply).ok()
            }
            _ => stream.write_all(&reply).ok(),
        }
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        let share = state.fault_share;
        if state.random.f64() >= share {
            return None;
        }
        let fault = FAULTS[state.random.usize(..FAULTS.len())];
        *state.faults.entry(fault).or_default() += 1;
        Some(fault)
    }

    fn ask(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut backend = TcpStream::connect(self.backend).ok()?;
        backend.write_all(request).ok()?;
        let mut reply = Vec::new();
        backend.read_to_end(&mut reply).ok()?;
        Some(reply)
    }
}

/// A request as it came, but for the connection to Elasticsearch, which ends with its answer.
fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let (mut request, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if lower == "\r\n" {
            request.extend_from_slice(b"connection: close\r\n\r\n");
            break;
        }
        if !lower.starts_with("connection:") {
            request.extend_from_slice(line.as_bytes());
        }
    }
    let head = request.len();
    request.resize(head + length, 0);
    reader.read_exact(&mut request[head..]).ok()?;
    Some(request)
}

fn refuse(mut stream: &TcpStream, status: u16) -> Option<()> {
    stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok()
}
