//! Handing over: how does a replay get done beside a live `run`, which alone may write to its dead letter?
//!
//! By two files in the pipeline's folder of state:
//!
//! ```text
//! replay_request.json    {"version":1,"token":"…","digest":"of the pipeline file","selection":{"stage":…}}
//! replay_answer.ndjson   {"token":"…"}                         it was taken
//!                        {"entry":{"id":"…","outcome":"…"}}    one for each entry tried
//!                        {"end":{"indexed":3,…}}               or {"failed":"why"}
//! ```
//!
//! Whoever asks writes the request and reads the answer as it grows; removing the request, as Ctrl-C does, ends the work
//! at the next batch. The run looks for a request twice a second, and reads its pipeline file anew for it, so that what was
//! mended there counts. A request that is there when a run starts is removed: whoever waits for it asks again, and if
//! nobody waits nobody wants it. When the run ends in the middle, whoever asked gets the lock and does the rest.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::replayer::{Outcome, Replay, ReplayError, Selection, Summary};
use super::sinks::Means;
use crate::config::{self, model};
use crate::dead_letter::DeadLetter;
use crate::pipeline::Stop;
use crate::pipeline::build::BuildError;
use crate::state::folder::{replay_answer_file, replay_request_file, state_folder};
use crate::state::lock::{LockError, lock};
use crate::telemetry::Counters;
use crate::text::chain::chain;

const VERSION: u32 = 1;

/// How often a run looks for a request.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How often an answer is looked at.
const READ_INTERVAL: Duration = Duration::from_millis(50);

/// A request that nobody has taken after this long will not be.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);

/// After an interrupt, the answer is waited for this long: the work ends at the next batch.
const INTERRUPTED_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    version: u32,
    token: String,
    digest: String,
    selection: Selection,
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Token(String),
    Entry(Outcome),
    End(Summary),
    Failed(String),
}

/// What came of asking.
pub(super) enum Asked {
    /// The run did it.
    Done(Summary),
    /// The run has ended, and here is the lock.
    Free(File),
}

struct Files {
    request: PathBuf,
    answer: PathBuf,
}

impl Files {
    fn of(folder: &Path) -> Files {
        Files { request: replay_request_file(folder), answer: replay_answer_file(folder) }
    }

    fn write_request(&self, request: &Request) -> io::Result<()> {
        let temporary = self.request.with_extension(format!("{}.tmp", request.token));
        let mut file = private(&temporary)?;
        file.write_all(&serde_json::to_vec(request)?)?;
        fs_err::rename(&temporary, &self.request)
    }

    fn request(&self) -> Option<Request> {
        serde_json::from_slice(&std::fs::read(&self.request).ok()?).ok()
    }

    /// Whether the request is this one: another process may ask as well.
    fn asks(&self, token: &str) -> bool {
        self.request().is_some_and(|request| request.token == token)
    }

    fn withdraw(&self, token: &str) {
        if self.asks(token) {
            let _ = std::fs::remove_file(&self.request);
        }
    }

    fn remove(&self) {
        // What is not there any more need not be removed.
        let _ = std::fs::remove_file(&self.request);
        let _ = std::fs::remove_file(&self.answer);
    }
}

