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

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::GzDecoder;
use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest as _, Sha256};

use crate::state::checkpoint::{HEAD_BYTES_MAX, Position, TAIL_BYTES_MAX};

/// How much is decompressed in one step, in bytes.
const STEP_BYTES: usize = 64 * 1024;

/// How much is kept of what stands before the place that was read last, in bytes.
const LOOK_BACK_BYTES: u64 = 1_024;

/// The two bytes of gzip, and deflate, the only method that there is.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The longest of them, in bytes.
pub(super) const MAGIC_BYTES_MAX: usize = 4;

/// A frame of zstd that holds no content: the last three bytes of its magic, its first one being 0x50 to 0x5f.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];
const ZSTD_SKIPPABLE_HEADER_BYTES: usize = 8;

/// What a file is, by its first bytes and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Lines.
    Plain,
    /// A gzip or zstd file.
    Compressed,
    /// It may become one yet: what is there are the first bytes of one, or, under the name of one, nothing or zeros.
    Unknown,
}

/// What is wrong with a compressed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    /// It ends before its content does.
    #[error("the compressed file ends before its content does: it was cut off, or is not complete yet")]
    Cut,
    /// It cannot be decompressed any further.
    #[error("the compressed file is damaged, and what follows cannot be decompressed")]
    Damaged,
    /// Bytes that are no compressed data follow the content.
    #[error("bytes that are no compressed data follow the content, at byte {offset_bytes} of the file")]
    Trailing {
        /// Where, in bytes from the start of the compressed file.
        offset_bytes: u64,
    },
}

impl Flaw {
    /// What to do about it.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Flaw::Cut => "what is there is read up to its last whole line; the rest is read when the file goes on",
            Flaw::Damaged => {
                "what comes before is read up to its last whole line; look for an undamaged copy of the file, and test \
                 it with `gzip -t` or `zstd -t`"
            }
            Flaw::Trailing { .. } => {
                "the content before them is read; if these bytes are records, put them into a file of their own"
            }
        }
    }
}

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
    pub(super) fn of(file: &Arc<fs_err::File>) -> Option<Decompressed> {
        kind(file.file(), 0).ok()??;
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

/// What a file is that begins with these bytes.
pub(super) fn nature(path: &Path, beginning: &[u8]) -> Nature {
    let magic = &beginning[..beginning.len().min(MAGIC_BYTES_MAX)];
    if magic.starts_with(GZIP_MAGIC) || magic == ZSTD_MAGIC {
        return Nature::Compressed;
    }
    let is_beginning = GZIP_MAGIC.starts_with(magic) || ZSTD_MAGIC.starts_with(magic);
    // Space may be allocated ahead, and blocks arrive in any order.
    let is_nothing_yet = magic.iter().all(|byte| *byte == 0) && is_named_compressed(path);
    let may_become_one = (is_beginning && !magic.is_empty()) || is_nothing_yet;
    if may_become_one { Nature::Unknown } else { Nature::Plain }
}

/// What begins at an offset; `None` when it is no compressed data.
fn kind(file: &File, offset_bytes: u64) -> io::Result<Option<Kind>> {
    let mut magic = [0; MAGIC_BYTES_MAX];
    let length = read_full(file, &mut magic, offset_bytes)?;
    Ok(match &magic[..length] {
        magic if magic.starts_with(GZIP_MAGIC) => Some(Kind::Gzip),
        magic if magic == ZSTD_MAGIC => Some(Kind::Zstd),
        _ => None,
    })
}

fn read_full(file: &File, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset_bytes + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn decoder(file: &Arc<fs_err::File>) -> Option<Box<dyn Read + Send>> {
    let reader = FromStart { file: Arc::clone(file), offset_bytes: 0 };
    Some(match kind(file.file(), 0).ok()?? {
        Kind::Gzip => Box::new(Members { reader: Some(BufReader::new(reader)), decoder: None }),
        Kind::Zstd => Box::new(Frames { reader, decoder: None }),
    })
}

fn flaw(error: &io::Error) -> Flaw {
    let told = error.get_ref().and_then(|inner| inner.downcast_ref::<Flaw>());
    match told {
        Some(flaw) => *flaw,
        None if error.kind() == io::ErrorKind::UnexpectedEof => Flaw::Cut,
        None => Flaw::Damaged,
    }
}

/// What follows a member or a frame that is whole: another of this kind (true), nothing but padding (false), or a flaw.
fn goes_on(file: &File, offset_bytes: u64, kind_before: Kind) -> io::Result<bool> {
    if kind(file, offset_bytes)? == Some(kind_before) {
        return Ok(true);
    }
    let mut buffer = [0; 4096];
    let length = read_full(file, &mut buffer, offset_bytes)?;
    let magic = if kind_before == Kind::Gzip { GZIP_MAGIC } else { ZSTD_MAGIC };
    if length > 0 && length < magic.len() && magic.starts_with(&buffer[..length]) {
        return Err(io::Error::other(Flaw::Cut));
    }
    let mut padded_bytes = 0;
    loop {
        let length = read_full(file, &mut buffer, offset_bytes + padded_bytes)?;
        if let Some(position) = buffer[..length].iter().position(|byte| *byte != 0) {
            let offset_bytes = offset_bytes + padded_bytes + position as u64;
            return Err(io::Error::other(Flaw::Trailing { offset_bytes }));
        }
        if length < buffer.len() {
            return Ok(false);
        }
        padded_bytes += length as u64;
    }
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

/// The members of a gzip file, one after the other.
struct Members {
    /// Between two members.
    reader: Option<BufReader<FromStart>>,
    decoder: Option<GzDecoder<BufReader<FromStart>>>,
}

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let read = decoder.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
                self.reader = self.decoder.take().map(GzDecoder::into_inner);
            }
            let Some(reader) = &mut self.reader else { return Ok(0) };
            let unread_bytes = reader.fill_buf()?.len() as u64;
            let FromStart { file, offset_bytes } = reader.get_ref();
            if !goes_on(file.file(), offset_bytes - unread_bytes, Kind::Gzip)? {
                return Ok(0);
            }
            self.decoder = self.reader.take().map(GzDecoder::new);
        }
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
                let read = decoder.read(buffer);
                self.reader.offset_bytes = decoder.get_ref().offset_bytes;
                match read {
                    Ok(0) => self.decoder = None,
                    Ok(read) => return Ok(read),
                    Err(_) => return Err(self.flaw()?),
                }
            }
            if self.skip_frames_without_content()? {
                continue;
            }
            if !goes_on(self.reader.file.file(), self.reader.offset_bytes, Kind::Zstd)? {
                return Ok(0);
            }
            let reader = FromStart { file: Arc::clone(&self.reader.file), offset_bytes: self.reader.offset_bytes };
            match StreamingDecoder::new(reader) {
                Ok(decoder) => self.decoder = Some(decoder),
                Err(_) => return Err(self.flaw()?),
            }
        }
    }
}

