//! Waiting: what stands in the files that match the globs now, and is not settled by the entries of a checkpoint?
//!
//! For whoever claims that everything is there: it looks as a start of the source would, at every name that is found, and
//! changes nothing. Content is known by what the checkpoint says of it, under whatever name, or in a copy; the rest of
//! it waits, and so does a file that no entry tells of. What cannot be looked at is told, and is nobody's all-clear.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::compressed::Examined;
use super::discover::{Discovery, Unreadable};
use super::file::{FileId, TailedFile};
use super::likeness::{Beginning, is_named_alike};
use super::locate::locate;
use super::regular::open_regular;
use crate::flow::ack::FileNumber;
use crate::state::checkpoint::{FileEntry, HEAD_BYTES_MAX};

/// What is there now.
#[derive(Debug, Default)]
pub struct Waiting {
    /// How many files match the globs.
    pub matched_files: usize,
    /// Those, and others that are known, of which something is not settled.
    pub files: Vec<WaitingFile>,
    /// What could not be looked at.
    pub unreadable: Vec<Unreadable>,
}

/// A file of which something is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingFile {
    /// Where it is, or was.
    pub path: PathBuf,
    /// The position of its entry among those given; `None` for one that was never met.
    pub entry: Option<usize>,
    /// Where what waits begins, in bytes from the start of the content.
    pub from_bytes: u64,
    /// Where it ends.
    pub to_bytes: u64,
    /// It is not there any more, so that it can only be lost.
    pub is_gone: bool,
}

impl WaitingFile {
    /// How much waits.
    pub fn bytes(&self) -> u64 {
        self.to_bytes.saturating_sub(self.from_bytes)
    }
}

impl Waiting {
    /// How much waits in all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(WaitingFile::bytes).sum()
    }

    /// Looks at every file that matches.
    ///
    /// # Errors
    /// When a glob is wrong.
    pub fn look(paths: &[String], exclude: &[String], entries: &[FileEntry]) -> Result<Waiting, globset::Error> {
        let mut waiting = Waiting::default();
        let found = Discovery::new(paths, exclude)?.scan(&mut waiting.unreadable);
        let mut look = Look { entries, claimed: BTreeSet::new(), seen: BTreeSet::new() };
        let mut unknown = Vec::new();
        for path in found {
            match look.by_inode(&path) {
                Ok(Found::Nothing) => {}
                Ok(Found::Known(entry, length_bytes)) => waiting.note(entries, entry, &path, length_bytes),
                Ok(Found::Unknown(file)) => unknown.push(*file),
                Err(error) => waiting.unreadable.push(Unreadable::because(path, &error)),
            }
        }
        waiting.matched_files = look.seen.len();
        // By content, when it is known which entries are where they were.
        for mut file in unknown {
            let path = file.path.to_path_buf();
            match look.by_content(&mut file) {
                Ok(Some(entry)) => waiting.note(entries, entry, &path, file.size_bytes()),
                Ok(None) => {
                    let to_bytes = file.size_bytes();
                    waiting.files.push(WaitingFile { path, entry: None, from_bytes: 0, to_bytes, is_gone: false });
                }
                Err(error) => waiting.unreadable.push(Unreadable::because(path, &error)),
            }
        }
        waiting.look_elsewhere(entries, &look.claimed);
        Ok(waiting)
    }

    fn note(&mut self, entries: &[FileEntry], entry: usize, path: &Path, length_bytes: u64) {
        let from_bytes = entries[entry].committed.offset_bytes;
        if length_bytes > from_bytes {
            let path = path.to_owned();
            let file = WaitingFile { path, entry: Some(entry), from_bytes, to_bytes: length_bytes, is_gone: false };
            self.files.push(file);
        }
    }

    /// What was not read to its end, and is found under no name that matches: under another one, or gone.
    fn look_elsewhere(&mut self, entries: &[FileEntry], claimed: &BTreeSet<usize>) {
        let unfinished =
            entries.iter().enumerate().filter(|(place, entry)| !entry.finished && !claimed.contains(place));
        for (place, entry) in unfinished {
            let located = if entry.replaced { None } else { locate(entry) };
            match located {
                Some(file) => self.note(entries, place, &file.path, file.size_bytes()),
                None if entry.undelivered_bytes() > 0 => self.files.push(WaitingFile {
                    path: PathBuf::from(&entry.path),
                    entry: Some(place),
                    from_bytes: entry.committed.offset_bytes,
                    to_bytes: entry.size_bytes,
                    is_gone: entry.salvage.is_none(),
                }),
                None => {}
            }
        }
    }
}

