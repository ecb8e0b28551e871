//! Compressed files: the content of a gzip or zstd file, read by offset as if it were plain.
//!
//! Its first bytes tell that it is one, whatever its name. Its name alone tells that it will be one: compressors make the
//! file before they have anything to write. Reading forward decompresses as it goes and holds only a window of what was
//! read last; reading backward beyond it begins again, and going far forward is done in steps that the caller counts.
//!
//! A rotated file is compressed once and for all, so what ends early may still be in the making. If it is not, what can be
//! decompressed counts up to its last line end, and the [`Flaw`] says what is missing.
//!
//! What a compressed file is can only be told by its content, and that may be gigabytes. So it is examined in one pass, a
//! step at a time, in which everything is noted that anybody asks: its length, beginning and end, and for the places that
//! were asked for whether the content there is what was delivered of another file.

mod formats;

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use crate::state::checkpoint::{HEAD_BYTES_MAX, Position, TAIL_BYTES_MAX};
use crate::text::digest;
pub(super) use formats::{Flaw, MAGIC_BYTES_MAX, Nature, is_named_compressed, nature};
use formats::{decoder, flaw, kind, read_some};

/// How much is decompressed in one step, in bytes.
const STEP_BYTES: usize = 64 * 1024;

/// How much is kept of what stands before the place that was read last, in bytes.
const LOOK_BACK_BYTES: u64 = 1_024;

/// The decompressed content of a file.
pub(super) struct Decompressed {
    file: Arc<File>,
    /// Made when something is read.
    decoder: Option<Box<dyn Read + Send>>,
    window: Vec<u8>,
    window_start: u64,
    state: State,
    known: Known,
    examined: Examined,
    flaw: Option<Flaw>,
}

/// What is known of the content, however far it was read last.
#[derive(Debug, Default)]
struct Known {
    /// The first bytes, at most [`HEAD_BYTES_MAX`].
    beginning: Vec<u8>,
    first_line_sha256: Option<[u8; 32]>,
    /// Of the whole content, when it was seen to its end; of a flawed one up to its last line end.
    length_bytes: Option<u64>,
    /// The last bytes, at most [`TAIL_BYTES_MAX`].
    ending: Vec<u8>,
    /// Where the last line ends that an examination came by, in bytes, and what stands before that.
    last_line: (u64, Vec<u8>),
    places: Vec<Place>,
}

/// A place that somebody asked for.
#[derive(Debug)]
struct Place {
    position: Position,
    /// Whether the content there is the same; not known before a pass has come by.
    is_same: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The whole content was seen, with its trailer, and perhaps more.
    Complete(Option<Flaw>),
    /// The file ends before its content does, or is damaged.
    Broken(Flaw),
}

/// How far an examination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Examined {
    /// Another step is needed.
    No,
    /// Everything that was asked is answered.
    Yes,
}

impl std::fmt::Debug for Decompressed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Decompressed({} + {}, {:?})", self.window_start, self.window.len(), self.state)
    }
}

impl Decompressed {
    /// Reads a file that begins as a compressed one; `None` when it does not.
    pub(super) fn of(file: &Arc<File>) -> Option<Decompressed> {
        kind(file, 0).ok()??;
        Some(Decompressed {
            file: Arc::clone(file),
            decoder: None,
            window: Vec::new(),
            window_start: 0,
            state: State::Open,
            known: Known::default(),
            examined: Examined::No,
            flaw: None,
        })
    }

    /// Forgets everything: the file has changed.
    pub(super) fn restart(&mut self) {
        self.rewind();
        self.known = Known::default();
        self.examined = Examined::No;
        self.flaw = None;
    }

    /// Lets go of what is only needed to read on, and begins again at the first byte when somebody does.
    fn rewind(&mut self) {
        self.decoder = None;
        self.window = Vec::new();
        self.window_start = 0;
        self.state = State::Open;
    }

