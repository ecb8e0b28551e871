//! The files source, driven directly with real files, by polling alone; notifications have one test of their own.

mod archives;
mod closed;
mod copies;
mod encodings;
mod gaps;
mod histories;
mod lost;
mod notifications;
mod rotations;
mod salvage;
mod scripts;
mod sizes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::flow::batch::SourceFile;
use crate::flow::line::Entries;
use crate::source::framing::{EntriesOption, Lines};
use crate::state::checkpoint::{Fingerprint, Position, TAIL_BYTES_MAX};
use crate::telemetry::Telemetry;
use crate::text::encoding::Encoding;

const AN_HOUR: Duration = Duration::from_secs(3_600);

/// A line as it was given out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    file: Arc<SourceFile>,
    offset_bytes: u64,
    text: String,
}

/// A source over a temporary folder, and what it gave out.
struct Bench {
    folder: tempfile::TempDir,
    options: Options,
    counters: Counters,
    files: Files,
    seen: Vec<Seen>,
    marks: Vec<Mark>,
    chunks: usize,
}

impl Bench {
    /// What a checkpoint would keep.
    fn saved_entries(&self) -> Vec<FileEntry> {
        self.files.entries().map(Cow::into_owned).collect()
    }

    fn new(paths: &[&str], exclude: &[&str], first_seen: FirstSeen, line_bytes_max: usize) -> Bench {
        Bench::over(tempfile::tempdir().unwrap(), paths, exclude, first_seen, line_bytes_max)
    }

    fn over(
        folder: tempfile::TempDir,
        paths: &[&str],
        exclude: &[&str],
        first_seen: FirstSeen,
        line_bytes_max: usize,
    ) -> Bench {
        let absolute = |paths: &[&str]| -> Vec<String> {
            paths.iter().map(|path| format!("{}/{path}", folder.path().display())).collect()
        };
        let (paths, exclude) = (absolute(paths), absolute(exclude));
        let options = Options {
            paths,
            exclude,
            first_seen,
            line_bytes_max,
            encoding: Encoding::default(),
            entries: EntriesOption::Known(Entries::Lines),
            open_files_max: 1_000_000,
            poll_interval: AN_HOUR,
            salvage: None,
            unterminated_after: None,
        };
        let counters = Telemetry::default().pipeline("t");
        let discovery = Discovery::new(&options.paths, &options.exclude).unwrap();
        let files = Files::on(ground(options.clone(), discovery, counters.clone()), Notifications::default(), None);
        Bench { folder, options, counters, files, seen: Vec::new(), marks: Vec::new(), chunks: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Scans and reads everything.
    fn look(&mut self) {
        self.files.schedule.next = Instant::now();
        while self.read_chunk() {}
    }

    fn read_chunk(&mut self) -> bool {
        let Some(chunk) = self.files.next_chunk() else { return false };
        take(&chunk, &mut self.seen, &mut self.marks);
        self.chunks += 1;
        true
    }

    /// The same after the time when the unterminated ends of rotated files are final.
    fn look_later(&mut self) {
        self.look();
        let waits = std::mem::replace(&mut self.files.ground.waits, Waits::all(Duration::ZERO));
        self.look();
        while let Some(chunk) = self.files.next_final_end() {
            take(&chunk, &mut self.seen, &mut self.marks);
        }
        self.files.ground.waits = waits;
    }

    /// Acknowledges what was given out first.
    fn commit(&mut self, marks: usize) {
        self.marks.drain(..marks).for_each(|mark| self.files.commit(&mark));
    }

    fn commit_all(&mut self) {
        self.commit(self.marks.len());
    }

    /// Starts again with these entries, as after a crash.
    fn restart(&mut self, entries: &[FileEntry]) {
        let entries = serde_json::from_str(&serde_json::to_string(entries).unwrap()).unwrap();
        let counters = self.counters.clone();
        // Compiling the globs again would take most of the time of the tests.
        let discovery = std::mem::replace(&mut self.files.ground.discovery, Discovery::new(&[], &[]).unwrap());
        self.files =
            Files::on(ground(self.options.clone(), discovery, counters), Notifications::default(), Some(entries));
        self.marks.clear();
    }
}

fn ground(options: Options, discovery: Discovery, counters: Counters) -> Ground {
    Ground::new(options, discovery, counters, usize::MAX)
}

/// Notes the lines of a chunk and the mark that the pipeline would make of it.
fn take(chunk: &Chunk, seen: &mut Vec<Seen>, marks: &mut Vec<Mark>) {
    let mut note = |offset_bytes, text: String| seen.push(Seen { file: Arc::clone(&chunk.file), offset_bytes, text });
    let end = match &chunk.content {
        Content::Lines(_) if chunk.lines().is_empty() => return,
        Content::Lines(block) => {
            let bytes = block.bytes();
            let mut lines = Lines::new(bytes, chunk.offset_bytes, chunk.file.form);
            while let Some(line) = lines.next_line() {
                let text = line.text.map_or_else(|| String::from_utf8_lossy(line.bytes).into_owned(), str::to_owned);
                note(line.offset_bytes, text);
            }
            let tail = Fingerprint::of(&bytes[bytes.len().saturating_sub(TAIL_BYTES_MAX)..]);
            Position { offset_bytes: chunk.offset_bytes + bytes.len() as u64, tail }
        }
        Content::PassedOver { what, length_bytes, end } => {
            let what = if *what == PassedOver::NulBytes { "NUL bytes" } else { "bytes" };
            note(chunk.offset_bytes, format!("<{length_bytes} {what}>"));
            *end
        }
    };
    marks.push(Mark::of_line(chunk.number, end));
}
