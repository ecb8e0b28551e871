//! `POST /-/reload`: whoever has the admin token may ask for a look at the pipeline files, and hears what became of it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::token::{Token, WHERE_IT_IS};

/// A question for the process, with the place for its answer.
pub type Request = oneshot::Sender<Answer>;

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the files say now is in force.
    pub is_done: bool,
    /// What was done, or what is wrong.
    pub words: String,
}

/// How a process is asked about its log.
#[derive(Clone, Copy, Debug)]
pub struct LogControl {
    /// What is in force.
    pub level: fn() -> String,
    /// Puts something else in force, and gives what was; or says what is wrong with it.
    pub set_level: fn(&str) -> Result<String, String>,
}

/// How the process is asked.
#[derive(Clone, Debug)]
pub struct Control {
    /// What the one who asks has to know.
    pub token: Token,
    /// Where questions go; one at a time.
    pub requests: mpsc::Sender<Request>,
    /// How its log is changed.
    pub log: LogControl,
}

pub(super) async fn reload(State(control): State<Option<Control>>, headers: HeaderMap) -> (StatusCode, String) {
    let control = match Control::admit(control, &headers, "this process does not reload\n") {
        Ok(control) => control,
        Err(refusal) => return refusal,
    };
    let (sender, answer) = oneshot::channel();
    if control.requests.try_send(sender).is_err() {
        return (StatusCode::CONFLICT, "another reload is under way, or the process is stopping\n".to_owned());
    }
    match answer.await {
        Ok(Answer { is_done: true, words }) => (StatusCode::OK, words),
        Ok(Answer { is_done: false, words }) => (StatusCode::BAD_REQUEST, words),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the process is stopping\n".to_owned()),
    }
}

impl Control {
    /// What can be asked of the process, for whoever has the token. `otherwise`: said where nothing can be.
    pub(super) fn admit(
        control: Option<Control>,
        headers: &HeaderMap,
        otherwise: &str,
    ) -> Result<Control, (StatusCode, String)> {
        let control = control.ok_or_else(|| (StatusCode::NOT_FOUND, otherwise.to_owned()))?;
        match control.token.is_in(headers) {
            true => Ok(control),
            false => Err((StatusCode::UNAUTHORIZED, WHERE_IT_IS.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    async fn asked(control: Option<Control>, authorization: &str) -> (u16, String) {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())]);
        let (status, words) = reload(State(control), headers).await;
        (status.as_u16(), words)
    }

    #[tokio::test]
    async fn who_has_no_token_asks_for_nothing() {
        let (requests, mut asks) = mpsc::channel::<Request>(1);
        let log = LogControl { level: || "info".to_owned(), set_level: |_| Err("never".to_owned()) };
        let control = Control { token: Token::new("t0ken"), requests, log };
        assert_eq!(asked(None, "Bearer t0ken").await.0, 404);
        for wrong in ["", "t0ken", "Bearer", "Bearer t0ke", "Bearer t0kenn", "Basic t0ken"] {
            assert_eq!(asked(Some(control.clone()), wrong).await.0, 401, "{wrong}");
        }
        assert!(asks.try_recv().is_err());
        let process = tokio::spawn(async move {
            for is_done in [true, false] {
                let answer = Answer { is_done, words: "words".to_owned() };
                asks.recv().await.unwrap().send(answer).unwrap();
            }
        });
        for status in [200, 400] {
            assert_eq!(asked(Some(control.clone()), "Bearer t0ken").await, (status, "words".to_owned()));
        }
        process.await.unwrap();
        assert_eq!(asked(Some(control), "Bearer t0ken").await.0, 409, "nobody is there");
    }
}
