//! `sink`: where do documents go?

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::field::Field;
use super::model::{ElasticsearchOptions, Policy, Sink, SinkOptions, Store};
use super::report::Span;
use super::section::Section;
use super::yaml::Value;
use crate::elastic::cloud_id;
use crate::elastic::fingerprint::Fingerprint;
use crate::elastic::installation::FailureStore;
use crate::elastic::options::{Auth, ClientOptions, Proxy};
use crate::elastic::retention::{self as elastic, AT_LEAST_DEFAULT, SPAN_MIN};
use crate::elastic::target::{Target, TargetError, TemplateCare};
use crate::elastic::tenants::{NAMESPACES_MAX, NamespaceRule, Tenants};
use crate::sink::store::{BYTES_MAX_MIN, IN_FLIGHT_MAX, Retention};
use crate::text::units::format_duration;

const SINKS: [&str; 3] = ["elasticsearch", "store", "stdout"];

/// The longest name of a sink, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A sink as it is written: its name may be missing.
struct NamedSink {
    kind: &'static str,
    name: Option<String>,
    /// Where its name stands, or else its kind.
    span: Span,
    options: SinkOptions,
    policy: Policy,
}

/// One sink, or a list of them.
pub(super) fn sinks(field: &Field<'_>) -> Option<Vec<Sink>> {
    let written = match &field.node.value {
        Value::List(_) => field.list(sink)?,
        _ => vec![sink(field)?],
    };
    let mut sinks: Vec<Sink> = Vec::new();
    for (place, (name, NamedSink { span, options, policy, .. })) in with_names(written).into_iter().enumerate() {
        if let Some(other) = sinks.iter().position(|other| other.name == name) {
            let message = format!("the sinks {} and {} of this list are both called `{name}`", other + 1, place + 1);
            field.context.complain(&span, message, Some("give one of them another `name`".to_owned()));
            return None;
        }
        let sink = Sink { name, options, policy };
        let other = sinks.iter().find_map(Sink::namespaces).zip(sink.namespaces()).filter(|(one, other)| one != other);
        if other.is_some() {
            let message =
                "the sinks of this list have different rules of namespaces: a record has one namespace".to_owned();
            let hint = "write the same `namespace` in each, or another pipeline file for one of them".to_owned();
            field.context.complain(&span, message, Some(hint));
            return None;
        }
        sinks.push(sink);
    }
    Some(sinks)
}

/// Sinks without a name are called by their kind: `store`, and the second one of the kind `store-2`.
fn with_names(written: Vec<NamedSink>) -> Vec<(String, NamedSink)> {
    let kinds: Vec<&str> = written.iter().map(|sink| sink.kind).collect();
    let default = |place: usize| match kinds[..=place].iter().filter(|kind| **kind == kinds[place]).count() {
        1 => kinds[place].to_owned(),
        n => format!("{}-{n}", kinds[place]),
    };
    let name = |(place, sink): (usize, NamedSink)| (sink.name.clone().unwrap_or_else(|| default(place)), sink);
    written.into_iter().enumerate().map(name).collect()
}

fn sink(field: &Field<'_>) -> Option<NamedSink> {
    let choice = field.choice("sink", &SINKS)?;
    let (kind, mut section) = (choice.name, choice.section);
    let name_field = section.field("name");
    let span = name_field.as_ref().map_or_else(|| section.key_span.clone(), |field| field.node.span.clone());
    let name = name_field.map(|field| sink_name(&field));
    let read = match kind {
        "elasticsearch" => elasticsearch(&mut section),
        "store" => Some((store(&mut section), Policy { in_flight_max: IN_FLIGHT_MAX, ..Policy::default() })),
        // One request at a time, so that lines come out in their order.
        _ => Some((SinkOptions::Stdout, Policy { in_flight_max: 1, ..Policy::default() })),
    };
    section.finish();
    let name = match name {
        Some(read) => Some(read?),
        None => None,
    };
    let (options, policy) = read?;
    Some(NamedSink { kind, name, span, options, policy })
}

fn sink_name(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.chars().all(allowed) {
        return Some(text.to_owned());
    }
    let rule = "letters, digits, `.`, `_` and `-`";
    field.refuse(&format!("a sink's name has {rule}, at most {NAME_BYTES_MAX} of them"))
}

