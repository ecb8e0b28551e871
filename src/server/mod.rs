//! The server: what does the process say of itself over HTTP?
//!
//! `/metrics` in the format that its reader asks for, `/healthz` (every pipeline's thread comes round; else 503, and a restart helps),
//! `/readyz` (every pipeline runs and gets on, and every sink answers; else 503 with the reasons; in either case with what
//! could not be looked at). On loopback unless told
//! otherwise; they show no record data, no paths and no secrets. For those who have the admin token `POST /-/reload` looks at
//! the pipeline files, and `POST /query` shows records where that is switched on.

mod connections;
mod formats;
mod guard;
mod history;
mod log_level;
mod page;
mod process;
mod records;
mod reload;
pub mod status;
mod token;

pub use reload::{Answer, Control, LogControl, Request};

pub use records::{ANSWER_BYTES_MAX, CSV_ROWS_MAX, LOG_TARGET, OFF, ROWS_MAX, SECONDS_MAX};

pub use token::Token;

pub use process::{Figures, PipelineStatus, ProcessStatus, Records, Restart};

pub use history::{History, ModelSteps, Rates, STEP_SECONDS, STEPS_MAX, Steps};

pub use connections::{CONNECTION_TIMEOUT, CONNECTIONS_MAX, HEAD_TIMEOUT};

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::formats::ExpositionFormat;
use self::status::TroubleReport;

impl PipelineStatus {
    /// Why it is not ready, one reason a trouble.
    fn reasons(&self) -> impl Iterator<Item = Value> {
        self.troubles().into_iter().map(|trouble| self.told(trouble))
    }

    /// What is to be known of its sinks though they take records.
    fn remarks(&self) -> impl Iterator<Item = Value> {
        self.remark_reports().map(|remark| self.told(remark))
    }

    /// As `/readyz` says it.
    fn told(&self, trouble: TroubleReport) -> Value {
        let TroubleReport { sink, problem, hint, failures_in_a_row, .. } = trouble;
        let mut told = json!({ "pipeline": self.name, "problem": problem, "hint": hint });
        let further = [("sink", sink.map(Value::from)), ("failures_in_a_row", failures_in_a_row.map(Value::from))];
        for (name, value) in further {
            if let Some(value) = value {
                told[name] = value;
            }
        }
        told
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
    let history = tokio::spawn(status::keep_history(served.clone()));
    // For browsers and for whoever changes something; the others answer to any name.
    let guarded = page::router()
        .route("/status.json", get(status::status))
        .route(
            "/-/log-level",
            post(log_level::log_level)
                .layer(DefaultBodyLimit::max(log_level::LEVEL_BYTES_MAX))
                .with_state(served.control.clone()),
        )
        .route("/query", post(records::records).layer(DefaultBodyLimit::max(records::QUESTION_BYTES_MAX)))
        .route("/-/reload", post(reload::reload).with_state(served.control.clone()))
        .layer(from_fn_with_state(Arc::clone(&served.allowed_hosts), guard::guard));
    let router = Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(guarded)
        .with_state(served);
    connections::serve(listener, router).await;
    history.abort();
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
mod tests;
