//! `inferlog run`: tails files and delivers, for good or `--once`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{COULD_NOT_LOOK, Failure, NOT_SO, StateFolder, complain, load_with_labels, runtime, say, start_log};
use crate::config::changes::{Change, Files};
use crate::config::model::Pipeline;
use crate::pipeline::health::Health;
use crate::pipeline::lookout::{by_reason, look_out};
use crate::pipeline::supervisor::{Running, Supervisor};
use crate::pipeline::{Limits, RunEnd};
use crate::server::{self, ProcessStatus};
use crate::state::folder::data_dir;
use crate::text::units::{counted, format_bytes};

/// Where the server listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:9614";

/// How long deliveries may take after a stop was asked for.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);

/// How often pipeline files are looked at for changes.
const FILES_LOOKED_AT_EVERY: Duration = Duration::from_secs(5);

/// With `--once`: how long nothing may move.
const ONCE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pipeline files, or folders of them [default: pipelines/]
    #[arg(value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Read every file to its end, deliver, exit
    #[arg(long)]
    once: bool,
    /// Address of /metrics, /healthz and /readyz, or `off` [default: 127.0.0.1:9614]
    #[arg(long, value_name = "ADDR|off", value_parser = listen)]
    listen: Option<Listen>,
    #[command(flatten)]
    state: StateFolder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listen {
    At(SocketAddr),
    Off,
}

pub(super) fn listen(text: &str) -> Result<Listen, String> {
    if text == "off" {
        return Ok(Listen::Off);
    }
    let port_alone = text.strip_prefix(':').map(|port| format!("127.0.0.1:{port}"));
    let address = port_alone.as_deref().unwrap_or(text).parse();
    address.map(Listen::At).map_err(|_| format!("expected an address such as `{LISTEN}`, or `off`"))
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    start_log("info");
    let pipelines = load_with_labels(&arguments.paths)?;
    let data_dir = data_dir(arguments.state.data_dir);
    let runtime = runtime()?;
    let files = Files::now(&arguments.paths);
    let ended = runtime.block_on(run_all(&pipelines, files, &data_dir, arguments.once, arguments.listen));
    // A sink may be stuck in the middle of a write; what it holds is not acknowledged.
    runtime.shutdown_background();
    judge(&ended?, arguments.once)
}

/// The limits of a run.
pub(super) fn limits(once: bool) -> Limits {
    Limits { once, once_timeout: ONCE_TIMEOUT, shutdown_timeout: SHUTDOWN_TIMEOUT, unacknowledged_bytes_max: u64::MAX }
}

async fn run_all(
    pipelines: &[Pipeline],
    files: Files,
    data_dir: &std::path::Path,
    once: bool,
    listen: Option<Listen>,
) -> Result<Vec<(String, RunEnd)>, Failure> {
    let mut signals = Signals::listen()?;
    let listener = bind(listen).await?;
    let mut supervisor =
        Supervisor::start(pipelines, data_dir, limits(once)).map_err(|error| Failure::new(&error, error.hint()))?;
    if let Some(listener) = listener {
        serve(listener, &supervisor);
    }
    let names: Vec<&str> = pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    tracing::info!(pipelines = names.join(", "), data_dir = %data_dir.display(), "running");
    tokio::spawn(look_out(supervisor.subjects(once.then_some(ONCE_TIMEOUT))));
    if !once {
        tokio::spawn(watch(files));
    }
    let ended = wait(&mut supervisor, &mut signals).await;
    supervisor.pipelines.iter().zip(pipelines).for_each(|(running, pipeline)| sum_up(running, pipeline));
    Ok(ended)
}

/// Answers for these pipelines until the runtime ends.
pub(super) fn serve(listener: tokio::net::TcpListener, supervisor: &Supervisor) {
    let pipelines = supervisor.pipelines.iter().map(|pipeline| server::PipelineStatus {
        name: pipeline.name.clone(),
        is_running: Arc::clone(&pipeline.is_running),
        pulse: Arc::clone(&pipeline.pulse),
        health: pipeline.health.clone(),
    });
    let pipelines = Arc::new(pipelines.collect());
    tokio::spawn(server::serve(listener, ProcessStatus { telemetry: Arc::clone(&supervisor.telemetry), pipelines }));
}

