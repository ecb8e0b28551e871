//! The server: what does the process say of itself over HTTP?
//!
//! `/metrics` in the format that its reader asks for, `/healthz` (every pipeline's thread comes round; else 503, and a restart helps),
//! `/readyz` (every pipeline runs and gets on, and every sink answers; else 503 with the reasons; in either case with what
//! could not be looked at). On loopback unless told
//! otherwise; it shows no record data, no paths and no secrets. `POST /-/reload` looks at the pipeline files, for those who
//! have the admin token.

mod connections;
mod formats;
mod log_level;
mod reload;

pub use reload::{Answer, Control, LogControl, Request};

pub use connections::{CONNECTION_TIMEOUT, CONNECTIONS_MAX, HEAD_TIMEOUT};

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::formats::ExpositionFormat;
use crate::flow::answer::Trouble;
use crate::pipeline::health::Health;
use crate::pipeline::pulse::Pulse;
use crate::telemetry::Telemetry;

/// What is served.
#[derive(Clone, Debug, Default)]
pub struct ProcessStatus {
    /// The counters.
    pub telemetry: Arc<Mutex<Telemetry>>,
    /// The pipelines that run, or should.
    pub pipelines: Arc<RwLock<Vec<PipelineStatus>>>,
    /// How it is asked for changes, where it can be.
    pub control: Option<Control>,
}

/// One pipeline, as far as its state is served; by default one that does not run.
#[derive(Debug, Default)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// Whether its thread runs.
    pub is_running: Arc<AtomicBool>,
    /// The state of its thread.
    pub pulse: Arc<Pulse>,
    /// The state of each of its sinks.
    pub health: Vec<Arc<Health>>,
    /// It does not run and is started again: why, and when.
    pub restart: Option<Restart>,
}

/// A pipeline has failed, or could not be started, and is tried again.
#[derive(Clone, Debug)]
pub struct Restart {
    /// What is in the way.
    pub trouble: Trouble,
    /// When it is tried again.
    pub next: Instant,
    /// How often in a row it has failed.
    pub failures: u32,
}

impl Restart {
    /// How long it is until then.
    pub fn wait(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    fn reason(&self, pipeline: &str) -> Value {
        let (why, seconds, failures) = (&self.trouble.problem, self.wait().as_secs() + 1, self.failures);
        let problem = format!("the pipeline does not run and is started again in {seconds} s: {why}");
        json!({ "pipeline": pipeline, "problem": problem, "hint": self.trouble.hint, "failures_in_a_row": failures })
    }
}

impl PipelineStatus {
    /// Why it is not ready, one reason a trouble.
    fn reasons(&self) -> impl Iterator<Item = Value> {
        let again = self.restart.as_ref().map(|restart| restart.reason(&self.name));
        let ended = (!self.is_running.load(Ordering::Acquire) && again.is_none()).then(|| {
            let hint = "see the log for the reason, and start inferlog again";
            json!({ "pipeline": self.name, "problem": "the pipeline has ended", "hint": hint })
        });
        let of_sink = |health: &Arc<Health>| {
            let Trouble { problem, hint } = health.current()?;
            Some(json!({ "pipeline": self.name, "sink": health.sink(), "problem": problem, "hint": hint }))
        };
        let of_thread = self.pulse.troubles().into_iter().map(|standing| {
            let Trouble { problem, hint } = standing.trouble;
            json!({ "pipeline": self.name, "problem": problem, "hint": hint })
        });
        again.into_iter().chain(ended).chain(of_thread).chain(self.health.iter().filter_map(of_sink))
    }
}

impl PipelineStatus {
    /// What is to be known of its sinks though they take records.
    fn remarks(&self) -> impl Iterator<Item = Value> {
        self.health.iter().filter_map(|health| {
            let Trouble { problem, hint } = health.remarked()?;
            Some(json!({ "pipeline": self.name, "sink": health.sink(), "problem": problem, "hint": hint }))
        })
    }
}

/// Binds the address.
///
/// # Errors
/// When it is taken, or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers requests until the runtime ends.
pub async fn serve(listener: TcpListener, served: ProcessStatus) {
    let router = Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route(
            "/-/log-level",
            post(log_level::log_level)
                .layer(DefaultBodyLimit::max(log_level::LEVEL_BYTES_MAX))
                .with_state(served.control.clone()),
        )
        .route("/-/reload", post(reload::reload).with_state(served.control.clone()))
        .with_state(served);
    connections::serve(listener, router).await;
}

async fn metrics(State(served): State<ProcessStatus>, headers: HeaderMap) -> impl IntoResponse {
    let accepted: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = ExpositionFormat::wanted(&accepted.join(","));
    let head = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")];
    (head, format.render(served.telemetry.lock().unwrap_or_else(PoisonError::into_inner).text()))
}

impl ProcessStatus {
    /// What only a restart helps against, a line a pipeline; empty where there is none.
    pub fn deaths(&self) -> String {
        let death =
            |pipeline: &PipelineStatus| Some(format!("pipeline `{}`: {}\n", pipeline.name, pipeline.pulse.death()?));
        self.pipelines.read().unwrap_or_else(PoisonError::into_inner).iter().filter_map(death).collect()
    }

    /// Why it is not ready, as `/readyz` says it; empty where it is.
    pub fn reasons(&self) -> Vec<Value> {
        let pipelines = self.pipelines.read().unwrap_or_else(PoisonError::into_inner);
        pipelines.iter().flat_map(PipelineStatus::reasons).collect()
    }
}

/// A restart is what helps where this says no.
async fn alive(State(served): State<ProcessStatus>) -> impl IntoResponse {
    let deaths = served.deaths();
    match deaths.is_empty() {
        true => (StatusCode::OK, "alive\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, deaths),
    }
}

async fn ready(State(served): State<ProcessStatus>) -> impl IntoResponse {
    let reasons = served.reasons();
    let pipelines = served.pipelines.read().unwrap_or_else(PoisonError::into_inner);
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let remarks: Vec<Value> = pipelines.iter().flat_map(PipelineStatus::remarks).collect();
    let body = json!({ "ready": reasons.is_empty(), "reasons": reasons, "remarks": remarks }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::pulse::Obstacle;

    #[tokio::test]
    async fn what_is_held_up_is_not_ready_and_what_is_dead_is_not_alive() {
        let (pulse, is_running) = (Arc::new(Pulse::default()), Arc::new(AtomicBool::new(true)));
        let pipeline = PipelineStatus {
            name: "p".to_owned(),
            is_running: Arc::clone(&is_running),
            pulse: Arc::clone(&pulse),
            health: Vec::new(),
            restart: None,
        };
        let served = ProcessStatus { pipelines: Arc::new(RwLock::new(vec![pipeline])), ..ProcessStatus::default() };
        let said = async || {
            let [alive, ready] = [
                alive(State(served.clone())).await.into_response(),
                ready(State(served.clone())).await.into_response(),
            ]
            .map(|response| response.status().as_u16());
            (alive, ready)
        };
        assert_eq!(said().await, (200, 200));
        pulse.hold(Obstacle::DeadLetter, Trouble { problem: "it is full".to_owned(), hint: None });
        assert_eq!(said().await, (200, 503));
        pulse.free(Obstacle::DeadLetter);
        assert_eq!(said().await, (200, 200));
        pulse.panicked("BUG: x");
        is_running.store(false, Ordering::Release);
        assert_eq!(said().await, (503, 503));
    }
}
