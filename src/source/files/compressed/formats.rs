//! Formats: what a compressed file is, and its content as one stream, member by member or frame by frame.
//!
//! What is wrong with a file is told by its [`Flaw`], inside of the error that ends the stream.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::GzDecoder;
use ruzstd::decoding::StreamingDecoder;

/// The two bytes of gzip, and deflate, the only method that there is.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The longest of them, in bytes.
pub(in super::super) const MAGIC_BYTES_MAX: usize = 4;

/// A frame of zstd that holds no content: the last three bytes of its magic, its first one being 0x50 to 0x5f.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];
const ZSTD_SKIPPABLE_HEADER_BYTES: usize = 8;

/// What a file is, by its first bytes and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Nature {
    /// Lines.
    Plain,
    /// A gzip or zstd file.
    Compressed,
    /// It may become one yet: what is there are the first bytes of one, or, under the name of one, nothing or zeros.
    Unknown,
}

/// What is wrong with a compressed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum Flaw {
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
    pub(in super::super) fn hint(self) -> &'static str {
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

/// Whether a file's name says that it is compressed.
pub(in super::super) fn is_named_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz" || extension == "zst")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gzip,
    Zstd,
}

/// What a file is that begins with these bytes.
pub(in super::super) fn nature(path: &Path, beginning: &[u8]) -> Nature {
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
pub(super) fn kind(file: &File, offset_bytes: u64) -> io::Result<Option<Kind>> {
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

pub(super) fn decoder(file: &Arc<File>) -> Option<Box<dyn Read + Send>> {
    let reader = FromStart { file: Arc::clone(file), offset_bytes: 0 };
    Some(match kind(file, 0).ok()?? {
        Kind::Gzip => Box::new(Members { reader: Some(BufReader::new(reader)), decoder: None }),
        Kind::Zstd => Box::new(Frames { reader, decoder: None }),
    })
}

pub(super) fn flaw(error: &io::Error) -> Flaw {
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

pub(super) fn read_some(decoder: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
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
    file: Arc<File>,
    offset_bytes: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset_bytes)?;
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
            if !goes_on(file, offset_bytes - unread_bytes, Kind::Gzip)? {
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
            if !goes_on(&self.reader.file, self.reader.offset_bytes, Kind::Zstd)? {
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
        let length = read_full(&self.reader.file, &mut header, self.reader.offset_bytes)?;
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
}