/// Says when pipeline files are no longer what was loaded.
async fn watch(mut files: Files) {
    loop {
        tokio::time::sleep(FILES_LOOKED_AT_EVERY).await;
        // They may be on a disk that is slow.
        let looked = tokio::task::spawn_blocking(move || {
            let changes = files.changes();
            (files, changes)
        });
        let Ok((again, changes)) = looked.await else { return };
        files = again;
        for change in changes {
            match change {
                Change::Restored(_) => tracing::info!("{change}"),
                _ => {
                    let hint = "`inferlog check` says whether they are right; stop inferlog and start it to apply them";
                    tracing::warn!(hint, "{change}");
                }
            }
        }
    }
}

/// Says what became of everything that a pipeline read.
fn sum_up(pipeline: &Running, file: &Pipeline) {
    let counters = &pipeline.counters;
    let (lines, bytes) = (counters.source_read_lines_total.get(), counters.source_read_bytes_total.get());
    let (lines, bytes) = (counted(lines, "line"), counted(bytes, "byte"));
    let of_sink = |health: &Arc<Health>| {
        let counters = counters.sink(health.sink());
        let duplicates = counted(counters.duplicates.get(), "duplicate");
        format!("; {}: {} indexed, {duplicates}", health.sink(), counters.indexed.get())
    };
    let sinks: String = pipeline.health.iter().map(of_sink).collect();
    let rules = file.enrich.iter().filter_map(|step| step.action.processor().drops());
    let dropped: BTreeMap<String, u64> = rules.map(|rule| (rule.to_string(), counters.dropped(rule).get())).collect();
    let dropped = part("dropped", dropped);
    let dead_lettered = part("to the dead letter", counters.dead_letter_reasons());
    tracing::info!(pipeline = pipeline.name, "ended: read {lines}, {bytes}{dropped}{dead_lettered}{sinks}");
}

/// How many there were, and by what; nothing where there were none.
fn part(what: &str, mut counts: BTreeMap<String, u64>) -> String {
    counts.retain(|_, count| *count > 0);
    match counts.values().sum::<u64>() {
        0 => String::new(),
        sum => format!("; {sum} {what} ({})", by_reason(&counts)),
    }
}

/// An address that was asked for must be had; the default one is given up when somebody else has it.
pub(super) async fn bind(listen: Option<Listen>) -> Result<Option<tokio::net::TcpListener>, Failure> {
    let address = match listen {
        Some(Listen::Off) => return Ok(None),
        Some(Listen::At(address)) => address,
        None => LISTEN.parse().unwrap_or_else(|_| unreachable!("BUG: `{LISTEN}` is an address")),
    };
    match server::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if listen.is_some() => {
            complain(
                &format!("cannot listen on {address}: {error}"),
                Some("choose another address, or `--listen off`"),
            );
            Err(Failure(COULD_NOT_LOOK))
        }
        Err(error) => {
            tracing::warn!(%address, %error, "no /metrics here: the address cannot be had");
            Ok(None)
        }
    }
}

/// What asks for the end, heard from the moment on that this is made: Ctrl-C and SIGTERM.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(super) fn listen() -> Result<StopSignals, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(&error, None));
        Ok(StopSignals { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Comes with the next of them, also when it came before this was called.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signals that a run hears, from the moment on that this is made.
struct Signals {
    stop: StopSignals,
    ignored: [Signal; 3],
}

impl Signals {
    fn listen() -> Result<Signals, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(&error, None));
        let [user_1, user_2] = [SignalKind::user_defined1(), SignalKind::user_defined2()];
        Ok(Signals {
            stop: StopSignals::listen()?,
            ignored: [listen(SignalKind::hangup())?, listen(user_1)?, listen(user_2)?],
        })
    }
}