fn elasticsearch(section: &mut Section<'_>) -> Option<(SinkOptions, Policy)> {
    let target = target(section);
    let client = client(section);
    let policy = policy(section);
    let template = template(section);
    let kept = section.field("retention");
    let failure_store = section.optional("failure_store", |field| field.word(&["off", "on"]));
    let target = target?;
    let retention = match kept {
        Some(field) => elasticsearch_retention(&field, &target)?,
        None => elastic::Retention::default(),
    };
    let failure_store = if failure_store == Some("on") { FailureStore::On } else { FailureStore::Off };
    let options = ElasticsearchOptions { client: client?, target, retention, failure_store, template };
    Some((SinkOptions::Elasticsearch(Box::new(options)), policy))
}

fn template(section: &mut Section<'_>) -> TemplateCare {
    let read = |field: &Field<'_>| match field.text()? {
        "managed" => Some(TemplateCare::Managed),
        "unmanaged" => Some(TemplateCare::Unmanaged),
        _ => {
            let hint = "`unmanaged` for templates that others see to: nothing is installed, and nobody looks at them";
            field.refuse_with("`managed` or `unmanaged` is needed", Some(hint.to_owned()))
        }
    };
    section.optional("template", read).unwrap_or_default()
}

fn policy(section: &mut Section<'_>) -> Policy {
    let in_flight_max = section.optional("in_flight_max", |field| field.integer(1..=64));
    let policy = section.optional("retry", retry).unwrap_or_default();
    let item_attempts_max = section.optional("item_attempts_max", |field| field.integer(1..=1_000_000));
    Policy {
        in_flight_max: in_flight_max.map_or(policy.in_flight_max, |requests| requests as usize),
        item_attempts_max: item_attempts_max.unwrap_or(policy.item_attempts_max),
        ..policy
    }
}

fn client(section: &mut Section<'_>) -> Option<ClientOptions> {
    let hosts = hosts(section);
    let auth = auth(section);
    let ca_file = section.optional("ca_file", Field::existing_file);
    let fingerprint = fingerprint(section, hosts.as_deref());
    let client_certificate = client_certificate(section);
    let proxy = section.optional("proxy", |field| Some(Proxy::new(&http_url(field)?)));
    let gzip = section.optional("gzip", Field::boolean);
    let timeouts = Duration::from_secs(1)..=Duration::from_secs(3600);
    let request_timeout = section.optional("request_timeout", |field| field.duration(timeouts));
    let defaults = ClientOptions::new(hosts?);
    Some(ClientOptions {
        auth: auth?,
        ca_file,
        fingerprint,
        client_certificate,
        proxy,
        gzip: gzip.unwrap_or(defaults.gzip),
        request_timeout: request_timeout.unwrap_or(defaults.request_timeout),
        ..defaults
    })
}

/// The hosts, or the one that a cloud id names.
fn hosts(section: &mut Section<'_>) -> Option<Vec<Url>> {
    let Some(cloud) = section.field("cloud_id") else { return section.required("hosts", |field| field.list(host)) };
    if let Some(hosts) = section.field("hosts") {
        return excludes(&hosts, "hosts", "cloud_id");
    }
    match cloud_id::cluster(cloud.text()?) {
        Ok(url) => Some(vec![url]),
        Err(problem) => {
            let hint = "copy it whole: a name, a `:`, and a long word in base64".to_owned();
            cloud.refuse_with(&format!("this is not a cloud id: {problem}"), Some(hint))
        }
    }
}

fn fingerprint(section: &mut Section<'_>, hosts: Option<&[Url]>) -> Option<Fingerprint> {
    let field = section.field("fingerprint")?;
    if section.field("ca_file").is_some() {
        return excludes(&field, "fingerprint", "ca_file");
    }
    if hosts.is_some_and(|hosts| hosts.iter().any(|host| host.scheme() != "https")) {
        return field.refuse("a host that is not asked by `https://` shows no certificate");
    }
    let hint = "as `openssl x509 -noout -fingerprint -sha256 -in CA.pem` prints it".to_owned();
    let read = Fingerprint::read(field.text()?);
    read.or_else(|| field.refuse_with("64 hexadecimal digits are needed, the SHA-256 of a certificate", Some(hint)))
}

