//! Content encoding: gzip of what is sent, and of what comes back.
//!
//! What takes long leaves the thread that serves everything else of the process.

use std::io::{self, Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::describe;

/// Bodies shorter than this are not worth compressing, in bytes.
const PACK_BYTES_MIN: usize = 1024;

/// From this length on, in bytes, the work is done on a thread for such work: it takes a tenth of a millisecond or more.
const ASIDE_BYTES_MIN: usize = 32 * 1024;

/// Packs a body (gzip, level 1); `None` where it is not worth it.
pub(super) async fn pack(bytes: &Bytes) -> Option<Bytes> {
    if bytes.len() < PACK_BYTES_MIN {
        return None;
    }
    let bytes = bytes.clone();
    aside(bytes.len(), move || gzip(&bytes)).await.ok()
}

fn gzip(bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
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
        for length in [PACK_BYTES_MIN, ASIDE_BYTES_MIN - 1, ASIDE_BYTES_MIN, 1_000_000] {
            let body: Bytes = (0..length).map(|n| (n % 251) as u8).collect();
            let packed = pack(&body).await.unwrap();
            assert_eq!(unpack("gzip", packed, length).await, Ok(Some(body)));
        }
        assert_eq!(pack(&Bytes::from_static(b"short")).await, None);
    }
}