/// Waits for the end: the first signal asks for it, the second one forces it.
async fn wait(supervisor: &mut Supervisor, signals: &mut Signals) -> Vec<(String, RunEnd)> {
    let Signals { stop, ignored: [hangup, user_1, user_2] } = signals;
    let mut asked = false;
    loop {
        let ignored = tokio::select! {
            ended = supervisor.ended() => return ended,
            () = stop.next() => None,
            _ = hangup.recv() => Some("SIGHUP"),
            _ = user_1.recv() => Some("SIGUSR1"),
            _ = user_2.recv() => Some("SIGUSR2"),
        };
        if let Some(signal) = ignored {
            let hint = "to apply a change of a pipeline file, stop inferlog (SIGTERM) and start it; nothing has to be \
                        reopened when a log is rotated";
            tracing::warn!(hint, "{signal} is ignored: pipeline files are read at the start only");
            continue;
        }
        if asked {
            say("stopped at once; what was not acknowledged is read again at the next start");
            std::process::exit(i32::from(NOT_SO));
        }
        asked = true;
        let seconds = SHUTDOWN_TIMEOUT.as_secs();
        tracing::info!("stopping: delivering what is read, for at most {seconds} s; a second signal stops at once");
        supervisor.stop();
    }
}

/// What the ends mean for the exit code.
pub(super) fn judge(ended: &[(String, RunEnd)], once: bool) -> Result<(), Failure> {
    let mut code = 0;
    for (pipeline, ended) in ended {
        code = code.max(judge_one(pipeline, ended, once));
    }
    if code == 0 { Ok(()) } else { Err(Failure(code)) }
}

fn judge_one(pipeline: &str, ended: &RunEnd, once: bool) -> u8 {
    if let Some(words) = &ended.panic {
        complain(
            &format!("pipeline `{pipeline}`: BUG: its thread panicked: {words}"),
            Some("please report it; what was not acknowledged is read again at the next start"),
        );
        return COULD_NOT_LOOK;
    }
    if ended.stuck {
        complain(
            &format!("pipeline `{pipeline}`: nothing moved for {} minutes", ONCE_TIMEOUT.as_secs() / 60),
            Some("the log above says what it waited for; nothing is lost, run it again"),
        );
        return COULD_NOT_LOOK;
    }
    let mut code = 0;
    if !ended.drained {
        let bytes = format_bytes(ended.unacknowledged_bytes);
        say(&format!(
            "pipeline `{pipeline}`: {bytes} of its files are not delivered; they are read again at the next start"
        ));
        code = NOT_SO;
    }
    for (path, bytes) in &ended.left_unread {
        say(&format!(
            "pipeline `{pipeline}`: `{}` ends with {} that are no whole line: left unread",
            path.display(),
            counted(*bytes, "byte")
        ));
        code = NOT_SO;
    }
    if once && ended.unreadable > 0 {
        say(&format!("pipeline `{pipeline}`: {} of its files or folders could not be read", ended.unreadable));
        code = NOT_SO;
    }
    if once && ended.dead_lettered > 0 {
        say(&format!("pipeline `{pipeline}`: {} went to the dead letter", ended.dead_lettered));
        code = NOT_SO;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_become_exit_codes() {
        let drained = RunEnd { drained: true, ..RunEnd::default() };
        for (ended, expected) in [
            (drained.clone(), 0),
            (RunEnd::default(), NOT_SO),
            (RunEnd { stuck: true, ..RunEnd::default() }, COULD_NOT_LOOK),
            (RunEnd { panic: Some("BUG: x".to_owned()), ..RunEnd::default() }, COULD_NOT_LOOK),
            (RunEnd { dead_lettered: 1, ..drained.clone() }, NOT_SO),
            (RunEnd { unreadable: 1, ..drained.clone() }, NOT_SO),
            (RunEnd { left_unread: vec![(PathBuf::from("a"), 3)], ..drained.clone() }, NOT_SO),
        ] {
            assert_eq!(judge_one("p", &ended, true), expected, "{ended:?}");
        }
        let dead_lettered = RunEnd { dead_lettered: 1, ..drained };
        assert_eq!(judge_one("p", &dead_lettered, false), 0, "that is what a dead letter is for");
    }
}
