//! The registry: how far had Filebeat read each file?
//!
//! Filebeat keeps that in `registry/filebeat`, in two parts which are read here and never written:
//!
//! ```text
//! 17.json     [{"_key": K, …V}, …]                  all of it, at the change of that number
//! log.json    {"op": "set", "id": 18}               what has changed since, two lines a change
//!             {"k": K, "v": V}
//! ```
//!
//! `K` of `filestream` is `filestream::ID::native::INODE-DEVICE` or `filestream::ID::fingerprint::SHA256`, and `V` has
//! `cursor.offset` and `meta.source`; that of `log` and `container` is `filebeat::logs::…`, and `V` has `offset`, `source`
//! and `FileStateOS`. An offset is taken over only where the file is surely the same one: else it is read from its beginning,
//! as a file that Filebeat never met is.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde_json::{Deserializer, Value};

use crate::state::checkpoint::{FileEntry, Fingerprint, HEAD_BYTES_MAX, Position, TAIL_BYTES_MAX};
use crate::text::digest::sha256_hexadecimal;

/// So many bytes of a file are Filebeat's fingerprint, unless it was told otherwise.
const FINGERPRINT_BYTES: usize = 1_024;

/// A line's beginning is looked for within so many bytes before an offset.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// The largest registry, in bytes of each of its files.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What Filebeat knew of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Where it was.
    pub path: PathBuf,
    /// How it was known.
    pub identity: Identity,
    /// Delivered up to here, in bytes.
    pub offset_bytes: u64,
}

/// How a file was known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By its place on the disk.
    Inode {
        /// Its inode.
        inode: u64,
        /// Its device.
        device: u64,
    },
    /// By the SHA-256 of its beginning, in hexadecimal.
    Fingerprint(String),
    /// By its path, or something else.
    Other,
}

/// The folder with the registry's files, given that or the one above.
pub fn folder(given: &Path) -> PathBuf {
    let below = given.join("filebeat");
    if below.is_dir() { below } else { given.to_owned() }
}

/// The files that a running Filebeat holds a lock on, where they are.
pub fn lock_files(given: &Path) -> Vec<PathBuf> {
    let above = given.ancestors().take(3).map(|folder| folder.join("filebeat.lock"));
    above.filter(|path| path.is_file()).collect()
}

/// What Filebeat knew, file by file.
///
/// # Errors
/// Says in words why it cannot be read.
pub fn read(given: &Path) -> Result<Vec<FileState>, String> {
    let folder = folder(given);
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    let newest = newest_checkpoint(&folder)?;
    let mut number = 0;
    if let Some((newest, path)) = newest {
        number = newest;
        let Ok(Value::Array(entries)) = serde_json::from_slice(&bytes(&path)?) else {
            return Err(format!("`{}` is damaged: it is no list", path.display()));
        };
        let keyed = entries.into_iter().filter_map(|entry| Some((entry["_key"].as_str()?.to_owned(), entry)));
        all.extend(keyed);
    }
    let log = folder.join("log.json");
    if !log.is_file() && number == 0 {
        return Err(format!(
            "`{}` has neither `log.json` nor a `NUMBER.json`: is it `registry/filebeat`?",
            folder.display()
        ));
    }
    if log.is_file() {
        apply(&bytes(&log)?, number, &mut all);
    }
    Ok(all.iter().filter_map(|(key, value)| state(key, value)).collect())
}

fn newest_checkpoint(folder: &Path) -> Result<Option<(u64, PathBuf)>, String> {
    let entries = fs_err::read_dir(folder).map_err(|error| error.to_string())?;
    let numbered = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let number = path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
        Some((number, path))
    });
    Ok(numbered.max())
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(format!("`{}` is larger than 256 MiB", path.display())),
        false => Ok(bytes),
    }
}

/// Applies changes that are newer, as far as they are whole and follow each other: as Filebeat does it.
fn apply(log: &[u8], mut number: u64, all: &mut BTreeMap<String, Value>) {
    let mut values = Deserializer::from_slice(log).into_iter::<Value>();
    while let (Some(Ok(action)), Some(Ok(data))) = (values.next(), values.next()) {
        let Some(id) = action["id"].as_u64() else { return };
        if id <= number {
            continue;
        }
        if number > 0 && id != number + 1 {
            return;
        }
        number = id;
        let member = |name: &str| data.get(name).or_else(|| data.get(name.to_uppercase()));
        let Some(key) = member("k").and_then(Value::as_str) else { return };
        match (action["op"].as_str(), member("v")) {
            (Some("set"), Some(value)) => drop(all.insert(key.to_owned(), value.clone())),
            (Some("remove"), _) => drop(all.remove(key)),
            _ => return,
        }
    }
}

