//! Content encoding: gzip of what is sent, and of what comes back.
//!
//! What takes long leaves the thread that serves everything else of the process.

use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};

use super::describe;
use super::segments::Segments;

/// Bodies shorter than this are not worth compressing, in bytes.
const PACK_BYTES_MIN: usize = 1024;

/// There is at least so much room for what comes of the next step.
const ROOM_BYTES_MIN: usize = 16 * 1024;

/// So many tools are kept while they are idle, and with so large a buffer.
const IDLE_MAX: usize = 8;
const IDLE_BYTES_MAX: usize = 1024 * 1024;

/// The largest window of DEFLATE, as a power of two.
const WINDOW_BITS: u8 = 15;

/// From this length on, in bytes, the work is done on a thread for such work: it takes a tenth of a millisecond or more.
const ASIDE_BYTES_MIN: usize = 32 * 1024;

/// Packs bodies (gzip, level 1). What it takes for that is used again, so that memory is not torn up by large pieces that
/// come and go.
#[derive(Debug, Default)]
pub(super) struct Packer {
    idle: Arc<Mutex<Vec<Press>>>,
}

/// What packs one body at a time.
#[derive(Debug)]
struct Press {
    compress: Compress,
    packed: Vec<u8>,
}

/// A packed body, whose press goes back when it is sent.
struct Packed {
    /// `None` only while it is dropped.
    press: Option<Press>,
    idle: Arc<Mutex<Vec<Press>>>,
}

impl Packer {
    /// Packs a body; `None` where it is not worth it.
    pub(super) async fn pack(&self, body: &Segments) -> Option<Bytes> {
        let length = body.bytes();
        if length < PACK_BYTES_MIN {
            return None;
        }
        let (body, idle) = (body.clone(), Arc::clone(&self.idle));
        let mut press = lock(&idle).pop().unwrap_or_else(Press::new);
        let press = aside(length, move || press.pack(&body).map(|()| press)).await.ok()?;
        Some(Bytes::from_owner(Packed { press: Some(press), idle }))
    }
}

fn lock(idle: &Mutex<Vec<Press>>) -> MutexGuard<'_, Vec<Press>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Press {
    fn new() -> Press {
        Press { compress: Compress::new_gzip(Compression::fast(), WINDOW_BITS), packed: Vec::new() }
    }

    fn pack(&mut self, body: &Segments) -> io::Result<()> {
        let Press { compress, packed } = self;
        compress.reset();
        packed.clear();
        packed.reserve((body.bytes() / 4).max(ROOM_BYTES_MIN));
        for segment in body.iter() {
            let mut rest = &segment[..];
            while !rest.is_empty() {
                let taken_before = compress.total_in();
                compress.compress_vec(rest, packed, FlushCompress::None)?;
                rest = &rest[(compress.total_in() - taken_before) as usize..];
                packed.reserve(ROOM_BYTES_MIN);
            }
        }
        while compress.compress_vec(&[], packed, FlushCompress::Finish)? != Status::StreamEnd {
            packed.reserve(ROOM_BYTES_MIN);
        }
        Ok(())
    }
}

impl AsRef<[u8]> for Packed {
    fn as_ref(&self) -> &[u8] {
        self.press.as_ref().map_or(&[], |press| &press.packed)
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MAX {
            idle.extend(self.press.take().filter(|press| press.packed.capacity() <= IDLE_BYTES_MAX));
        }
    }
}

/// Unpacks a body that was packed in this way, in the words of `Content-Encoding`; `None` when it is longer than allowed.
pub(super) async fn unpack(packed_by: &str, bytes: Bytes, bytes_max: usize) -> Result<Option<Bytes>, String> {
    let packed_by = packed_by.trim().to_ascii_lowercase();
    match packed_by.as_str() {
        _ if bytes.is_empty() => Ok(Some(bytes)),
        "" | "identity" => Ok(Some(bytes)),
        "gzip" | "x-gzip" => {
            let unpacked = aside(bytes.len(), move || gunzip(&bytes, bytes_max)).await;
            unpacked.map_err(|error| format!("its gzip is damaged ({})", describe::deepest(&error)))
        }
        other => Err(format!("it is packed as `{}`, which was not asked for", describe::quote(other))),
    }
}