/// What a file turned out to be.
enum Found {
    /// It is empty, is no file, went away, or was seen under another name.
    Nothing,
    /// It is the content of an entry, and has this length in bytes.
    Known(usize, u64),
    /// No entry has its inode and its content.
    Unknown(Box<TailedFile>),
}

struct Look<'e> {
    entries: &'e [FileEntry],
    /// Entries of which the content was found.
    claimed: BTreeSet<usize>,
    seen: BTreeSet<FileId>,
}

impl Look<'_> {
    fn by_inode(&mut self, path: &Path) -> io::Result<Found> {
        let handle = match open_regular(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            opened => opened?,
        };
        let metadata = handle.metadata()?;
        if !metadata.is_file() || !self.seen.insert(FileId::of(&metadata)) || metadata.len() == 0 {
            return Ok(Found::Nothing);
        }
        let mut file = TailedFile::new(FileNumber::MAX, path, handle, &metadata);
        let of_inode = |entry: &FileEntry| !entry.replaced && entry.holder_inode() == file.id().inode;
        let candidates: Vec<usize> = self.positions(of_inode).collect();
        let is_delivered = |entry: &FileEntry| entry.finished && entry.compressed_bytes == Some(metadata.len());
        if file.is_compressed()
            && let Some(place) = candidates.iter().copied().find(|place| is_delivered(&self.entries[*place]))
        {
            self.claimed.insert(place);
            return Ok(Found::Known(place, self.entries[place].committed.offset_bytes));
        }
        Ok(match self.best(&mut file, candidates)? {
            Some(place) => Found::Known(place, file.size_bytes()),
            None => Found::Unknown(Box::new(file)),
        })
    }

    /// The entry of which a file is the copy. What is compressed may be one beside the original.
    fn by_content(&mut self, file: &mut TailedFile) -> io::Result<Option<usize>> {
        let mut beginning = if file.is_compressed() { None } else { Some(Beginning::of(file)?) };
        let mut is_copied = |place: usize, entry: &FileEntry| {
            let is_evidence = !entry.finished || entry.head.length_bytes as usize >= HEAD_BYTES_MAX;
            let original = Path::new(&entry.path);
            let is_rotation = *file.path != *original && is_named_alike(&file.path, original);
            let is_elsewhere = !entry.replaced || entry.holder_inode() != file.id().inode;
            let is_free = file.is_compressed() || !self.claimed.contains(&place);
            let may_be = entry.committed.offset_bytes > 0 && is_elsewhere && is_free && (is_evidence || is_rotation);
            may_be && beginning.as_mut().is_none_or(|beginning| beginning.is_that_of(entry))
        };
        let candidates = self.entries.iter().enumerate().filter(|(place, entry)| is_copied(*place, entry));
        let candidates: Vec<usize> = candidates.map(|(place, _)| place).collect();
        self.best(file, candidates)
    }

    fn positions(&self, is_it: impl Fn(&FileEntry) -> bool) -> impl Iterator<Item = usize> {
        self.entries.iter().enumerate().filter(move |(_, entry)| is_it(entry)).map(|(place, _)| place)
    }

    /// The one of some entries that tells most of the content.
    fn best(&mut self, file: &mut TailedFile, candidates: Vec<usize>) -> io::Result<Option<usize>> {
        if file.is_compressed() {
            // The first looks note what is to be compared on the way through the content; the second ones know.
            for place in &candidates {
                let _ = file.is_same(&self.entries[*place])?;
            }
            while file.examine(u64::MAX) == Some(Examined::No) {}
        }
        let mut best: Option<usize> = None;
        for place in candidates {
            let entry = &self.entries[place];
            let is_farther =
                best.is_none_or(|best| entry.committed.offset_bytes > self.entries[best].committed.offset_bytes);
            if is_farther && file.is_same(entry)? {
                best = Some(place);
            }
        }
        self.claimed.extend(best);
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::checkpoint::{Fingerprint, Position};
    use std::os::unix::fs::MetadataExt as _;

    /// The entry of a file that was read up to an offset.
    fn entry(path: &Path, committed_bytes: usize) -> FileEntry {
        let bytes = fs_err::read(path).unwrap();
        let metadata = fs_err::metadata(path).unwrap();
        let tail = Fingerprint::of(&bytes[committed_bytes.saturating_sub(64)..committed_bytes]);
        FileEntry {
            path: path.to_string_lossy().into_owned(),
            inode: metadata.ino(),
            device: metadata.dev(),
            generation: 0,
            head: Fingerprint::of(&bytes[..committed_bytes.min(HEAD_BYTES_MAX)]),
            head_offset_bytes: 0,
            first_line_sha256: None,
            committed: Position { offset_bytes: committed_bytes as u64, tail },
            passed_over_bytes: 0,
            observed_offset_bytes: 0,
            size_bytes: metadata.len(),
            replaced: false,
            finished: false,
            held_by_inode: None,
            compressed_bytes: None,
            salvage: None,
            updated: chrono::DateTime::UNIX_EPOCH,
        }
    }

    /// Names and bytes of what waits.
    fn waits(folder: &Path, entries: &[FileEntry]) -> Vec<(String, u64)> {
        let glob = format!("{}/*.log*", folder.display());
        let waiting = Waiting::look(&[glob], &[], entries).unwrap();
        let name = |file: &WaitingFile| file.path.file_name().unwrap().to_string_lossy().into_owned();
        waiting.files.iter().map(|file| (name(file), file.bytes())).collect()
    }

    fn lines(count: usize) -> String {
        (0..count).map(|n| format!("{{\"n\":{n},\"text\":\"some text\"}}\n")).collect()
    }

    #[test]
    fn what_is_behind_the_committed_offsets_and_what_was_never_met_waits() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.log"), folder.path().join("b.log"));
        fs_err::write(&a, lines(100)).unwrap();
        let length = lines(100).len();
        let whole = entry(&a, length);
        assert_eq!(waits(folder.path(), std::slice::from_ref(&whole)), []);
        let part = entry(&a, lines(60).len());
        let rest = (length - lines(60).len()) as u64;
        assert_eq!(waits(folder.path(), &[part]), [("a.log".to_owned(), rest)]);
        // Another file is another file, even if it says the same.
        fs_err::copy(&a, &b).unwrap();
        assert_eq!(waits(folder.path(), std::slice::from_ref(&whole)), [("b.log".to_owned(), length as u64)]);
        // Where the original is gone it is the copy of it.
        fs_err::remove_file(&a).unwrap();
        assert_eq!(waits(folder.path(), std::slice::from_ref(&whole)), []);
        // Cut and begun anew: the new content waits.
        fs_err::write(&a, "{\"n\":1}\n").unwrap();
        fs_err::remove_file(&b).unwrap();
        let renewed = FileEntry { inode: fs_err::metadata(&a).unwrap().ino(), ..whole };
        assert_eq!(waits(folder.path(), &[FileEntry { finished: true, ..renewed }]), [("a.log".to_owned(), 8)]);
        // An empty file has nothing that could wait.
        fs_err::write(&a, "").unwrap();
        assert_eq!(waits(folder.path(), &[]), []);
    }

    #[test]
    fn a_compressed_copy_of_what_is_settled_waits_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let a = folder.path().join("a.log");
        fs_err::write(&a, lines(100)).unwrap();
        let (whole, part) = (entry(&a, lines(100).len()), entry(&a, lines(60).len()));
        let compress = |name: &str, text: String| {
            use std::io::Write as _;
            let file = fs_err::File::create(folder.path().join(name)).unwrap();
            let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap();
        };
        compress("a.log.1.gz", lines(100));
        assert_eq!(waits(folder.path(), std::slice::from_ref(&whole)), [], "beside the original");
        fs_err::remove_file(&a).unwrap();
        assert_eq!(waits(folder.path(), &[whole]), []);
        let rest = (lines(100).len() - lines(60).len()) as u64;
        assert_eq!(waits(folder.path(), &[part]), [("a.log.1.gz".to_owned(), rest)]);
        compress("other.log.gz", "{\"n\":\"another\"}\n".to_owned());
        assert!(waits(folder.path(), &[]).iter().any(|(name, bytes)| name == "other.log.gz" && *bytes == 16));
    }

    #[test]
    fn what_is_gone_with_undelivered_bytes_is_told_and_what_cannot_be_looked_at_too() {
        let folder = tempfile::tempdir().unwrap();
        let a = folder.path().join("a.log");
        fs_err::write(&a, lines(10)).unwrap();
        let part = entry(&a, lines(6).len());
        fs_err::remove_file(&a).unwrap();
        let glob = format!("{}/*.log*", folder.path().display());
        let waiting = Waiting::look(std::slice::from_ref(&glob), &[], &[part]).unwrap();
        assert_eq!((waiting.files.len(), waiting.files[0].is_gone, waiting.matched_files), (1, true, 0));
        std::os::unix::fs::symlink(folder.path().join("nowhere"), folder.path().join("dangling.log")).unwrap();
        let waiting = Waiting::look(&[glob], &[], &[]).unwrap();
        assert_eq!(waiting.unreadable.len(), 1);
    }
}
