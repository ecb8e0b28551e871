//! `inferlog run`: tails files and delivers, for good or `--once`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::log;
use super::page_records;
use super::reload::{Company, control, statuses};
use super::sum::sum_up;
use super::{
    COULD_NOT_LOOK, Failure, NOT_SO, StateFolder, complain, load_with_labels, runtime, say, start_log, systemd,
};
use crate::config::changes::Files;
use crate::config::model::Pipeline;
use crate::pipeline::lookout::look_out;
use crate::pipeline::supervisor::{StartError, Supervisor, Tended};
use crate::pipeline::{AtStop, Limits, RunEnd};
use crate::server::{self, ProcessStatus, Records};
use crate::state::folder::data_dir;
use crate::text::units::{counted, format_bytes};

/// Where the server listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:9614";

/// How long deliveries may take after a stop was asked for.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);

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
    /// At a stop, read every file to its end first: for logs that end with this process, as those of a sidecar do
    #[arg(long, conflicts_with = "once")]
    drain: bool,
    /// Address of the page, /metrics, /healthz and /readyz, or `off` [default: 127.0.0.1:9614]
    #[arg(long, value_name = "ADDR|off", value_parser = listen)]
    listen: Option<Listen>,
    /// A name by which browsers may open the page, beside addresses and `localhost`; may be given again
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Let the page ask stores for records in KQL, for whoever has the admin token; each question is logged
    #[arg(long, conflicts_with = "once")]
    page_records: bool,
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

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("info");
    if arguments.page_records && arguments.listen == Some(Listen::Off) {
        complain("`--page-records` has no page to show records on", Some("leave out `--listen off`"));
        return Err(Failure(COULD_NOT_LOOK));
    }
    let pipelines = load_with_labels(&arguments.paths)?;
    let data_dir = data_dir(arguments.state.data_dir.clone());
    let runtime = runtime()?;
    let files = Files::now(&arguments.paths);
    let ended = match arguments.once {
        true => runtime.block_on(run_once(&pipelines, arguments, &data_dir)),
        false => runtime.block_on(run_for_good(&pipelines, arguments, files, &data_dir)),
    };
    // A sink may be stuck in the middle of a write; what it holds is not acknowledged.
    runtime.shutdown_background();
    judge(&ended?, arguments.once)
}

/// The limits of a run.
pub(super) fn limits(once: bool) -> Limits {
    Limits { once, once_timeout: ONCE_TIMEOUT, shutdown_timeout: SHUTDOWN_TIMEOUT, unacknowledged_bytes_max: u64::MAX }
}

async fn run_once(
    pipelines: &[Pipeline],
    arguments: &Arguments,
    data_dir: &Path,
) -> Result<Vec<(String, RunEnd)>, Failure> {
    let mut signals = Signals::listen()?;
    let listener = bind(arguments.listen).await?;
    let mut supervisor = started(Supervisor::start(pipelines, data_dir, limits(true)), pipelines, data_dir)?;
    listener.into_iter().for_each(|listener| serve(listener, &supervisor, &arguments.allow_host, None));
    tokio::spawn(look_out(supervisor.subjects(Some(ONCE_TIMEOUT))));
    let ended = loop {
        tokio::select! {
            ended = supervisor.ended() => break ended,
            signal = signals.next() => match signal {
                Heard::Stop => break stop(&mut supervisor, &mut signals).await,
                Heard::Reload(_) => tracing::warn!("SIGHUP is ignored: with --once nothing is reloaded"),
                Heard::Louder => log::toggle(),
                Heard::Other(name) => ignore(name),
            },
        }
    };
    supervisor.pipelines.iter().for_each(sum_up);
    Ok(ended)
}

async fn run_for_good(
    pipelines: &[Pipeline],
    arguments: &Arguments,
    files: Files,
    data_dir: &Path,
) -> Result<Vec<(String, RunEnd)>, Failure> {
    let mut signals = Signals::listen()?;
    let listener = bind(arguments.listen).await?;
    let mut supervisor = started(Supervisor::start_each(pipelines, data_dir, limits(false)), pipelines, data_dir)?;
    supervisor.at_stop = if arguments.drain { AtStop::ReadToTheEnd } else { AtStop::LeaveUnread };
    let (control, mut asks) = control(data_dir);
    let token = control.as_ref().map(|control| control.token.clone()).filter(|_| arguments.page_records);
    let records = token.map(|token| Records::new(token, data_dir));
    if arguments.page_records && records.is_none() {
        tracing::warn!("without an admin token nobody can ask for records on the page");
    }
    let status = status(&supervisor, control, &arguments.allow_host, records);
    if let Some(listener) = listener {
        if let (Some(records), Ok(address)) = (&status.records, listener.local_addr()) {
            page_records::say(address, records, data_dir);
        }
        tokio::spawn(server::serve(listener, status.clone()));
    }
    systemd::ready();
    tokio::spawn(systemd::keep(status.clone()));
    let mut company = Company::new(&arguments.paths, files, status, &supervisor);
    let ended = loop {
        let heard = tokio::select! {
            tended = supervisor.tend() => match tended {
                Tended::AllEnded => break supervisor.ended().await,
                Tended::Changed => {
                    company.follow(&supervisor);
                    continue;
                }
            },
            signal = signals.next() => signal,
            Some(ask) = asks.recv() => Heard::Reload(Some(ask)),
        };
        match heard {
            Heard::Stop => break stop(&mut supervisor, &mut signals).await,
            Heard::Louder => log::toggle(),
            Heard::Other(name) => ignore(name),
            Heard::Reload(ask) => {
                systemd::reloading();
                let answer = tokio::select! {
                    answer = company.reload(&mut supervisor) => answer,
                    () = signals.stop.next() => break stop(&mut supervisor, &mut signals).await,
                };
                systemd::ready();
                // Who asked may be gone.
                ask.into_iter().for_each(|ask| drop(ask.send(answer.clone())));
            }
        }
    };
    let failed_before = supervisor.waiting.iter().filter_map(|waiting| waiting.before.as_deref());
    supervisor.pipelines.iter().chain(failed_before).for_each(sum_up);
    Ok(ended)
}

