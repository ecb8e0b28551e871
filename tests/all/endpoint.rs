//! A scripted bulk endpoint with the real semantics of `create`, which misbehaves in random ways when it is asked to.
//!
//! Ids are remembered: an item whose id is new is 201, one whose id is taken 409, one that the oracle wants refused 400.
//! Before and after that, a share of the requests meets one of [`Fault`]s. It may have [`Room`] for so many requests at a
//! time only, and fail on one record for ever. Plain HTTP/1.1 with keep-alive, a thread a
//! connection. The seed gives the order of faults; which request meets which one depends on the timing.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;

use crate::numbered::{Fate, Found, fate, number_of};
use crate::scripted::read_request;

/// What can go wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The whole request is refused with this status.
    Status(u16),
    /// Everything is done, and the answer is this status: a gateway lost patience.
    StatusAfter(u16),
    /// Some items are answered with 429, 500 or 503, and nothing is done with them.
    Items,
    /// The connection ends before anything is done.
    CutBefore,
    /// The connection ends when everything is done, without an answer.
    CutAfter,
    /// Everything is done, and the answer is no JSON.
    Garbled,
    /// Everything is done, and half of the answer comes.
    Half,
    /// Everything is done, and the answer has an item less.
    Fewer,
    /// Everything is done, and the answer takes its time.
    Slow,
}

const FAULTS: [Fault; 13] = [
    Fault::Status(401),
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(503),
    Fault::StatusAfter(502),
    Fault::StatusAfter(504),
    Fault::Items,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::Garbled,
    Fault::Half,
    Fault::Fewer,
    Fault::Slow,
];

/// The endpoint; its threads end with the test's process.
#[derive(Clone)]
pub(crate) struct Endpoint {
    address: String,
    state: Arc<Mutex<State>>,
}

/// How many requests it works on at a time, and for how long; more are 429 at once.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) requests: u64,
    pub(crate) takes: Duration,
}

/// What it makes of accounts, whatever it makes of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes them.
    Takes,
    /// Reads them and never answers, as where the primary of their index cannot be allocated.
    Hangs,
    /// Answers with this status.
    Status(u16),
    /// Says of each item that this user may not.
    Forbids,
    /// Takes requests of at most so many bytes, and answers 413 to others.
    TakesUpTo(usize),
}

/// What an endpoint with little room saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    /// Those that were too many.
    pub(crate) refused: u64,
    /// The most that it worked on at a time.
    pub(crate) working_max: u64,
    working: u64,
}

struct State {
    manner: Manner,
    room: Option<Room>,
    load: Load,
    /// The number of a record that it fails on.
    poison: Option<u64>,
    random: fastrand::Rng,
    /// The share of requests that meet a fault, 0..1.
    fault_share: f64,
    documents: HashMap<String, u64>,
    /// The pipelines' own documents, accounts and drift, by their ids.
    accounts: HashMap<String, Value>,
    requests: u64,
    conflicts: u64,
    faults: BTreeMap<Fault, u64>,
}

