//! A place where the built binary is run: a folder with a pipeline file, logs and state, and what came of a run there.
//!
//! Everything that is waited for has a deadline; nothing sleeps and hopes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use rustix::process::Pid;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use rustix::process::Signal;

/// The longest that anything is waited for; far more than it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A pause between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// A folder with `p.yaml`, `logs/` and `data/`.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a finished run left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run under way. Dropped, it is killed.
pub(crate) struct Running {
    process: Child,
    output: TempDir,
    /// Where it was told to listen, if it was.
    pub(crate) address: Option<SocketAddr>,
}

/// A pipeline with the usual processors, reading `logs/*.ndjson`, with this sink.
pub(crate) fn pipeline(sink: &str) -> String {
    pipeline_of("paths: [\"logs/*.ndjson\"], poll_interval: 50ms", "", sink)
}

/// The same with these options of `files`, and these further processors, each a line `- …`.
pub(crate) fn pipeline_of(files: &str, processors: &str, sink: &str) -> String {
    let processors: String = processors.lines().map(|line| format!("  {}\n", line.trim())).collect();
    format!(
        "source: {{ files: {{ {files} }} }}\n\
         decode: json\n\
         enrich:\n  \
           - timestamp: {{ from: [timestamp] }}\n  \
           - hash: {{ fields: [features], into: input_hash, when: \"not input_hash : *\" }}\n  \
           - flag: {{ into: low_confidence, when: \"confidence < 0.6\" }}\n  \
           - add: {{ fields: {{ service.name: anomaly-detector }} }}\n\
         {processors}\
         sink: {sink}\n"
    )
}

impl Place {
    pub(crate) fn new(pipeline: &str) -> Place {
        let place = Place { folder: TempDir::new().unwrap() };
        fs::create_dir(place.path("logs")).unwrap();
        place.set_pipeline(pipeline);
        place
    }

    pub(crate) fn set_pipeline(&self, pipeline: &str) {
        fs::write(self.path("p.yaml"), pipeline).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("logs/a.ndjson")
    }

    pub(crate) fn append(&self, text: impl AsRef<[u8]>) {
        append(&self.log(), text);
    }

    pub(crate) fn store(&self) -> Store {
        Store(self.path("data/p/store.sqlite"))
    }

    /// The built binary in this folder. Variables of the tests' own surroundings do not reach it.
    pub(crate) fn inferlog(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inferlog"));
        for variable in
            ["INFERLOG_LOG", "INFERLOG_LOG_FORMAT", "INFERLOG_DATA_DIR", "STATE_DIRECTORY", "XDG_STATE_HOME", "ES_URL"]
        {
            command.env_remove(variable);
        }
        command.current_dir(self.folder.path()).env("HOME", self.path("home")).args(arguments).stdin(Stdio::null());
        command
    }

    /// `inferlog run` of `p.yaml` with the state in `data/`, and these further arguments.
    pub(crate) fn run_command(&self, more: &[&str]) -> Command {
        let mut command = self.inferlog(&["run", "p.yaml", "--data-dir", "data"]);
        command.args(more);
        command
    }

    pub(crate) fn run_once(&self) -> Ended {
        start(self.run_command(&["--once", "--listen", "off"])).wait()
    }

    /// `run_once`, which must have exited with this code.
    pub(crate) fn run_once_to(&self, code: i32) -> Ended {
        let ended = self.run_once();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        ended
    }

    /// Starts `inferlog run` for good; the server of /metrics answers when this returns.
    pub(crate) fn run(&self) -> Running {
        self.run_files("p.yaml")
    }

    /// The same with the pipelines of another file or folder.
    pub(crate) fn run_files(&self, files: &str) -> Running {
        self.run_with(files, &[], &[])
    }

    /// The same with further arguments and variables.
    pub(crate) fn run_with(&self, files: &str, more: &[&str], variables: &[(&str, &str)]) -> Running {
        let address = free_address();
        let mut command = self.inferlog(&["run", files, "--data-dir", "data", "--listen", &address.to_string()]);
        command.args(more).envs(variables.iter().copied());
        let mut running = start(command);
        running.address = Some(address);
        wait_for("the server to listen", || {
            running.must_run();
            TcpStream::connect(address).ok().map(drop)
        });
        running
    }

    /// The entries of the dead letter in the order of their offsets, but for one that is being written.
    pub(crate) fn dead_letters(&self) -> Vec<Value> {
        let Ok(files) = fs::read_dir(self.path("data/p/dead_letter")) else { return Vec::new() };
        let text: String = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        let whole_lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let mut entries: Vec<Value> = whole_lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        entries.sort_by_key(|entry| entry["origin"]["offset_bytes"].as_u64());
        entries
    }
}

/// Sends a signal to a process, by its number. There need be no program `kill` on the machine.
pub(crate) fn send_signal(process: u32, signal: Signal) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Starts a command whose output is kept.
pub(crate) fn start(mut command: Command) -> Running {
    let output = TempDir::new().unwrap();
    let file = |name: &str| File::create(output.path().join(name)).unwrap();
    let process = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
    Running { process, output, address: None }
}

