//! The server: is it Kibana, new enough, and what does it say to what it is asked?

use std::fmt;

use serde_json::Value;
use url::Url;

use crate::elastic::client::{Body, Client, Method};
use crate::elastic::describe::quote;
use crate::elastic::exchange::Reply;
use crate::elastic::options::ClientOptions;

/// The oldest version that the objects are written for.
const OLDEST: (u64, u64) = (8, 12);

/// The longest id of a space, in bytes.
const SPACE_BYTES_MAX: usize = 255;

/// Why Kibana could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct KibanaError {
    /// What went wrong.
    pub problem: String,
    /// What to do about it.
    pub hint: String,
}

impl KibanaError {
    pub(super) fn new(problem: impl Into<String>, hint: impl Into<String>) -> KibanaError {
        KibanaError { problem: problem.into(), hint: hint.into() }
    }
}

/// What of Kibana is asked for, by which the privileges go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    /// Saved objects.
    Objects,
    /// Rules.
    Rules,
    /// Connectors.
    Connectors,
}

impl Area {
    /// What a role needs for it, in the words of Kibana's page of roles.
    pub(super) fn privileges(self) -> &'static str {
        match self {
            Area::Objects => {
                "in this space the role needs `All` of Discover, Dashboard, Visualize Library, Saved Objects Management and Tag \
                 Management"
            }
            Area::Rules => "in this space the role needs `All` of Stack Rules and of Observability > Logs",
            Area::Connectors => "in this space the role needs `All` of Actions and Connectors",
        }
    }
}

/// A Kibana that was found to be one, and one of its spaces.
#[derive(Debug)]
pub struct Kibana {
    client: Client,
    host: String,
    version: String,
    /// What stands before a path: empty, or `s/SPACE/`.
    prefix: String,
}

/// As in `looked at: …`.
impl fmt::Display for Kibana {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = self.space().unwrap_or("default");
        write!(formatter, "Kibana {} at {}, space `{space}`", self.version, self.host)
    }
}

impl Kibana {
    /// Asks who answers there, as the user that the options name. The options' own hosts are not asked.
    ///
    /// # Errors
    /// No answer, not Kibana, too old, or no such space.
    pub async fn connect(options: &ClientOptions, url: &Url, space: Option<&str>) -> Result<Kibana, KibanaError> {
        // The fingerprint is that of Elasticsearch's certificate: Kibana's own has to stand by its authority.
        let options = ClientOptions { hosts: vec![url.clone()], fingerprint: None, ..options.clone() };
        let client =
            Client::new(&options).map_err(|error| KibanaError::new(error.to_string(), "look at `--kibana`"))?;
        let prefix = prefix(space)?;
        let mut kibana =
            Kibana { client: client.for_kibana(), host: String::new(), version: String::new(), prefix: String::new() };
        let reply = kibana.ask(Method::Get, "api/status", &Body::None).await?;
        kibana.host.clone_from(&reply.host);
        kibana.version = version(&reply)?;
        if let Some(space) = space.filter(|_| !prefix.is_empty()) {
            let reply = kibana.ask(Method::Get, &format!("api/spaces/space/{space}"), &Body::None).await?;
            if reply.status == 404 {
                let hint = "make it in Kibana first (Stack Management > Spaces), or look at `--space`";
                return Err(KibanaError::new(format!("{} has no space `{space}`", kibana.host), hint));
            }
        }
        Ok(Kibana { prefix, ..kibana })
    }

    /// The space, if it is not the default one.
    pub(super) fn space(&self) -> Option<&str> {
        self.prefix.strip_prefix("s/").map(|rest| rest.trim_end_matches('/'))
    }

    /// Asks for a path of the space.
    pub(super) async fn ask(&self, method: Method, path: &str, body: &Body) -> Result<Reply, KibanaError> {
        let path = format!("{}{path}", self.prefix);
        let no_answer = |trouble: crate::flow::answer::Trouble| {
            KibanaError::new(trouble.problem, "is Kibana running there? look at `--kibana`")
        };
        self.client.send(method, &path, body).await.map_err(no_answer)
    }

    /// The same with a JSON body.
    pub(super) async fn ask_json(&self, method: Method, path: &str, body: &Value) -> Result<Reply, KibanaError> {
        self.ask(method, path, &Body::Json(body.to_string().into())).await
    }
}

/// What stands before the paths of a space.
fn prefix(space: Option<&str>) -> Result<String, KibanaError> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    match space {
        None | Some("default") => Ok(String::new()),
        Some(space) if !space.is_empty() && space.len() <= SPACE_BYTES_MAX && space.chars().all(is_allowed) => {
            Ok(format!("s/{space}/"))
        }
        Some(space) => Err(KibanaError::new(
            format!("`{}` cannot be the id of a space", quote(space)),
            "an id has small letters, digits, `-` and `_`; Kibana shows it in the address, behind `/s/`",
        )),
    }
}