    /// Decompresses no more than is needed to know how the content begins; the next step is the first of a pass. Does
    /// nothing in the middle of one. Returns whether it did.
    pub(super) fn glance(&mut self) -> bool {
        if self.state != State::Open || self.window_end() > 0 {
            return false;
        }
        self.first_line_sha256();
        if self.state == State::Open {
            self.rewind();
        }
        true
    }

    /// How far the examination is.
    pub(super) fn examined(&self) -> Examined {
        self.examined
    }

    /// What is wrong with the file, if it was examined.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }

    /// The length of the content in bytes, if the file was examined.
    pub(super) fn length_bytes(&self) -> Option<u64> {
        self.known.length_bytes
    }

    /// The digest of the first line, or of the first part of a long one.
    pub(super) fn first_line_sha256(&mut self) -> [u8; 32] {
        while self.known.first_line_sha256.is_none() && self.state == State::Open {
            self.step(0);
        }
        self.known.first_line_sha256.unwrap_or_else(|| digest::first_line_sha256(&[]))
    }

    /// Whether the content before a position is the one that was there. Not before the place was examined; until then it is
    /// not, and the next pass looks.
    pub(super) fn has_before(&mut self, position: &Position) -> bool {
        if position.tail.length_bytes == 0 {
            return true;
        }
        if let Some(place) = self.known.places.iter().find(|place| place.position == *position) {
            return place.is_same.unwrap_or(false);
        }
        let is_same = self.known.length_bytes.filter(|length| *length < position.offset_bytes).map(|_| false);
        if is_same.is_none() {
            self.examined = Examined::No;
        }
        self.known.places.push(Place { position: *position, is_same });
        false
    }

    /// Goes on with the examination, for about so many bytes of the content. Its beginning is known after the first step.
    pub(super) fn examine(&mut self, bytes: u64) -> Examined {
        let end = self.window_end().saturating_add(bytes);
        while self.state == State::Open && self.window_end() < end {
            self.step(self.window_end());
            self.note_places();
        }
        match self.state {
            State::Open => {}
            State::Broken(flaw) => {
                let (length_bytes, ending) = std::mem::take(&mut self.known.last_line);
                self.end_examination(length_bytes, ending, Some(flaw));
            }
            State::Complete(flaw) => {
                let ending = self.window[self.window.len().saturating_sub(TAIL_BYTES_MAX)..].to_vec();
                self.end_examination(self.window_end(), ending, flaw);
            }
        }
        self.examined
    }

    fn end_examination(&mut self, length_bytes: u64, ending: Vec<u8>, flaw: Option<Flaw>) {
        (self.known.length_bytes, self.known.ending, self.flaw) = (Some(length_bytes), ending, flaw);
        for place in self.known.places.iter_mut().filter(|place| place.position.offset_bytes > length_bytes) {
            place.is_same = Some(false);
        }
        // What was asked for when the pass had gone by needs another one.
        let is_answered = self.known.places.iter().all(|place| place.is_same.is_some());
        self.rewind();
        self.examined = if is_answered { Examined::Yes } else { Examined::No };
    }

    fn note_line_end(&mut self, from: usize) {
        if let Some(line_end) = memchr::memrchr(b'\n', &self.window[from..]) {
            let end = from + line_end + 1;
            let ending = self.window[end.saturating_sub(TAIL_BYTES_MAX)..end].to_vec();
            self.known.last_line = (self.window_start + end as u64, ending);
        }
    }

    fn note_places(&mut self) {
        let end = self.window_end();
        for place in self.known.places.iter_mut().filter(|place| place.is_same.is_none()) {
            let Position { offset_bytes, tail } = &place.position;
            let start = offset_bytes.saturating_sub(tail.length_bytes.into());
            if *offset_bytes <= end && start >= self.window_start {
                let from = (start - self.window_start) as usize;
                place.is_same = Some(tail.matches(&self.window[from..from + tail.length_bytes as usize]));
            }
        }
    }

