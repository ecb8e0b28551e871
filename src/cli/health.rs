//! `inferlog health`: does a running process say that it is alive, or ready? For health checks of containers without a shell,
//! and for people.

use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::Value;
use url::Url;

use super::{COULD_NOT_LOOK, Failure, NOT_SO, complain, print, runtime};
use crate::text::chain::chain;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer that is longer is none of ours.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Address of the running process, as `run --listen` has it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9614")]
    url: Url,
    /// Ask /readyz (does everything get on, and does every sink answer?) and not /healthz (would a restart help?)
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut url = arguments.url.clone();
    url.set_path(if arguments.ready { "/readyz" } else { "/healthz" });
    let client = client()?;
    let (status, body) = runtime()?.block_on(ask(&client, &url, ANSWER_BYTES_MAX)).map_err(|error| {
        let hint = "is `inferlog run` running, and is that the address of its `--listen`?";
        complain(&format!("cannot ask `{url}`: {}", chain(&*error)), Some(hint));
        Failure(COULD_NOT_LOOK)
    })?;
    match verdict(status, &body) {
        Some(is_well) => {
            print(body.trim_end());
            if is_well { Ok(()) } else { Err(Failure(NOT_SO)) }
        }
        None => {
            complain(&format!("`{url}` answered {status}, as no inferlog does"), Some("is it another program's port?"));
            Err(Failure(COULD_NOT_LOOK))
        }
    }
}

/// What asks a running process. No proxy is asked: what is looked at is on this machine, or beside it. No connection is
/// kept, so that each question finds out whether somebody is there.
pub(super) fn client() -> Result<Client, Failure> {
    let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(TIMEOUT).pool_max_idle_per_host(0);
    client.build().map_err(|error| Failure::new(&error, None))
}

/// Status and body, which may have so many bytes.
pub(super) async fn ask(
    client: &Client,
    url: &Url,
    bytes_max: usize,
) -> Result<(u16, String), Box<dyn std::error::Error>> {
    let mut reply = client.get(url.clone()).send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > bytes_max {
            return Err("the answer does not end".into());
        }
    }
    Ok((reply.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
}

/// Whether all is well; `None` where that is no answer of inferlog's.
fn verdict(status: u16, body: &str) -> Option<bool> {
    let ready = serde_json::from_str::<Value>(body).ok().and_then(|answer| answer["ready"].as_bool());
    match (status, ready) {
        (200, Some(true)) => Some(true),
        (503, Some(false)) => Some(false),
        (200, None) if body == "alive\n" => Some(true),
        (503, None) if body.starts_with("pipeline `") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_inferlog_says_is_believed() {
        for (status, body, expected) in [
            (200, "alive\n", Some(true)),
            (503, "pipeline `p`: its thread panicked: x\n", Some(false)),
            (200, "{\"ready\":true,\"reasons\":[]}", Some(true)),
            (503, "{\"ready\":false,\"reasons\":[]}", Some(false)),
            (200, "{\"ready\":false}", None),
            (503, "{\"ready\":true}", None),
            (200, "<html>It works!</html>", None),
            (200, "", None),
            (503, "Service Unavailable", None),
            (404, "", None),
            (301, "alive\n", None),
        ] {
            assert_eq!(verdict(status, body), expected, "{status} {body}");
        }
    }
}
