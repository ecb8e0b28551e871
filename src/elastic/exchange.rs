//! Exchange: what is a server asked, and what does it answer?

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::segments::Segments;
use crate::flow::answer::Trouble;

/// Longest answer that is taken, in bytes, packed or unpacked. A bulk answer has 26 bytes an item, and some hundreds
/// where one failed.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What divides the parts of a form. It must not occur in them: random digits that are nowhere else.
pub const FORM_BOUNDARY: &str = "inferlog-c1f4a09be27d4a55";

/// What a server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Who answered: the host's URL, without user information.
    pub host: String,
    /// The HTTP status.
    pub status: u16,
    /// The body, unpacked, at most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
    /// For how long the server wants to be left alone, if it says so.
    pub retry_after: Option<Duration>,
    /// What the server says it is, if it does: `Elasticsearch`.
    pub product: Option<String>,
    /// Where it redirects to, without credentials and query.
    pub redirect: Option<String>,
    /// The proxy that it came through, and who named that.
    pub proxy: Option<String>,
    /// What became of reading the files of secrets again, where the server refused who we are.
    pub renewal: Option<String>,
}

impl Reply {
    /// Whether the server has nothing under the path that was asked for.
    pub(super) fn is_unknown_path(&self) -> bool {
        #[derive(serde::Deserialize)]
        struct Refusal<'a> {
            #[serde(borrow)]
            error: Cow<'a, str>,
        }
        let refusal = serde_json::from_slice::<Refusal<'_>>(&self.body);
        self.status == 400 && refusal.is_ok_and(|refusal| refusal.error.starts_with("no handler found for uri"))
    }
}

/// A server that is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// Why.
    pub trouble: Trouble,
    /// For how long it wants to be left alone, if it says so.
    pub wait: Option<Duration>,
}

impl From<Trouble> for Unready {
    fn from(trouble: Trouble) -> Unready {
        Unready { trouble, wait: None }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// To be told.
    Get,
    /// To put something in its place.
    Put,
    /// To take something, or to be told by a body.
    Post,
    /// To take something away.
    Delete,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// One JSON value.
    Json(Bytes),
    /// Lines of JSON, as `_bulk` takes them.
    Lines(Segments),
    /// A form with a file, whose parts [`FORM_BOUNDARY`] divides, as Kibana takes what is imported.
    Form(Bytes),
}
