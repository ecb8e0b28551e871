//! Parameters of `_bulk`: which of those that not every server knows does this one know?
//!
//! It is asked, with a request that holds no document, and not guessed from its version:
//!
//! ```text
//! POST STREAM/_bulk?include_source_on_error=false&require_data_stream=true     (a body of one line end)
//! 400 … "contains unrecognized parameter: [require_data_stream]"               it knows the others
//! 400 … "no requests added", or 403                                            it knows them all
//! ```
//!
//! Whoever has no right to the answer is told of unknown parameters first. A server that says later that it does not know
//! one, as in a cluster that is being upgraded, is asked again without it.

use super::bulk::{self, whole_reason};
use super::client::{Body, Client, Method, Reply};
use super::exchange::Unready;

/// A parameter that not every server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter {
    /// Reasons shall not quote the document.
    IncludeSourceOnError,
    /// What is not there shall become a data stream, or nothing.
    RequireDataStream,
}

impl Parameter {
    fn name(self) -> &'static str {
        match self {
            Parameter::IncludeSourceOnError => "include_source_on_error",
            Parameter::RequireDataStream => "require_data_stream",
        }
    }

    fn written(self) -> &'static str {
        match self {
            Parameter::IncludeSourceOnError => "&include_source_on_error=false",
            Parameter::RequireDataStream => "&require_data_stream=true",
        }
    }
}

/// Whether what is written to has to be a data stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has.
    DataStream,
    /// It is an index.
    Index,
}

/// The parameters that a server knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkParameters(Vec<Parameter>);

impl BulkParameters {
    /// Asks the server, by the data stream that is written to where it is one. None are known of one that does not say it.
    ///
    /// # Errors
    /// When it does not answer, or is not ready.
    pub async fn ask(client: &Client, name: Option<&str>) -> Result<BulkParameters, Unready> {
        let all = BulkParameters(vec![Parameter::IncludeSourceOnError, Parameter::RequireDataStream]);
        let path = all.path(name, Place::DataStream);
        let reply = bulk::ready(client.send(Method::Post, &path, &Body::Lines("\n".into())).await?)?;
        match (all.refused_by(&reply), whole_reason(&reply.body)) {
            (Some(known), _) => Ok(known),
            (None, Some(_)) if matches!(reply.status, 400 | 403) => Ok(all),
            _ => Ok(BulkParameters::default()),
        }
    }

    /// The path of a bulk request into this place.
    pub fn path(&self, name: Option<&str>, place: Place) -> String {
        let mut path = name.map_or_else(String::new, |name| format!("{name}/"));
        path.push_str("_bulk?filter_path=");
        path.push_str(bulk::FILTER_PATH);
        let fits = |parameter: &&Parameter| place == Place::DataStream || **parameter != Parameter::RequireDataStream;
        self.0.iter().filter(fits).for_each(|parameter| path.push_str(parameter.written()));
        path
    }

    /// Those that are left when this answer turns some of them down; `None` when it does not.
    pub fn refused_by(&self, reply: &Reply) -> Option<BulkParameters> {
        if reply.status != 400 {
            return None;
        }
        let detail = whole_reason(&reply.body).filter(|reason| reason.kind == "illegal_argument_exception")?.detail;
        let (_, named) = detail.split_once("contains unrecognized parameter")?;
        let is_known = |parameter: &&Parameter| !named.contains(&format!("[{}]", parameter.name()));
        let known: Vec<Parameter> = self.0.iter().filter(is_known).copied().collect();
        (known.len() < self.0.len()).then_some(BulkParameters(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_does_not_know_is_left_out() {
        let all = BulkParameters(vec![Parameter::IncludeSourceOnError, Parameter::RequireDataStream]);
        let ends = |parameters: &BulkParameters, place| {
            let path = parameters.path(Some("s"), place);
            let (start, end) = path.split_once(bulk::FILTER_PATH).unwrap();
            assert_eq!(start, "s/_bulk?filter_path=");
            end.to_owned()
        };
        assert_eq!(ends(&all, Place::DataStream), "&include_source_on_error=false&require_data_stream=true");
        assert_eq!(ends(&all, Place::Index), "&include_source_on_error=false");
        assert!(all.path(None, Place::Index).starts_with("_bulk?"));
        let reply = |status, kind: &str, reason: &str| {
            let body = format!(r#"{{"error":{{"type":"{kind}","reason":"{reason}"}},"status":{status}}}"#);
            Reply { status, body: body.into(), ..Reply::default() }
        };
        let argument = "illegal_argument_exception";
        for (status, kind, reason, left) in [
            (400, argument, "request [/s/_bulk] contains unrecognized parameter: [require_data_stream]", Some(1)),
            (
                400,
                argument,
                "request [/s/_bulk] contains unrecognized parameters: [include_source_on_error] -> did you mean [source]?, [require_data_stream]",
                Some(0),
            ),
            (400, argument, "request [/s/_bulk] contains unrecognized parameter: [filter_path]", None),
            (400, argument, "pipeline with id [require_data_stream] does not exist", None),
            (400, "action_request_validation_exception", "Validation Failed: 1: no requests added;", None),
            (403, "security_exception", "contains unrecognized parameter: [require_data_stream]", None),
        ] {
            let found = all.refused_by(&reply(status, kind, reason)).map(|left| left.0.len());
            assert_eq!(found, left, "{reason}");
        }
        assert_eq!(all.refused_by(&Reply { status: 400, ..Reply::default() }), None);
    }
}
