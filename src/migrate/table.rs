//! The table: what becomes of each option of Filebeat?
//!
//! `docs/migration.md` has it, and a test holds that every row comes out as it says.

use Fate::{Cannot, NotNeeded, Translated};
use Section::{Elasticsearch, Input, Processor, Top};

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It cannot be said in a pipeline file, or means something else there.
    Cannot,
    /// The pipeline file says it.
    Translated,
    /// inferlog does so by itself, or has nothing that it could be about.
    NotNeeded,
}

impl Fate {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Cannot => "cannot be translated",
            Fate::Translated => "translated",
            Fate::NotNeeded => "not needed",
        }
    }
}

/// Where an option stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// In an item of `filebeat.inputs`.
    Input,
    /// In an item of `processors`, of an input or of all.
    Processor,
    /// Below `output.elasticsearch`.
    Elasticsearch,
    /// At the top of the file.
    Top,
}

impl Section {
    /// What stands before the option's name in reports.
    pub fn prefix(self) -> &'static str {
        match self {
            Section::Input => "inputs: ",
            Section::Processor => "processors: ",
            Section::Elasticsearch => "output.elasticsearch.",
            Section::Top => "",
        }
    }
}

/// What becomes of an option, and of those whose names begin with its name and a dot.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where it stands.
    pub section: Section,
    /// Its name.
    pub option: &'static str,
    /// A value of it, as YAML.
    pub example: &'static str,
    /// What becomes of it.
    pub fate: Fate,
    /// How, or why not.
    pub words: &'static str,
}

const fn row(section: Section, option: &'static str, example: &'static str, fate: Fate, words: &'static str) -> Row {
    Row { section, option, example, fate, words }
}

