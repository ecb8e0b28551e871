//! Writing: entries are appended at once, and made durable by [`DeadLetter::sync`], which everybody calls before an offset
//! behind them is committed.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use chrono::Utc;
use serde_json::value::RawValue;

use super::folder::{files, is_at, remove_leftovers, used_bytes};
use super::known::{Keys, Known};
use crate::flow::answer::Trouble;
use crate::flow::batch::{FileKey, Id, SourceFile};
use crate::flow::reject::Reject;
use crate::telemetry::Counters;
use crate::text::digest::hexadecimal;
use crate::text::units::format_bytes;

/// With `when_full: drop_oldest` the entries are in about this many files.
const PARTS: u64 = 8;

/// How much of the dead letter there may be, and what of undecodable lines is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is kept of undecodable lines.
    pub raw: Raw,
    /// The most that all entries may take on disk, in bytes.
    pub bytes_max: u64,
    /// What happens when that much is there.
    pub when_full: WhenFull,
}

/// What happens when the dead letter has reached its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The pipeline waits: nothing is lost.
    Pause,
    /// The oldest entries are dropped, counted, and said.
    DropOldest,
}

/// What is kept of undecodable lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// The line, after pattern redaction.
    Kept,
    /// Only where it is, for this reason.
    Left(Why),
}

/// Why nothing is kept but where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The pipeline file says so, by `raw: omit`.
    Omitted,
    /// The pipeline hides something, and a line that cannot be decoded may hold a part of it: the tail of a torn line may be
    /// half of a value.
    MayHoldHidden,
    /// A redaction could not be carried out.
    NotRedacted,
    /// It is in an encoding in which the patterns that are blacked out could not be looked for.
    Unreadable,
    /// The line is longer than may be held in memory.
    TooLong,
    /// There are only NUL bytes.
    NothingWritten,
}

impl Why {
    /// As it stands in an entry.
    fn as_str(self) -> &'static str {
        match self {
            Why::Omitted => "omitted",
            Why::MayHoldHidden => "may_hold_hidden_fields",
            Why::NotRedacted => "not_redacted",
            Why::Unreadable => "unreadable",
            Why::TooLong => "too_long",
            Why::NothingWritten => "nothing_written",
        }
    }

    /// What it means, for people; takes what stands in an entry.
    pub fn in_words(name: &str) -> Option<&'static str> {
        Some(match name {
            "omitted" => "the pipeline file has `dead_letter: { raw: omit }`",
            "may_hold_hidden_fields" => {
                "the pipeline hides something, and a line that cannot be decoded may hold a part of it; \
                 `dead_letter: { raw: keep }` would keep such lines"
            }
            "not_redacted" => "a field that the pipeline hides could not be redacted in it",
            "unreadable" => "secrets could not be looked for in its encoding",
            "too_long" => "it is longer than `source.files.line_bytes_max`",
            "nothing_written" => "there are only NUL bytes",
            _ => return None,
        })
    }
}

/// What could not be delivered.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'e> {
    /// Its id: the document's, or the one that its line has.
    pub id: Id,
    /// Why.
    pub reject: &'e Reject,
    /// The file that it comes from.
    pub file: &'e SourceFile,
    /// Where its line begins, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// The length of the line in bytes, without its end.
    pub length_bytes: u64,
    /// Which of the line's records it is, counted from 0; 0 also for a line that is none.
    pub ordinal: u32,
    /// SHA-256 of the line in hexadecimal, where the line is at hand.
    pub sha256: Option<&'e str>,
    /// What is kept of it.
    pub content: Content<'e>,
}

/// What an entry keeps.
#[derive(Clone, Copy, Debug)]
pub enum Content<'e> {
    /// The document as it would have been shipped.
    Document(&'e [u8]),
    /// The line, after pattern redaction.
    Raw(&'e [u8]),
    /// Nothing: the origin says where it is.
    Reference(Why),
}

#[derive(serde::Serialize)]
struct Written<'e> {
    id: &'e str,
    time: String,
    stage: &'static str,
    reason: &'e str,
    detail: &'e str,
    origin: Origin<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'e RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_kept: Option<&'static str>,
}

