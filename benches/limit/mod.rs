//! The limit: how little CPU does the work cost that every record takes?
//!
//! A tight loop, without any of the product, makes the documents that inferlog makes of the same corpus, byte for byte,
//! and sends them to the same endpoint: read in large blocks, UTF-8 proven, JSON validated whole by sonic-rs, SHA-256 of
//! the canonical features and of the line, timestamp parsed and written, id, the fields added, bulk body, HTTP/1.1 on
//! one kept connection, the answer skimmed. What it leaves out is what a product needs beside it: it knows this one
//! pipeline and no other, keeps no checkpoint, retries nothing, notices no rotation, has no dead letter, counts nothing,
//! and ends with an error at the first record that is not as the corpus has them.

mod canonical;
mod socket;
mod time;

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use sha2::{Digest as _, Sha256};
use sonic_rs::LazyValue;

use socket::Socket;

/// How much of the file is read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// inferlog's own limits of a batch.
const BATCH_BYTES_MAX: usize = 1 << 20;
const BATCH_ITEMS_MAX: usize = 4096;

/// How much of a long first line goes into the ids.
const FIRST_LINE_BYTES_MAX: usize = 64 * 1024;

/// What it works on.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Work {
    /// The corpus.
    corpus: PathBuf,
    /// The endpoint, `http://ADDRESS:PORT`.
    url: String,
    /// The digest of inferlog's configuration, which its documents carry.
    configuration: String,
    /// Bodies are packed by gzip, level 1.
    #[arg(long)]
    gzip: bool,
    /// A second thread sends: a higher rate for more CPU time, since what is sent has to come over to it.
    #[arg(long)]
    two_threads: bool,
}

/// What a line says that its document needs.
#[derive(Default)]
struct Found<'l> {
    features: Option<LazyValue<'l>>,
    timestamp: Option<&'l str>,
    confidence: Option<f64>,
}

impl<'l> Visitor<'l> for Found<'l> {
    type Value = Found<'l>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'l>>(mut self, mut map: M) -> Result<Found<'l>, M::Error> {
        while let Some(name) = map.next_key::<&str>()? {
            match name {
                "features" => self.features = Some(map.next_value()?),
                "timestamp" => self.timestamp = Some(map.next_value()?),
                "confidence" => self.confidence = Some(map.next_value()?),
                "user" | "user.email" | "input_hash" => return Err(M::Error::custom("not for the limit program")),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(self)
    }
}

/// What makes documents of lines.
struct Maker {
    /// The digest of what all ids of a file share.
    seed: Sha256,
    /// The members that all documents of a file share, up to the value of `log.offset`.
    common: Vec<u8>,
    /// The canonical form of features.
    canonical: canonical::Canonical,
    body: Vec<u8>,
    items: usize,
}

impl Maker {
    fn new(work: &Work, file: &File, beginning: &[u8]) -> Maker {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        let inode = file.metadata().expect("the corpus").ino();
        let beginning = &beginning[..beginning.len().min(FIRST_LINE_BYTES_MAX)];
        let first_line = &beginning[..memchr::memchr(b'\n', beginning).unwrap_or(beginning.len())];
        let mut seed = Sha256::new();
        seed.update((host.len() as u64).to_le_bytes());
        seed.update(&host);
        seed.update(inode.to_le_bytes());
        seed.update(0_u32.to_le_bytes());
        seed.update(Sha256::digest(first_line));
        let common = format!(
            ",\"service.name\":\"{}\",\"host.name\":\"{host}\",\"ecs.version\":\"8.17.0\",\"inferlog.pipeline\":\"{}\",\
             \"inferlog.config\":\"{}\",\"inferlog.file\":\"{inode}-0\",\"log.file.path\":\"{}\",\"log.offset\":",
            crate::shared::SERVICE,
            crate::shared::PIPELINE,
            work.configuration,
            work.corpus.display(),
        );
        let body = Vec::with_capacity(BATCH_BYTES_MAX + BLOCK_BYTES);
        Maker { seed, common: common.into_bytes(), canonical: canonical::Canonical::default(), body, items: 0 }
    }

