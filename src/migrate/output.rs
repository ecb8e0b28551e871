//! Output: where do documents go? Secrets are asked of the environment, whatever stands in the file.

use std::path::Path;
use std::time::Duration;

use super::Report;
use super::settings::{Settings, duration, list, number, quoted};
use super::table::Section::{Elasticsearch, Top};

/// The stream that inferlog ships into: its own.
const DATA_STREAM: &str = "data_stream: logs-ml.inference-default";

/// The lines of the sink, with `batch` before it.
pub(super) fn sink(settings: &mut Settings, folder: &Path, report: &mut Report) -> Vec<String> {
    let cloud = (settings.take_text("cloud.id"), settings.take_text("cloud.auth"));
    if let Some(mut console) = settings.take_map("output.console") {
        report.known(Top, "output.console");
        if console.take_flag("enabled") != Some(false) {
            return elsewhere("sink: stdout", &cloud, report);
        }
    }
    let output = settings.take_map("output.elasticsearch").map(|mut output| (output.take_flag("enabled"), output));
    match output {
        Some((enabled, mut output)) if enabled != Some(false) => {
            report.known(Top, "output.elasticsearch");
            enabled.is_some().then(|| report.known(Elasticsearch, "enabled"));
            elasticsearch(&mut output, &cloud, folder, report)
        }
        _ if cloud.0.is_some() => elasticsearch(&mut Settings::default(), &cloud, folder, report),
        other => {
            other.is_some().then(|| report.known(Elasticsearch, "enabled"));
            elsewhere(STORE, &cloud, report)
        }
    }
}

const STORE: &str = "# Where documents go: the embedded store, until another sink is named.\nsink: { store: {} }";

/// Another sink, of which `cloud` says nothing.
fn elsewhere(sink: &str, (id, login): &Cloud, report: &mut Report) -> Vec<String> {
    let unused = [("cloud.id", id), ("cloud.auth", login)].into_iter().filter(|(_, value)| value.is_some());
    let comments = unused.filter_map(|(option, _)| report.cannot(Top, option, "the output is not Elasticsearch"));
    comments.chain([sink.to_owned()]).collect()
}

type Cloud = (Option<String>, Option<String>);

fn elasticsearch(output: &mut Settings, cloud: &Cloud, folder: &Path, report: &mut Report) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(items) = output.take_if("bulk_max_size", |items| number(items, 1..=65_536)) {
        report.known(Elasticsearch, "bulk_max_size");
        lines.push(format!("batch: {{ items_max: {items} }}\n"));
    }
    let mut options = Vec::new();
    let is_https = places(output, cloud, &mut options, report);
    login(output, cloud.1.as_deref(), &mut options, report);
    certificates(output, is_https, folder, &mut options, report);
    options.push(DATA_STREAM.to_owned());
    if let Some(index) = output.take_text("index") {
        options.push(
            "# Filebeat ships to this; write it here when Filebeat is switched off, if it is to stay:".to_owned(),
        );
        options.push(match pattern(&index) {
            Some(index) => format!("# index: {}", quoted(&index)),
            None => "# (its name has a part that is no date)".to_owned(),
        });
        report.known(Elasticsearch, "index");
    }
    requests(output, &mut options, report);
    options.extend(report.rest(Elasticsearch, output));
    lines.push("sink:\n  elasticsearch:".to_owned());
    lines.extend(options.iter().map(|option| format!("    {option}")));
    lines
}

/// `model-{yyyy.MM.dd}` of `model-%{+yyyy.MM.dd}`.
fn pattern(index: &str) -> Option<String> {
    let pattern = index.replace("%{+", "{");
    (!pattern.contains("%{")).then_some(pattern)
}