fn started(
    supervisor: Result<Supervisor, StartError>,
    pipelines: &[Pipeline],
    data_dir: &Path,
) -> Result<Supervisor, Failure> {
    let supervisor = supervisor.map_err(|error| Failure::new(&error, error.hint()))?;
    let names: Vec<&str> = pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    tracing::info!(pipelines = names.join(", "), data_dir = %data_dir.display(), "running");
    Ok(supervisor)
}

/// Answers for these pipelines until the runtime ends.
pub(super) fn serve(
    listener: tokio::net::TcpListener,
    supervisor: &Supervisor,
    allow_host: &[String],
    records: Option<Records>,
) {
    tokio::spawn(server::serve(listener, status(supervisor, None, allow_host, records)));
}

fn status(
    supervisor: &Supervisor,
    control: Option<server::Control>,
    allow_host: &[String],
    records: Option<Records>,
) -> ProcessStatus {
    let pipelines = Arc::new(RwLock::new(statuses(supervisor)));
    let telemetry = Arc::clone(&supervisor.telemetry);
    let allowed_hosts = allow_host.into();
    ProcessStatus { telemetry, pipelines, control, records, allowed_hosts, ..ProcessStatus::default() }
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
            tracing::warn!(%address, %error, "no page and no /metrics here: the address cannot be had");
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
    hangup: Signal,
    user_1: Signal,
    user_2: Signal,
}

/// What a run was asked for.
enum Heard {
    Stop,
    /// By a signal, or by somebody who waits for an answer.
    Reload(Option<server::Request>),
    /// The log shall say more, or again what it said.
    Louder,
    /// A signal without a meaning here.
    Other(&'static str),
}

impl Signals {
    fn listen() -> Result<Signals, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(&error, None));
        let [user_1, user_2] = [SignalKind::user_defined1(), SignalKind::user_defined2()];
        Ok(Signals {
            stop: StopSignals::listen()?,
            hangup: listen(SignalKind::hangup())?,
            user_1: listen(user_1)?,
            user_2: listen(user_2)?,
        })
    }

    /// The next one, also when it came before this was called.
    async fn next(&mut self) -> Heard {
        tokio::select! {
            () = self.stop.next() => Heard::Stop,
            _ = self.hangup.recv() => Heard::Reload(None),
            _ = self.user_1.recv() => Heard::Louder,
            _ = self.user_2.recv() => Heard::Other("SIGUSR2"),
        }
    }
}

fn ignore(signal: &str) {
    let hint = "SIGHUP reads the pipeline files again, SIGUSR1 has the log say more; nothing has to be reopened when a log is rotated";
    tracing::warn!(hint, "{signal} is ignored");
}

/// Waits for the end that the first signal has asked for; the second one forces it.
async fn stop(supervisor: &mut Supervisor, signals: &mut Signals) -> Vec<(String, RunEnd)> {
    systemd::stopping();
    let seconds = SHUTDOWN_TIMEOUT.as_secs();
    let what = match supervisor.at_stop {
        AtStop::LeaveUnread => "what is read",
        AtStop::ReadToTheEnd => "all that is written",
    };
    tracing::info!("stopping: delivering {what}, for at most {seconds} s; a second signal stops at once");
    supervisor.stop();
    loop {
        tokio::select! {
            ended = supervisor.ended() => return ended,
            signal = signals.next() => if matches!(signal, Heard::Stop) {
                say("stopped at once; what was not acknowledged is read again at the next start");
                std::process::exit(i32::from(NOT_SO));
            },
        }
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
            &format!("pipeline `{pipeline}`: BUG: {words}"),
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
    if let Some(why) = &ended.unstarted {
        say(&format!("pipeline `{pipeline}` did not run at the end: {why}"));
        return NOT_SO;
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
            (RunEnd { unstarted: Some("x".to_owned()), ..RunEnd::default() }, NOT_SO),
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
