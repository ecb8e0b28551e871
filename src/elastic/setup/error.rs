//! Errors of setup: why could it not look, and which privilege is missing?

use thiserror::Error;

use crate::elastic::bulk::{trouble_of, whole_reason};
use crate::elastic::describe;
use crate::elastic::exchange::Reply;
use crate::flow::answer::Trouble;

/// Why setup cannot look.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SetupError {
    /// No answer, or one that says nothing of what was asked.
    #[error("{}", .0.problem)]
    Unready(Trouble),
    /// The user may not.
    #[error("this user may not {action} on {host}: it lacks the privilege {}", listed(.privileges))]
    Privilege {
        /// Who said so.
        host: String,
        /// What was to be done, in the server's words.
        action: String,
        /// Each of these would do, the least one first.
        privileges: Vec<String>,
    },
    /// Another server, or something between.
    #[error("{host} does not answer `{path}` as Elasticsearch does ({status})")]
    NotUnderstood {
        /// Who answered.
        host: String,
        /// What was asked.
        path: String,
        /// The HTTP status.
        status: u16,
    },
}

impl SetupError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            SetupError::Unready(trouble) => trouble.hint.clone(),
            SetupError::Privilege { .. } => {
                Some("`inferlog setup privileges FILE` prints the roles that are needed, ready to be pasted".to_owned())
            }
            SetupError::NotUnderstood { .. } => Some(
                "is it Elasticsearch or OpenSearch, in a version with index templates (7.9 or later), and not a proxy?"
                    .to_owned(),
            ),
        }
    }
}

/// What an answer that is no success means.
pub(super) fn of_reply(reply: &Reply, path: &str) -> SetupError {
    let reason = whole_reason(&reply.body);
    let words = reason.as_ref().map_or("", |reason| reason.detail.as_str());
    match reply.status {
        403 if reason.as_ref().is_some_and(|reason| reason.kind == "security_exception") => SetupError::Privilege {
            host: reply.host.clone(),
            action: describe::quote(in_brackets(words, "action [").unwrap_or(path)),
            privileges: privileges(words),
        },
        401 | 403 | 404 | 407 | 408 | 411 | 429 | 300..=399 | 500..=599 => SetupError::Unready(trouble_of(reply)),
        status => SetupError::NotUnderstood { host: reply.host.clone(), path: path.to_owned(), status },
    }
}

/// `this action is granted by the cluster privileges [manage_ilm,manage,all]`
fn privileges(words: &str) -> Vec<String> {
    let list = in_brackets(words, "privileges [").unwrap_or_default();
    list.split(',').filter(|name| !name.is_empty()).map(describe::quote).collect()
}

fn in_brackets<'w>(words: &'w str, opening: &str) -> Option<&'w str> {
    let (_, rest) = words.split_once(opening)?;
    rest.split_once(']').map(|(inside, _)| inside)
}

fn listed(privileges: &[String]) -> String {
    match privileges {
        [] => "for it, which the server does not name".to_owned(),
        [first, others @ ..] => {
            let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
            let or = if others.is_empty() { String::new() } else { format!(" (or {})", others.join(", ")) };
            format!("`{first}`{or}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_privilege_is_named_and_other_answers_are_told_apart() {
        let denied = r#"{"error":{"type":"security_exception","reason":"action [cluster:admin/ilm/put] is unauthorized for API key id [x] of user [u], this action is granted by the cluster privileges [manage_ilm,manage,all]"},"status":403}"#;
        let fork = r#"{"error":{"type":"security_exception","reason":"no permissions for [x] and User [name=u]"}}"#;
        for (status, body, expected) in [
            (
                403,
                denied,
                "this user may not cluster:admin/ilm/put on h: it lacks the privilege `manage_ilm` (or `manage`, `all`)",
            ),
            (403, fork, "this user may not p on h: it lacks the privilege for it, which the server does not name"),
            (403, "<html>", "h answered 403"),
            (503, "", "h answered 503"),
            (200, "<html>", "h does not answer `p` as Elasticsearch does (200)"),
            (400, "", "h does not answer `p` as Elasticsearch does (400)"),
        ] {
            let reply = Reply { host: "h".to_owned(), status, body: body.into(), ..Reply::default() };
            let error = of_reply(&reply, "p");
            assert!(error.to_string().starts_with(expected) && error.hint().is_some(), "{error}");
        }
    }
}