#[derive(serde::Serialize)]
struct Origin<'e> {
    file: &'e str,
    inode: u64,
    generation: u32,
    offset_bytes: u64,
    length_bytes: u64,
    #[serde(skip_serializing_if = "is_first")]
    ordinal: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'e str>,
    first_line_sha256: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_first(ordinal: &u32) -> bool {
    *ordinal == 0
}

/// Why an entry could not be written. The pipeline waits and tries again.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The file system said no.
    #[error("cannot write to the dead letter in `{folder}`: {source}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The limit is reached.
    #[error("the dead letter in `{folder}` has reached its {bytes_max} bytes")]
    Full {
        /// The folder.
        folder: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
}

impl DeadLetterError {
    /// The same for everybody, without the folder.
    pub fn trouble(&self) -> Trouble {
        let (problem, hint) = match self {
            DeadLetterError::Io { source, .. } => {
                // The innermost cause: those around it name the folder.
                let mut cause: &dyn std::error::Error = source;
                while let Some(inner) = cause.source() {
                    cause = inner;
                }
                (format!("cannot write to the dead letter: {cause}"), "is its disk full, or read-only?")
            }
            DeadLetterError::Full { bytes_max, .. } => (
                format!("the dead letter has reached its {}", format_bytes(*bytes_max)),
                "`inferlog dead-letter list` says what fills it: replay or remove its files, or raise \
                 `dead_letter.bytes_max`; `dead_letter: { when_full: drop_oldest }` goes on without the oldest entries",
            ),
        };
        Trouble { problem, hint: Some(hint.to_owned()) }
    }
}

/// How much is in a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Entries.
    pub entries: u64,
    /// What they take, in bytes.
    pub bytes: u64,
}

/// The dead letter of one pipeline.
#[derive(Debug)]
pub struct DeadLetter {
    pub(super) folder: PathBuf,
    options: Options,
    counters: Counters,
    pub(super) keys: Keys,
    state: Mutex<State>,
    size: [AtomicU64; 2],
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) file: Option<(PathBuf, std::fs::File)>,
    pub(super) bytes: u64,
    /// An entry is written once, however often its line is read again.
    pub(super) known: Known,
    pub(super) unsynced: bool,
    written: u64,
}

