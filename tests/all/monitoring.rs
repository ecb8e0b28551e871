//! Prometheus and Alertmanager for tests: started on free ports of loopback, asked by their API, gone at the end.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::place::{Running, free_address, http, start, wait_for};

/// A file or folder of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a folder of the project with this end, sorted.
pub(crate) fn project_files(folder: &str, end: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(project(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    files.sort();
    assert!(!files.is_empty(), "no {end} in {folder}");
    files
}

/// A YAML file as JSON.
pub(crate) fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    inferlog::text::yaml::value(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The members of a list; none where there is none.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Runs a program that must end well; gives what it printed to stdout.
pub(crate) fn must_succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A server under test. Dropped, it is killed.
pub(crate) struct Server {
    /// Held so that it lives as long as this.
    running: Running,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Prometheus with the configuration and the data of a folder: `prometheus.yml` and `data/`.
    pub(crate) fn prometheus(program: &str, folder: &Path) -> Server {
        Server::start(program, folder, "prometheus.yml", "--storage.tsdb.path=data", &["--log.level=warn"])
    }

    /// Alertmanager with the `alertmanager.yml` of a folder. It forms no cluster, which would listen to the world.
    pub(crate) fn alertmanager(program: &str, folder: &Path) -> Server {
        let alone = ["--cluster.listen-address=", "--log.level=warn"];
        Server::start(program, folder, "alertmanager.yml", "--storage.path=alertmanager-data", &alone)
    }

    fn start(program: &str, folder: &Path, configuration: &str, storage: &str, more: &[&str]) -> Server {
        let address = free_address();
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null());
        command.arg(format!("--config.file={configuration}")).arg(storage).args(more);
        command.arg(format!("--web.listen-address={address}"));
        let mut server = Server { running: start(command), address };
        wait_for(&format!("{program} to be ready"), || {
            server.running.must_run();
            TcpStream::connect(address).ok()?;
            http(address, "GET", "/-/ready", &[], "").filter(|(status, _)| *status == 200)
        });
        server
    }

    /// What its API answers to a GET: status and JSON.
    pub(crate) fn get(&self, path: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
        let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
        let (status, body) = http(self.address, "GET", &format!("{path}?{query}"), &[], "").unwrap();
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {status}, {error}: {body}")))
    }

    /// The series that an expression gives, at a time in seconds since 1970, or now; an error is Prometheus' own.
    pub(crate) fn query(&self, expression: &str, time: Option<&str>) -> Result<Vec<Value>, String> {
        let time = time.map(|time| ("time", time));
        let parameters: Vec<_> = [("query", expression)].into_iter().chain(time).collect();
        let (status, answer) = self.get("/api/v1/query", &parameters);
        if status != 200 {
            return Err(answer["error"].to_string());
        }
        let result = &answer["data"]["result"];
        Ok(if answer["data"]["resultType"] == "vector" {
            list(result).cloned().collect()
        } else {
            vec![result.clone()]
        })
    }
}

/// The names of metrics in an expression, recorded ones included, each with the text that follows it.
pub(crate) fn metrics_in(expression: &str) -> Vec<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut quoted = false;
    let mut at = 0;
    while at < expression.len() {
        let rest = &expression[at..];
        let first = rest.chars().next().unwrap();
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        if first == '"' {
            quoted = !quoted;
        }
        if quoted || length == 0 {
            at += first.len_utf8();
            continue;
        }
        let (name, after) = rest.split_at(length);
        let prefixes = ["model_", "inferlog_", "node_", "DCGM_"];
        let is_label = ["model_name", "model_version"].contains(&name);
        if name.contains(':') && !name.starts_with(':')
            || name == "up"
            || name == "ALERTS"
            || (prefixes.iter().any(|prefix| name.starts_with(prefix)) && !is_label)
        {
            found.push((name, after));
        }
        at += length;
    }
    found
}

/// The labels that a selector restricts, where one follows a name.
pub(crate) fn selector(after: &str) -> Option<&str> {
    after.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(selector, _)| selector)
}
