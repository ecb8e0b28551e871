//! The documents, typed in: every command that they show is run, and every piece of configuration is checked.
//!
//! Each document has a folder of its own, with a log, labels, training data and the pipeline file of the project, and its
//! commands are run there from the first to the last. What cannot be run here is named below, with the test that stands
//! for it; a command that is neither run nor named fails the test, and so does a name that no document needs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;
use tempfile::TempDir;

use crate::drift::table;
use crate::elasticsearch_tls::certificates;
use crate::numbered::report;
use crate::place::{Signal, free_address, http, send_signal, wait_for};
use crate::power_loss::copy;
use crate::support::{Node, provided};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What a line begins with that is to be typed.
const PROGRAMS: &[&str] = &[
    "./test",
    "cargo",
    "cd",
    "cp",
    "curl",
    "docker",
    "for",
    "head",
    "inferlog",
    "INFERLOG_WRITE_GENERATED=1",
    "install",
    "kill",
    "kubectl",
    "logrotate",
    "mkdir",
    "openssl",
    "pip",
    "post()",
    "python3",
    "sed",
    "ssh",
    "sudo",
    "systemctl",
    "uvicorn",
];

/// What becomes of a command here.
enum How {
    /// It ends with one of these codes. Without a mention an `inferlog` ends with 0, and a `run` without `--once` becomes
    /// ready, and ends with 0 when it is asked to.
    Ends(&'static [i32]),
    /// It is not run here; this test (`file::function`) does what it does, or what it says holds elsewhere.
    Elsewhere(&'static str),
    /// It cannot be run by a test, for this reason.
    Unrun(&'static str),
}

/// How the documents' commands are run that do not simply end well: what the command begins with.
const COMMANDS: &[(&str, How)] = &[
    ("./test", How::Unrun("it is what runs this")),
    ("INFERLOG_WRITE_GENERATED=1 cargo test", How::Unrun("it writes files of the repository")),
    ("cargo bench", How::Unrun("it measures for many minutes, and builds what is shipped")),
    ("cargo build", How::Unrun("it is what builds the program under test")),
    ("cargo install", How::Unrun("it takes minutes, and builds what `cargo build` does")),
    (
        "cargo run --release -- demo",
        How::Elsewhere("demo::a_demo_of_some_records_ends_with_all_of_them_in_the_store_and_can_be_run_again"),
    ),
    (
        "cd examples/model_server",
        How::Elsewhere("model_server::every_request_is_found_in_the_store_with_the_hash_that_the_server_made"),
    ),
    ("cp ", How::Ends(&[0])),
    (
        "curl -X POST -H \"Authorization: Bearer $(cat DATA_DIR/admin.token)\" -d",
        How::Elsewhere("own_log::how_much_is_said_changes_while_it_runs"),
    ),
    (
        "curl -X POST -H \"Authorization: Bearer $(cat DATA_DIR/admin.token)\" http",
        How::Elsewhere("reload::who_asks_with_the_token_hears_what_was_done"),
    ),
    (
        "curl -X POST \"$KIBANA",
        How::Elsewhere("kibana_import::an_export_has_kibana_s_files_and_writes_nothing_over_that_somebody_changed"),
    ),
    (
        "curl -H \"Authorization: Bearer $(cat DATA_DIR/admin.token)\"",
        How::Elsewhere("page_records::answers_are_those_of_inferlog_query"),
    ),
    (
        "curl http://127.0.0.1:9614/status.json",
        How::Elsewhere("status::a_running_process_is_described_and_its_history_survives_a_reload"),
    ),
    ("curl localhost:8000", How::Elsewhere("model_server::the_servers_own_tests_pass")),
    ("docker", How::Unrun("it needs a container engine; `containers.rs` tests what can be without")),
    (
        "for body in kibana/",
        How::Elsewhere("kibana_import::an_export_has_kibana_s_files_and_writes_nothing_over_that_somebody_changed"),
    ),
    ("head ", How::Ends(&[0])),
    (
        "inferlog demo --elasticsearch",
        How::Elsewhere("demo::a_demo_into_elasticsearch_has_something_for_every_dashboard"),
    ),
    ("inferlog demo --episode", How::Elsewhere("demo::an_episode_comes_and_goes_and_is_on_metrics")),
    ("inferlog migrate /etc/filebeat", How::Elsewhere("migrate::a_pipeline_goes_on_where_filebeat_has_stopped")),
    ("inferlog drift --pipeline inference", How::Elsewhere("observe_drift::a_run_to_the_end_ends_its_windows")),
    ("inferlog query 'confidence < 0.6' --last 1h --pipeline pipelines/inference.yaml --manifest", How::Ends(&[0, 1])),
    (
        "inferlog setup apply pipelines/inference.yaml --kibana",
        How::Elsewhere("kibana_import::the_verbs_set_up_kibana_too_and_exit_by_both"),
    ),
    ("inferlog setup plan pipelines", How::Ends(&[0, 1])),
    ("inferlog top", How::Elsewhere("top::without_a_terminal_it_is_one_frame")),
    ("kill -HUP", How::Elsewhere("reload::reloads_under_load_lose_nothing_and_double_nothing")),
    ("kill -USR1", How::Elsewhere("own_log::how_much_is_said_changes_while_it_runs")),
    ("kubectl", How::Unrun("it needs a cluster; `kubernetes.rs` holds the manifests to the published schemas")),
    ("ssh ", How::Unrun("it needs a second machine")),
    ("inferlog drift --baseline baselines/fraud.json --pipeline", How::Ends(&[0, 1])),
    ("mkdir ", How::Ends(&[0])),
    ("openssl x509", How::Ends(&[0])),
    ("pip install", How::Elsewhere("model_server::the_servers_own_tests_pass")),
    (
        "post()",
        How::Elsewhere("kibana_import::an_export_has_kibana_s_files_and_writes_nothing_over_that_somebody_changed"),
    ),
    ("python3 -m venv", How::Elsewhere("model_server::the_servers_own_tests_pass")),
    ("sed ", How::Ends(&[0])),
    ("uvicorn", How::Elsewhere("model_server::every_request_is_found_in_the_store_with_the_hash_that_the_server_made")),
];

/// Pieces of YAML that are no part of a pipeline file, by their first line.
const OTHER_YAML: &[(&str, &str)] = &[("- id: requests", "a panel of a dashboard")];

#[derive(Debug)]
struct Found {
    document: String,
    line: usize,
    text: String,
}

/// The documents for users.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![Path::new(ROOT).join("README.md"), Path::new(ROOT).join("mappings/README.md")];
    for folder in ["docs", "examples"] {
        let walk = walkdir::WalkDir::new(Path::new(ROOT).join(folder)).sort_by_file_name();
        let files = walk.into_iter().map(|entry| entry.unwrap().into_path());
        found.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    assert!(found.len() > 25, "{found:?}");
    found
}

/// The blocks of a document that are no prose: what is fenced, or indented by four or more; each with the number of its
/// first line, its language, and without the indentation of its first line.
fn blocks(text: &str) -> Vec<(usize, String, String)> {
    let mut blocks: Vec<(usize, String, String)> = Vec::new();
    let (mut fence, mut goes_on, mut indentation) = (None::<String>, false, 0);
    for (number, line) in text.lines().enumerate() {
        let is_fence = line.trim_start().starts_with("```");
        match (&fence, line.strip_prefix("    ")) {
            (_, _) if is_fence => {
                fence = match fence {
                    None => Some(line.trim_start().trim_start_matches('`').to_owned()),
                    Some(_) => None,
                };
                goes_on = false;
                continue;
            }
            (Some(language), _) if goes_on => append(&mut blocks, line),
            (Some(language), _) => blocks.push((number + 1, language.clone(), line.to_owned())),
            (None, Some(_)) if goes_on => append(&mut blocks, line.get(indentation..).unwrap_or(line.trim_start())),
            (None, Some(_)) => {
                indentation = line.len() - line.trim_start().len();
                blocks.push((number + 1, String::new(), line.trim_start().to_owned()));
            }
            (None, _) => {
                goes_on = false;
                continue;
            }
        }
        goes_on = true;
    }
    blocks
}

fn append(blocks: &mut [(usize, String, String)], line: &str) {
    if let Some((_, _, text)) = blocks.last_mut() {
        text.push('\n');
        text.push_str(line);
    }
}

/// The commands of a document.
fn commands(document: &Path) -> Vec<Found> {
    let name = document.strip_prefix(ROOT).unwrap().display().to_string();
    let mut commands: Vec<Found> = Vec::new();
    for (first, language, block) in blocks(&fs::read_to_string(document).unwrap()) {
        if !["", "sh", "bash", "console"].contains(&&*language) {
            continue;
        }
        let mut goes_on = false;
        for (number, line) in block.lines().enumerate() {
            let is_command = line.split(' ').next().is_some_and(|word| PROGRAMS.contains(&word));
            if goes_on && let Some(last) = commands.last_mut() {
                last.text.push('\n');
                last.text.push_str(line);
            } else if is_command {
                commands.push(Found { document: name.clone(), line: first + number, text: line.to_owned() });
            }
            goes_on = (goes_on || is_command) && line.ends_with('\\');
        }
    }
    commands.iter_mut().for_each(|command| command.text = without_words(&command.text));
    commands
}

/// A command without what is said of it on its line: words after two spaces or more.
fn without_words(line: &str) -> String {
    let words = Regex::new(r"(?m)[ ]{3,}([^A-Z -].*)?$|[ ]{2,}#.*$").unwrap();
    words.replace_all(line, "").trim().to_owned()
}

/// Whether a command shows what may be typed, with names for what the reader has.
fn is_synopsis(command: &str) -> bool {
    let placeholder = Regex::new(r"(^|[ \[=])(FILE|DIR|URL|ID|LOG|SPACE|ADDR|NAME|PID)\b|…|\[--").unwrap();
    command.starts_with("inferlog ") && placeholder.is_match(command)
}

/// Folders that the documents take for granted; those of the system stand below the desk.
const FOLDERS: &[&str] = &[
    "baselines",
    "bin",
    "data",
    "etc/bash_completion.d",
    "etc/grafana/provisioning",
    "etc/prometheus",
    "labels",
    "logs",
    "pipelines/baselines",
    "pipelines/secrets",
    "rules",
    "run/secrets",
    "tmp",
    "var/log/model",
];

/// A folder that has what the documents take for granted.
struct Desk {
    folder: TempDir,
    elasticsearch: String,
    address: String,
}

impl Desk {
    fn set_up(elasticsearch: &str, openssl: &str) -> Desk {
        let folder = TempDir::new().unwrap();
        let desk = Desk { folder, elasticsearch: elasticsearch.to_owned(), address: free_address().to_string() };
        for folder in FOLDERS {
            fs::create_dir_all(desk.path(folder)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_inferlog"), desk.path("bin/inferlog")).unwrap();
        for folder in ["examples", "dashboards", "deploy", "docker", "pipelines"] {
            copy(&Path::new(ROOT).join(folder), &desk.path(folder));
        }
        for file in ["examples/filebeat/filebeat.yml", "pipelines/inference.yaml"] {
            desk.take_over(file);
        }
        for name in ["hash.key", "secrets/hash.key", "secrets/hash-2026-11.key", "secrets/hash-2026-05.key"] {
            desk.write(&format!("pipelines/{name}"), "a secret of thirty-two characters");
        }
        desk.write("run/secrets/es-api-key", "aWQ6a2V5");
        desk.write("pipelines/models.csv", "model_version,owner,risk_class,training_date\n3.2.1,ann,high,2026-01-01\n");
        for name in ["places.mmdb", "networks.mmdb"] {
            fs::copy(Path::new(ROOT).join("tests/processors").join(name), desk.path("pipelines").join(name)).unwrap();
        }
        desk.write("logs/model.ndjson", &log(300));
        desk.write("var/log/model/app.ndjson", &log(300));
        fs::create_dir(desk.path("examples/separation/logs")).unwrap();
        desk.write("examples/separation/logs/model.ndjson", &log(300));
        desk.write("today.ndjson", &log(2_000));
        desk.write("line", &log(1));
        desk.write("rules/models.yml", "");
        desk.write("request.json", r#"{"amount":12.5,"country":"DE"}"#);
        desk.write(
            "labels.ndjson",
            "{\"request_id\":\"r-1\",\"label\":\"ok\",\"known_at\":\"2026-11-30T09:00:00Z\"}\n",
        );
        for name in ["train.csv", "today.csv"] {
            desk.write(name, &table(2_000, 1, 0.0));
        }
        fs::copy(certificates(openssl).path().join("ca.pem"), desk.path("http_ca.crt")).unwrap();
        for baseline in ["train.json", "baselines/fraud.json", "pipelines/baselines/anomaly-detector.json"] {
            let command = format!("inferlog baseline train.csv -o {baseline}");
            let output = desk.type_in(&desk.path(""), &command);
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
        desk
    }

    /// Has a file name this desk's folders, the Elasticsearch of the tests, and a stream that no other test knows.
    fn take_over(&self, file: &str) {
        let Ok(text) = fs::read_to_string(self.path(file)) else { return };
        let text = text.replace("inference-default", "inference-documented");
        let text = text.replace("http://localhost:9200", &self.elasticsearch);
        self.write(file, &text.replace("[/var/", &format!("[{}/var/", self.folder.path().display())));
    }

    /// Has what the log holds shipped by the pipeline of the project.
    fn ship(&self) {
        for verb in ["setup apply", "run --once --listen off"] {
            let output = self.type_in(&self.path(""), &format!("inferlog {verb} pipelines/inference.yaml"));
            assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs a command as it stands, with the servers of the tests in the place of those that it names.
    fn type_in(&self, folder: &Path, command: &str) -> Output {
        self.shell(folder, &["-c", "exec timeout 120 sh -euc \"$0\""], command).output().unwrap()
    }

    /// A command for a shell with these arguments before it.
    fn shell(&self, folder: &Path, arguments: &[&str], command: &str) -> Command {
        let command = command
            .replace("http://localhost:9200", &self.elasticsearch)
            .replace("127.0.0.1:9614", &self.address)
            .replace(" /", &format!(" {}/", self.folder.path().display()));
        let mut shell = Command::new("sh");
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        shell.args(arguments).arg(&command).current_dir(folder).env("PATH", path);
        shell.env("INFERLOG_DATA_DIR", self.path("data")).env("ES_URL", &self.elasticsearch);
        shell.env("PROXY_PASSWORD", "of the proxy").env("ENVIRONMENT", "separated");
        shell
    }

    /// Starts what runs for good, waits until it is ready, and has it read to the end and stop.
    fn serve(&self, folder: &Path, command: &str) -> Result<(), String> {
        let listening = command.replace("--listen 0.0.0.0:9614", "");
        let listening =
            listening.replace("inferlog run", &format!("exec inferlog run --drain --listen {}", self.address));
        let mut shell = self.shell(folder, &["-euc"], &listening);
        let log = self.path("served.log");
        shell.stderr(fs::File::create(&log).unwrap()).stdout(std::process::Stdio::null());
        let mut process = shell.spawn().unwrap();
        let address = self.address.parse().unwrap();
        let mut ready = wait_for(command, || match process.try_wait().unwrap() {
            Some(status) => Some(Err(format!("it ended with {status}"))),
            None => http(address, "GET", "/readyz", &[], "").and_then(|(status, _)| (status == 200).then_some(Ok(()))),
        });
        if ready.is_ok() {
            send_signal(process.id(), Signal::TERM);
            let status = process.wait().unwrap();
            ready = if status.success() { Ok(()) } else { Err(format!("stopped, it ended with {status}")) };
        }
        ready.map_err(|what| format!("{what}: {}", fs::read_to_string(&log).unwrap()))
    }
}

/// Records of the last half hour, of a model whose training data are those of `train.csv`.
fn log(records: u64) -> String {
    let now = chrono::Utc::now();
    let line = |(number, row): (usize, &str)| {
        let [id, amount, country, prediction, confidence] = row.split(',').collect::<Vec<_>>()[..] else {
            unreachable!()
        };
        let time = now - chrono::Duration::seconds((number as i64 * 1_800) / records as i64);
        let time = time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        format!(
            "{{\"event\":\"inference\",\"request_id\":\"{id}\",\"model_version\":\"3.2.1\",\
             \"features\":{{\"amount\":{amount},\"country\":\"{country}\",\"merchant\":\"m-01{number}\"}},\
             \"prediction\":\"{prediction}\",\"confidence\":{confidence},\"latency_ms\":12.5,\"status\":\"success\",\
             \"user\":{{\"email\":\"a@b.c\"}},\"timestamp\":\"{time}\"}}\n"
        )
    };
    table(records, 2, 0.0).lines().skip(1).enumerate().map(line).collect()
}

/// Whether a synopsis names a verb that there is, with flags that it has.
fn check_synopsis(desk: &Desk, command: &str) -> Result<(), String> {
    let is_verb = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let verbs: Vec<&str> = words.iter().copied().take_while(is_verb).collect();
    let output = desk.type_in(&desk.path(""), &format!("inferlog {} --help", verbs.join(" ")));
    if !output.status.success() {
        return Err(format!("there is no verb `{}`", verbs.join(" ")));
    }
    let help = String::from_utf8_lossy(&output.stdout);
    let flag = Regex::new(r"--[a-z][a-z-]*").unwrap();
    match flag.find_iter(command).find(|flag| !help.contains(flag.as_str())) {
        Some(flag) => Err(format!("`{}` has no {}", verbs.join(" "), flag.as_str())),
        None => Ok(()),
    }
}

/// Types a command in as the table says, and says what is wrong with what came of it.
fn carry_out(desk: &Desk, folder: &Path, command: &str, how: Option<&How>) -> Result<(), String> {
    let codes = match how {
        Some(How::Elsewhere(_) | How::Unrun(_)) => return Ok(()),
        Some(How::Ends(codes)) => *codes,
        None if is_synopsis(command) => return check_synopsis(desk, command),
        None if command.starts_with("inferlog run ") && !command.contains("--once") => {
            return desk.serve(folder, command);
        }
        None if command.starts_with("inferlog ") => &[0],
        None => return Err("neither run nor named here".to_owned()),
    };
    let output = desk.type_in(folder, command);
    match output.status.code().filter(|code| codes.contains(code)) {
        Some(_) => Ok(()),
        None => Err(format!("{:?}: {}", output.status.code(), String::from_utf8_lossy(&output.stderr))),
    }
}

#[tokio::test]
async fn every_command_of_the_documents_does_what_they_say() {
    let Some(node) = Node::plain("the commands of the documents") else { return };
    let Some(openssl) = provided("INFERLOG_TEST_OPENSSL", "the commands of the documents") else { return };
    let (mut wrong, mut used, mut count) = (Vec::new(), BTreeSet::new(), 0);
    for document in documents() {
        let commands = commands(&document);
        if commands.is_empty() {
            continue;
        }
        for stream in ["logs-ml.inference", "logs-ml.input", "metrics-ml.pipeline"] {
            node.forget(&format!("{stream}-documented")).await;
            node.forget(&format!("{stream}-separated")).await;
        }
        let desk = Desk::set_up(node.options.hosts[0].as_str().trim_end_matches('/'), &openssl);
        desk.ship();
        let example = document.strip_prefix(ROOT).unwrap().parent().unwrap();
        for command in commands {
            count += 1;
            let is_there = example.starts_with("examples") && !command.text.contains(" examples/");
            let folder = desk.path(if is_there { example.to_str().unwrap() } else { "" });
            let row = COMMANDS.iter().find(|(start, _)| command.text.starts_with(start));
            used.extend(row.map(|(start, _)| *start));
            if let Some((_, How::Unrun(reason))) = row {
                report(&format!("not run: {}:{}: {reason}", command.document, command.line));
            }
            desk.take_over("pipelines/model.yaml");
            if let Err(what) = carry_out(&desk, &folder, &command.text, row.map(|(_, how)| how)) {
                wrong.push(format!("{}:{}: {}\n    {what}", command.document, command.line, command.text));
            }
        }
    }
    assert!(count > 90, "only {count} commands are found");
    assert!(wrong.is_empty(), "{} of {count} commands:\n{}", wrong.len(), wrong.join("\n"));
    let unused: Vec<_> = COMMANDS.iter().map(|(start, _)| start).filter(|start| !used.contains(*start)).collect();
    assert!(unused.is_empty(), "no document has these any more: {unused:?}");
}

#[test]
fn what_is_said_to_be_tested_elsewhere_is() {
    for (command, how) in COMMANDS {
        let How::Elsewhere(test) = how else { continue };
        let (file, function) = test.split_once("::").unwrap();
        let text = fs::read_to_string(Path::new(ROOT).join(format!("tests/all/{file}.rs"))).unwrap();
        assert!(text.contains(&format!("fn {function}(")), "`{command}`: there is no test {test}");
    }
}

/// Keys of a pipeline file.
const KEYS: &[&str] =
    &["source", "decode", "enrich", "observe", "sink", "batch", "queue", "dead_letter", "rate_limit", "tests"];

/// A whole pipeline file around a piece of one; `None` for other YAML.
fn pipeline_file(piece: &str) -> Option<String> {
    let first = piece.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'))?;
    let key = first.trim_start_matches("- ").split(':').next()?;
    let indented = |by: &str| piece.lines().map(|line| format!("{by}{line}\n")).collect::<String>();
    let body = match (first.starts_with("- "), key) {
        (true, "model_metrics" | "drift" | "ground_truth") => format!("observe:\n{}", indented("  ")),
        (true, _) => format!("enrich:\n{}", indented("  ")),
        (false, "labels") => format!("observe:\n  - ground_truth:\n{}", indented("      ")),
        (false, _) if KEYS.contains(&key) => format!("{piece}\n"),
        _ => return None,
    };
    let has = |key: &str| body.lines().any(|line| line.starts_with(&format!("{key}:")));
    let rule = "enrich: [{ drop: { name: health_checks, when: \"event : health\" } }]\n";
    let enrich = if key == "tests" { rule } else { "" };
    let decode = if has("decode") { "" } else { "decode: json\n" };
    let source = if has("source") { "" } else { "source: { files: { paths: [\"../logs/*.ndjson\"] } }\n" };
    let sink = if has("sink") { "" } else { "sink: stdout\n" };
    Some(format!("{source}{decode}{enrich}{body}{sink}"))
}

#[test]
fn every_piece_of_configuration_in_the_documents_is_right() {
    let Some(openssl) = provided("INFERLOG_TEST_OPENSSL", "the configuration of the documents") else { return };
    let desk = Desk::set_up("http://localhost:9200", &openssl);
    let certificates = certificates(&openssl);
    for (from, to) in [("ca.pem", "ca.pem"), ("client.pem", "client.pem"), ("client.key", "client.key")] {
        fs::copy(certificates.path().join(from), desk.path("pipelines").join(to)).unwrap();
    }
    let (mut wrong, mut count) = (Vec::new(), 0);
    for document in documents() {
        let name = document.strip_prefix(ROOT).unwrap().display().to_string();
        for (line, language, piece) in blocks(&fs::read_to_string(&document).unwrap()) {
            if !["", "yaml"].contains(&&*language) || OTHER_YAML.iter().any(|(first, _)| piece.starts_with(first)) {
                continue;
            }
            let Some(file) = pipeline_file(&piece) else {
                if language == "yaml" {
                    wrong.push(format!("{name}:{line}: no part of a pipeline file, and not named here"));
                }
                continue;
            };
            count += 1;
            let secrets = desk.path("run/secrets").display().to_string();
            desk.write("pipelines/piece.yaml", &file.replace("/run/secrets", &secrets));
            let output = desk.type_in(&desk.path(""), "inferlog check pipelines/piece.yaml");
            if !output.status.success() {
                wrong.push(format!("{name}:{line}:\n{}", String::from_utf8_lossy(&output.stderr)));
            }
        }
    }
    assert!(count > 50, "only {count} pieces are found");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