impl Running {
    pub(crate) fn wait(mut self) -> Ended {
        let status = wait_for("the process to end", || self.process.try_wait().unwrap());
        self.ended(status)
    }

    /// As `wait`, with the peak of its resident memory in bytes, as of the last look before its end.
    pub(crate) fn wait_and_weigh(mut self) -> (Ended, u64) {
        let status_file = format!("/proc/{}/status", self.process.id());
        let mut peak_kib = 0;
        let status = wait_for("the process to end", || {
            let text = fs::read_to_string(&status_file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.map(|line| line.trim().trim_end_matches("kB").trim().parse().unwrap());
            peak_kib = kib.unwrap_or(0).max(peak_kib);
            self.process.try_wait().unwrap()
        });
        assert!(peak_kib > 0, "the process's memory was never seen");
        (self.ended(status), peak_kib * 1024)
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        let ended = Ended { code: status.code(), stdout: self.text("stdout"), stderr: self.text("stderr") };
        assert!(!ended.stderr.contains("panicked at") && !ended.stderr.contains('\u{1b}'), "{ended:?}");
        ended
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.output.path().join(name)).unwrap()).into_owned()
    }

    pub(crate) fn stdout(&self) -> String {
        self.text("stdout")
    }

    pub(crate) fn stderr(&self) -> String {
        self.text("stderr")
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send_signal(self.id(), signal);
    }

    /// Sends SIGTERM; the process must drain and exit 0.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        let ended = self.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.process.try_wait().unwrap() {
            panic!("it ended: {:?}", self.ended(status));
        }
    }

    /// GET of its own server: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        http(self.address.unwrap(), "GET", path, &[], "").unwrap()
    }

    /// Its counters and gauges by name and labels, as they are written.
    pub(crate) fn metrics(&self) -> BTreeMap<String, u64> {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        // The sums of histograms are no whole numbers; nothing asks for them.
        samples
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(k, v)| Some((k.to_owned(), v.parse().ok()?)))
            .collect()
    }

    /// Waits until a counter or gauge of the pipeline `p` has this value.
    pub(crate) fn wait_for_metric(&self, name: &str, value: u64) {
        wait_for(&format!("{name} to be {value}"), || (self.metrics().get(name) == Some(&value)).then_some(()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A store's file, read beside a running process.
pub(crate) struct Store(pub(crate) PathBuf);

impl Store {
    pub(crate) fn open(&self) -> Connection {
        let connection = Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    pub(crate) fn number(&self, sql: &str) -> u64 {
        self.open().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
    }

    /// The number of documents; 0 as long as there is no store.
    pub(crate) fn count(&self) -> u64 {
        if !self.0.exists() {
            return 0;
        }
        let count = self.open().query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0));
        count.unwrap_or(0).try_into().unwrap()
    }

    /// All documents in the order of their lines.
    pub(crate) fn documents(&self) -> Vec<String> {
        let connection = self.open();
        let sql = "SELECT document FROM records ORDER BY log_file_path, log_offset_bytes";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Fails unless the records 0 to `count` are there, each exactly once.
    pub(crate) fn must_hold_each_once(&self, count: u64) {
        let found =
            ["count(*)", "count(DISTINCT id)", "count(DISTINCT request_id)", "coalesce(max(n), -1) + 1"].map(|what| {
                self.number(&format!("SELECT {what} FROM (SELECT *, json_extract(document, '$.n') AS n FROM records)"))
            });
        assert_eq!(found, [count; 4], "documents, ids, request_ids, highest number + 1");
    }
}

/// Looks until there is an answer, for as long as patience lasts.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// An address on loopback that nobody has at the moment.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// One HTTP request; `None` if the server does not answer.
pub(crate) fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\n{headers}");
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

pub(crate) fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
}

/// The record number `n` as a line of about 380 bytes, always the same.
pub(crate) fn record(n: u64) -> String {
    // Multiplied by odd constants, so that values vary without any two runs differing.
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (seconds, micros) = (n / 50, mixed % 1_000_000);
    let confidence = 0.3 + (mixed >> 40) as f64 / 24_000_000.0;
    format!(
        "{{\"event\": \"inference\", \"request_id\": \"{mixed:016x}{n:016x}\", \"n\": {n}, \
         \"model_version\": \"anomaly-3.2.{}\", \"features\": {{\"amount\": {}.{:02}, \"country\": \"{}\", \
         \"age_days\": {}, \"device\": \"mobile-app\", \"velocity\": 0.{:06}}}, \"prediction\": \"{}\", \
         \"confidence\": {confidence:.6}, \"latency_ms\": {}.{:03}, \"status\": \"success\", \"level\": \"info\", \
         \"timestamp\": \"2026-11-23T{:02}:{:02}:{:02}.{micros:06}Z\"}}\n",
        mixed % 3,
        mixed % 9_000,
        mixed % 97,
        ["DE", "FR", "AT", "US"][(mixed % 4) as usize],
        mixed % 3_650,
        mixed % 999_983,
        ["fraud", "legitimate"][(mixed % 2) as usize],
        mixed % 90,
        mixed % 1_000,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    )
}

/// The records of a range, a line each.
pub(crate) fn records(range: std::ops::Range<u64>) -> String {
    range.map(record).collect()
}
