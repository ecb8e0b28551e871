//! `kubernetes`: namespace, pod and container, from the path of the log file.
//!
//! The kubelet writes each container's log to a file whose path names it, so nothing has to be asked of an API. The
//! names are those of Filebeat; `container.id` is also in the Elastic Common Schema.
//!
//! | the path ends with | gives |
//! | --- | --- |
//! | `NAMESPACE_POD_UID/CONTAINER/0.log` | `kubernetes.namespace`, `kubernetes.pod.name`, `kubernetes.pod.uid`, `kubernetes.container.name` |
//! | `POD_NAMESPACE_CONTAINER-ID.log` | the same without `uid`, and `container.id` |
//! | `ID/ID-json.log` | `container.id` |
//!
//! These are the forms of `/var/log/pods`, `/var/log/containers` and Docker's own folder, wherever they are mounted, and
//! rotated files as well (`0.log.20261127-152313.gz`). What counts is the path under which a file was found, as
//! `log.file.path` has it: `/var/log/containers` has links to the others, and a file that is found under several names is
//! read once, under one of them. So name one of these folders in `source.files.paths`, best `/var/log/pods/*/*/*.log*`.
//! A record of another file gets nothing, and is counted in `inferlog_enrich_unmatched_records_total`. A member that is
//! there already stays.
//!
//! ```yaml
//! - kubernetes: {}
//! - kubernetes: { when: "not kubernetes.namespace : *" }
//! ```
//!
//! - `when`: condition: on which records.

use std::sync::OnceLock;

use super::processor::{Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room, json};
use crate::telemetry::Counter;

/// The members, in the order of [`Place`].
const MEMBERS: [&str; 5] =
    ["kubernetes.namespace", "kubernetes.pod.name", "kubernetes.pod.uid", "kubernetes.container.name", "container.id"];

/// Hexadecimal digits of a container's id.
const ID_CHARACTERS: usize = 64;

/// Adds what a file's path says of its container.
#[derive(Clone, Debug, Default)]
pub struct Kubernetes {
    /// Counts the records of other files.
    pub unmatched: OnceLock<Counter>,
}

/// What a path says, in the order of [`MEMBERS`]; empty where it does not say it.
type Place<'p> = [&'p str; 5];

impl Processor for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn adds(&self) -> Vec<Path> {
        MEMBERS.map(Path::known).to_vec()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let Some(place) = place(&run.source.file.path) else {
            self.unmatched.get_or_init(|| run.counters.unmatched(self.name(), "other_path")).inc();
            return Ok(());
        };
        for (member, value) in MEMBERS.into_iter().zip(place).filter(|(_, value)| !value.is_empty()) {
            if record.add(&Path::known(member), |out| json::write_string(value, out)) == Room::Blocked {
                run.counters.enrich_left_out_members_total.inc();
            }
        }
        Ok(())
    }
}

/// What a path says of the container that wrote it.
fn place(path: &str) -> Option<Place<'_>> {
    let mut parts = path.rsplit('/');
    let file = parts.next()?;
    let (folder, above) = (parts.next(), parts.next());
    let (stem, _) = file.split_once(".log").filter(|(_, rest)| rest.is_empty() || rest.starts_with('.'))?;
    if let Some(of_pod) = folder.zip(above).and_then(|(container, pod)| of_pod(pod, container, stem)) {
        return Some(of_pod);
    }
    if let Some(id) = stem.strip_suffix("-json") {
        return (Some(id) == folder && is_id(id)).then_some(["", "", "", "", id]);
    }
    let (names, id) = stem.rsplit_once('-').filter(|(_, id)| is_id(id))?;
    let mut names = names.split('_');
    let [pod, namespace, container] = [names.next()?, names.next()?, names.next()?];
    let fits = names.next().is_none() && [pod, namespace, container].into_iter().all(is_name);
    fits.then_some([namespace, pod, "", container, id])
}

/// `NAMESPACE_POD_UID`, `CONTAINER` and the number of its start.
fn of_pod<'p>(pod: &'p str, container: &'p str, stem: &str) -> Option<Place<'p>> {
    let mut names = pod.split('_');
    let [namespace, pod, uid] = [names.next()?, names.next()?, names.next()?];
    let is_number = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit());
    // Of a pod that the node itself runs it is a hash without dashes.
    let is_uid = uid.len() >= 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let fits = names.next().is_none() && is_number && is_uid && [namespace, pod, container].into_iter().all(is_name);
    fits.then_some([namespace, pod, uid, container, ""])
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !name.is_empty() && name.len() <= 253 && name.bytes().all(allowed)
}

fn is_id(id: &str) -> bool {
    id.len() == ID_CHARACTERS && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_whose_log_it_is() {
        let id = "0123456789abcdef".repeat(4);
        let uid = "5f3c0a52-6f8e-4d3f-9d0c-2b1f0e8a7c11";
        let hash = "0123456789abcdef0123456789abcdef";
        for (path, expected) in [
            (format!("/var/log/pods/ml_fraud-7d9c_{uid}/server/0.log"), format!("ml fraud-7d9c {uid} server ")),
            (
                format!("/var/log/pods/ml_fraud_{uid}/server/12.log.20261127-152313.gz"),
                format!("ml fraud {uid} server "),
            ),
            (format!("/host/pods/kube-system_etcd-n1_{hash}/etcd/3.log"), format!("kube-system etcd-n1 {hash} etcd ")),
            (format!("/var/log/pods/ml_fraud_{uid}/server/current.log"), String::new()),
            (format!("/var/log/pods/fraud_{uid}/server/0.log"), String::new()),
            (format!("/var/log/pods/a_b_c_{uid}/server/0.log"), String::new()),
            ("/var/log/pods/ml_fraud_1/server/0.log".to_owned(), String::new()),
            (format!("/var/log/containers/fraud.a_ml_side-car-{id}.log"), format!("ml fraud.a  side-car {id}")),
            (format!("/var/log/containers/fraud_ml_{id}.log"), String::new()),
            (format!("/var/log/containers/fraud_ml_server-{}.log", &id[1..]), String::new()),
            (format!("/var/lib/docker/containers/{id}/{id}-json.log.1"), format!("    {id}")),
            (format!("/var/lib/docker/containers/other/{id}-json.log"), String::new()),
            ("/var/log/models/app.log".to_owned(), String::new()),
            ("0.log".to_owned(), String::new()),
            (String::new(), String::new()),
        ] {
            assert_eq!(place(&path).map_or_else(String::new, |place| place.join(" ")), expected, "{path}");
        }
    }
}
