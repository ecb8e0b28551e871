//! Tables in files: which content of a file is in force, and has the file changed?
//!
//! A table is read when the pipeline file is, so that what is wrong with it is said at once. From the first record on a
//! thread of its own looks once a second whether the file is another one by its place on the disk, size or times, and
//! reads it again; records never wait for that. What has changed and cannot be read leaves the table before in force.

use std::fmt::Debug;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::{Duration, Instant};

use crate::telemetry::Counters;

/// How often a file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is read from a file.
pub trait Content: Debug + Send + Sync + Sized + 'static {
    /// How it is read.
    type Options: Debug + Send + Sync;

    /// Reads it.
    ///
    /// # Errors
    /// Says in words what is wrong, without quoting the file.
    fn read(bytes: Vec<u8>, options: &Self::Options) -> Result<Self, String>;
}

/// A table in a file. Clones share it.
pub struct Table<T: Content>(Arc<Shared<T>>);

/// What it is a table of: what is in force changes.
impl<T: Content> Debug for Table<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { path, file_bytes_max, options, .. } = &*self.0;
        formatter
            .debug_struct("Table")
            .field("path", path)
            .field("bytes_max", file_bytes_max)
            .field("options", options)
            .finish()
    }
}

impl<T: Content> Clone for Table<T> {
    fn clone(&self) -> Table<T> {
        Table(Arc::clone(&self.0))
    }
}

struct Shared<T: Content> {
    path: PathBuf,
    file_bytes_max: u64,
    options: T::Options,
    content: RwLock<T>,
    seen: Mutex<Seen>,
    watch: Once,
}

/// What is known of the file.
#[derive(Debug)]
struct Seen {
    /// As it was looked at last; `None` when it was not there.
    version: Option<Version>,
    /// When what is in force was read.
    read: Instant,
    has_warned: bool,
}

/// Which content a file has, as far as that can be told without reading it: inode, size, and the times of its last
/// changes, in seconds and nanoseconds.
type Version = (u64, u64, (i64, i64), (i64, i64));

impl<T: Content> Table<T> {
    /// Reads a file of at most so many bytes.
    ///
    /// # Errors
    /// Says in words what is wrong with it.
    pub fn read(path: &Path, file_bytes_max: u64, options: T::Options) -> Result<Table<T>, String> {
        let version = version(path).ok();
        let content = RwLock::new(read(path, file_bytes_max, &options)?);
        let seen = Mutex::new(Seen { version, read: Instant::now(), has_warned: false });
        let (path, watch) = (path.to_owned(), Once::new());
        Ok(Table(Arc::new(Shared { path, file_bytes_max, options, content, seen, watch })))
    }

    /// What is in force. `processor` is who asks.
    pub fn content(&self, processor: &'static str, counters: &Counters) -> RwLockReadGuard<'_, T> {
        self.0.watch.call_once(|| watch(Arc::downgrade(&self.0), processor, counters.clone()));
        self.0.content.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the file from time to time, as long as somebody has the table.
fn watch<T: Content>(shared: Weak<Shared<T>>, processor: &'static str, counters: Counters) {
    let pipeline = counters.pipeline().to_owned();
    let look = move || {
        while let Some(shared) = shared.upgrade() {
            shared.look(processor, &counters);
            drop(shared);
            std::thread::sleep(LOOK_INTERVAL);
        }
    };
    if let Err(error) = std::thread::Builder::new().name(processor.to_owned()).spawn(look) {
        let hint = "allow the process more threads, and start it again";
        tracing::warn!(pipeline, processor, %error, hint, "changes of a table will not be seen: there is no thread for it");
    }
}

impl<T: Content> Shared<T> {
    /// Reads the file again if it has changed since somebody looked.
    fn look(&self, processor: &str, counters: &Counters) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Before it is read: what changes meanwhile is another version.
        let version = version(&self.path).ok();
        if version == seen.version {
            return;
        }
        seen.version = version;
        let (pipeline, file) = (counters.pipeline(), self.path.display());
        match read(&self.path, self.file_bytes_max, &self.options) {
            Ok(content) => {
                let mut current = self.content.write().unwrap_or_else(PoisonError::into_inner);
                let before = std::mem::replace(&mut *current, content);
                drop(current);
                drop(before);
                (seen.read, seen.has_warned) = (Instant::now(), false);
                tracing::info!(pipeline, processor, %file, "a table has changed, and was read again");
            }
            Err(problem) => {
                counters.table_reload_failures(processor).inc();
                if !std::mem::replace(&mut seen.has_warned, true) {
                    let age_seconds = seen.read.elapsed().as_secs();
                    let hint =
                        "put it right, best by renaming a whole new file into its place: it is looked at every second";
                    tracing::warn!(
                        pipeline, processor, %file, problem, age_seconds, hint,
                        "a table has changed and cannot be read: the one before stays in force"
                    );
                }
            }
        }
    }
}

fn version(path: &Path) -> std::io::Result<Version> {
    let found = std::fs::metadata(path)?;
    let (modified, changed) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    Ok((found.ino(), found.len(), modified, changed))
}

fn read<T: Content>(path: &Path, file_bytes_max: u64, options: &T::Options) -> Result<T, String> {
    use std::io::Read as _;
    let words = |error: std::io::Error| format!("the file cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(words)?;
    if !file.metadata().map_err(words)?.is_file() {
        return Err("this is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(file_bytes_max + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > file_bytes_max {
        return Err(format!("the file has more than {file_bytes_max} bytes, which is `file_bytes_max`"));
    }
    T::read(bytes, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    impl Content for String {
        type Options = ();

        fn read(bytes: Vec<u8>, (): &()) -> Result<String, String> {
            String::from_utf8(bytes).map_err(|_| "no text".to_owned())
        }
    }

    #[test]
    fn a_table_follows_its_file_and_keeps_what_was_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let counters = Telemetry::default().pipeline("p");
        let failures = || counters.table_reload_failures("lookup").get();
        assert!(Table::<String>::read(&path, 8, ()).is_err(), "it is not there");
        std::fs::write(&path, "one").unwrap();
        let Table(shared) = Table::<String>::read(&path, 8, ()).unwrap();
        let look = || {
            shared.look("lookup", &counters);
            (shared.content.read().unwrap().clone(), failures())
        };
        // Each replaces the file by another one, as a good neighbour does.
        let put = |bytes: &[u8]| {
            std::fs::write(folder.path().join("new"), bytes).unwrap();
            std::fs::rename(folder.path().join("new"), &path).unwrap();
        };
        let (one, two) = ("one".to_owned(), "two".to_owned());
        assert_eq!(look(), (one.clone(), 0));
        put(b"\xff");
        assert_eq!(look(), (one.clone(), 1));
        assert_eq!(look(), (one.clone(), 1), "counted once a change");
        put(b"more than eight bytes");
        assert_eq!(look(), (one.clone(), 2));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(), (one, 3));
        put(b"two");
        assert_eq!(look(), (two.clone(), 3));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(look(), (two, 4));
    }

    #[test]
    fn nobody_looks_at_the_file_of_a_table_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, "one").unwrap();
        let table = Table::<String>::read(&path, 8, ()).unwrap();
        let shared = Arc::downgrade(&table.0);
        drop(table.clone());
        assert!(shared.upgrade().is_some());
        drop(table);
        assert!(shared.upgrade().is_none());
    }
}
