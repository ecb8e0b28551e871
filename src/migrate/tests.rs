//! Whole configurations: what comes of them, and does the table say so?

use std::fmt::Write as _;
use std::path::Path;

use super::table::{LOGSTASH, Row, TABLE};
use super::*;
use crate::config::{self, Environment};

/// Translates, and fails unless each draft is a pipeline file that loads.
fn translated(text: &str) -> Translation {
    let translation = translate(text, Path::new("/"), None).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    let environment = Environment::new(|_| Some("https://localhost:9200".to_owned()));
    for draft in &translation.drafts {
        let loaded = config::load_text_with(Path::new("/tmp/p.yaml"), draft, &environment);
        assert!(loaded.is_ok(), "{}\nof\n{text}\nis\n{draft}", loaded.unwrap_err());
    }
    translation
}

/// A configuration with one option.
fn with(Row { section, option, example, .. }: &Row) -> String {
    let nested = |text: &str| format!("{{ {option}: {text} }}");
    let input =
        |options: &str| format!("filebeat.inputs:\n  - type: filestream\n    paths: [/var/log/a.log]\n{options}");
    let output = "output.elasticsearch:\n  hosts: [\"https://es:9200\"]\n";
    match (section, *option) {
        (Section::Input, "type" | "paths") => input(""),
        (Section::Input, "stream" | "format") => {
            input(&format!("    {option}: {example}\n")).replace("filestream", "container")
        }
        (Section::Input, name) if name.starts_with("parsers.") => {
            input(&format!("    parsers:\n      - {}: {example}\n", name.trim_start_matches("parsers.")))
        }
        (Section::Input, _) => input(&format!("    {option}: {example}\n")),
        (Section::Processor, _) => input("") + &format!("processors:\n  - {}\n", nested(example)),
        (Section::Elasticsearch, "hosts") => input("") + output,
        (Section::Elasticsearch, "ssl.certificate" | "ssl.key") => {
            input("") + output + "  ssl.certificate: /etc/hostname\n  ssl.key: /etc/hostname\n"
        }
        (Section::Elasticsearch, "password") => input("") + output + &format!("  username: u\n  {option}: {example}\n"),
        (Section::Elasticsearch, _) => input("") + output + &format!("  {option}: {example}\n"),
        (Section::Top, "filebeat.inputs") => input(""),
        (Section::Top, "cloud.auth") => {
            input("") + &format!("cloud.id: \"x:ZXhhbXBsZS5jb20kYWJj\"\n{option}: {example}\n")
        }
        (Section::Top, _) => input("") + &format!("{option}: {example}\n"),
    }
}