    /// Comes nearer to an offset, for about so many bytes of the content. Returns whether it is there.
    pub(super) fn approach(&mut self, offset_bytes: u64, bytes: u64) -> bool {
        if offset_bytes < self.window_start {
            self.rewind();
        }
        let end = self.window_end().saturating_add(bytes);
        while self.window_end() < offset_bytes.min(end) && self.state == State::Open {
            self.step(offset_bytes);
        }
        self.window_end() >= offset_bytes || self.state != State::Open
    }

    /// Fills `buffer` from an offset of the content; less means its end.
    pub(super) fn read_at(&mut self, buffer: &mut [u8], offset_bytes: u64) -> usize {
        // Behind its length there is half a line at most.
        let left_bytes = self.known.length_bytes.map_or(u64::MAX, |length| length.saturating_sub(offset_bytes));
        let length = buffer.len().min(usize::try_from(left_bytes).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..length];
        if let Some(known) = self.known.part(offset_bytes, buffer.len()) {
            buffer[..known.len()].copy_from_slice(known);
            return known.len();
        }
        if offset_bytes < self.window_start {
            self.rewind();
        }
        let end = offset_bytes + buffer.len() as u64;
        while self.window_end() < end && self.state == State::Open {
            self.step(offset_bytes);
        }
        let start = (offset_bytes - self.window_start).min(self.window.len() as u64) as usize;
        let length = buffer.len().min(self.window.len() - start);
        buffer[..length].copy_from_slice(&self.window[start..start + length]);
        length
    }

    fn window_end(&self) -> u64 {
        self.window_start + self.window.len() as u64
    }

    /// Decompresses a little more; what stands well before `wanted_bytes` is dropped.
    fn step(&mut self, wanted_bytes: u64) {
        let surplus = wanted_bytes.saturating_sub(self.window_start + LOOK_BACK_BYTES).min(self.window.len() as u64);
        if surplus as usize >= STEP_BYTES {
            self.window.drain(..surplus as usize);
            self.window_start += surplus;
        }
        let length = self.window.len();
        self.window.resize(length + STEP_BYTES, 0);
        let decoder = match &mut self.decoder {
            Some(decoder) => Some(decoder),
            none => decoder(&self.file).map(|decoder| none.insert(decoder)),
        };
        let read = match decoder {
            Some(decoder) => read_some(decoder, &mut self.window[length..]),
            None => Err(io::Error::other(Flaw::Damaged)),
        };
        self.window.truncate(length + read.as_ref().copied().unwrap_or_default());
        match read.map_err(|error| flaw(&error)) {
            Ok(0) => self.state = State::Complete(None),
            Ok(_) => self.note_line_end(length),
            Err(flaw @ Flaw::Trailing { .. }) => self.state = State::Complete(Some(flaw)),
            Err(flaw) => self.state = State::Broken(flaw),
        }
        self.note_beginning();
    }

    /// Keeps what stands first, as long as it is in the window.
    fn note_beginning(&mut self) {
        if self.window_start > 0 || self.known.first_line_sha256.is_some() {
            return;
        }
        let line_end = memchr::memchr(b'\n', &self.window);
        self.known.beginning = self.window[..self.window.len().min(HEAD_BYTES_MAX)].to_vec();
        let is_all_there = self.window.len() >= STEP_BYTES || self.state != State::Open;
        if is_all_there || (line_end.is_some() && self.window.len() >= HEAD_BYTES_MAX) {
            self.known.first_line_sha256 = Some(digest::first_line_sha256(&self.window));
        }
    }
}