impl Endpoint {
    /// Starts one that fails with this share of its answers.
    pub(crate) fn start(seed: u64, fault_share: f64) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = State {
            manner: Manner::Takes,
            room: None,
            load: Load::default(),
            poison: None,
            random: fastrand::Rng::with_seed(seed),
            fault_share,
            documents: HashMap::new(),
            accounts: HashMap::new(),
            requests: 0,
            conflicts: 0,
            faults: BTreeMap::new(),
        };
        let address = format!("http://{}", listener.local_addr().unwrap());
        let endpoint = Endpoint { address, state: Arc::new(Mutex::new(state)) };
        let served = endpoint.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = served.clone();
                std::thread::spawn(move || served.serve(&stream));
            }
        });
        endpoint
    }

    /// The `sink:` that ships here.
    pub(crate) fn sink(&self) -> String {
        self.sink_with("")
    }

    /// The same with further options, each with a comma before it.
    pub(crate) fn sink_with(&self, more: &str) -> String {
        format!(
            "{{ elasticsearch: {{ hosts: [\"{}\"], data_stream: logs-storm-default, \
             retry: {{ initial: 20ms, max: 500ms }}{more} }} }}",
            self.address
        )
    }

    /// Gives it another room from now on.
    pub(crate) fn set_room(&self, room: Room) {
        self.state().room = Some(room);
    }

    /// Treats accounts like this from now on. Requests that hang go on hanging.
    pub(crate) fn treat_accounts(&self, manner: Manner) {
        self.state().manner = manner;
    }

    /// What it saw since the last call.
    pub(crate) fn take_load(&self) -> Load {
        let mut state = self.state();
        let working = state.load.working;
        std::mem::replace(&mut state.load, Load { working, ..Load::default() })
    }

    /// How many requests were too many since [`Endpoint::take_load`].
    pub(crate) fn count_refused(&self) -> u64 {
        self.state().load.refused
    }

    /// Fails on this record from now on.
    pub(crate) fn fail_on(&self, number: u64) {
        self.state().poison = Some(number);
    }

    /// How many documents there are.
    pub(crate) fn count(&self) -> u64 {
        self.state().documents.len() as u64
    }

    /// Ids and numbers of the documents.
    pub(crate) fn documents(&self) -> Found {
        self.state().documents.iter().map(|(id, number)| (id.clone(), *number)).collect()
    }

    /// What it went through.
    pub(crate) fn summary(&self) -> String {
        let state = self.state();
        let faults: u64 = state.faults.values().sum();
        let kinds: Vec<String> = state.faults.iter().map(|(fault, count)| format!("{fault:?} {count}")).collect();
        format!(
            "{} requests, {faults} of them failed ({}), {} conflicts",
            state.requests,
            kinds.join(", "),
            state.conflicts
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Answers one request after the other until either side goes away.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let (asked, body) = read_bulk(&mut reader)?;
            let fault = if asked == Asked::Other { None } else { self.next_fault() };
            let answer = if asked == Asked::Other { (404, "{}".to_owned()) } else { self.work(asked, &body, fault)? };
            self.write_answer(stream, fault, &answer)?;
        }
    }

    /// Answers if there is room for it. Accounts have a lane of their own beside the requests whose number is adapted.
    fn work(&self, asked: Asked, body: &[u8], fault: Option<Fault>) -> Option<(u16, String)> {
        if asked == Asked::Accounts {
            return self.answer(asked, body, fault);
        }
        let takes = {
            let mut state = self.state();
            let room = state.room;
            let load = &mut state.load;
            load.requests += 1;
            if room.is_some_and(|room| load.working >= room.requests) {
                load.refused += 1;
                return Some((429, String::new()));
            }
            load.working += 1;
            load.working_max = load.working_max.max(load.working);
            room.map(|room| room.takes)
        };
        takes.into_iter().for_each(std::thread::sleep);
        let answer = self.answer(asked, body, fault);
        self.state().load.working -= 1;
        answer
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut state = self.state();
        state.requests += 1;
        let share = state.fault_share;
        if state.random.f64() >= share {
            return None;
        }
        let fault = FAULTS[state.random.usize(..FAULTS.len())];
        *state.faults.entry(fault).or_default() += 1;
        Some(fault)
    }

    /// Does what is asked, and gives status and body of the answer; `None` where there is none.
    fn answer(&self, asked: Asked, body: &[u8], fault: Option<Fault>) -> Option<(u16, String)> {
        match fault {
            Some(Fault::Status(status)) => return Some((status, String::new())),
            Some(Fault::CutBefore) => return None,
            _ => {}
        }
        // The work is done outside of the lock.
        let some_fail = fault == Some(Fault::Items);
        let mut statuses = match asked {
            Asked::Accounts => {
                let accounts = items(body, |account| serde_json::from_slice(account).unwrap());
                let manner = self.state().manner;
                match manner {
                    Manner::Hangs => loop {
                        std::thread::park();
                    },
                    Manner::Status(status) => return Some((status, String::new())),
                    Manner::TakesUpTo(bytes) if body.len() > bytes => return Some((413, String::new())),
                    Manner::Forbids => vec![403; accounts.len()],
                    Manner::Takes | Manner::TakesUpTo(_) => self.keep_accounts(accounts),
                }
            }
            _ => self.create(items(body, number_of), some_fail),
        };
        match fault {
            Some(Fault::CutAfter) => None,
            Some(Fault::StatusAfter(status)) => Some((status, "<html>gateway</html>".to_owned())),
            Some(Fault::Garbled) => Some((200, "{\"took\":3,\"items\":[{\"create\":\u{1}".to_owned())),
            Some(Fault::Fewer) => {
                statuses.pop();
                Some((200, bulk_answer(&statuses)))
            }
            _ => Some((200, bulk_answer(&statuses))),
        }
    }

    fn keep_accounts(&self, accounts: Vec<(String, Value)>) -> Vec<u16> {
        let mut state = self.state();
        let mut keep = |(id, account): (String, Value)| {
            let Some(before) = state.accounts.get(&id) else {
                state.accounts.insert(id, account);
                return 201;
            };
            let is_configuration = account["account.kind"] == "configuration";
            assert!(is_configuration || *before == account, "written in two ways: {before} and {account}");
            409
        };
        accounts.into_iter().map(&mut keep).collect()
    }

    /// The pipelines' own accounts.
    pub(crate) fn accounts(&self) -> Vec<Value> {
        self.own_documents(|document| document["window"].is_null())
    }

    /// The pipelines' documents of drift.
    pub(crate) fn drift(&self) -> Vec<Value> {
        self.own_documents(|document| !document["window"].is_null())
    }

    fn own_documents(&self, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.state().accounts.values().filter(|document| is_wanted(document)).cloned().collect()
    }

    fn create(&self, items: Vec<(String, u64)>, some_fail: bool) -> Vec<u16> {
        let mut state = self.state();
        let mut create = |(id, number): (String, u64)| {
            if some_fail && state.random.u8(..3) == 0 {
                return [429, 500, 503][state.random.usize(..3)];
            }
            if state.poison == Some(number) {
                return 500;
            }
            if fate(number) == Fate::Refused {
                return 400;
            }
            if state.documents.contains_key(&id) {
                state.conflicts += 1;
                return 409;
            }
            state.documents.insert(id, number);
            201
        };
        items.into_iter().map(&mut create).collect()
    }

    fn write_answer(&self, mut stream: &TcpStream, fault: Option<Fault>, answer: &(u16, String)) -> Option<()> {
        if fault == Some(Fault::Slow) {
            let wait_ms = self.state().random.u64(50..400);
            std::thread::sleep(Duration::from_millis(wait_ms));
        }
        let (status, body) = answer;
        let head = format!(
            "HTTP/1.1 {status} X\r\nx-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let sent = if fault == Some(Fault::Half) { &body[..body.len() / 2] } else { body };
        stream.write_all(format!("{head}{sent}").as_bytes()).ok()?;
        (fault != Some(Fault::Half)).then_some(())
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Records,
    Accounts,
    Other,
}

/// Reads a request: what it is for, and its body. `None` when the client is gone.
fn read_bulk(reader: &mut BufReader<TcpStream>) -> Option<(Asked, Vec<u8>)> {
    let request = read_request(reader)?;
    let asked = match request.path.contains("/_bulk") {
        true if request.path.contains("/metrics-ml.") => Asked::Accounts,
        true => Asked::Records,
        false => Asked::Other,
    };
    Some((asked, request.body))
}

/// Ids of a bulk body, and what is read of each document.
fn items<T>(body: &[u8], read: impl Fn(&[u8]) -> T) -> Vec<(String, T)> {
    const BEFORE_ID: &[u8] = b"{\"create\":{\"_id\":\"";
    let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let item = |pair: &[&[u8]]| {
        let id = pair[0].strip_prefix(BEFORE_ID).unwrap().split(|byte| *byte == b'"').next().unwrap();
        (String::from_utf8(id.to_vec()).unwrap(), read(pair[1]))
    };
    lines.chunks_exact(2).map(item).collect()
}

fn bulk_answer(statuses: &[u16]) -> String {
    let item = |status: &u16| match status {
        201 => "{\"create\":{\"status\":201}}".to_owned(),
        400 => {
            let error = r#"{"type":"document_parsing_exception","reason":"[1:2] failed to parse field [n]"}"#;
            format!("{{\"create\":{{\"status\":400,\"error\":{error}}}}}")
        }
        409 => {
            let error = r#"{"type":"version_conflict_engine_exception","reason":"document already exists"}"#;
            format!("{{\"create\":{{\"status\":409,\"error\":{error}}}}}")
        }
        status => format!("{{\"create\":{{\"status\":{status},\"error\":{{\"type\":\"x\",\"reason\":\"y\"}}}}}}"),
    };
    let items: Vec<String> = statuses.iter().map(item).collect();
    format!("{{\"took\":1,\"errors\":true,\"items\":[{}]}}", items.join(","))
}