/// The version of the Kibana that answered.
fn version(reply: &Reply) -> Result<String, KibanaError> {
    let host = &reply.host;
    if reply.status == 401 {
        return Err(refusal(reply, "asking for its status", Area::Objects));
    }
    let about: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let overall = &about["status"]["overall"];
    let Some(number) = about["version"]["number"].as_str() else {
        let (problem, hint) = match overall["level"].as_str() {
            Some(_) => (
                format!("{host} does not say its version to whom it does not know"),
                "Kibana is asked as the user of the sink: give the sink `auth`",
            ),
            None => (
                format!("{host} does not answer `/api/status` as Kibana does ({})", reply.status),
                "name Kibana's address with `--kibana`, with its `server.basePath` if it has one",
            ),
        };
        return Err(KibanaError::new(problem, hint));
    };
    let number = quote(number);
    let parts: Vec<u64> = number.split('.').map_while(|part| part.parse().ok()).collect();
    let (major, minor) = (parts.first().copied().unwrap_or(0), parts.get(1).copied().unwrap_or(0));
    // OpenSearch Dashboards is a Kibana 7.10, which said `state`, with versions of its own.
    if overall["state"].is_string() && major < 7 {
        return Err(KibanaError::new(
            format!(
                "{host} is OpenSearch Dashboards {number}, which knows neither Lens nor tags nor Kibana's rules: our dashboards, \
                 visualisations, searches and rules need Kibana 8.12 or later, and nothing is imported"
            ),
            "leave `--kibana` out: what Elasticsearch's side needs is set up without it; `inferlog query` asks it",
        ));
    }
    if (major, minor) < OLDEST {
        return Err(KibanaError::new(
            format!("{host} is Kibana {number}, and the objects are written for 8.12 and later: it would refuse them"),
            "update Kibana; a newer one moves older objects to its own shape",
        ));
    }
    if overall["level"] == "unavailable" {
        return Err(KibanaError::new(
            format!("Kibana {number} at {host} says that it is unavailable"),
            "try again later",
        ));
    }
    Ok(number)
}

/// What Kibana says of a request that it did not do.
pub(super) fn message(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match body["message"].as_str() {
        Some(message) => quote(message),
        None => format!("status {}", reply.status),
    }
}

/// An answer that is no success, in words: of what was tried there.
pub(super) fn refusal(reply: &Reply, what: &str, area: Area) -> KibanaError {
    let (host, status) = (&reply.host, reply.status);
    let message = message(reply);
    match status {
        401 => KibanaError::new(
            format!("{host} refused {what} (401): it does not know the user of the sink"),
            "Kibana is asked as the sink's `auth` says: is that a user, an API key or a token of Kibana's own cluster?",
        ),
        403 => KibanaError::new(
            format!("this user may not do it: {host} refused {what} (403: {message})"),
            area.privileges(),
        ),
        404 => KibanaError::new(
            format!("{host} does not know {what} (404: {message})"),
            "is it Kibana 8.12 or later, and is its `server.basePath` part of `--kibana`?",
        ),
        _ => KibanaError::new(format!("{host} refused {what} ({status}: {message})"), "the log of Kibana says more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kibana_that_is_new_enough_is_taken() {
        let kibana = |number: &str, level: &str| {
            format!(r#"{{"version":{{"number":"{number}"}},"status":{{"overall":{{"level":"{level}"}}}}}}"#)
        };
        let fork = r#"{"version":{"number":"2.8.0"},"status":{"overall":{"state":"green"}}}"#;
        let seven = r#"{"version":{"number":"7.17.0"},"status":{"overall":{"state":"green"}}}"#;
        for (status, body, expected) in [
            (200, kibana("8.12.2", "available"), Ok("8.12.2")),
            (200, kibana("9.1.0", "degraded"), Ok("9.1.0")),
            (200, kibana("10.0.0-SNAPSHOT", "available"), Ok("10.0.0-SNAPSHOT")),
            (503, kibana("8.12.2", "unavailable"), Err("says that it is unavailable")),
            (200, kibana("8.11.4", "available"), Err("is Kibana 8.11.4, and the objects are written for 8.12")),
            (200, seven.to_owned(), Err("is Kibana 7.17.0")),
            (200, fork.to_owned(), Err("is OpenSearch Dashboards 2.8.0, which knows neither Lens nor tags")),
            (200, r#"{"status":{"overall":{"level":"available"}}}"#.to_owned(), Err("does not say its version")),
            (200, "<!doctype html>".to_owned(), Err("does not answer `/api/status` as Kibana does (200)")),
            (401, "{}".to_owned(), Err("it does not know the user of the sink")),
        ] {
            let reply = Reply { host: "h".to_owned(), status, body: body.clone().into(), ..Reply::default() };
            match (version(&reply), expected) {
                (Ok(number), Ok(expected)) => assert_eq!(number, expected),
                (Err(error), Err(expected)) => {
                    assert!(error.problem.contains(expected) && !error.hint.is_empty(), "{body}: {error}");
                }
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_space_is_an_id() {
        for (space, expected) in [
            (None, Some("")),
            (Some("default"), Some("")),
            (Some("team-a_1"), Some("s/team-a_1/")),
            (Some(""), None),
            (Some("Team A"), None),
            (Some("../x"), None),
        ] {
            assert_eq!(prefix(space).ok().as_deref(), expected, "{space:?}");
        }
    }
}
