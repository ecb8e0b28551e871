//! The service manager: what does systemd hear of a run that is one of its services (`Type=notify`)?
//!
//! `READY=1` when every pipeline runs and the server listens: whether a sink answers is what `/readyz` says, since a start
//! that waits for Elasticsearch would be cut short where that starts later. `RELOADING=1` and again `READY=1` around a
//! reload, `STOPPING=1` at the stop. `WATCHDOG=1` for as long as `/healthz` says alive, from the runtime that delivers: when
//! that hangs, too, systemd restarts the process. `STATUS=` is what `systemctl status` shows. Without a service manager
//! (no `NOTIFY_SOCKET`) nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::server::ProcessStatus;

/// How often the status is said anew where no watchdog wants to hear more often.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// It runs, for the first time or again after a reload. Further words of it are said from now on.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// It reads its pipeline files again; `ready` ends that.
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now().ok();
    notify(&[Some(NotifyState::Reloading), now].into_iter().flatten().collect::<Vec<_>>());
}

/// It drains what it has read.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping: delivering the rest")]);
}

/// Says how it is until it is given up: at once, then twice as often as the watchdog wants.
pub(super) async fn keep(status: ProcessStatus) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let every = sd_notify::watchdog_enabled().map_or(STATUS_EVERY, |limit| STATUS_EVERY.min(limit / 2));
    // A length of zero is none of systemd's, and would keep the runtime from all else.
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        let words = words(&status);
        notify(&states(&status, &words));
    }
}

/// What is said of a state: the watchdog hears nothing where a restart is what helps.
fn states<'a>(status: &ProcessStatus, words: &'a str) -> Vec<NotifyState<'a>> {
    let is_alive = status.deaths().is_empty();
    is_alive.then_some(NotifyState::Watchdog).into_iter().chain([NotifyState::Status(words)]).collect()
}

/// A line on how it is.
fn words(status: &ProcessStatus) -> String {
    let deaths = status.deaths();
    let reasons = status.reasons();
    let words = match (&*deaths, &reasons[..]) {
        ("", []) => "every pipeline runs, and every sink answers".to_owned(),
        ("", [reason]) => format!("not ready: {}", said(reason)),
        ("", [first, rest @ ..]) => format!("not ready: {}; and {} more, see /readyz", said(first), rest.len()),
        _ => format!("not alive: {}", deaths.trim_end()),
    };
    // A line end would begin another message.
    words.replace(char::is_control, " ")
}

fn said(reason: &serde_json::Value) -> String {
    let text = |name: &str| reason[name].as_str();
    let sink = text("sink").map_or(String::new(), |sink| format!(", sink `{sink}`"));
    format!("pipeline `{}`{sink}: {}", text("pipeline").unwrap_or_default(), text("problem").unwrap_or_default())
}

/// A service manager that does not listen is no reason not to run.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, RwLock};

    use super::*;
    use crate::flow::answer::Trouble;
    use crate::pipeline::pulse::{Obstacle, Pulse};
    use crate::server::PipelineStatus;

    #[test]
    fn the_watchdog_hears_nothing_of_a_dead_thread() {
        let pulse = Arc::new(Pulse::default());
        let is_running = Arc::new(AtomicBool::new(true));
        let pipeline =
            PipelineStatus { name: "p".to_owned(), is_running, pulse: Arc::clone(&pulse), ..PipelineStatus::default() };
        let status = ProcessStatus { pipelines: Arc::new(RwLock::new(vec![pipeline])), ..ProcessStatus::default() };
        let said = || {
            let words = words(&status);
            (states(&status, &words).iter().any(|state| matches!(state, NotifyState::Watchdog)), words)
        };
        assert_eq!(said(), (true, "every pipeline runs, and every sink answers".to_owned()));
        pulse.hold(Obstacle::DeadLetter, Trouble { problem: "it is\nfull".to_owned(), hint: None });
        assert_eq!(said(), (true, "not ready: pipeline `p`: it is full".to_owned()));
        pulse.panicked("BUG: x");
        assert_eq!(said(), (false, "not alive: pipeline `p`: its thread panicked: BUG: x".to_owned()));
    }
}
