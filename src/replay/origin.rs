//! Origins: does a log file still hold the line of an entry?
//!
//! Under its path first, then under any name in the same folder, by its inode. A line is believed only if it proves to be
//! the one: by its digest, or by its id, which is made of it and its place. Of one that was too long to be held in memory
//! neither is known: it is believed if the file's first line is the same and it is a line of the same length at the same
//! place. Lines in compressed rotations, in copies and in `salvage/` are not looked for.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dead_letter::read::{Found, FoundOrigin};
use crate::flow::batch::SourceFile;
use crate::flow::line::Form;
use crate::source::framing::Framing;
use crate::state::checkpoint::HEAD_BYTES_MAX;
use crate::text::digest::{self, from_hexadecimal, sha256_hexadecimal};
use crate::text::encoding::BYTE_ORDER_MARK;

/// At most this many files of a folder are looked at for one that was renamed.
const FOLDER_FILES_MAX: usize = 10_000;

/// As much before a line shows that it begins there, in bytes: a line end and some byte order marks.
const BEFORE_BYTES_MAX: u64 = 13;

/// Bytes that stand where the line of an entry stood.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The line, without its end.
    pub(super) line: Vec<u8>,
    /// What its id is made of.
    pub(super) file: Arc<SourceFile>,
    /// The entry has the line's digest, and this is it.
    pub(super) is_proven: bool,
}

/// The file whose lines were last looked for: entries mostly come from few files.
#[derive(Debug, Default)]
pub(super) struct Origins {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    path: String,
    inode: u64,
    found: Option<OpenOrigin>,
}

/// A file that is there.
#[derive(Debug)]
struct OpenOrigin {
    file: File,
    /// The digest of its first line as it is now.
    first_line_sha256: [u8; 32],
    /// How its lines are written.
    form: Form,
}

impl Origins {
    /// Reads what stands at the place of an entry's line; `None` where that cannot be the line.
    pub(super) fn candidate(&mut self, entry: &Found, framing: &Framing) -> Option<Candidate> {
        let origin = &entry.origin;
        if origin.length_bytes > framing.line_bytes_max as u64 {
            return None;
        }
        let OpenOrigin { file, first_line_sha256, form } = self.file(origin, framing)?;
        // A first line with a gap may have been filled since. Then the line has to prove by itself that it is the one.
        let kept = origin.first_line_sha256.as_deref().and_then(from_hexadecimal);
        if origin.sha256.is_none() && kept.is_some_and(|kept| kept != *first_line_sha256) {
            return None;
        }
        let first_line_sha256 = kept.unwrap_or(*first_line_sha256);
        let line = read_line(file, origin).ok()??;
        let is_proven = match &origin.sha256 {
            Some(sha256) if *sha256 == sha256_hexadecimal(&line) => true,
            Some(_) => return None,
            None => false,
        };
        let source_file = SourceFile {
            path: origin.file.clone(),
            inode: origin.inode,
            generation: origin.generation,
            first_line_sha256,
            form: *form,
        };
        Some(Candidate { line, file: Arc::new(source_file), is_proven })
    }

    fn file(&mut self, origin: &FoundOrigin, framing: &Framing) -> Option<&OpenOrigin> {
        if !self.last.as_ref().is_some_and(|last| last.path == origin.file && last.inode == origin.inode) {
            let file = find(Path::new(&origin.file), origin.inode);
            let found = file.and_then(|file| open(file, framing).ok());
            self.last = Some(Last { path: origin.file.clone(), inode: origin.inode, found });
        }
        self.last.as_ref().and_then(|last| last.found.as_ref())
    }
}

/// What an id of this origin is made of, where the line itself is kept in the entry. Without the digest of the first line
/// the id cannot be the one that the line would have had.
pub(super) fn source_file(origin: &FoundOrigin) -> Option<Arc<SourceFile>> {
    let first_line_sha256 = origin.first_line_sha256.as_deref().and_then(from_hexadecimal)?;
    let (path, inode, generation) = (origin.file.clone(), origin.inode, origin.generation);
    Some(Arc::new(SourceFile { path, inode, generation, first_line_sha256, form: Form::default() }))
}