impl Known {
    /// A part that is kept, or its beginning where the content ends within.
    fn part(&self, offset_bytes: u64, length: usize) -> Option<&[u8]> {
        self.first_line_sha256?;
        let end = offset_bytes + length as u64;
        let is_whole = self.length_bytes.is_some_and(|length| length == self.beginning.len() as u64);
        if end <= self.beginning.len() as u64 || is_whole {
            let start = (offset_bytes as usize).min(self.beginning.len());
            return self.beginning.get(start..(start + length).min(self.beginning.len()));
        }
        let ending_start = self.length_bytes? - self.ending.len() as u64;
        let start = usize::try_from(offset_bytes.checked_sub(ending_start)?).ok()?.min(self.ending.len());
        self.ending.get(start..(start + length).min(self.ending.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// Examines a file of these bytes, and compares the content and the flaw.
    fn check(bytes: &[u8], content: &[u8], flaw: Option<Flaw>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut decompressed = Decompressed::of(&Arc::new(File::open(file.path()).unwrap())).unwrap();
        assert_eq!(decompressed.examine(u64::MAX), Examined::Yes);
        let name = bytes.escape_ascii().to_string();
        assert_eq!((decompressed.length_bytes(), decompressed.flaw()), (Some(content.len() as u64), flaw), "{name}");
        let mut buffer = vec![0; content.len() + 100];
        assert_eq!(decompressed.read_at(&mut buffer, 0), content.len(), "{name}");
        assert_eq!(&buffer[..content.len()], content, "{name}");
    }

    #[test]
    fn members_and_frames_follow_each_other_and_the_rest_is_told() {
        type Compress = fn(&[u8]) -> Vec<u8>;
        const SKIPPABLE: &[u8] = b"\x51\x2a\x4d\x18\x03\0\0\0abc";
        for compress in [gzip as Compress, zstd] {
            let (one, two) = (compress(b"1\n2\n"), compress(b"3\nhalf"));
            let at = |more: u64| Some(Flaw::Trailing { offset_bytes: one.len() as u64 + more });
            check(&one, b"1\n2\n", None);
            check(&[&one[..], &two].concat(), b"1\n2\n3\nhalf", None);
            check(&[&one[..], &[0; 9000]].concat(), b"1\n2\n", None);
            check(&[&two[..], b"junk"].concat(), b"3\nhalf", Some(Flaw::Trailing { offset_bytes: two.len() as u64 }));
            check(&[&one[..], b"{\"a\":1}\n"].concat(), b"1\n2\n", at(0));
            check(&[&one[..], &[0; 5000], b"x"].concat(), b"1\n2\n", at(5000));
            check(&[&one[..], &two[..1]].concat(), b"1\n2\n", Some(Flaw::Cut));
            check(&[&one[..], &two[..8]].concat(), b"1\n2\n", Some(Flaw::Cut));
        }
        // A line that is cut does not count. The decoder of zstd gives out whole blocks alone.
        let cut = |compressed: &[u8]| compressed[..compressed.len() - 1].to_vec();
        check(&cut(&gzip(b"3\nhalf")), b"3\n", Some(Flaw::Cut));
        check(&cut(&zstd(b"3\nhalf")), b"", Some(Flaw::Cut));
        check(&gzip(b"1\n")[..6], b"", Some(Flaw::Cut));
        check(&[&zstd(b"1\n")[..], SKIPPABLE, &zstd(b"2\n")].concat(), b"1\n2\n", None);
        check(&[&zstd(b"1\n")[..], &SKIPPABLE[..9]].concat(), b"1\n", Some(Flaw::Cut));
        // Lines that came out before the damage count.
        let long: Vec<u8> =
            (0..100_000u32).flat_map(|n| format!("{}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
        let whole = gzip(&long);
        let middle = whole.len() / 2;
        let damaged = [&whole[..middle], &[0xff; 64], &whole[middle + 64..]].concat();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&damaged).unwrap();
        let mut decompressed = Decompressed::of(&Arc::new(File::open(file.path()).unwrap())).unwrap();
        decompressed.examine(u64::MAX);
        let length = decompressed.length_bytes().unwrap() as usize;
        assert!(length > long.len() / 4 && length < long.len(), "{length} of {}", long.len());
        assert_eq!((decompressed.flaw(), long[length - 1]), (Some(Flaw::Damaged), b'\n'));
    }
}