#[test]
fn every_option_of_the_table_comes_out_as_it_says() {
    let mut wrong = String::new();
    for row in TABLE {
        let text = with(row);
        let told = translated(&text).told;
        let option = format!("{}{}", row.section.prefix(), row.option);
        let expected = Told { option, fate: row.fate, words: row.words.to_owned() };
        let others = told.iter().filter(|told| told.fate == Fate::Cannot && told.option != expected.option);
        if !told.contains(&expected) || others.count() > 0 {
            let _ = writeln!(wrong, "{text}gives {told:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_value_of_another_kind_is_told_and_never_passed_over() {
    for (text, option) in [
        ("    ignore_older: soon\n", "inputs: ignore_older"),
        ("    scan_frequency: 1ms\n", "inputs: scan_frequency"),
        ("    max_bytes: 1GiB\n", "inputs: max_bytes"),
        ("    encoding: big5\n", "inputs: encoding"),
        ("    exclude_files: ['^a.*b']\n", "inputs: exclude_files"),
        ("    tags: [a, b]\n", "inputs: tags"),
        ("    fields: { a: [1, 2] }\n", "inputs: fields"),
        ("    json: { keys_under_root: false }\n", "inputs: target of the JSON members"),
        ("    from_the_future: 1\n", "inputs: from_the_future"),
        ("output.elasticsearch: { hosts: [es], timeout: 0s }\n", "output.elasticsearch.timeout"),
        ("output.elasticsearch: { hosts: [es], worker: 0 }\n", "output.elasticsearch.worker"),
        ("output.elasticsearch: { hosts: [es], password: x }\n", "output.elasticsearch.password"),
        (
            "output.elasticsearch: { hosts: [es], ssl.certificate_authorities: [/none.pem] }\n",
            "output.elasticsearch.ssl.certificate_authorities",
        ),
        ("output.console: { pretty: true }\ncloud.id: x\n", "cloud.id"),
        ("processors: [{ drop_event: ~ }]\n", "processors: drop_event"),
        ("processors: [{ truncate_fields: { fields: [a], max_characters: 9 } }]\n", "processors: truncate_fields"),
        ("processors: [{ drop_fields: { fields: ['/a/'] } }]\n", "processors: drop_fields"),
        ("processors: [{ convert: { fields: [{ from: a, type: ip }] } }]\n", "processors: convert"),
        ("processors: [{ timestamp: { field: t, layouts: ['1/2/2006'] } }]\n", "processors: timestamp"),
        ("processors: [{ rename: { fields: x } }]\n", "processors: rename"),
        ("processors: [{ from_the_future: {} }]\n", "processors: from_the_future"),
    ] {
        let whole = format!("filebeat.inputs:\n  - type: log\n    paths: [/a]\n{text}");
        let told = translated(&whole).told;
        let is_told = told.iter().any(|told| told.option == option && told.fate == Fate::Cannot);
        assert!(is_told, "{whole}{told:?}");
    }
}

#[test]
fn what_cannot_be_is_a_comment_at_its_place() {
    for row in TABLE.iter().filter(|row| row.fate == Fate::Cannot) {
        let draft = &translated(&with(row)).drafts[0];
        let comment = format!("# cannot be translated: {}{}: {}", row.section.prefix(), row.option, row.words);
        assert!(draft.contains(&comment), "{comment}\nis not in\n{draft}");
    }
}

const WHOLE: &str = r#"
name: shipper
filebeat.inputs:
  - type: filestream
    id: model
    paths: [/var/log/model/*.ndjson]
    parsers:
      - ndjson: { target: "", add_error_key: true }
    prospector.scanner.exclude_files: ['\.gz$']
    ignore_older: 48h
    fields: { team: risk, api_token: hunter2 }
    processors:
      - drop_event.when.equals.level: debug
  - type: container
    paths: [/var/log/containers/*.log]
    stream: stdout
    processors:
      - decode_json_fields: { fields: [message], target: "" }
      - rename: { fields: [{ from: a.b, to: c }], ignore_missing: true }
      - drop_event: { when: { regexp: { message: "^DBG" } } }
  - { type: tcp, host: "localhost:9000" }
  - { type: filestream, paths: [/x], enabled: false }
processors:
  - add_host_metadata: ~
  - script: { lang: javascript, source: "function process(e) { e.Put('k', 'hunter2') }" }
output.elasticsearch:
  hosts: ["elastic:hunter2@es-1", "https://es-2:9201/es"]
  protocol: https
  username: "elastic"
  password: "hunter2"
  index: "model-%{+yyyy.MM.dd}"
logging.level: info
"#;

#[test]
fn a_whole_configuration_becomes_a_file_an_input_and_no_secret_is_copied() {
    let translation = translated(WHOLE);
    let [first, second] = translation.drafts.as_slice() else { panic!("{:?}", translation.drafts) };
    for line in [
        "paths: [\"/var/log/model/*.ndjson\"]",
        "exclude: [\"/**/*.gz\"]",
        "first_seen: 48h",
        "decode: { json: { other_text: wrap } }",
        "- add: { fields: { \"fields.api_token\": \"${FIELDS_API_TOKEN}\", \"fields.team\": \"risk\" } }",
        "- drop: { name: filebeat_drop_event, when: \"level : \\\"debug\\\"\" }",
        "hosts: [\"https://es-1:9200\", \"https://es-2:9201/es\"]",
        "username: \"elastic\"\n    password: \"${ES_PASSWORD}\"",
        "# index: \"model-{yyyy.MM.dd}\"",
        "data_stream: logs-ml.inference-default",
        "# cannot be translated: processors: script: ",
        "# cannot be translated: name: ",
    ] {
        assert!(first.contains(line), "{line}\nis not in\n{first}");
    }
    for line in [
        "decode: [auto, { json: { other_text: wrap } }]",
        "- drop: { name: other_stream, when: \"not log.iostream : stdout\" }",
        "- rename: { fields: { \"a.b\": \"c\" } }",
        "# cannot be translated: processors: drop_event: its condition: KQL has nothing like `regexp`",
    ] {
        assert!(second.contains(line), "{line}\nis not in\n{second}");
    }
    assert!(!format!("{translation:?}").contains("hunter2"), "{translation:?}");
    let fates = |fate| translation.told.iter().filter(|told| told.fate == fate).count();
    assert_eq!(fates(Fate::Cannot), 4, "{:?}", translation.told);
}

#[test]
fn what_is_no_configuration_is_said() {
    for (text, expected) in [
        ("a: [", "no YAML"),
        ("7", "no map"),
        ("output.console: {}", "no list `filebeat.inputs`"),
        ("filebeat.inputs: []", "none of its inputs reads files"),
        ("filebeat.inputs: [{ type: tcp }]", "none of its inputs reads files"),
    ] {
        let said = translate(text, Path::new("/"), None).unwrap_err();
        assert!(said.contains(expected), "{text}: {said}");
    }
}

const HEADS: [(Section, &str); 4] = [
    (Section::Input, "### Inputs: `filestream`, `log`, `container`"),
    (Section::Processor, "### Processors"),
    (Section::Elasticsearch, "### `output.elasticsearch`"),
    (Section::Top, "### The rest of the file"),
];

/// The tables of the guide.
fn tables() -> String {
    let mut text = String::new();
    for (section, head) in HEADS {
        let _ = write!(text, "{head}\n\n| option | outcome | how, or why not |\n| --- | --- | --- |\n");
        for row in TABLE.iter().filter(|row| row.section == section) {
            let _ = writeln!(text, "| `{}` | {} | {} |", row.option, row.fate.as_str(), row.words);
        }
        text.push('\n');
    }
    text.push_str(
        "### Filters of Logstash\n\nNothing of them is translated.\n\n| filter | in inferlog |\n| --- | --- |\n",
    );
    for (filter, words) in LOGSTASH {
        let _ = writeln!(text, "| `{filter}` | {words} |");
    }
    text
}

#[test]
fn the_guide_has_the_table() {
    const MARK: &str = "<!-- made of src/migrate/table.rs -->\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/migration.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    let (before, there) = page.split_once(MARK).expect("the guide has a mark before its tables");
    if std::env::var_os("INFERLOG_WRITE_GENERATED").is_some() {
        std::fs::write(path, format!("{before}{MARK}\n{}", tables())).unwrap();
        return;
    }
    let how = "INFERLOG_WRITE_GENERATED=1 cargo test --lib migrate::";
    assert!(there.trim_start() == tables(), "docs/migration.md is stale: {how}");
}