/// The hosts, or the cloud id; whether they are asked by `https://`.
fn places(output: &mut Settings, (id, _): &Cloud, options: &mut Vec<String>, report: &mut Report) -> bool {
    let protocol = output.take_text("protocol");
    protocol.is_some().then(|| report.known(Elasticsearch, "protocol"));
    let path = output.take_text("path");
    path.is_some().then(|| report.known(Elasticsearch, "path"));
    let hosts = output.take_texts("hosts");
    hosts.is_some().then(|| report.known(Elasticsearch, "hosts"));
    if let Some(id) = id {
        report.known(Top, "cloud.id");
        options.push(format!("cloud_id: {}", quoted(id)));
        return true;
    }
    let (protocol, path) = (protocol.as_deref().unwrap_or("http"), path.unwrap_or_default());
    let hosts = hosts.unwrap_or_else(|| vec!["localhost".to_owned()]);
    let mut has_user = false;
    let urls: Vec<String> = hosts
        .iter()
        .map(|host| {
            let (scheme, rest) = host.split_once("://").unwrap_or((protocol, host));
            let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| {
                has_user = true;
                rest
            });
            let (place, below) = rest.split_once('/').unwrap_or((rest, ""));
            let bare = place.rsplit(']').next().unwrap_or(place);
            let port = if bare.contains(':') || place.contains("${") { "" } else { ":9200" };
            let below = if below.is_empty() { path.trim_matches('/') } else { below };
            format!("{scheme}://{place}{port}{}{below}", if below.is_empty() { "" } else { "/" })
        })
        .collect();
    options.push(format!("hosts: {}", list(&urls)));
    if has_user && output.get("username").is_none() {
        options.push("username: \"${ES_USERNAME}\"".to_owned());
        options.push("password: \"${ES_PASSWORD}\"".to_owned());
    }
    urls.iter().all(|url| url.starts_with("https://"))
}

/// Whoever stands in the file by name; secrets are asked of the environment.
fn login(output: &mut Settings, cloud: Option<&str>, options: &mut Vec<String>, report: &mut Report) {
    let key = output.take_text("api_key");
    let (user, password) = (output.take_text("username"), output.take_text("password"));
    if let Some(key) = key {
        report.known(Elasticsearch, "api_key");
        return options.push(format!("api_key: {}", secret(&key, "ES_API_KEY")));
    }
    if let Some((user, password)) = cloud.and_then(|cloud| cloud.split_once(':')) {
        report.known(Top, "cloud.auth");
        options.push(format!("username: {}", quoted(user)));
        return options.push(format!("password: {}", secret(password, "ES_PASSWORD")));
    }
    if user.is_none() && password.is_some() {
        options.extend(report.cannot(Elasticsearch, "password", "it needs a `username`"));
    }
    if let Some(user) = user {
        report.known(Elasticsearch, "username");
        password.is_some().then(|| report.known(Elasticsearch, "password"));
        options.push(format!("username: {}", quoted(&user)));
        options.push(format!("password: {}", secret(&password.unwrap_or_default(), "ES_PASSWORD")));
    }
}

/// A reference to a variable: the one that the file names, without a default, else one of ours.
fn secret(value: &str, name: &str) -> String {
    let named = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let named = named.map(|reference| reference.split(':').next().unwrap_or_default());
    let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    quoted(&format!("${{{}}}", named.filter(is_name).unwrap_or(name)))
}