/// The file with this inode, under its path or another name in the same folder.
fn find(path: &Path, inode: u64) -> Option<File> {
    let with_inode = |path: &Path| {
        let metadata = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file() && metadata.ino() == inode)?;
        let file = File::open(path).ok()?;
        file.metadata().ok().filter(|opened| opened.ino() == metadata.ino()).map(|_| file)
    };
    with_inode(path).or_else(|| {
        let names = std::fs::read_dir(path.parent()?).ok()?.flatten().take(FOLDER_FILES_MAX);
        let paths: Vec<PathBuf> = names.map(|name| name.path()).collect();
        paths.iter().find_map(|path| with_inode(path))
    })
}

fn open(file: File, framing: &Framing) -> io::Result<OpenOrigin> {
    let mut beginning = [0; HEAD_BYTES_MAX];
    let read = file.read_at(&mut beginning, 0)?;
    Ok(OpenOrigin { first_line_sha256: first_line_sha256(&file)?, form: framing.form(&beginning[..read]), file })
}

/// The bytes at a place, if they are one whole line.
fn read_line(file: &File, origin: &FoundOrigin) -> io::Result<Option<Vec<u8>>> {
    let before = origin.offset_bytes.min(BEFORE_BYTES_MAX) as usize;
    let mut bytes = vec![0; before + origin.length_bytes as usize + 2];
    let start = origin.offset_bytes - before as u64;
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], start + filled as u64)? {
            0 => break,
            more => filled += more,
        }
    }
    bytes.truncate(filled);
    let end = before + origin.length_bytes as usize;
    if bytes.len() < end {
        return Ok(None);
    }
    let line = bytes[before..end].to_vec();
    let ends = matches!(bytes[end..], [] | [b'\n', ..] | [b'\r', b'\n'] | [0, ..]);
    let is_line = begins_line(&bytes[..before], origin.offset_bytes == before as u64) && ends;
    let is_one = is_line && memchr::memchr(b'\n', &line).is_none();
    // What has a digest proves by that alone that it is the entry, of however many lines, in whatever encoding.
    Ok((is_one || origin.sha256.is_some()).then_some(line))
}

/// Whether a line begins behind these bytes, of which the first is that of the file or not. Byte order marks stand before
/// a line and are no part of it; NUL bytes are a gap in the file, behind which one begins.
fn begins_line(before: &[u8], is_from_the_start: bool) -> bool {
    let mut before = before;
    while let Some(rest) = before.strip_suffix(BYTE_ORDER_MARK) {
        before = rest;
    }
    matches!(before, [.., b'\n' | 0]) || (before.is_empty() && is_from_the_start)
}

fn first_line_sha256(file: &File) -> io::Result<[u8; 32]> {
    let mut bytes = Vec::new();
    let mut start = [0; 4096];
    let mut offset_bytes = 0;
    while bytes.len() < digest::FIRST_LINE_BYTES_MAX && memchr::memchr(b'\n', &bytes).is_none() {
        match file.read_at(&mut start, offset_bytes)? {
            0 => break,
            read => bytes.extend_from_slice(&start[..read]),
        }
        offset_bytes = bytes.len() as u64;
    }
    Ok(digest::first_line_sha256(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_behind_a_line_end_a_mark_or_a_gap() {
        for (before, is_from_the_start, expected) in [
            (&b""[..], true, true),
            (b"", false, false),
            (b"a\n", false, true),
            (b"ab", true, false),
            (b"\xef\xbb\xbf", true, true),
            (b"\xef\xbb\xbf", false, false),
            (b"a\n\xef\xbb\xbf", false, true),
            (b"\n\xef\xbb\xbf\xef\xbb\xbf", false, true),
            (b"a\xef\xbb\xbf", false, false),
            (b"\0\0", true, true),
        ] {
            assert_eq!(begins_line(before, is_from_the_start), expected, "{}", before.escape_ascii());
        }
    }
}