impl DeadLetter {
    /// Opens the folder, which is made if need be, and mends an entry torn by a crash: it was not acknowledged.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path, options: Options, counters: Counters) -> Result<DeadLetter, DeadLetterError> {
        let keys = Keys::default();
        let mut state = State { file: None, bytes: 0, known: Known::default(), unsynced: false, written: 0 };
        load(folder, &keys, &mut state).map_err(|source| DeadLetterError::Io { folder: folder.to_owned(), source })?;
        let size = [AtomicU64::new(state.known.entries()), AtomicU64::new(state.bytes)];
        Ok(DeadLetter { folder: folder.to_owned(), options, counters, keys, state: Mutex::new(state), size })
    }

    /// What is kept of undecodable lines.
    pub fn raw(&self) -> Raw {
        self.options.raw
    }

    /// Writes an entry unless it is there. It is durable after the next [`DeadLetter::sync`].
    ///
    /// # Errors
    /// When it cannot be written now: nothing of it is there then, and it can be tried again.
    pub fn write(&self, entry: &Entry<'_>) -> Result<(), DeadLetterError> {
        let mut state = self.state();
        let key = self.keys.key(entry.id, entry.file.key(), entry.offset_bytes, entry.ordinal);
        if state.known.contains(key) {
            return Ok(());
        }
        if state.bytes >= self.options.bytes_max {
            self.recount(&mut state).map_err(|source| self.failed(source))?;
        }
        if self.options.when_full == WhenFull::DropOldest {
            self.drop_oldest(&mut state).map_err(|source| self.failed(source))?;
        }
        if state.bytes >= self.options.bytes_max {
            return Err(DeadLetterError::Full { folder: self.folder.clone(), bytes_max: self.options.bytes_max });
        }
        self.append(&mut state, key, &line(entry)).map_err(|source| self.failed(source))?;
        state.unsynced = true;
        state.written += 1;
        self.show_size(&state);
        drop(state);
        self.counters.count_dead_letter(entry.reject);
        Ok(())
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn sync(&self) -> Result<(), DeadLetterError> {
        let mut state = self.state();
        if state.unsynced {
            if let Some((_, file)) = &state.file {
                file.sync_data().map_err(|source| self.failed(source))?;
            }
            state.unsynced = false;
        }
        Ok(())
    }

    /// How many entries this process has written.
    pub fn written(&self) -> u64 {
        self.state().written
    }

    /// How many entries it has and how many bytes they take, as far as it knows: of files that were removed by hand it
    /// learns with the next entry. Waits for nobody, however slow the disk is.
    pub fn size(&self) -> Size {
        let [entries, bytes] = &self.size;
        Size { entries: entries.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) }
    }

    /// Lets [`DeadLetter::size`] say what is there now.
    pub(super) fn show_size(&self, state: &State) {
        let [entries, bytes] = &self.size;
        entries.store(state.known.entries(), Ordering::Relaxed);
        bytes.store(state.bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn is_synced(&self) -> bool {
        !self.state().unsynced
    }

    /// Makes room by dropping the oldest files, as the pipeline file chooses.
    fn drop_oldest(&self, state: &mut State) -> io::Result<()> {
        while state.bytes >= self.options.bytes_max {
            let Some(oldest) = files(&self.folder)?.into_iter().next() else { return Ok(()) };
            let entries = count_lines(&oldest)?;
            if state.file.as_ref().is_some_and(|(open, _)| *open == oldest) {
                state.file = None;
            }
            fs_err::remove_file(&oldest)?;
            self.recount(state)?;
            self.counters.dead_letter_discarded_entries_total.inc_by(entries);
            let hint = "replay or raise `dead_letter.bytes_max` in time, or choose `when_full: pause`";
            tracing::warn!(folder = %self.folder.display(), entries, hint, "the dead letter is full: dropped its oldest entries");
        }
        Ok(())
    }

    /// Looks at what is there: files may have been removed.
    fn recount(&self, state: &mut State) -> io::Result<()> {
        state.bytes = used_bytes(&self.folder)?;
        state.known.retain(Path::exists);
        self.show_size(state);
        Ok(())
    }

    /// Gives the file that is written to a name of its own when it is large: files are dropped as a whole.
    fn set_aside(&self, state: &mut State) -> io::Result<()> {
        if self.options.when_full != WhenFull::DropOldest {
            return Ok(());
        }
        let Some((path, file)) = &state.file else { return Ok(()) };
        if file.metadata()?.len() < self.options.bytes_max / PARTS {
            return Ok(());
        }
        file.sync_data()?;
        // In the order of names they stand in the order of their entries, before the one that is written to.
        let parts = files(&self.folder)?;
        let last = parts.iter().filter_map(|part| part_number(part, path)).max();
        let number = last.map_or(0, |last| last + 1);
        let name = path.with_extension(format!("{number:06}.ndjson"));
        fs_err::rename(path, &name)?;
        state.known.rename(path, name);
        state.file = None;
        Ok(())
    }

    fn append(&self, state: &mut State, key: u64, line: &[u8]) -> io::Result<()> {
        self.set_aside(state)?;
        let path = self.folder.join(format!("{}.ndjson", Utc::now().format("%Y-%m-%d")));
        if state.file.as_ref().is_none_or(|(open, file)| *open != path || !is_at(file, &path)) {
            if let Some((_, file)) = &state.file {
                file.sync_data()?;
            }
            // One that was removed by hand takes what is known of it along, also where another one gets its name.
            state.known.retain(Path::exists);
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
            fs_err::File::open(&self.folder)?.sync_all()?;
            state.file = Some((path, file));
        }
        let Some((path, file)) = &mut state.file else { return Ok(()) };
        let length = file.metadata()?.len();
        if let Err(error) = file.write_all(line) {
            // A torn entry must not be joined by the next one.
            let _ = file.set_len(length);
            return Err(error);
        }
        state.bytes += line.len() as u64;
        state.known.insert(path, key);
        Ok(())
    }

    pub(super) fn failed(&self, source: io::Error) -> DeadLetterError {
        DeadLetterError::Io { folder: self.folder.clone(), source }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of a part that was set aside of the file of a day.
fn part_number(part: &Path, day: &Path) -> Option<u64> {
    let rest = part.file_name()?.to_str()?.strip_prefix(day.file_stem()?.to_str()?)?;
    rest.strip_prefix('.')?.strip_suffix(".ndjson")?.parse().ok()
}

/// How many whole lines a file has.
fn count_lines(path: &Path) -> io::Result<u64> {
    let mut file = BufReader::new(fs_err::File::open(path)?);
    let mut lines = 0;
    loop {
        let block = file.fill_buf()?;
        if block.is_empty() {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', block).count() as u64;
        let bytes = block.len();
        file.consume(bytes);
    }
}

/// Finds out what is there already, one entry at a time: the files may be larger than memory should be.
fn load(folder: &Path, keys: &Keys, state: &mut State) -> io::Result<()> {
    #[derive(serde::Deserialize)]
    struct Known {
        id: String,
        origin: KnownOrigin,
    }
    #[derive(serde::Deserialize)]
    struct KnownOrigin {
        inode: u64,
        generation: u32,
        offset_bytes: u64,
        #[serde(default)]
        ordinal: u32,
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    remove_leftovers(folder)?;
    let mut line = Vec::new();
    for path in files(folder)? {
        let mut reader = BufReader::new(fs_err::File::open(&path)?);
        let mut whole = 0;
        while reader.read_until(b'\n', &mut line)? > 0 {
            if !line.ends_with(b"\n") {
                fs_err::OpenOptions::new().write(true).open(&path)?.file().set_len(whole)?;
                break;
            }
            if let Ok(known) = serde_json::from_slice::<Known>(&line)
                && let Ok(id) = known.id.into_bytes().try_into()
            {
                let KnownOrigin { inode, generation, offset_bytes, ordinal } = known.origin;
                state.known.insert(&path, keys.key(Id(id), FileKey { inode, generation }, offset_bytes, ordinal));
            }
            whole += line.len() as u64;
            line.clear();
        }
        line.clear();
        state.bytes += whole;
    }
    Ok(())
}

/// An entry as it stands in the file.
fn line(entry: &Entry<'_>) -> Vec<u8> {
    let (document, raw, not_kept) = match entry.content {
        Content::Document(document) => (Some(document), None, None),
        Content::Raw(raw) => (None, Some(raw), None),
        Content::Reference(why) => (None, None, Some(why.as_str())),
    };
    let text = raw.map(std::str::from_utf8);
    let written = Written {
        id: entry.id.as_str(),
        time: Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        stage: entry.reject.stage.as_str(),
        reason: &entry.reject.reason,
        detail: &entry.reject.detail,
        origin: Origin {
            file: &entry.file.path,
            inode: entry.file.inode,
            generation: entry.file.generation,
            offset_bytes: entry.offset_bytes,
            length_bytes: entry.length_bytes,
            ordinal: entry.ordinal,
            sha256: entry.sha256,
            first_line_sha256: hexadecimal(&entry.file.first_line_sha256),
        },
        document: document.and_then(|document| serde_json::from_slice(document).ok()),
        raw: text.and_then(Result::ok),
        raw_base64: raw
            .filter(|_| matches!(text, Some(Err(_))))
            .map(|raw| base64::engine::general_purpose::STANDARD.encode(raw)),
        not_kept,
    };
    let mut line = serde_json::to_vec(&written).unwrap_or_else(|_| unreachable!("BUG: an entry is always JSON"));
    line.push(b'\n');
    line
}
