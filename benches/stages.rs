//! What does each stage cost, by itself?
//!
//! `cargo bench --profile dist --bench stages [-- FILTER]` gives, for each stage over one block of records, the time of a
//! block, and records and bytes of the log a second: `usual` ones of about 380 bytes, and those of 2 and of 20 KB. It is
//! for comparing two builds on one machine; what shipping costs as a whole is measured by `end_to_end`.

mod shared;

use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use inferlog::config::model;
use inferlog::config::{Environment, load_with};
use inferlog::elastic::bulk;
use inferlog::elastic::exchange::Reply;
use inferlog::enrich::{Nobody, Source};
use inferlog::flow::answer::Answer;
use inferlog::flow::batch::{Batch, Origin, SourceFile};
use inferlog::flow::line::Line;
use inferlog::judge::line::{Fate, Judge};
use inferlog::record::canonical::{self, canonicalize};
use inferlog::record::{Record, Space};
use inferlog::sink::store::{Store, StoreOptions};
use inferlog::sink::{Request, Sink};
use inferlog::source::framing::{Framing, Lines};
use inferlog::telemetry::Telemetry;
use sha2::{Digest as _, Sha256};

use shared::{Records, Shape};

/// About as much as is read at a time.
const BLOCK_BYTES: usize = 1 << 20;

const SHAPES: [&str; 3] = ["usual", "2kb", "20kb"];

const LINE_BYTES_MAX: usize = 1 << 20;

/// When the records are said to be read.
const READ_US: i64 = 1_790_000_000_000_000;

fn main() {
    divan::main();
}

/// A block of records, and where its lines are.
struct Block {
    text: String,
    records: usize,
}

