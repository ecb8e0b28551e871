//! Writers: who writes the demo's logs, and how fast?
//!
//! One plain thread for each sample model server appends whole lines to `FOLDER/MODEL.ndjson`, every few milliseconds as
//! many as its pace asks for. A log that has become large is renamed to `MODEL.ndjson.1`, `.2` and so on, as logrotate does it,
//! and begun anew. Of endless logs only the newest few rotated files stay; of those with an end all of them, so that their
//! total can be counted in the files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use chrono::Utc;
use fs_err::{File, OpenOptions};

use super::models::{Episodes, MODELS, Model, ModelServer};

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// So many lines over all logs.
    Records(u64),
    /// Until it is stopped.
    Endless,
    /// One episode that lasts so long, between two quiet times of half of it each.
    Episode(Duration),
}

/// How often a writer looks how much is due.
const TICK: Duration = Duration::from_millis(10);
/// A writer that is late catches up by at most this many ticks in one.
const TICKS_AT_ONCE_MAX: u64 = 10;
/// Size at which a log is rotated.
const LOG_BYTES_MAX: u64 = 20 * 1024 * 1024;
/// Rotated files that stay of a log without an end.
const ROTATED_FILES_MAX: u64 = 5;

/// The sample model servers, writing. Dropping it stops them.
#[derive(Debug)]
pub struct Writers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Lines that are in the files.
    written: AtomicU64,
    stop: AtomicBool,
}

impl Writers {
    /// Starts writing into a folder, which is made if it is not there, at this total pace (0 is taken as 1). Fails if a
    /// log cannot be opened or a thread not be started.
    pub fn start(folder: &Path, traffic: Traffic, records_per_second: u32) -> io::Result<Writers> {
        start_rotating_at(LOG_BYTES_MAX, folder, traffic, records_per_second)
    }

    /// Lines written so far, over both logs.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// True once nothing more will be written: all is, or no more can be.
    pub fn finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Stops, within a few ticks, and gives the number of lines written. Fails with the first log that could not be
    /// written; when asked again, it no longer does.
    pub fn stop(&mut self) -> io::Result<u64> {
        self.shared.stop.store(true, Ordering::Release);
        let ends: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        for end in ends {
            end.unwrap_or_else(|_| Err(io::Error::other("BUG: a writer of the demo panicked")))?;
        }
        Ok(self.written())
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        // Who wants to know of an error has asked for it.
        let _ = self.stop();
    }
}

fn start_rotating_at(
    log_bytes_max: u64,
    folder: &Path,
    traffic: Traffic,
    records_per_second: u32,
) -> io::Result<Writers> {
    fs_err::create_dir_all(folder)?;
    let (episodes, ends_after) = match traffic {
        Traffic::Records(_) | Traffic::Endless => (Episodes::ByLine, Duration::MAX),
        Traffic::Episode(length) => {
            let start = Utc::now() + length / 2;
            (Episodes::During(start..start + length), length * 2)
        }
    };
    let mut writers = Writers { shared: Arc::default(), threads: Vec::new() };
    let share =
        |total: u64, n: usize| total / MODELS.len() as u64 + u64::from((n as u64) < total % MODELS.len() as u64);
    for (n, model) in MODELS.iter().enumerate() {
        let writer = Writer {
            shared: Arc::clone(&writers.shared),
            log: Log::open(folder, model, log_bytes_max, traffic == Traffic::Endless)?,
            server: ModelServer::new(model, episodes.clone()),
            records: if let Traffic::Records(records) = traffic { share(records, n) } else { u64::MAX },
            ends_after,
            records_per_second: share(records_per_second.into(), n).max(1),
        };
        writers.threads.push(Builder::new().name(model.name.to_owned()).spawn(|| writer.run())?);
    }
    Ok(writers)
}

/// One model server and its log.
struct Writer {
    shared: Arc<Shared>,
    log: Log,
    server: ModelServer,
    records: u64,
    ends_after: Duration,
    records_per_second: u64,
}

impl Writer {
    fn run(mut self) -> io::Result<()> {
        let start = Instant::now();
        let in_ticks = |ticks: u64| ticks * self.records_per_second * TICK.as_millis() as u64 / 1_000;
        let at_once_max = in_ticks(TICKS_AT_ONCE_MAX).max(1);
        let mut done = 0;
        while done < self.records && start.elapsed() < self.ends_after && !self.shared.stop.load(Ordering::Acquire) {
            let due = (start.elapsed().as_secs_f64() * self.records_per_second as f64) as u64;
            let count = due.saturating_sub(done).min(at_once_max).min(self.records - done);
            if count > 0 {
                let lines: String = (0..count).map(|_| self.server.line(Utc::now())).collect();
                self.log.append(lines.as_bytes())?;
                self.shared.written.fetch_add(count, Ordering::AcqRel);
                done += count;
            }
            if count < at_once_max {
                std::thread::sleep(TICK);
            }
        }
        Ok(())
    }
}

/// A log that is rotated.
struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    /// The number that the last rotated file got.
    rotated: u64,
    /// Only the newest rotated files stay.
    forgets: bool,
}

