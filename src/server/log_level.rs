//! `POST /-/log-level`: whoever has the admin token may have the process say more or less, without a restart.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::reload::Control;

/// The longest level, in bytes.
pub(super) const LEVEL_BYTES_MAX: usize = 1_024;

pub(super) async fn log_level(
    State(control): State<Option<Control>>,
    headers: HeaderMap,
    wanted: String,
) -> (StatusCode, String) {
    let control = match Control::admit(control, &headers, "this process does not change its log\n") {
        Ok(control) => control,
        Err(refusal) => return refusal,
    };
    match (control.log.set_level)(&wanted) {
        Ok(before) => (StatusCode::OK, before + "\n"),
        Err(problem) => (StatusCode::BAD_REQUEST, problem + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;
    use tokio::sync::mpsc;

    use super::super::reload::LogControl;
    use super::super::token::Token;
    use super::*;

    #[tokio::test]
    async fn who_has_the_token_changes_it_and_hears_what_it_was() {
        let set_level = |wanted: &str| match wanted {
            "debug" => Ok("info".to_owned()),
            _ => Err("no level".to_owned()),
        };
        let log = LogControl { level: || "info".to_owned(), set_level };
        let control = Control { token: Token::new("t0ken"), requests: mpsc::channel(1).0, log };
        for (control, authorization, wanted, expected) in [
            (None, "Bearer t0ken", "debug", 404),
            (Some(control.clone()), "Bearer other", "debug", 401),
            (Some(control.clone()), "Bearer t0ken", "loud", 400),
            (Some(control), "Bearer t0ken", "debug", 200),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())]);
            let (status, words) = log_level(State(control), headers, wanted.to_owned()).await;
            assert_eq!((status.as_u16(), words == "info\n"), (expected, expected == 200), "{words}");
        }
    }
}