/// Reports the first of two keys that cannot stand together.
fn excludes<T>(field: &Field<'_>, key: &str, other: &str) -> Option<T> {
    let hint = Some("keep one of the two".to_owned());
    field.context.complain(&field.key_span, format!("`{key}` excludes `{other}`"), hint);
    None
}

fn http_url(field: &Field<'_>) -> Option<Url> {
    let text = field.text()?;
    // A scheme means the same in capitals.
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        let hint = "such as `http://localhost:9200`".to_owned();
        return field.refuse_with("a URL that starts with `http://` or `https://` is needed", Some(hint));
    }
    match Url::parse(text) {
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            field.refuse("a URL without `?` and `#` is needed")
        }
        Ok(url) => Some(url),
        Err(error) => field.refuse(&format!("this is not a URL: {error}")),
    }
}

fn host(field: &Field<'_>) -> Option<Url> {
    let url = http_url(field)?;
    if url.username().is_empty() && url.password().is_none() {
        return Some(url);
    }
    let hint = "use the keys `username` and `password` in place of them".to_owned();
    field.refuse_with("credentials do not belong into the URL of a host", Some(hint))
}

fn target(section: &mut Section<'_>) -> Option<Target> {
    let data_stream = section.field("data_stream");
    let index = section.field("index");
    match (data_stream, index) {
        (Some(field), None) => match field.node.value {
            Value::Map(_) => tenants(&field),
            _ => checked(&field, Target::data_stream),
        },
        (None, Some(field)) => checked(&field, Target::index),
        (Some(_), Some(index)) => excludes(&index, "index", "data_stream"),
        (None, None) => {
            let hint = "such as `data_stream: logs-ml.inference-default`, or `index: ml-{yyyy.MM.dd}`".to_owned();
            section.complain(format!("`{}` needs `data_stream` or `index`", section.name), Some(hint));
            None
        }
    }
}

/// A data stream for each of some namespaces.
fn tenants(field: &Field<'_>) -> Option<Target> {
    let mut section = field.section()?;
    let dataset = section.required("dataset", |field| field.text().map(str::to_owned));
    let rule = section.required("namespace", namespace_rule);
    section.finish();
    let tenants = Tenants::new(&dataset?, rule?);
    tenants.map_or_else(|error| field.refuse(&error.to_string()), |tenants| Some(Target::Tenants(Box::new(tenants))))
}

fn namespace_rule(field: &Field<'_>) -> Option<NamespaceRule> {
    let mut section = field.section()?;
    let from = section.required("from", Field::field_path);
    let allow = section.required("allow", |field| {
        let names = field.list(|field| field.text().map(str::to_owned))?;
        match names.len() {
            0..=NAMESPACES_MAX => Some(names),
            _ => field.refuse(&format!("at most {NAMESPACES_MAX} namespaces are taken")),
        }
    });
    let otherwise = section.required("else", |field| field.text().map(str::to_owned));
    section.finish();
    let rule = NamespaceRule::new(from?, allow?, otherwise?);
    rule.map_or_else(|error| field.refuse(&error.to_string()), Some)
}

fn checked(field: &Field<'_>, read: fn(&str) -> Result<Target, TargetError>) -> Option<Target> {
    read(field.text()?).map_or_else(|error| field.refuse(&error.to_string()), Some)
}

fn auth(section: &mut Section<'_>) -> Option<Auth> {
    let [username, password] = ["username", "password"].map(|key| section.field(key));
    let [api_key, bearer_token] = ["api_key", "bearer_token"].map(|key| section.field(key));
    let kinds = [username.as_ref().or(password.as_ref()), api_key.as_ref(), bearer_token.as_ref()];
    if let [_, second, ..] = kinds.into_iter().flatten().collect::<Vec<_>>()[..] {
        let hint = "keep `username` with `password`, or `api_key`, or `bearer_token`".to_owned();
        let message = "more than one kind of authentication is given".to_owned();
        section.context.complain(&second.key_span, message, Some(hint));
        return None;
    }
    match (username, password, api_key, bearer_token) {
        (Some(username), Some(password), ..) => {
            let (username, password) = (username.text().map(str::to_owned), password.secret());
            Some(Auth::Basic { user: username?, password: password? })
        }
        (Some(alone), None, ..) => needs_other(&alone, "username", "password"),
        (None, Some(alone), ..) => needs_other(&alone, "password", "username"),
        (_, _, Some(key), _) => key.secret().map(Auth::ApiKey),
        (_, _, _, Some(token)) => token.secret().map(Auth::Bearer),
        _ => Some(Auth::None),
    }
}

