//! What somebody hears who gets no answer.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) problem: String,
    pub(super) hint: Option<String>,
    /// Where in the KQL, in characters from its start.
    pub(super) position_characters: Option<usize>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, problem: impl Into<String>, hint: Option<&str>) -> Refusal {
        Refusal { status, problem: problem.into(), hint: hint.map(str::to_owned), position_characters: None }
    }

    pub(super) fn response(self) -> Response {
        let Refusal { status, problem, hint, position_characters } = self;
        let body = json!({ "problem": problem, "hint": hint, "position_characters": position_characters });
        (status, [(header::CONTENT_TYPE, "application/json")], body.to_string() + "\n").into_response()
    }
}