fn certificates(output: &mut Settings, is_https: bool, folder: &Path, options: &mut Vec<String>, report: &mut Report) {
    let there =
        |file: &str| Some(folder.join(file)).filter(|path| path.is_file()).map(|path| path.display().to_string());
    if let Some(fingerprint) = output.take_text("ssl.ca_trusted_fingerprint") {
        options.extend(match is_https {
            true => {
                report.known(Elasticsearch, "ssl.ca_trusted_fingerprint");
                Some(format!("fingerprint: {}", quoted(&fingerprint)))
            }
            false => {
                report.cannot(Elasticsearch, "ssl.ca_trusted_fingerprint", "the hosts are not asked by `https://`")
            }
        });
    } else if let Some(files) = output.take_texts("ssl.certificate_authorities") {
        let file = match files.as_slice() {
            [one] => there(one),
            _ => None,
        };
        options.extend(match file {
            Some(file) => {
                report.known(Elasticsearch, "ssl.certificate_authorities");
                Some(format!("ca_file: {}", quoted(&file)))
            }
            None => report.cannot(
                Elasticsearch,
                "ssl.certificate_authorities",
                "`ca_file` takes one file, which has to be there",
            ),
        });
    }
    let pair = (output.take_text("ssl.certificate"), output.take_text("ssl.key"));
    if let (Some(certificate), Some(key)) = &pair {
        match there(certificate).zip(there(key)) {
            Some((certificate, key)) => {
                report.known(Elasticsearch, "ssl.certificate");
                report.known(Elasticsearch, "ssl.key");
                options.push(format!("client_certificate: {}", quoted(&certificate)));
                options.push(format!("client_key: {}", quoted(&key)));
            }
            None => options.extend(report.cannot(
                Elasticsearch,
                "ssl.certificate",
                "certificate and key have to be there, as files",
            )),
        }
    } else if pair.0.is_some() || pair.1.is_some() {
        options.extend(report.cannot(
            Elasticsearch,
            "ssl.certificate",
            "a certificate needs its key, and a key its certificate",
        ));
    }
    if output.get("ssl.verification_mode").and_then(|mode| mode.as_str()) == Some("full") {
        output.take("ssl.verification_mode");
        report.tell(Elasticsearch, "ssl.verification_mode", super::Fate::NotNeeded, "it is always `full`");
    }
}

fn requests(output: &mut Settings, options: &mut Vec<String>, report: &mut Report) {
    for option in ["worker", "workers"] {
        if let Some(workers) = output.take_if(option, |workers| number(workers, 1..=64)) {
            report.known(Elasticsearch, option);
            options.push(format!("in_flight_max: {workers}"));
        }
    }
    if let Some(level) = output.take_text("compression_level") {
        report.known(Elasticsearch, "compression_level");
        options.push(format!("gzip: {}", level != "0"));
    }
    let seconds = |least, most| Duration::from_secs(least)..=Duration::from_secs(most);
    if let Some(timeout) = output.take_if("timeout", |timeout| duration(timeout, seconds(1, 3_600))) {
        report.known(Elasticsearch, "timeout");
        options.push(format!("request_timeout: {timeout}"));
    }
    let waits = [("init", 60), ("max", 3_600)].map(|(name, most)| {
        let range = Duration::from_millis(1)..=Duration::from_secs(most);
        output.take_if(&format!("backoff.{name}"), |wait| duration(wait, range))
    });
    if waits.iter().any(Option::is_some) {
        report.known(Elasticsearch, "backoff");
        let named = ["initial", "max"]
            .iter()
            .zip(&waits)
            .filter_map(|(name, wait)| Some(format!("{name}: {}", wait.as_ref()?)));
        options.push(format!("retry: {{ {} }}", named.collect::<Vec<_>>().join(", ")));
    }
    if let Some(proxy) = output.take_text("proxy_url") {
        report.known(Elasticsearch, "proxy_url");
        // Who stands in it may have a password.
        options.push(format!(
            "proxy: {}",
            if proxy.contains('@') { "\"${ES_PROXY}\"".to_owned() } else { quoted(&proxy) }
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_reference_whatever_stands_in_the_file() {
        for (value, expected) in [
            ("hunter2", "\"${ES_PASSWORD}\""),
            ("${OWN}", "\"${OWN}\""),
            ("${OWN:hunter2}", "\"${OWN}\""),
            ("x${OWN}", "\"${ES_PASSWORD}\""),
            ("${a b}", "\"${ES_PASSWORD}\""),
            ("", "\"${ES_PASSWORD}\""),
        ] {
            assert_eq!(secret(value, "ES_PASSWORD"), expected, "{value}");
        }
    }
}