/// The options that are known, by section.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    row(Input, "type", "filestream", Translated, "files of `filestream`, `log` and `container`; of other types nothing is made"),
    row(Input, "enabled", "true", Translated, "an input that is switched off gives no pipeline"),
    row(Input, "paths", "[/var/log/model/*.log]", Translated, "`source.files.paths`"),
    row(Input, "exclude_files", "['\\.gz$']", Translated, "`source.files.exclude`, of expressions that are the end of a name; archives are read as what was rotated away"),
    row(Input, "prospector.scanner.exclude_files", "['\\.bak$']", Translated, "the same"),
    row(Input, "ignore_older", "48h", Translated, "`first_seen`: at the very first start older files are passed over; later none is"),
    row(Input, "tail_files", "true", Translated, "`first_seen: end`"),
    row(Input, "encoding", "utf-16le", Translated, "`encoding`, of `utf-8`, `plain`, UTF-16 and Latin-1"),
    row(Input, "max_bytes", "1048576", Translated, "`line_bytes_max`; a longer line is named in the dead letter and not cut"),
    row(Input, "message_max_bytes", "1048576", Translated, "the same"),
    row(Input, "scan_frequency", "10s", Translated, "`poll_interval`; beside it the system tells of changes"),
    row(Input, "prospector.scanner.check_interval", "10s", Translated, "the same"),
    row(Input, "parsers.ndjson", "{ target: \"\" }", Translated, "`decode: json`; the members stand at the top level"),
    row(Input, "parsers.container", "{ stream: stdout, format: docker }", Translated, "`decode: [docker, …]`, `cri` or `auto`, and a `drop` of the other stream"),
    row(Input, "parsers.multiline", "{ type: pattern, pattern: '^\\s' }", Cannot, "indented lines and Python tracebacks are joined without it; nothing else is"),
    row(Input, "parsers.syslog", "{ format: auto }", Cannot, "inferlog reads logs of models"),
    row(Input, "parsers.include_message", "{ patterns: ['^ERR'] }", Cannot, "write a `drop` with a condition on members"),
    row(Input, "json", "{ keys_under_root: true }", Translated, "`decode: json`; the members stand at the top level"),
    row(Input, "multiline", "{ pattern: '^\\s' }", Cannot, "indented lines and Python tracebacks are joined without it; nothing else is"),
    row(Input, "stream", "stderr", Translated, "of `container`: a `drop` of the other stream"),
    row(Input, "format", "cri", Translated, "of `container`: `decode: [cri, …]`"),
    row(Input, "fields", "{ team: risk }", Translated, "`add`, below `fields.` or at the top level as `fields_under_root` says; of single values"),
    row(Input, "fields_under_root", "true", Translated, "see `fields`"),
    row(Input, "tags", "[model]", Translated, "`add`, of one tag: it adds no lists"),
    row(Input, "processors", "[{ drop_fields: { fields: [a] } }]", Translated, "one by one: see below"),
    row(Input, "include_lines", "['^ERR']", Cannot, "write a `drop` with a condition on members"),
    row(Input, "exclude_lines", "['^DBG']", Cannot, "write a `drop` with a condition on members"),
    row(Input, "index", "other", Cannot, "name it in the sink of this input's pipeline file"),
    row(Input, "pipeline", "other", Cannot, "set `index.default_pipeline` in a component template of yours (`@custom`)"),
    row(Input, "ignore_inactive", "since_last_start", Cannot, "what was not read is read"),
    row(Input, "line_terminator", "line_feed", Cannot, "a line ends with a line feed, before which a carriage return may stand"),
    row(Input, "delete", "{ enabled: true }", Cannot, "inferlog never deletes a log: `logrotate` does"),
    row(Input, "publisher_pipeline", "{ disable_host: true }", Cannot, "`host.name` is always added"),
    row(Input, "id", "model-log", NotNeeded, "a file is known by inode and content, not by the input"),
    row(Input, "keep_null", "true", NotNeeded, "a member that nobody edits stays as it is"),
    row(Input, "harvester_limit", "100", NotNeeded, "an open file costs some hundred bytes; see `open_files_max`"),
    row(Input, "harvester_buffer_size", "16384", NotNeeded, "buffers belong to no file"),
    row(Input, "buffer_size", "16384", NotNeeded, "buffers belong to no file"),
    row(Input, "backoff", "{ init: 2s }", NotNeeded, "the system tells of changes"),
    row(Input, "max_backoff", "10s", NotNeeded, "the system tells of changes"),
    row(Input, "backoff_factor", "2", NotNeeded, "the system tells of changes"),
    row(Input, "close", "{ on_state_change: { inactive: 5m } }", NotNeeded, "a file is held open until it is delivered, and closed by `open_files_max`"),
    row(Input, "close_inactive", "5m", NotNeeded, "the same"),
    row(Input, "close_renamed", "true", NotNeeded, "the same; a renamed file is followed"),
    row(Input, "close_removed", "true", NotNeeded, "the same; the rest of a removed file is salvaged"),
    row(Input, "close_eof", "true", NotNeeded, "the same"),
    row(Input, "close_timeout", "5m", NotNeeded, "the same"),
    row(Input, "clean_inactive", "72h", NotNeeded, "what is known of a finished file is kept for 30 days"),
    row(Input, "clean_removed", "true", NotNeeded, "the same"),
    row(Input, "file_identity", "{ fingerprint: ~ }", NotNeeded, "a file is known by inode, beginning, and the bytes before the offset"),
    row(Input, "prospector.scanner.fingerprint", "{ enabled: true }", NotNeeded, "the same"),
    row(Input, "prospector.scanner.symlinks", "true", NotNeeded, "links are followed; a file is read once"),
    row(Input, "prospector.scanner.recursive_glob", "true", NotNeeded, "`**` is understood"),
    row(Input, "prospector.scanner.resend_on_touch", "true", NotNeeded, "content decides, not times"),
    row(Input, "symlinks", "true", NotNeeded, "links are followed; a file is read once"),
    row(Input, "recursive_glob", "{ enabled: true }", NotNeeded, "`**` is understood"),
    row(Input, "rotation", "{ external: { strategy: { copytruncate: { suffix_regex: x } } } }", NotNeeded, "every style of rotation is recognised"),
    row(Input, "scan", "{ sort: modtime }", NotNeeded, "all files are read in turn"),
    row(Input, "take_over", "{ enabled: true }", NotNeeded, "see `--registry`"),
    row(Input, "allow_deprecated_use", "true", NotNeeded, "it is about Filebeat itself"),
    row(Processor, "add_fields", "{ target: app, fields: { name: x } }", Translated, "`add`, of single values"),
    row(Processor, "add_labels", "{ labels: { a: b } }", Translated, "`add`, below `labels.`"),
    row(Processor, "add_tags", "{ tags: [x] }", Translated, "`add`, of one tag: it adds no lists"),
    row(Processor, "add_kubernetes_metadata", "{ host: node }", Translated, "`kubernetes`: namespace, pod and container from the path of the log; labels are not asked for"),
    row(Processor, "convert", "{ fields: [{ from: a, to: b, type: integer }] }", Translated, "`copy` and `convert`; not of `ip`"),
    row(Processor, "copy_fields", "{ fields: [{ from: a, to: b }] }", Translated, "`copy`"),
    row(Processor, "decode_json_fields", "{ fields: [message], target: \"\" }", Translated, "`decode: json` of the line, or `decode: { expand: … }` of a member"),
    row(Processor, "drop_event", "{ when: { equals: { level: debug } } }", Translated, "`drop`, with the condition in KQL"),
    row(Processor, "drop_fields", "{ fields: [a] }", Translated, "`remove`; not of expressions"),
    row(Processor, "include_fields", "{ fields: [a] }", Translated, "`redact: { keep_only: … }`; not of expressions"),
    row(Processor, "rename", "{ fields: [{ from: a, to: b }] }", Translated, "`rename`"),
    row(Processor, "timestamp", "{ field: time, layouts: ['2006-01-02 15:04:05'], timezone: Europe/Berlin }", Translated, "`timestamp`; layouts become `formats` where they have a letter of `strftime`"),
    row(Processor, "truncate_fields", "{ fields: [a], max_bytes: 100 }", Translated, "`truncate`; not by `max_characters`"),
    row(Processor, "add_cloud_metadata", "~", Cannot, "`add` what you know of the machine"),
    row(Processor, "add_docker_metadata", "~", Cannot, "`kubernetes` adds `container.id` from the path; nothing is asked of Docker"),
    row(Processor, "add_formatted_index", "{ index: x }", Cannot, "a pipeline has one target: write another pipeline file"),
    row(Processor, "add_locale", "~", Cannot, "times are kept as the log has them; `timestamp` knows zones"),
    row(Processor, "add_network_direction", "{ source: a }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "add_process_metadata", "{ match_pids: [pid] }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "append", "{ target_field: a, values: [b] }", Cannot, "`add` adds single values"),
    row(Processor, "cache", "{ get: { key_field: a } }", Cannot, "`lookup` reads a table"),
    row(Processor, "community_id", "~", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "decode_base64_field", "{ field: { from: a, to: b } }", Cannot, "`decode: { expand: { as: base64 } }` does so before the processors: write it by hand"),
    row(Processor, "decode_cef", "{ field: a }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "decode_csv_fields", "{ fields: { a: b } }", Cannot, "`decode: { expand: { as: csv } }` does so before the processors: write it by hand"),
    row(Processor, "decode_duration", "{ field: a }", Cannot, "`roles: { latency_ms: { unit: auto } }` reads durations: write it by hand"),
    row(Processor, "decode_xml", "{ field: a }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "decompress_gzip_field", "{ field: { from: a, to: b } }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "detect_mime_type", "{ field: a, target: b }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "dissect", "{ tokenizer: '%{a} %{b}' }", Cannot, "`extract` takes a text apart by an expression: write it by hand"),
    row(Processor, "dns", "{ type: reverse }", Cannot, "inferlog asks nobody about a record"),
    row(Processor, "extract_array", "{ field: a }", Cannot, "`roles` reads an element: write it by hand"),
    row(Processor, "fingerprint", "{ fields: [a] }", Cannot, "`hash` makes other digests: write it by hand"),
    row(Processor, "if", "{ equals: { a: b } }", Cannot, "give each processor its `when`"),
    row(Processor, "lowercase", "{ fields: [a] }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "move_fields", "{ from: a, to: b }", Cannot, "`rename` gives single members new names: write it by hand"),
    row(Processor, "rate_limit", "{ limit: 10/s }", Cannot, "it drops; `rate_limit:` of a pipeline delays, `sample` drops by hash"),
    row(Processor, "registered_domain", "{ field: a, target_field: b }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "replace", "{ fields: [{ field: a, pattern: b, replacement: c }] }", Cannot, "to hide a part of a text, see `redact`"),
    row(Processor, "script", "{ lang: javascript, source: x }", Cannot, "there is no scripting language"),
    row(Processor, "syslog", "{ field: a }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "translate_sid", "{ field: a }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "uppercase", "{ fields: [a] }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "urldecode", "{ fields: [{ from: a, to: b }] }", Cannot, "inferlog has nothing of the kind"),
    row(Processor, "add_host_metadata", "~", NotNeeded, "`host.name` is added; of system, addresses and hardware nothing is"),
    row(Processor, "add_id", "~", NotNeeded, "each document has an `_id` that a second sending meets again"),
    row(Processor, "add_observer_metadata", "~", NotNeeded, "`host.name` is added"),
    row(Elasticsearch, "hosts", "[\"https://es:9200\"]", Translated, "`hosts`, with protocol and path"),
    row(Elasticsearch, "protocol", "https", Translated, "a part of `hosts`"),
    row(Elasticsearch, "path", "/es", Translated, "a part of `hosts`"),
    row(Elasticsearch, "username", "shipper", Translated, "`username`"),
    row(Elasticsearch, "password", "secret", Translated, "`password: \"${ES_PASSWORD}\"`; what stands in the file is not copied"),
    row(Elasticsearch, "api_key", "id:secret", Translated, "`api_key: \"${ES_API_KEY}\"`; what stands in the file is not copied"),
    row(Elasticsearch, "index", "\"model-%{+yyyy.MM.dd}\"", Translated, "a comment: inferlog ships into a stream of its own, whose template it installs, until you say otherwise"),
    row(Elasticsearch, "ssl.certificate_authorities", "[/etc/ssl/certs/ca-certificates.crt]", Translated, "`ca_file`, of one file that is there"),
    row(Elasticsearch, "ssl.certificate", "/etc/hostname", Translated, "`client_certificate`, with its key, of files that are there"),
    row(Elasticsearch, "ssl.key", "/etc/hostname", Translated, "`client_key`, the same"),
    row(Elasticsearch, "ssl.ca_trusted_fingerprint", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Translated, "`fingerprint`"),
    row(Elasticsearch, "ssl.verification_mode", "none", Cannot, "whom inferlog sends records to has to be known: `ca_file` or `fingerprint`; `full` is not needed, as it is always so"),
    row(Elasticsearch, "ssl.enabled", "true", NotNeeded, "`https://` says so"),
    row(Elasticsearch, "ssl", "{ supported_protocols: [TLSv1.3] }", Cannot, "TLS 1.2 and 1.3 with the library's own ciphers; a key file has no passphrase"),
    row(Elasticsearch, "bulk_max_size", "1600", Translated, "`batch.items_max`"),
    row(Elasticsearch, "worker", "2", Translated, "`in_flight_max`"),
    row(Elasticsearch, "workers", "2", Translated, "`in_flight_max`"),
    row(Elasticsearch, "compression_level", "0", Translated, "`gzip`, on or off"),
    row(Elasticsearch, "timeout", "90s", Translated, "`request_timeout`"),
    row(Elasticsearch, "backoff", "{ init: 1s, max: 60s }", Translated, "`retry: { initial, max }`"),
    row(Elasticsearch, "proxy_url", "http://proxy:3128", Translated, "`proxy`"),
    row(Elasticsearch, "enabled", "true", Translated, "an output that is switched off is none"),
    row(Elasticsearch, "indices", "[{ index: x }]", Cannot, "a pipeline has one target: write another pipeline file, or a namespace a tenant"),
    row(Elasticsearch, "pipeline", "x", Cannot, "set `index.default_pipeline` in a component template of yours (`@custom`)"),
    row(Elasticsearch, "pipelines", "[{ pipeline: x }]", Cannot, "the same"),
    row(Elasticsearch, "parameters", "{ a: b }", Cannot, "requests have the parameters that answers are judged by"),
    row(Elasticsearch, "headers", "{ X-A: b }", Cannot, "requests have the headers that they need"),
    row(Elasticsearch, "proxy_headers", "{ X-A: b }", Cannot, "the same"),
    row(Elasticsearch, "proxy_disable", "true", Cannot, "set `NO_PROXY` in the environment"),
    row(Elasticsearch, "kerberos", "{ enabled: true }", Cannot, "use an API key"),
    row(Elasticsearch, "max_retries", "3", NotNeeded, "what may succeed is sent again until it has"),
    row(Elasticsearch, "loadbalance", "true", NotNeeded, "requests go to all hosts"),
    row(Elasticsearch, "escape_html", "false", NotNeeded, "nothing is altered"),
    row(Elasticsearch, "allow_older_versions", "true", NotNeeded, "`setup` finds out what a server knows"),
    row(Elasticsearch, "preset", "balanced", NotNeeded, "`in_flight_max` and `batch` have defaults"),
    row(Elasticsearch, "idle_connection_timeout", "3s", NotNeeded, "connections are kept while they are used"),
    row(Elasticsearch, "non_indexable_policy", "{ drop: ~ }", NotNeeded, "what cannot be indexed goes to the dead letter"),
    row(Elasticsearch, "queue", "{ mem: { events: 3200 } }", NotNeeded, "the log file is the queue; see `queue`"),
    row(Top, "filebeat.inputs", "[]", Translated, "a pipeline file each: see above"),
    row(Top, "processors", "[{ drop_fields: { fields: [a] } }]", Translated, "behind those of each input"),
    row(Top, "fields", "{ team: risk }", Translated, "as of an input"),
    row(Top, "fields_under_root", "true", Translated, "see `fields`"),
    row(Top, "tags", "[model]", Translated, "as of an input"),
    row(Top, "output.elasticsearch", "{ hosts: [\"http://es:9200\"] }", Translated, "`sink: { elasticsearch: … }`: see above"),
    row(Top, "output.console", "{ enabled: true }", Translated, "`sink: stdout`"),
    row(Top, "cloud.id", "\"x:ZXhhbXBsZS5jb20kYWJj\"", Translated, "`cloud_id`"),
    row(Top, "cloud.auth", "elastic:secret", Translated, "`username` and `password: \"${ES_PASSWORD}\"`"),
    row(Top, "output.logstash", "{ hosts: [\"ls:5044\"] }", Cannot, "inferlog does Logstash's part itself: see the table of its filters"),
    row(Top, "output.kafka", "{ topic: x }", Cannot, "inferlog ships into Elasticsearch and its own store"),
    row(Top, "output.redis", "{ key: x }", Cannot, "the same"),
    row(Top, "output.file", "{ path: /tmp }", Cannot, "the same; `sink: stdout` prints"),
    row(Top, "output.discard", "{ enabled: true }", Cannot, "the same"),
    row(Top, "filebeat.modules", "[{ module: nginx }]", Cannot, "inferlog reads logs of models"),
    row(Top, "filebeat.config", "{ inputs: { path: inputs.d/*.yml } }", Cannot, "translate the inputs of these files in a file of their own"),
    row(Top, "filebeat.autodiscover", "{ providers: [] }", Cannot, "name the folder of the logs: `/var/log/pods/*/*/*.log`"),
    row(Top, "name", "shipper-1", Cannot, "`host.name` is that of the machine; see `source.id`"),
    row(Top, "features", "{ fqdn: { enabled: true } }", Cannot, "`host.name` is what the machine says"),
    row(Top, "filebeat.registry", "{ path: registry }", NotNeeded, "state is in `--data-dir`; see `--registry`"),
    row(Top, "filebeat.shutdown_timeout", "5s", NotNeeded, "a stop waits 25 s, and nothing is lost after that either"),
    row(Top, "filebeat.overwrite_pipelines", "true", NotNeeded, "there are no ingest pipelines"),
    row(Top, "queue", "{ mem: { events: 3200 } }", NotNeeded, "the log file is the queue; see `queue`"),
    row(Top, "logging", "{ level: info }", NotNeeded, "`INFERLOG_LOG` says how much inferlog tells of itself"),
    row(Top, "http", "{ enabled: true }", NotNeeded, "`/metrics`, `/healthz` and `/readyz` are there"),
    row(Top, "monitoring", "{ enabled: true }", NotNeeded, "accounts are shipped into `metrics-ml.pipeline-*`"),
    row(Top, "setup", "{ kibana: { host: \"kb:5601\" } }", NotNeeded, "`inferlog setup apply` installs what is needed"),
    row(Top, "path", "{ data: /var/lib/filebeat }", NotNeeded, "state is in `--data-dir`"),
    row(Top, "max_procs", "1", NotNeeded, "a pipeline is one thread, unless `workers` asks for more"),
    row(Top, "timestamp.precision", "nanosecond", NotNeeded, "times keep their digits"),
    row(Top, "instrumentation", "{ enabled: false }", NotNeeded, "nothing phones home"),
    row(Top, "seccomp", "{ enabled: true }", NotNeeded, "see `deploy/systemd`"),
];

/// The row of an option: the one with the longest name that it is, or is below.
pub fn row_of(section: Section, option: &str) -> Option<&'static Row> {
    let is_of = |row: &&Row| {
        row.section == section
            && option.strip_prefix(row.option).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    TABLE.iter().filter(is_of).max_by_key(|row| row.option.len())
}

/// What a filter of Logstash is in inferlog: nothing of it is translated.
pub const LOGSTASH: &[(&str, &str)] = &[
    ("json", "`decode: json`, or `decode: { expand: { field: …, as: json } }` of a member"),
    ("grok", "`extract`, with an expression and named groups"),
    ("dissect", "`extract`, the same"),
    ("kv", "`extract`, a group a key; nothing for keys that are not known"),
    ("csv", "`decode: { expand: { as: csv } }`"),
    ("date", "`timestamp`, with `zone` and `formats`"),
    ("mutate", "`rename`, `remove`, `copy`, `convert`, `add`; nothing for `gsub`, `lowercase`, `split`, `join`"),
    ("drop", "`drop`, with its condition in KQL; of a percentage `sample`"),
    ("fingerprint", "`hash`, with or without a key; `id` for the document's id"),
    ("geoip", "`geoip`"),
    ("useragent", "`user_agent`"),
    ("translate", "`lookup`"),
    ("anonymize", "`hash` with a key, `redact`"),
    ("prune", "`redact: { keep_only: … }`"),
    ("truncate", "`truncate`"),
    ("split", "`decode: { split: … }`, of a batch in one line"),
    ("aggregate", "`decode: { pair: … }`, of a request and its response; nothing else"),
    ("throttle", "`rate_limit` delays, `sample` leaves out by hash"),
    ("clone", "write two pipelines, or two sinks"),
    ("uuid", "each document has an `_id` of its own"),
    ("de_dot", "not needed: dotted and nested names are one"),
    ("ruby", "nothing: there is no scripting language"),
    ("elasticsearch", "nothing: a record asks nobody"),
    ("jdbc_streaming", "`lookup`, of a table in a file"),
    ("dns", "nothing: a record asks nobody"),
    ("http", "nothing: a record asks nobody"),
    ("metrics", "`observe: model_metrics`, and `/metrics`"),
    ("multiline", "indented lines and Python tracebacks are joined; nothing else is"),
    ("urldecode", "nothing"),
    ("xml", "nothing"),
];