fn state(key: &str, value: &Value) -> Option<FileState> {
    let (path, offset, identity) = match key.split("::").next()? {
        "filestream" => (&value["meta"]["source"], &value["cursor"]["offset"], identity_of_key(key)),
        "filebeat" => {
            let place = &value["FileStateOS"];
            let inode = place["inode"].as_u64().zip(place["device"].as_u64());
            let by_place = inode.map_or(Identity::Other, |(inode, device)| Identity::Inode { inode, device });
            (&value["source"], &value["offset"], by_place)
        }
        _ => return None,
    };
    // Where nothing was delivered yet there is no offset; a negative one is of a file that is given up.
    Some(FileState { path: path.as_str()?.into(), identity, offset_bytes: offset.as_u64()? })
}

fn identity_of_key(key: &str) -> Identity {
    let mut parts = key.rsplit("::");
    let (id, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut numbers = id.split('-').map(str::parse);
    match (kind, numbers.next(), numbers.next()) {
        ("native", Some(Ok(inode)), Some(Ok(device))) => Identity::Inode { inode, device },
        ("fingerprint", ..) => Identity::Fingerprint(id.to_owned()),
        _ => Identity::Other,
    }
}

impl FileState {
    /// What a checkpoint says of the file, if it is still the one that Filebeat knew.
    ///
    /// # Errors
    /// Says in words why it is not taken over.
    pub fn entry(&self) -> Result<FileEntry, String> {
        let (path, file) = self.find()?;
        let words = |error: std::io::Error| format!("it cannot be read: {error}");
        let metadata = file.metadata().map_err(words)?;
        let size_bytes = metadata.len();
        if self.offset_bytes > size_bytes {
            return Err("it is shorter than what Filebeat has read: it has other content".to_owned());
        }
        let head = read_at(&file, 0, HEAD_BYTES_MAX as u64).map_err(words)?;
        if head.starts_with(&[0x1f, 0x8b]) || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            return Err("it is compressed".to_owned());
        }
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) || head.first() == Some(&0) {
            return Err("it is UTF-16, or begins with zeros".to_owned());
        }
        let offset_bytes = line_start(&file, self.offset_bytes).map_err(words)?;
        let tail_bytes = offset_bytes.min(TAIL_BYTES_MAX as u64);
        let tail = read_at(&file, offset_bytes - tail_bytes, tail_bytes).map_err(words)?;
        Ok(FileEntry {
            path: path.to_string_lossy().into_owned(),
            inode: metadata.ino(),
            device: metadata.dev(),
            generation: 0,
            head: Fingerprint::of(&head),
            head_offset_bytes: 0,
            first_line_sha256: None,
            committed: Position { offset_bytes, tail: Fingerprint::of(&tail) },
            passed_over_bytes: offset_bytes,
            observed_offset_bytes: offset_bytes,
            size_bytes,
            replaced: false,
            finished: false,
            held_by_inode: None,
            compressed_bytes: None,
            salvage: None,
            updated: Utc::now(),
        })
    }

    /// The file, under its name or, renamed, in the same folder.
    fn find(&self) -> Result<(PathBuf, File), String> {
        let is_it = |path: &Path| -> Option<File> {
            let file = File::open(path).ok()?;
            let metadata = file.metadata().ok().filter(|metadata| metadata.is_file())?;
            let is_same = match &self.identity {
                Identity::Inode { inode, device } => {
                    // A device has another number after a reboot: a name that is the same speaks for it as well.
                    metadata.ino() == *inode && (metadata.dev() == *device || path == self.path)
                }
                Identity::Fingerprint(sha256) => {
                    let beginning = read_at(&file, 0, FINGERPRINT_BYTES as u64).ok()?;
                    beginning.len() == FINGERPRINT_BYTES && sha256_hexadecimal(&beginning) == *sha256
                }
                Identity::Other => false,
            };
            is_same.then_some(file)
        };
        if self.identity == Identity::Other {
            return Err("Filebeat knew it by its path alone, which may be that of another file by now".to_owned());
        }
        if let Some(file) = is_it(&self.path) {
            return Ok((self.path.clone(), file));
        }
        let folder = self.path.parent().map(std::fs::read_dir);
        let siblings = folder.into_iter().flatten().flatten().flatten().map(|entry| entry.path());
        let found = siblings.filter_map(|path| Some((path.clone(), is_it(&path)?))).next();
        found.ok_or_else(|| "no file in its folder is the one that Filebeat knew".to_owned())
    }
}

fn read_at(file: &File, offset_bytes: u64, length_bytes: u64) -> std::io::Result<Vec<u8>> {
    let length = length_bytes.min(file.metadata()?.len().saturating_sub(offset_bytes));
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset_bytes)?;
    Ok(bytes)
}