impl Log {
    fn open(folder: &Path, model: &Model, bytes_max: u64, forgets: bool) -> io::Result<Log> {
        let path = folder.join(format!("{}.ndjson", model.name));
        let file = append_to(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Log { path, file, bytes, bytes_max, rotated: 0, forgets })
    }

    /// Appends whole lines.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.bytes >= self.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(lines)?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.rotated += 1;
        // Those of an earlier demo in the same folder are left alone.
        while self.rotated_path(self.rotated).exists() {
            self.rotated += 1;
        }
        fs_err::rename(&self.path, self.rotated_path(self.rotated))?;
        self.file = append_to(&self.path)?;
        self.bytes = 0;
        let oldest = self.rotated.checked_sub(ROTATED_FILES_MAX).map(|number| self.rotated_path(number));
        match oldest.filter(|oldest| self.forgets && oldest.exists()) {
            Some(oldest) => fs_err::remove_file(oldest),
            None => Ok(()),
        }
    }

    fn rotated_path(&self, number: u64) -> PathBuf {
        self.path.with_extension(format!("ndjson.{number}"))
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    /// Waits until the writers have ended by themselves, or have written so many.
    fn wait(writers: &Writers, lines: u64) {
        let start = Instant::now();
        while !writers.finished() && writers.written() < lines {
            assert!(start.elapsed() < DEADLINE, "{} lines were written", writers.written());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Number of lines of each file; each of them is a JSON object.
    fn lines(folder: &Path) -> BTreeMap<String, usize> {
        let count = |entry: io::Result<fs_err::DirEntry>| {
            let entry = entry.unwrap();
            let text = fs_err::read_to_string(entry.path()).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'));
            for line in text.lines() {
                serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).unwrap();
            }
            (entry.file_name().into_string().unwrap(), text.lines().count())
        };
        fs_err::read_dir(folder).unwrap().map(count).collect()
    }

    #[test]
    fn so_many_records_as_asked_are_in_the_files() {
        for (records, of_each) in [(0, [0, 0]), (1, [1, 0]), (2, [1, 1]), (5_001, [2_501, 2_500])] {
            let folder = tempfile::tempdir().unwrap();
            let mut writers = Writers::start(folder.path(), Traffic::Records(records), 100_000).unwrap();
            wait(&writers, u64::MAX);
            assert_eq!(writers.stop().unwrap(), records);
            let names = ["anomaly-detector.ndjson", "chatbot-api.ndjson"].map(str::to_owned);
            assert_eq!(lines(folder.path()), names.into_iter().zip(of_each).collect());
        }
    }

    #[test]
    fn what_has_no_end_keeps_its_pace_until_it_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let mut writers = Writers::start(folder.path(), Traffic::Endless, 2_000).unwrap();
        wait(&writers, 300);
        assert!(!writers.finished());
        let written = writers.stop().unwrap();
        let allowed = start.elapsed().as_secs_f64() * 2_000.0;
        assert!(written >= 300 && written as f64 <= allowed, "{written} lines, {allowed} allowed");
        assert_eq!(lines(folder.path()).values().sum::<usize>() as u64, written);
        assert!(writers.finished());
    }

    #[test]
    fn an_episode_ends_by_itself_after_twice_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let mut writers = Writers::start(folder.path(), Traffic::Episode(Duration::from_millis(300)), 2_000).unwrap();
        wait(&writers, u64::MAX);
        assert!(start.elapsed() >= Duration::from_millis(600));
        let written = writers.stop().unwrap();
        assert!(written > 0 && lines(folder.path()).values().sum::<usize>() as u64 == written);
    }

    #[test]
    fn a_rotated_log_loses_no_line_and_one_without_an_end_does_not_fill_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("chatbot-api.ndjson.2"), "{}\n").unwrap();
        let mut writers = start_rotating_at(10_000, folder.path(), Traffic::Records(4_000), 40_000).unwrap();
        wait(&writers, u64::MAX);
        assert_eq!(writers.stop().unwrap(), 4_000);
        let of_each = lines(folder.path());
        assert_eq!(of_each.values().sum::<usize>(), 4_001, "{of_each:?}");
        assert!(of_each.len() > 10 && of_each["chatbot-api.ndjson.2"] == 1, "{of_each:?}");

        let folder = tempfile::tempdir().unwrap();
        let mut writers = start_rotating_at(10_000, folder.path(), Traffic::Endless, 40_000).unwrap();
        wait(&writers, 8_000);
        assert!(writers.stop().unwrap() >= 8_000);
        let of_each = lines(folder.path());
        assert_eq!(of_each.len(), MODELS.len() * (1 + ROTATED_FILES_MAX as usize), "{of_each:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_log_that_cannot_be_written_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("chatbot-api.ndjson")).unwrap();
        let mut writers = Writers::start(folder.path(), Traffic::Records(10), 1_000).unwrap();
        wait(&writers, u64::MAX);
        assert_eq!(writers.written(), 5);
        let error = writers.stop().unwrap_err().to_string();
        assert!(error.contains("chatbot-api.ndjson"), "{error}");
        assert!(Writers::start(Path::new("/dev/full"), Traffic::Endless, 1).is_err());
    }
}
