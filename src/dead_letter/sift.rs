//! Sifting: how do entries leave the dead letter, or get another reason, while others are added?
//!
//! Each file is read from its start, and what stays is written to a temporary file beside it, `<day>.tmp`. At its end,
//! while nobody adds an entry, what was added meanwhile is copied too; then the new file is made durable and takes the
//! place of the old one. So a crash at any point leaves the one or the other whole, and what was settled but is still
//! there is known to the sinks by its id. A few megabytes are in memory at a time, however large the dead letter is.

use std::io::{self, BufReader, BufWriter, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::folder::{files, is_at, used_bytes};
use super::known::Keys;
use super::read::{Found, next_line};
use super::write::{DeadLetter, DeadLetterError};
use crate::flow::batch::Id;
use crate::flow::reject::Reject;
use crate::record::{Path as Member, Record, Space, json};

/// Entries are judged together up to this many bytes of them.
const WINDOW_BYTES_MAX: usize = 2 * 1024 * 1024;

/// And up to this many.
const WINDOW_ENTRIES_MAX: usize = 1_000;

/// What is to become of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is settled, and leaves.
    Leaves,
    /// It stays as it is.
    Stays,
    /// It was tried, and stays for this reason.
    StaysFor(Reject),
}

/// Who decides what becomes of entries.
pub trait Judge {
    /// Whether an entry is to be judged at all.
    fn wants(&self, entry: &Found) -> bool;

    /// Judges entries: as many judgements, in their order. What leaves has to be settled for good when this returns.
    fn judge(&mut self, entries: Vec<Found>) -> Vec<Judgement>;

    /// Whether to go on: without, all that is left stays as it is.
    fn goes_on(&self) -> bool;
}

/// A part of a file that is in memory.
#[derive(Default)]
struct Window {
    /// Lines in their order, with their ends; those that are judged have their keys.
    lines: Vec<(Vec<u8>, Option<u64>)>,
    wanted: Vec<Found>,
    bytes: usize,
}

/// One file on its way.
struct Sifted {
    temporary: PathBuf,
    source: BufReader<std::fs::File>,
    kept: BufWriter<std::fs::File>,
    /// How far the source is read, in bytes.
    read_bytes: u64,
    /// Something is not as it was.
    changed: bool,
    empty: bool,
    /// The keys of what leaves.
    left: Vec<u64>,
}