impl Frames {
    /// The decoder does not tell a file that ends early from one that is damaged.
    fn flaw(&self) -> io::Result<io::Error> {
        const HEADER_BYTES_MAX: u64 = 18;
        let left_bytes = self.reader.file.metadata()?.len().saturating_sub(self.reader.offset_bytes);
        Ok(io::Error::other(if left_bytes < HEADER_BYTES_MAX { Flaw::Cut } else { Flaw::Damaged }))
    }

    fn skip_frames_without_content(&mut self) -> io::Result<bool> {
        let mut header = [0; ZSTD_SKIPPABLE_HEADER_BYTES];
        let length = read_full(self.reader.file.file(), &mut header, self.reader.offset_bytes)?;
        let [magic, rest @ .., a, b, c, d] = header;
        if magic & 0xf0 != 0x50 || rest != ZSTD_SKIPPABLE {
            return Ok(false);
        }
        let end = self.reader.offset_bytes + header.len() as u64 + u64::from(u32::from_le_bytes([a, b, c, d]));
        if length < header.len() || end > self.reader.file.metadata()?.len() {
            return Err(io::Error::other(Flaw::Cut));
        }
        self.reader.offset_bytes = end;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const GZ: &str = "a.gz";

    #[test]
    fn the_first_bytes_and_the_name_tell_what_a_file_is() {
        use Nature::{Compressed, Plain, Unknown};
        for (name, beginning, expected) in [
            (GZ, &b""[..], Unknown),
            ("a.zst", b"", Unknown),
            ("a", b"", Plain),
            (GZ, b"\x1f", Unknown),
            ("a", b"\x1f\x8b", Unknown),
            ("a", b"\x1f\x8b\x08", Compressed),
            (GZ, b"\x1f\x8b\x08\x00", Compressed),
            (GZ, b"\x28\xb5\x2f", Unknown),
            ("a", b"\x28\xb5\x2f\xfd\x00", Compressed),
            (GZ, b"\0\0", Unknown),
            (GZ, b"\0\0\0\0\x08", Unknown),
            ("a", b"\0\0\0\0", Plain),
            (GZ, b"{\"a\":1}", Plain),
            ("a", b"(a)", Plain),
            (GZ, b"\x1f\x8b\n", Plain),
        ] {
            assert_eq!(nature(Path::new(name), beginning), expected, "{name} {}", beginning.escape_ascii());
        }
    }

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
        let mut decompressed = Decompressed::of(&Arc::new(fs_err::File::open(file.path()).unwrap())).unwrap();
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
        let mut decompressed = Decompressed::of(&Arc::new(fs_err::File::open(file.path()).unwrap())).unwrap();
        decompressed.examine(u64::MAX);
        let length = decompressed.length_bytes().unwrap() as usize;
        assert!(length > long.len() / 4 && length < long.len(), "{length} of {}", long.len());
        assert_eq!((decompressed.flaw(), long[length - 1]), (Some(Flaw::Damaged), b'\n'));
    }
}