    /// Makes a document of a line that begins there in the file.
    fn line(&mut self, line: &str, offset: u64) -> Result<(), String> {
        let mut reader = sonic_rs::Deserializer::from_str(line);
        let found = reader.deserialize_map(Found::default()).map_err(|error| error.to_string())?;
        reader.end().map_err(|error| error.to_string())?;
        let features = found.features.as_ref().ok_or("no features")?.as_raw_str();
        let (Some(timestamp), Some(confidence)) = (found.timestamp, found.confidence) else {
            return Err("no timestamp or confidence".to_owned());
        };
        let time = time::read(timestamp.as_bytes()).ok_or("no time")?;
        let mut place = [0; 12];
        place[..8].copy_from_slice(&offset.to_le_bytes());
        let mut hasher = self.seed.clone();
        hasher.update(place);
        hasher.update(line);
        let id = id(time.seconds, &hasher.finalize().into());
        let input_hash: [u8; 32] = Sha256::digest(self.canonical.of(features)?).into();

        let body = &mut self.body;
        body.extend_from_slice(b"{\"create\":{\"_id\":\"");
        body.extend_from_slice(&id);
        body.extend_from_slice(b"\"}}\n");
        body.extend_from_slice(line.trim_ascii_end().strip_suffix('}').unwrap_or_default().as_bytes());
        body.extend_from_slice(b",\"@timestamp\":\"");
        time::write(time, body);
        body.extend_from_slice(b"\",\"input_hash\":\"");
        write_hexadecimal(&input_hash, body);
        body.extend_from_slice(b"\",\"low_confidence\":");
        body.extend_from_slice(if confidence < 0.6 { b"true" } else { b"false" });
        body.extend_from_slice(&self.common);
        write_number(offset, body);
        body.extend_from_slice(b"}\n");
        self.items += 1;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.body.len() >= BATCH_BYTES_MAX || self.items >= BATCH_ITEMS_MAX
    }

    fn send(&mut self, socket: &mut Socket) {
        if self.items > 0 {
            socket.send(&mut self.body, self.items);
            self.items = 0;
        }
    }
}

/// Does the work.
pub(crate) fn run(work: &Work) {
    let mut file = File::open(&work.corpus).expect("the corpus");
    let mut socket = Socket::new(&work.url, work.gzip, work.two_threads);
    let mut block = vec![0; 2 * BLOCK_BYTES];
    let (mut start, mut held) = (0_u64, 0);
    let mut maker = None;
    loop {
        if held == block.len() {
            block.resize(2 * held, 0);
        }
        let to = block.len().min(held + BLOCK_BYTES);
        let count = file.read(&mut block[held..to]).expect("the corpus");
        if count == 0 {
            break;
        }
        held += count;
        let Some(lines_end) = memchr::memrchr(b'\n', &block[..held]).map(|last| last + 1) else { continue };
        let maker = maker.get_or_insert_with(|| Maker::new(work, &file, &block[..held]));
        let text = std::str::from_utf8(&block[..lines_end]).expect("UTF-8");
        prove_escapes(text.as_bytes()).expect("escapes of JSON");
        let mut at = 0;
        for end in memchr::memchr_iter(b'\n', text.as_bytes()) {
            maker.line(&text[at..end], start + at as u64).unwrap_or_else(|problem| panic!("{problem}"));
            at = end + 1;
            if maker.is_full() {
                maker.send(&mut socket);
            }
        }
        start += lines_end as u64;
        block.copy_within(lines_end..held, 0);
        held -= lines_end;
    }
    assert_eq!(held, 0, "the last line ends");
    maker.expect("lines").send(&mut socket);
    socket.finish();
}

/// Proves what sonic-rs passes over: the digits of `\u`.
fn prove_escapes(text: &[u8]) -> Result<(), String> {
    let mut at = 0;
    while let Some(distance) = memchr::memchr(b'\\', &text[at..]) {
        let escape = at + distance;
        at = escape + 2;
        if text.get(escape + 1) == Some(&b'u') {
            let digits = text.get(escape + 2..escape + 6);
            digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)).ok_or("an escape")?;
            at = escape + 6;
        }
    }
    Ok(())
}

/// The document's `_id`: seconds, and half of a SHA-256.
fn id(seconds: i64, digest: &[u8; 32]) -> [u8; 28] {
    let mut bytes = [0; 21];
    bytes[..5].copy_from_slice(&(seconds.clamp(0, (1 << 40) - 1) as u64).to_be_bytes()[3..]);
    bytes[5..].copy_from_slice(&digest[..16]);
    let mut id = [0; 28];
    let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut id);
    id
}

fn write_hexadecimal(digest: &[u8; 32], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (byte, pair) in digest.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out.extend_from_slice(&text);
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&text[at..]);
        }
    }
}