impl DeadLetter {
    /// Lets `judge` decide on every entry that it wants.
    ///
    /// # Errors
    /// When a file cannot be read or written: it is then as it was.
    pub fn sift(&self, judge: &mut dyn Judge) -> Result<(), DeadLetterError> {
        let listed = files(&self.folder).map_err(|source| self.failed(source))?;
        for path in listed {
            if !judge.goes_on() {
                break;
            }
            self.sift_file(&path, judge).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    fn sift_file(&self, path: &Path, judge: &mut dyn Judge) -> io::Result<()> {
        if !is_wanted(path, judge)? {
            return Ok(());
        }
        let temporary = path.with_extension("tmp");
        let source = BufReader::new(std::fs::File::open(path)?);
        let kept = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        let kept = BufWriter::new(kept);
        let mut file = Sifted { temporary, source, kept, read_bytes: 0, changed: false, empty: true, left: Vec::new() };
        let sifted = file.sift(judge, &self.keys).and_then(|()| self.replace(&mut file));
        if sifted.is_err() || !file.changed {
            fs_err::remove_file(&file.temporary)?;
        }
        sifted
    }

    /// Puts what is kept in the place of a file, with what was added to it meanwhile.
    fn replace(&self, file: &mut Sifted) -> io::Result<()> {
        // Nobody adds an entry meanwhile, so that what is behind the place reached are whole lines.
        let mut state = self.state();
        let source = file.source.get_mut();
        // It may have got another name meanwhile. One that was removed by hand is not brought back.
        let path = files(&self.folder)?.into_iter().find(|path| is_at(source, path));
        let Some(path) = path.filter(|_| file.changed) else {
            file.changed = false;
            return Ok(());
        };
        source.seek(io::SeekFrom::Start(file.read_bytes))?;
        let added_bytes = io::copy(source, &mut file.kept)?;
        file.kept.flush()?;
        file.kept.get_ref().sync_all()?;
        if file.empty && added_bytes == 0 {
            fs_err::remove_file(&file.temporary)?;
            fs_err::remove_file(&path)?;
        } else {
            fs_err::rename(&file.temporary, &path)?;
        }
        fs_err::File::open(&self.folder)?.sync_all()?;
        if state.file.as_ref().is_some_and(|(open, _)| *open == path) {
            state.file = None;
            state.unsynced = false;
        }
        state.known.settle(&path, std::mem::take(&mut file.left));
        state.bytes = used_bytes(&self.folder)?;
        self.show_size(&state);
        Ok(())
    }
}

impl Sifted {
    /// Reads to the last whole line, and writes what stays.
    fn sift(&mut self, judge: &mut dyn Judge, keys: &Keys) -> io::Result<()> {
        let mut line = Vec::new();
        let mut window = Window::default();
        while judge.goes_on() && next_line(&mut self.source, &mut line)? {
            self.read_bytes += line.len() as u64;
            window.push(std::mem::take(&mut line), judge, keys);
            if window.is_full() {
                self.settle(std::mem::take(&mut window), judge)?;
            }
        }
        self.settle(window, judge)
    }

    fn settle(&mut self, window: Window, judge: &mut dyn Judge) -> io::Result<()> {
        let Window { lines, wanted, .. } = window;
        let judgements = if wanted.is_empty() { Vec::new() } else { judge.judge(wanted) };
        let mut judgements = judgements.into_iter();
        for (line, key) in lines {
            let judgement = key.and_then(|_| judgements.next());
            match judgement {
                Some(Judgement::Leaves) => {
                    self.changed = true;
                    self.left.extend(key);
                    continue;
                }
                Some(Judgement::StaysFor(reject)) => {
                    let renewed = renewed(&line, &reject);
                    self.changed |= renewed.is_some();
                    self.kept.write_all(renewed.as_ref().unwrap_or(&line))?;
                }
                Some(Judgement::Stays) | None => self.kept.write_all(&line)?,
            }
            self.empty = false;
        }
        Ok(())
    }
}

impl Window {
    fn push(&mut self, line: Vec<u8>, judge: &dyn Judge, keys: &Keys) {
        self.bytes += line.len();
        let wanted = Found::parse(&line).ok().filter(|entry| judge.wants(entry));
        let key = |Found { id, origin, .. }: &Found| {
            // One with an id that is none of ours was never known.
            let id = Id::read(id).unwrap_or(Id([0; crate::flow::batch::ID_CHARACTERS]));
            keys.key(id, origin.key(), origin.offset_bytes, origin.ordinal)
        };
        self.lines.push((line, wanted.as_ref().map(key)));
        self.wanted.extend(wanted);
    }

    fn is_full(&self) -> bool {
        self.bytes >= WINDOW_BYTES_MAX || self.lines.len() >= WINDOW_ENTRIES_MAX
    }
}

/// Whether some entry of a file is wanted: otherwise it need not be written anew.
fn is_wanted(path: &Path, judge: &dyn Judge) -> io::Result<bool> {
    let mut source = match std::fs::File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut line = Vec::new();
    while next_line(&mut source, &mut line)? {
        if Found::parse(&line).is_ok_and(|entry| judge.wants(&entry)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The line of an entry with another reason; everything else of it stays byte for byte. `None` for one that cannot be
/// edited, which stays as it is.
fn renewed(line: &[u8], reject: &Reject) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let mut space = Space::default();
    let mut record = Record::parse(text, &mut space).ok()?;
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let members =
        [("stage", reject.stage.as_str()), ("reason", &reject.reason), ("detail", &reject.detail), ("replayed", &now)];
    for (name, value) in members {
        let mut raw = String::new();
        json::write_string(value, &mut raw);
        record.set(&Member::new(name).ok()?, &raw).ok()?;
    }
    let mut renewed = Vec::new();
    record.render(&mut renewed);
    renewed.push(b'\n');
    Some(renewed)
}