/// The start of the line that an offset is in: a line of which Filebeat had a part is shipped as a whole.
fn line_start(file: &File, offset_bytes: u64) -> std::io::Result<u64> {
    let from = offset_bytes.saturating_sub(LINE_BYTES_MAX);
    let before = read_at(file, from, offset_bytes - from)?;
    Ok(memchr::memrchr(b'\n', &before).map_or(from, |end| from + end as u64 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), text).unwrap();
    }

    #[test]
    fn a_registry_is_its_newest_checkpoint_and_the_whole_changes_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("filebeat")).unwrap();
        let inside = root.join("filebeat");
        assert!(read(root).unwrap_err().contains("neither"), "nothing is there");
        write(&inside, "meta.json", r#"{"version":"1"}"#);
        write(&inside, "7.json", "[");
        write(
            &inside,
            "12.json",
            r#"[{"_key":"filestream::app::native::5-66","cursor":{"offset":10},"meta":{"source":"/a","identifier_name":"native"},"ttl":-1},
{"_key":"filestream::app::fingerprint::00ff","cursor":{"offset":20},"meta":{"source":"/b"}},
{"_key":"filestream::app::path::/c","cursor":{"offset":30},"meta":{"source":"/c"}},
{"_key":"filestream::app::native::6-66","cursor":null,"meta":{"source":"/d"}},
{"_key":"filebeat::logs::native::7-66","source":"/e","offset":40,"FileStateOS":{"inode":7,"device":66}},
{"_key":"journald::x","cursor":{"offset":1},"meta":{"source":"/f"}}]"#,
        );
        write(
            &inside,
            "log.json",
            "{\"op\":\"set\",\"id\":12}\n{\"k\":\"filestream::app::native::5-66\",\"v\":{\"cursor\":{\"offset\":1},\"meta\":{\"source\":\"/a\"}}}\n\
             {\"op\":\"set\",\"id\":13}\n{\"k\":\"filestream::app::native::5-66\",\"v\":{\"cursor\":{\"offset\":11},\"meta\":{\"source\":\"/a\"}}}\n\
             {\"op\":\"remove\",\"id\":14}\n{\"K\":\"filestream::app::path::/c\"}\n\
             {\"op\":\"set\",\"id\":16}\n{\"k\":\"filestream::app::native::5-66\",\"v\":{\"cursor\":{\"offset\":99},\"meta\":{\"source\":\"/a\"}}}\n{\"op\"",
        );
        let of = |path: &str, identity, offset_bytes| FileState { path: path.into(), identity, offset_bytes };
        let mut found = read(root).unwrap();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        assert_eq!(
            found,
            [
                of("/a", Identity::Inode { inode: 5, device: 66 }, 11),
                of("/b", Identity::Fingerprint("00ff".to_owned()), 20),
                of("/e", Identity::Inode { inode: 7, device: 66 }, 40),
            ]
        );
        assert_eq!(read(&inside).unwrap().len(), 3);
    }

    #[test]
    fn an_offset_is_taken_over_only_where_the_file_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n").unwrap();
        let (inode, device) = std::fs::metadata(&path).map(|it| (it.ino(), it.dev())).unwrap();
        let state = |identity, offset_bytes| FileState { path: path.clone(), identity, offset_bytes };
        let by = |inode, device| Identity::Inode { inode, device };
        let offset = |state: FileState| state.entry().map(|entry| entry.committed.offset_bytes);
        assert_eq!(offset(state(by(inode, device), 16)), Ok(16));
        assert_eq!(offset(state(by(inode, device + 1), 24)), Ok(24), "the name is the same");
        assert_eq!(offset(state(by(inode, device), 19)), Ok(16), "within a line");
        assert_eq!(offset(state(by(inode, device), 3)), Ok(0));
        for (state, why) in [
            (state(by(inode, device), 25), "shorter"),
            (state(by(inode + 1, device), 8), "no file in its folder"),
            (state(Identity::Fingerprint("00".to_owned()), 8), "no file in its folder"),
            (state(Identity::Other, 8), "by its path alone"),
        ] {
            let said = state.entry().unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        // Renamed, and another file in its place.
        let renamed = folder.path().join("a.log.1");
        std::fs::rename(&path, &renamed).unwrap();
        std::fs::write(&path, "{}\n").unwrap();
        let entry = state(by(inode, device), 16).entry().unwrap();
        assert_eq!((entry.path.as_str(), entry.passed_over_bytes), (renamed.to_str().unwrap(), 16));
        // By its beginning.
        let long = "{\"n\":1}\n".repeat(200);
        std::fs::write(&path, &long).unwrap();
        let sha256 = sha256_hexadecimal(&long.as_bytes()[..FINGERPRINT_BYTES]);
        assert_eq!(offset(state(Identity::Fingerprint(sha256), 800)), Ok(800));
        std::fs::write(&path, b"\xff\xfe{\0").unwrap();
        let inode = std::fs::metadata(&path).unwrap().ino();
        assert!(state(by(inode, device), 4).entry().unwrap_err().contains("UTF-16"));
    }
}