/// Reports a key that stands without the one that belongs to it.
fn needs_other<T>(alone: &Field<'_>, key: &str, other: &str) -> Option<T> {
    alone.context.complain(&alone.key_span, format!("`{key}` needs `{other}` beside it"), None);
    None
}

fn client_certificate(section: &mut Section<'_>) -> Option<(PathBuf, PathBuf)> {
    match (section.field("client_certificate"), section.field("client_key")) {
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (certificate.existing_file(), key.existing_file());
            certificate.zip(key)
        }
        (Some(alone), None) => needs_other(&alone, "client_certificate", "client_key"),
        (None, Some(alone)) => needs_other(&alone, "client_key", "client_certificate"),
        (None, None) => None,
    }
}

/// A policy with these waits.
fn retry(field: &Field<'_>) -> Option<Policy> {
    let mut section = field.section()?;
    let policy = Policy::default();
    let waits = |longest| Duration::from_millis(1)..=Duration::from_secs(longest);
    let retry_initial = section.optional("initial", |field| field.duration(waits(60))).unwrap_or(policy.retry_initial);
    let retry_max = section.optional("max", |field| field.duration(waits(3600)));
    let retry_max = retry_max.unwrap_or(policy.retry_max.max(retry_initial));
    if retry_max < retry_initial {
        section.complain(format!("`{0}.max` is less than `{0}.initial`", section.name), None);
    }
    section.finish();
    Some(Policy { retry_initial, retry_max, ..policy })
}

fn store(section: &mut Section<'_>) -> SinkOptions {
    let path = section.optional("path", Field::file);
    let retention = section.optional("retention", retention);
    SinkOptions::Store(Store { path, retention: retention.unwrap_or_default() })
}

/// How old documents get: at least, at most.
fn ages(section: &mut Section<'_>) -> (Option<Duration>, Option<Duration>) {
    let range = || Duration::from_secs(1)..=Duration::from_secs(36_500 * 86_400);
    let at_least = section.optional("at_least", |field| field.duration(range()));
    (at_least, section.optional("at_most", |field| field.duration(range())))
}

/// How long records are kept in Elasticsearch.
fn elasticsearch_retention(field: &Field<'_>, target: &Target) -> Option<elastic::Retention> {
    let mut section = field.section()?;
    let (at_least, at_most) = ages(&mut section);
    let at_least = at_least.unwrap_or(AT_LEAST_DEFAULT);
    let least = format_duration(at_least);
    let problem = match at_most {
        Some(_) if matches!(target, Target::Index(_)) => {
            let hint = "delete dated indices by a lifecycle policy of your own, or ship into a data stream";
            Some((format!("`{}.at_most` is for data streams", section.name), hint.to_owned()))
        }
        Some(at_most) if at_most < at_least + SPAN_MIN => {
            let message = format!("`{0}.at_most` is not a day longer than `{0}.at_least`, {least}", section.name);
            let hint = "what is kept is deleted in pieces, and the difference is how long one is filled: 30d is usual";
            Some((message, hint.to_owned()))
        }
        _ => None,
    };
    if at_least < AT_LEAST_DEFAULT {
        let message = format!("records are kept for {least} only: less than six months");
        let hint = "where a system is high-risk by the EU AI Act, its logs are kept for six months at least (Articles \
                    19 and 26): `at_least: 180d` helps to meet that";
        section.context.remark(&section.key_span, message, Some(hint.to_owned()));
    }
    let is_wrong = problem.is_some();
    if let Some((message, hint)) = problem {
        section.complain(message, Some(hint));
    }
    section.finish();
    (!is_wrong).then_some(elastic::Retention { at_least, at_most })
}

fn retention(field: &Field<'_>) -> Option<Retention> {
    let mut section = field.section()?;
    let (at_least, at_most) = ages(&mut section);
    let bytes_max = section.optional("max_bytes", |field| field.bytes(BYTES_MAX_MIN..=1 << 50));
    let retention = Retention { at_least, at_most, bytes_max };
    if retention.check().is_err() {
        section.complain(format!("`{0}.at_most` is less than `{0}.at_least`", section.name), None);
    }
    section.finish();
    Some(retention)
}