/// Unpacks all members: what a server flushes now and then may come as several.
fn gunzip(bytes: &[u8], bytes_max: usize) -> io::Result<Option<Bytes>> {
    let mut unpacked = Vec::with_capacity((bytes.len() * 4).min(bytes_max));
    MultiGzDecoder::new(bytes).take(bytes_max as u64 + 1).read_to_end(&mut unpacked)?;
    Ok((unpacked.len() <= bytes_max).then(|| unpacked.into()))
}

/// Does short work here, and long work where it holds up nobody.
async fn aside<T: Send + 'static>(
    length: usize,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if length < ASIDE_BYTES_MIN {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> io::Result<Bytes> {
        let mut press = Press::new();
        press.pack(&Segments::from(bytes.to_vec()))?;
        Ok(press.packed.into())
    }

    /// What it is packed by, the packed bytes, and what comes of them.
    type Row<'t> = (&'t str, Vec<u8>, Result<Option<&'t [u8]>, &'t str>);

    #[tokio::test]
    async fn answers_are_unpacked_whatever_gzip_is_called_and_however_many_members_it_has() {
        let (one, two) = (gzip(br#"{"a":"#).unwrap(), gzip(b"1}").unwrap());
        let both = [&one[..], &two[..]].concat();
        let zeros = gzip(&vec![0; 1_000_000]).unwrap().to_vec();
        let table: [Row<'_>; 11] = [
            ("", b"{}".to_vec(), Ok(Some(b"{}"))),
            ("identity", b"{}".to_vec(), Ok(Some(b"{}"))),
            ("gzip", two.to_vec(), Ok(Some(b"1}"))),
            ("x-gzip", both.clone(), Ok(Some(br#"{"a":1}"#))),
            (" GZip ", both.clone(), Ok(Some(br#"{"a":1}"#))),
            ("gzip", Vec::new(), Ok(Some(b""))),
            ("gzip", zeros, Ok(None)),
            ("gzip", both[..both.len() - 3].to_vec(), Err("gzip is damaged")),
            ("gzip", [&both[..], b"junk"].concat(), Err("gzip is damaged")),
            ("gzip", b"{}".to_vec(), Err("gzip is damaged")),
            ("br", b"x".to_vec(), Err("packed as `br`")),
        ];
        for (packed_by, bytes, expected) in table {
            let unpacked = unpack(packed_by, bytes.into(), 100_000).await;
            match (unpacked, expected) {
                (Ok(unpacked), Ok(expected)) => assert_eq!(unpacked.as_deref(), expected, "{packed_by}"),
                (Err(problem), Err(words)) => assert!(problem.contains(words), "{packed_by}: {problem}"),
                (unpacked, expected) => panic!("{packed_by}: {unpacked:?}, not {expected:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_the_same_there_and_back_short_or_long() {
        let (packer, mut random) = (Packer::default(), fastrand::Rng::with_seed(1));
        for length in [PACK_BYTES_MIN, ASIDE_BYTES_MIN - 1, ASIDE_BYTES_MIN, 1_000_000, PACK_BYTES_MIN] {
            let regular: Bytes = (0..length).map(|n| (n % 251) as u8).collect();
            let irregular: Bytes = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
            let cut = random.usize(0..length);
            let in_two = [irregular.slice(..cut), irregular.slice(cut..)].into_iter().collect();
            let (one, other) =
                (packer.pack(&regular.clone().into()).await.unwrap(), packer.pack(&in_two).await.unwrap());
            assert_eq!(unpack("gzip", one, length).await, Ok(Some(regular)));
            assert_eq!(unpack("gzip", other, length).await, Ok(Some(irregular)));
        }
        assert_eq!(lock(&packer.idle).len(), 2, "as many as were under way together");
        assert_eq!(packer.pack(&"short".into()).await, None);
    }
}
