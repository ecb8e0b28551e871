//! Compressed files: the content of a gzip or zstd file, read by offset as if it were plain.
//!
//! Reading forward decompresses as it goes and holds only a window of what was read last; reading backward beyond it
//! begins again. A rotated file is compressed once and for all, so what ends early is taken to be still in the making.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

/// How much is decompressed in one step, in bytes.
const STEP_BYTES: usize = 64 * 1024;

/// How much is kept of what stands before the place that was read last, in bytes.
const LOOK_BACK_BYTES: u64 = 1_024;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The decompressed content of a file.
pub(super) struct Decompressed {
    file: File,
    decoder: Box<dyn Read + Send>,
    window: Vec<u8>,
    window_start: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The whole content was seen, with its trailer.
    Complete,
    /// The file ends before its content does, or is damaged.
    Broken,
}

impl std::fmt::Debug for Decompressed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Decompressed({} + {}, {:?})", self.window_start, self.window.len(), self.state)
    }
}

impl Decompressed {
    /// Reads a file that is named and begins as a compressed one; `None` when it is not.
    pub(super) fn of(path: &Path, file: &File) -> Option<Decompressed> {
        if !is_named_compressed(path) {
            return None;
        }
        let file = file.try_clone().ok()?;
        let decoder = decoder(&file)?;
        Some(Decompressed { file, decoder, window: Vec::new(), window_start: 0, state: State::Open })
    }

    /// Forgets everything: the file has changed.
    pub(super) fn restart(&mut self) {
        if let Some(decoder) = decoder(&self.file) {
            self.decoder = decoder;
        }
        self.window.clear();
        self.window_start = 0;
        self.state = State::Open;
    }

    /// The length of the content in bytes; `None` when the file is not complete.
    pub(super) fn measure(&mut self) -> Option<u64> {
        while self.state == State::Open {
            self.step(self.window_end());
        }
        (self.state == State::Complete).then(|| self.window_end())
    }

    /// Fills `buffer` from an offset of the content; less means its end.
    pub(super) fn read_at(&mut self, buffer: &mut [u8], offset_bytes: u64) -> usize {
        if offset_bytes < self.window_start {
            self.restart();
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
        let read = loop {
            match self.decoder.read(&mut self.window[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.window.truncate(length + read.as_ref().copied().unwrap_or_default());
        match read {
            Ok(0) => self.state = State::Complete,
            Ok(_) => {}
            Err(_) => self.state = State::Broken,
        }
    }
}

/// Whether a file's name says that it is compressed.
pub(super) fn is_named_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz" || extension == "zst")
}

fn decoder(file: &File) -> Option<Box<dyn Read + Send>> {
    let mut magic = [0; 4];
    let length = file.read_at(&mut magic, 0).ok()?;
    let reader = FromStart { file: file.try_clone().ok()?, offset_bytes: 0 };
    if magic[..length].starts_with(GZIP_MAGIC) {
        return Some(Box::new(MultiGzDecoder::new(reader)));
    }
    magic[..length].starts_with(ZSTD_MAGIC).then(|| Box::new(Frames { reader, decoder: None }) as Box<dyn Read + Send>)
}

/// Reads a file by offset, so that its handle's own place does not matter.
#[derive(Debug)]
struct FromStart {
    file: File,
    offset_bytes: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset_bytes)?;
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
            let reader = FromStart { file: self.reader.file.try_clone()?, offset_bytes: self.reader.offset_bytes };
            self.decoder = Some(StreamingDecoder::new(reader).map_err(io::Error::other)?);
        }
    }
}
