//! Compressed files: the content of a gzip or zstd file, read by offset as if it were plain.
//!
//! Reading forward decompresses as it goes and holds only a window of what was read last; reading backward beyond it
//! begins again, and going far forward is done in steps that the caller counts. A rotated file is compressed once and for
//! all, so what ends early is taken to be still in the making.
//!
//! What a compressed file is can only be told by its content, and that may be gigabytes. So it is examined in one pass, a
//! step at a time, in which everything is noted that anybody asks: its length, beginning and end, and for the places that
//! were asked for whether the content there is what was delivered of another file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest as _, Sha256};

use crate::state::checkpoint::{HEAD_BYTES_MAX, Position, TAIL_BYTES_MAX};

/// How much is decompressed in one step, in bytes.
const STEP_BYTES: usize = 64 * 1024;

/// How much is kept of what stands before the place that was read last, in bytes.
const LOOK_BACK_BYTES: u64 = 1_024;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The decompressed content of a file.
pub(super) struct Decompressed {
    file: Arc<fs_err::File>,
    /// Made when something is read.
    decoder: Option<Box<dyn Read + Send>>,
    window: Vec<u8>,
    window_start: u64,
    state: State,
    known: Known,
    examined: Examined,
}

/// What is known of the content, however far it was read last.
#[derive(Debug, Default)]
struct Known {
    /// The first bytes, at most [`HEAD_BYTES_MAX`].
    beginning: Vec<u8>,
    first_line_sha256: Option<[u8; 32]>,
    /// Of the whole content, when it was seen to its end.
    length_bytes: Option<u64>,
    /// The last bytes, at most [`TAIL_BYTES_MAX`].
    ending: Vec<u8>,
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
    /// The whole content was seen, with its trailer.
    Complete,
    /// The file ends before its content does, or is damaged.
    Broken,
}

/// How far an examination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Examined {
    /// Another step is needed.
    No,
    /// Everything that was asked is answered.
    Yes,
    /// The file is damaged, or not complete yet.
    Broken,
}

impl std::fmt::Debug for Decompressed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Decompressed({} + {}, {:?})", self.window_start, self.window.len(), self.state)
    }
}

impl Decompressed {
    /// Reads a file that is named and begins as a compressed one; `None` when it is not.
    pub(super) fn of(path: &Path, file: &Arc<fs_err::File>) -> Option<Decompressed> {
        if !is_named_compressed(path) || kind(file.file()).is_none() {
            return None;
        }
        Some(Decompressed {
            file: Arc::clone(file),
            decoder: None,
            window: Vec::new(),
            window_start: 0,
            state: State::Open,
            known: Known::default(),
            examined: Examined::No,
        })
    }

    /// Forgets everything: the file has changed.
    pub(super) fn restart(&mut self) {
        self.rewind();
        self.known = Known::default();
        self.examined = Examined::No;
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

    /// The length of the content in bytes, if the file was examined.
    pub(super) fn length_bytes(&self) -> Option<u64> {
        self.known.length_bytes
    }

    /// The digest of the first line, or of the first part of a long one.
    pub(super) fn first_line_sha256(&mut self) -> [u8; 32] {
        while self.known.first_line_sha256.is_none() && self.state == State::Open {
            self.step(0);
        }
        self.known.first_line_sha256.unwrap_or_else(|| Sha256::digest([]).into())
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
        self.known.places.push(Place { position: position.clone(), is_same });
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
            State::Broken => self.end_examination(Examined::Broken),
            State::Complete => {
                self.known.length_bytes = Some(self.window_end());
                self.known.ending = self.window[self.window.len().saturating_sub(TAIL_BYTES_MAX)..].to_vec();
                let length_bytes = self.window_end();
                for place in self.known.places.iter_mut().filter(|place| place.position.offset_bytes > length_bytes) {
                    place.is_same = Some(false);
                }
                // What was asked for when the pass had gone by needs another one.
                let is_answered = self.known.places.iter().all(|place| place.is_same.is_some());
                self.end_examination(if is_answered { Examined::Yes } else { Examined::No });
            }
        }
        self.examined
    }

    fn end_examination(&mut self, examined: Examined) {
        self.rewind();
        self.examined = examined;
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
            None => Err(io::ErrorKind::InvalidData.into()),
        };
        self.window.truncate(length + read.as_ref().copied().unwrap_or_default());
        match read {
            Ok(0) => self.state = State::Complete,
            Ok(_) => {}
            Err(_) => self.state = State::Broken,
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
            let line = &self.window[..line_end.unwrap_or(self.window.len()).min(STEP_BYTES)];
            self.known.first_line_sha256 = Some(Sha256::digest(line).into());
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

/// Whether a file's name says that it is compressed.
pub(super) fn is_named_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz" || extension == "zst")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gzip,
    Zstd,
}

fn kind(file: &File) -> Option<Kind> {
    let mut magic = [0; 4];
    let length = file.read_at(&mut magic, 0).ok()?;
    if magic[..length].starts_with(GZIP_MAGIC) {
        return Some(Kind::Gzip);
    }
    magic[..length].starts_with(ZSTD_MAGIC).then_some(Kind::Zstd)
}

fn decoder(file: &Arc<fs_err::File>) -> Option<Box<dyn Read + Send>> {
    let reader = FromStart { file: Arc::clone(file), offset_bytes: 0 };
    Some(match kind(file.file())? {
        Kind::Gzip => Box::new(MultiGzDecoder::new(reader)),
        Kind::Zstd => Box::new(Frames { reader, decoder: None }),
    })
}

fn read_some(decoder: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match decoder.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Reads a file by offset, so that its handle's own place does not matter.
#[derive(Debug)]
struct FromStart {
    file: Arc<fs_err::File>,
    offset_bytes: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.file().read_at(buffer, self.offset_bytes)?;
        self.offset_bytes += read as u64;
        Ok(read)
    }
}

/// The frames of a zstd file, one after the other.
struct Frames {
    reader: FromStart,
    decoder: Option<StreamingDecoder<FromStart, ruzstd::decoding::FrameDecoder>>,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let read = decoder.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
                self.reader.offset_bytes = decoder.get_ref().offset_bytes;
                self.decoder = None;
            }
            if self.reader.offset_bytes >= self.reader.file.metadata()?.len() {
                return Ok(0);
            }
            let reader = FromStart { file: Arc::clone(&self.reader.file), offset_bytes: self.reader.offset_bytes };
            self.decoder = Some(StreamingDecoder::new(reader).map_err(io::Error::other)?);
        }
    }
}