fn private(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Asks the process that holds the lock, and waits for its answer.
pub(super) fn ask(
    folder: &Path,
    pipeline: &model::Pipeline,
    selection: &Selection,
    goes_on: &dyn Fn() -> bool,
    report: &mut dyn FnMut(&Outcome),
) -> Result<Asked, ReplayError> {
    let files = Files::of(folder);
    let token = format!("{:016x}-{}", fastrand::u64(..), std::process::id());
    let request = Request { version: VERSION, token, digest: pipeline.digest.clone(), selection: selection.clone() };
    let asked = wait(folder, &files, &request, goes_on, report);
    // Whatever came of it: nobody waits any more.
    files.withdraw(&request.token);
    if Answer::open(&files, &request.token).is_some() {
        let _ = std::fs::remove_file(&files.answer);
    }
    asked
}

fn wait(
    folder: &Path,
    files: &Files,
    request: &Request,
    goes_on: &dyn Fn() -> bool,
    report: &mut dyn FnMut(&Outcome),
) -> Result<Asked, ReplayError> {
    let mut answer = Answer::default();
    let mut interrupted: Option<Instant> = None;
    let mut asked = Instant::now();
    loop {
        match answer.read(files, &request.token, report) {
            Some(Line::End(summary)) => return Ok(Asked::Done(summary)),
            Some(Line::Failed(why)) => return Err(ReplayError::Elsewhere(why)),
            _ => {}
        }
        if !goes_on() && interrupted.is_none() {
            files.withdraw(&request.token);
            interrupted = Some(Instant::now());
        }
        match interrupted {
            Some(since) if !answer.is_taken() || since.elapsed() >= INTERRUPTED_WITHIN => {
                return Ok(Asked::Done(Summary { interrupted: true, ..Summary::default() }));
            }
            Some(_) => {}
            None => {
                match lock(folder) {
                    Ok(lock) => return Ok(Asked::Free(lock)),
                    Err(LockError::Locked { .. }) => {}
                    Err(error) => return Err(BuildError::from(error).into()),
                }
                // A run that has just started has removed it; that of another process goes first.
                if !answer.is_taken() && !files.request.exists() {
                    let failed = |source| ReplayError::Handover { folder: folder.to_owned(), source };
                    files.write_request(request).map_err(failed)?;
                }
                if answer.is_taken() || !files.asks(&request.token) {
                    asked = Instant::now();
                } else if asked.elapsed() >= TAKEN_WITHIN {
                    return Err(ReplayError::NotTaken { folder: folder.to_owned() });
                }
            }
        }
        std::thread::sleep(READ_INTERVAL);
    }
}

/// An answer as far as it was read.
#[derive(Default)]
struct Answer {
    reader: Option<BufReader<File>>,
    line: Vec<u8>,
}

impl Answer {
    fn is_taken(&self) -> bool {
        self.reader.is_some()
    }

    /// The answer to this request, behind its first line.
    fn open(files: &Files, token: &str) -> Option<BufReader<File>> {
        let mut reader = BufReader::new(File::open(&files.answer).ok()?);
        let mut first = String::new();
        reader.read_line(&mut first).ok()?;
        (serde_json::from_str::<Line>(&first).ok()? == Line::Token(token.to_owned())).then_some(reader)
    }

    /// Reads what there is by now; gives the last line of the answer when it has come.
    fn read(&mut self, files: &Files, token: &str, report: &mut dyn FnMut(&Outcome)) -> Option<Line> {
        if !files.answer.exists() {
            // The run has ended, and another one has begun.
            self.reader = None;
            self.line.clear();
        }
        if self.reader.is_none() {
            self.reader = Some(Answer::open(files, token)?);
        }
        while let Some(line) = self.next_line() {
            match line {
                Line::Entry(outcome) => report(&outcome),
                Line::Token(_) => {}
                end => return Some(end),
            }
        }
        None
    }

    /// The next whole line; the start of one is kept until the rest has come.
    fn next_line(&mut self) -> Option<Line> {
        self.reader.as_mut()?.read_until(b'\n', &mut self.line).ok()?;
        if !self.line.ends_with(b"\n") {
            return None;
        }
        let line = serde_json::from_slice(&self.line);
        self.line.clear();
        line.ok()
    }
}

/// A pipeline that runs, as far as it carries out replays.
pub(crate) struct Host {
    /// The pipeline file.
    pub(crate) path: PathBuf,
    /// The pipeline's name.
    pub(crate) name: String,
    /// Where its folder of state is.
    pub(crate) data_dir: PathBuf,
    /// The one that it writes to.
    pub(crate) dead_letter: Arc<DeadLetter>,
    /// Its counters.
    pub(crate) counters: Counters,
    /// What it lends.
    pub(crate) means: Means,
    /// Ends replays, too.
    pub(crate) stop: Stop,
}

/// Carries out what is asked for, until the pipeline is told to stop. Runs on a thread of its own.
pub(crate) fn serve(host: &Host) {
    let (pipeline, files) = (&host.name, Files::of(&state_folder(&host.data_dir, &host.name)));
    files.remove();
    while !host.stop.is_asked() {
        if let Some(request) = files.request().filter(|request| request.version == VERSION) {
            tracing::info!(pipeline, "replaying the dead letter, as another process asks");
            if let Err(error) = host.carry_out(&request, &files) {
                tracing::warn!(pipeline, %error, "cannot answer a request to replay the dead letter");
            }
            files.withdraw(&request.token);
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

impl Host {
    fn carry_out(&self, request: &Request, files: &Files) -> io::Result<()> {
        let mut answer = BufWriter::new(private(&files.answer)?);
        let mut write = |line: &Line| {
            serde_json::to_writer(&mut answer, line)?;
            answer.write_all(b"\n")?;
            answer.flush()
        };
        write(&Line::Token(request.token.clone()))?;
        // It is asked for each entry; the request is looked at now and then.
        let looked = Cell::new((Instant::now(), true));
        let goes_on = || {
            let (last, wanted) = looked.get();
            if wanted && last.elapsed() >= READ_INTERVAL {
                looked.set((Instant::now(), files.asks(&request.token)));
            }
            !self.stop.is_asked() && looked.get().1
        };
        let mut written = Ok(());
        // Whoever reads the answer may be gone; the work is finished all the same.
        let mut report = |outcome: &Outcome| {
            if written.is_ok() {
                written = write(&Line::Entry(outcome.clone()));
            }
        };
        let ended = self.replay(request, &goes_on, &mut report);
        written?;
        write(&ended.map_or_else(Line::Failed, Line::End))
    }

    fn replay(
        &self,
        request: &Request,
        goes_on: &dyn Fn() -> bool,
        report: &mut dyn FnMut(&Outcome),
    ) -> Result<Summary, String> {
        let pipeline = &present(&self.path, &self.name, request)?;
        let Host { data_dir, dead_letter, counters, means, .. } = self;
        let replay = Replay { pipeline, data_dir, dead_letter, counters, means };
        replay.run(&request.selection, goes_on, report).map_err(|error| chain(&error))
    }
}

/// The pipeline of this name in its file as that is now.
fn present(path: &Path, name: &str, request: &Request) -> Result<model::Pipeline, String> {
    let loaded = config::load(&[path.to_owned()]).map_err(|report| report.to_string())?;
    let [pipeline] = loaded.as_slice() else { return Err(format!("`{}` is no pipeline file", path.display())) };
    let labels = pipeline.labels().filter(|labels| labels.name == name);
    let pipeline = labels.as_ref().unwrap_or(pipeline);
    if pipeline.digest != request.digest {
        return Err(format!("it runs `{}`, which differs from the file that was given", path.display()));
    }
    Ok(pipeline.clone())
}