impl Block {
    fn of(shape: &str) -> Block {
        let shape = Shape::ALL.into_iter().find(|it| it.name() == shape).expect("a shape");
        let (mut source, mut text, mut records) = (Records::of(shape), String::new(), 0);
        while text.len() < BLOCK_BYTES {
            source.write(1, &mut text);
            records += 1;
        }
        Block { text, records }
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    fn counted<'a, 'b>(&self, bencher: Bencher<'a, 'b>) -> Bencher<'a, 'b> {
        bencher.counter(BytesCount::new(self.text.len())).counter(ItemsCount::new(self.records))
    }
}

/// A block is cut into lines, which are proven to be UTF-8.
#[divan::bench(args = SHAPES)]
fn framing(bencher: Bencher<'_, '_>, shape: &str) {
    let block = Block::of(shape);
    let form = Framing::of_lines(LINE_BYTES_MAX).form(block.text.as_bytes());
    block.counted(bencher).bench_local(|| {
        let mut lines = Lines::new(block.text.as_bytes(), 0, form);
        let mut bytes = 0;
        while let Some(line) = lines.next_line() {
            bytes += line.bytes.len();
        }
        bytes
    });
}

/// Each line is proven to be one JSON object, and its members are found.
#[divan::bench(args = SHAPES)]
fn index(bencher: Bencher<'_, '_>, shape: &str) {
    let block = Block::of(shape);
    let mut space = Space::default();
    block.counted(bencher).bench_local(|| {
        for line in block.lines() {
            divan::black_box(Record::parse(line, &mut space).expect("a record"));
        }
    });
}

/// The canonical form of `features` (RFC 8785).
#[divan::bench(args = SHAPES)]
fn canonical_form(bencher: Bencher<'_, '_>, shape: &str) {
    let block = Block::of(shape);
    let features = features(&block);
    let (mut scratch, mut out) = (canonical::Scratch::default(), Vec::new());
    block.counted(bencher).bench_local(|| {
        for raw in &features {
            out.clear();
            canonicalize(raw, &mut scratch, &mut out).expect("a canonical form");
        }
    });
}

/// SHA-256 of the canonical form, and of the line for the id.
#[divan::bench(args = SHAPES)]
fn hashes(bencher: Bencher<'_, '_>, shape: &str) {
    let block = Block::of(shape);
    let canonical = |raw: &String| {
        let mut out = Vec::new();
        canonicalize(raw, &mut canonical::Scratch::default(), &mut out).expect("a canonical form");
        out
    };
    let features: Vec<Vec<u8>> = features(&block).iter().map(canonical).collect();
    block.counted(bencher).bench_local(|| {
        for (line, canonical) in block.lines().zip(&features) {
            divan::black_box((Sha256::digest(canonical), Sha256::digest(line)));
        }
    });
}

fn features(block: &Block) -> Vec<String> {
    let mut space = Space::default();
    let features = |line: &str| {
        let record = Record::parse(line, &mut space).expect("a record");
        record.first("features").expect("features").to_owned()
    };
    block.lines().map(features).collect()
}

/// All that is decided on a line, and all edits: index, timestamp, hashes, flag, fields, id, metadata.
#[divan::bench(args = SHAPES)]
fn judge(bencher: Bencher<'_, '_>, shape: &str) {
    let block = Block::of(shape);
    let mut maker = Maker::new();
    block.counted(bencher).bench_local(|| maker.each(&block, &mut |fate| drop(divan::black_box(fate))));
}

/// The same, and the documents written into the bodies of requests.
#[divan::bench(args = SHAPES)]
fn judge_and_render(bencher: Bencher<'_, '_>, shape: &str) {
    let block = Block::of(shape);
    let (mut maker, mut batch) = (Maker::new(), Batch::default());
    block.counted(bencher).bench_local(|| {
        batch = Batch::reuse(std::mem::take(&mut batch), |_| {});
        maker.fill(&block, &mut batch);
    });
}

/// The answer to a bulk request for the block is read.
#[divan::bench(args = SHAPES)]
fn answer(bencher: Bencher<'_, '_>, shape: &str) {
    let block = Block::of(shape);
    let items = vec![r#"{"create":{"status":201}}"#; block.records].join(",");
    let body = format!(r#"{{"errors":false,"took":30,"items":[{items}]}}"#);
    let reply = Reply { status: 200, body: body.into(), ..Reply::default() };
    block.counted(bencher).bench_local(|| match bulk::read_answer(&reply, block.records) {
        Answer::Items(outcomes) => outcomes.len(),
        other => panic!("{other:?}"),
    });
}

/// The documents of the block are put into an empty store.
#[divan::bench(args = SHAPES, sample_count = 10, sample_size = 1)]
fn store(bencher: Bencher<'_, '_>, shape: &str) {
    let block = Block::of(shape);
    let mut batch = Batch::default();
    Maker::new().fill(&block, &mut batch);
    let request = Request { batch: Arc::new(batch), selection: None };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let empty = || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = StoreOptions { path: folder.path().join("store.sqlite"), retention: Default::default() };
        (Store::open(options).expect("a store"), folder)
    };
    block.counted(bencher).with_inputs(empty).bench_local_refs(|(store, _)| {
        match runtime.block_on(store.deliver(&request)) {
            Answer::Items(outcomes) => assert_eq!(outcomes.len(), block.records),
            other => panic!("{other:?}"),
        }
    });
}

/// What makes documents of lines, as the benches' pipeline file says.
struct Maker {
    judge: Judge,
    file: Arc<SourceFile>,
    space: Space,
}

impl Maker {
    fn new() -> Maker {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("bench.yaml");
        std::fs::write(&path, shared::pipeline("corpus.ndjson")).expect("the pipeline file");
        let pipeline = pipeline(&path);
        let judge = Judge::new(&pipeline, "host", &Telemetry::default().pipeline("bench"));
        let file = SourceFile { path: "/logs/bench.ndjson".to_owned(), inode: 7, ..SourceFile::default() };
        Maker { judge, file: Arc::new(file), space: Space::default() }
    }

    /// Decides on each line.
    fn each(&mut self, block: &Block, take: &mut dyn FnMut(Fate<'_>)) {
        let mut offset_bytes = 0;
        for text in block.lines() {
            let line = Line { offset_bytes, bytes: text.as_bytes(), text: Some(text) };
            let source = Source::of(&self.file, &line, READ_US);
            self.judge.judge(&line, &source, &mut self.space, &mut Nobody, &mut |judged| take(judged.fate));
            offset_bytes += text.len() as u64 + 1;
        }
    }

    /// Makes a batch of the block.
    fn fill(&mut self, block: &Block, batch: &mut Batch) {
        let file = batch.file(&self.file);
        self.each(block, &mut |fate| match fate {
            Fate::Document(verdict, record) => {
                // The store takes documents of inferlog's own from nowhere, and records from a place.
                let origin = Origin { file, offset_bytes: batch.body_bytes() as u64, length_bytes: 1, ordinal: 0 };
                batch.push(verdict.id, verdict.timestamp_us, Some(origin), |body| record.render(body));
            }
            other => panic!("{other:?}"),
        });
    }
}

fn pipeline(path: &Path) -> model::Pipeline {
    let environment = Environment::new(|name| (name == "ENDPOINT").then(|| "http://127.0.0.1:9".to_owned()));
    load_with(&[path.to_owned()], &environment).expect("a pipeline").remove(0)
}
