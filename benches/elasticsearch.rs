//! What does a real node make of it: how much of the CPU of the pair is inferlog's, and which batches suit it?
//!
//! `benches/measure elasticsearch`, or, with the URL of a node that holds nothing of worth (no security, on this
//! machine), `cargo bench --profile dist --bench elasticsearch -- --url URL`, puts the templates there, ships a corpus
//! again and again, each time into an empty data stream, with batches of several sizes and several requests in flight,
//! and prints records a second, the CPU time of inferlog (`wait4`) and of the node (as it tells itself), and inferlog's
//! share of both. The limit program (`limit`) ships the same documents over one connection for next to nothing: what is
//! left is the node's own.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod limit;
mod shared;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use clap::Parser;
use reqwest::Method;
use serde_json::Value;
use shared::{PIPELINE, STREAM, Shape, Spent};

/// A real node: inferlog's share, sizes of batches, requests in flight.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// The node, `http://ADDRESS:PORT`.
    #[arg(long)]
    url: Option<String>,
    /// How many records are shipped each time.
    #[arg(long, default_value_t = 300_000)]
    records: u64,
    /// Sizes of batches, in KiB.
    #[arg(long, value_delimiter = ',', default_values_t = [256, 1_024, 4_096])]
    batch_kib: Vec<u64>,
    /// Requests in flight.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    in_flight: Vec<u64>,
    /// The document to put the figures into.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// What this program is started as by itself.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// The limit program.
    #[command(hide = true)]
    Limit(limit::Work),
}

/// A node, and the corpus.
struct Place {
    url: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    records: u64,
}

/// One run into an empty data stream.
struct Shipped {
    spent: Spent,
    wall_seconds: f64,
    node_seconds: f64,
}

fn main() {
    let arguments = Arguments::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    if let Some(Part::Limit(work)) = &arguments.part {
        return limit::run(work);
    }
    let url = arguments.url.clone().expect("--url of a node");
    let place = Place::new(&url, arguments.records);
    place.write_pipeline(1_024, 1);
    place.set_up();
    place.inferlog();
    let mut rows = String::from(
        "| | records a second | inferlog, CPU-seconds a million | the node, CPU-seconds a million | share of the CPU of both |\n\
         | --- | ---: | ---: | ---: | ---: |\n",
    );
    print!("{rows}");
    let mut tell = |name: &str, shipped: &Shipped| {
        let row = place.row(name, shipped);
        print!("{row}");
        rows.push_str(&row);
    };
    tell("limit, batches of 1024 KiB, 1 in flight", &place.limit());
    for &kib in &arguments.batch_kib {
        for &in_flight in &arguments.in_flight {
            place.write_pipeline(kib, in_flight);
            tell(&format!("inferlog, batches of {kib} KiB, {in_flight} in flight"), &place.inferlog());
        }
    }
    if let Some(document) = &arguments.write {
        let (commit, machine, records) = (shared::commit(), shared::machine(), arguments.records);
        let version = &place.ask(Method::GET, "/")["version"]["number"];
        let text = format!(
            "Measured at {commit} on {machine}, node and inferlog on the same cores: Elasticsearch {version}, one shard, no \
             replica, {records} records each time. Again:\n\n    benches/measure elasticsearch\n\n{rows}"
        );
        shared::write_section(document, "elasticsearch", &text);
    }
}

impl Place {
    fn new(url: &str, records: u64) -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Shape::Usual.write(&folder.path().join("corpus.ndjson"), records);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (url, client) = (url.trim_end_matches('/').to_owned(), reqwest::Client::new());
        Place { url, client, runtime, folder, records }
    }

    fn pipeline(&self) -> PathBuf {
        self.folder.path().join(format!("{PIPELINE}.yaml"))
    }

    fn write_pipeline(&self, kib: u64, in_flight: u64) {
        let text = shared::pipeline("corpus.ndjson")
            .replace("data_stream:", &format!("in_flight_max: {in_flight}, data_stream:"))
            + &format!("batch: {{ bytes_max: {kib}KiB, items_max: 65536 }}\nqueue: {{ memory_bytes_max: 64MiB }}\n");
        std::fs::write(self.pipeline(), text).expect("the pipeline file");
    }

    /// Puts the templates there.
    fn set_up(&self) {
        let mut program = shared::program();
        program.args(["setup", "apply"]).arg(self.pipeline()).env("ENDPOINT", &self.url);
        assert!(program.output().expect("inferlog").status.success(), "inferlog setup apply ended well");
    }

    fn inferlog(&self) -> Shipped {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut program = shared::program();
        shared::run_once(&mut program, data.path(), &self.pipeline()).env("ENDPOINT", &self.url);
        self.ship(&mut program)
    }

    fn limit(&self) -> Shipped {
        let corpus = self.folder.path().join("corpus.ndjson");
        let mut program = Command::new(std::env::current_exe().expect("this program"));
        program.arg("limit").arg(corpus).args([self.url.as_str(), "00000000"]);
        self.ship(&mut program)
    }

    /// Ships into an empty data stream, and counts what is there.
    fn ship(&self, program: &mut Command) -> Shipped {
        self.ask(Method::DELETE, &format!("/_data_stream/{STREAM}"));
        let (before, started) = (self.node_seconds(), Instant::now());
        let spent = shared::wait(program.spawn().expect("the program"), |_| ());
        let wall_seconds = started.elapsed().as_secs_f64();
        let node_seconds = self.node_seconds() - before;
        assert!(spent.status.success(), "{program:?} ended well");
        self.ask(Method::POST, &format!("/{STREAM}/_refresh"));
        let count = self.ask(Method::GET, &format!("/{STREAM}/_count"))["count"].as_u64();
        assert_eq!(count, Some(self.records), "every record is there once");
        Shipped { spent, wall_seconds, node_seconds }
    }

    fn row(&self, name: &str, shipped: &Shipped) -> String {
        let own = shipped.spent.user_seconds + shipped.spent.system_seconds;
        let million = 1e6 / self.records as f64;
        let mut row = String::new();
        let _ = writeln!(
            row,
            "| {name} | {:.0} | {:.2} | {:.1} | {:.1} % |",
            self.records as f64 / shipped.wall_seconds,
            own * million,
            shipped.node_seconds * million,
            100.0 * own / (own + shipped.node_seconds)
        );
        row
    }

    /// The CPU time of the node's process.
    fn node_seconds(&self) -> f64 {
        let stats = self.ask(Method::GET, "/_nodes/_local/stats/process");
        let nodes = stats["nodes"].as_object().expect("nodes");
        let millis = nodes.values().filter_map(|node| node["process"]["cpu"]["total_in_millis"].as_f64());
        millis.sum::<f64>() / 1_000.0
    }

    fn ask(&self, method: Method, path: &str) -> Value {
        let asked = self.client.request(method, format!("{}{path}", self.url)).header("content-length", 0).send();
        let text = self.runtime.block_on(async { asked.await?.text().await }).expect("the node");
        serde_json::from_str(&text).unwrap_or_default()
    }
}
