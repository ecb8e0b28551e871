//! What an attacker can and cannot do: the tests that `docs/security.md` names, as far as they have no other place.
//!
//! The attacker chooses what stands in a log and what lies in a watched folder, reaches the admin port, or reads what is said.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::place::{Ended, Place, http, pipeline, pipeline_of, record, records, start, wait_for};
use crate::scripted::{Answer, scripted};

/// Peak resident memory of a run that reads what was made to exhaust it, in bytes.
const RESIDENT_BYTES_MAX: u64 = 128 << 20;

/// What moves a cursor, changes colours, writes a title, hides or reorders: as it stands in JSON, and as itself.
const HOSTILE_JSON: &str = "\\u001b[2J\\u001b]0;x\\u0007\\u009b31m\\u202e\\u200bz";
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{200b}z";

/// Fails where something of that kind reaches a terminal.
fn must_be_harmless(what: &str, ended: &Ended) {
    for (stream, text) in [("output", &ended.stdout), ("error", &ended.stderr)] {
        let is_harmful = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}\u{2066}".contains(c);
        let at = text.find(is_harmful).map(|at| text[text.floor_char_boundary(at.saturating_sub(60))..].to_owned());
        assert!(at.is_none(), "{what}: standard {stream} near {:?}", at.unwrap_or_default().get(..200));
    }
}

fn hostile_record(id: u32) -> String {
    let h = HOSTILE_JSON;
    format!(
        "{{\"request_id\":\"{id}{h}\",\"event\":\"inference\",\"model_name\":\"m{h}\",\"model_version\":\"v{h}\",\"status\":\"s{h}\",\
         \"prediction\":\"p{h}\",\"confidence\":0.5,\"latency_ms\":1,\"features\":{{\"f{h}\":\"x{h}\",\"amount\":{id}}},\"k{h}\":\"{h}\",\
         \"timestamp\":\"2026-11-23T10:00:00Z\"}}\n"
    )
}

/// A place whose log, its name, its dead letter, its pipeline's tests and its baseline hold such text.
fn hostile_place() -> Place {
    let enrich = format!(
        "- flag: {{ into: low, when: \"confidence < 0.6\" }}\n- drop: {{ name: noise, when: 'event : \"{HOSTILE}\"' }}"
    )
    .replace(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{200b}'], "?");
    let tests = format!(
        "tests:\n  - name: \"t{HOSTILE_JSON}\"\n    lines: ['{}']\n    expect: {{ event: \"{HOSTILE_JSON}\" }}\n",
        hostile_record(0).trim_end()
    );
    let place = Place::new(&(pipeline_of("paths: [\"logs/*\"], poll_interval: 50ms", &enrich, "store") + &tests));
    let lines: String = (0..60).map(hostile_record).collect();
    let bad = format!("text {HOSTILE}\n{{\"a\":1,\"a\":2,\"k{HOSTILE_JSON}\":3,\"k{HOSTILE_JSON}\":4}}\n[1]\n");
    fs::write(place.path(&format!("logs/a{HOSTILE}.ndjson")), lines + &bad).unwrap();
    fs::copy(place.path(&format!("logs/a{HOSTILE}.ndjson")), place.path("sample.ndjson")).unwrap();
    fs::write(
        place.path("labels.ndjson"),
        format!("{{\"request_id\":\"1{HOSTILE_JSON}\",\"label\":\"l{HOSTILE_JSON}\"}}\n"),
    )
    .unwrap();
    place
}

fn verb(place: &Place, arguments: &[&str]) -> Ended {
    start(place.inferlog(arguments)).wait()
}

/// Every verb that shows something of a log, in every format that is for people.
#[test]
fn no_verb_lets_what_stands_in_a_log_move_a_terminals_cursor() {
    let place = hostile_place();
    let mut command = place.run_command(&["--once", "--listen", "off"]);
    command.env("INFERLOG_LOG", "trace");
    // `Running` looks for escape sequences in every standard error by itself.
    let ended = start(command).wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    must_be_harmless("run", &ended);
    assert!(place.store().count() == 60 && place.dead_letters().len() >= 3, "{ended:?}");
    let state = ["--data-dir", "data"];
    let ids: Vec<String> = place.dead_letters().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
    let records: String = (0..60).map(hostile_record).collect();
    fs::write(place.path("training.ndjson"), records).unwrap();
    let baseline = verb(&place, &["baseline", "training.ndjson", "-o", "b.json"]);
    must_be_harmless("baseline", &baseline);
    assert_eq!(baseline.code, Some(0), "{baseline:?}");
    let quoted = format!("request_id : \"{HOSTILE}\" or");
    let unknown = format!("nothing{HOSTILE}");
    let file = format!("no{HOSTILE}.yaml");
    let mut verbs: Vec<Vec<&str>> = vec![
        vec!["dead-letter", "list", "--data-dir", "data"],
        vec!["query", "*", "--pipeline", "p.yaml", "--data-dir", "data"],
        vec!["query", "*", "--pipeline", "p.yaml", "--data-dir", "data", "--count"],
        vec!["query", "--saved", "predictions-by-version", "--pipeline", "p.yaml", "--data-dir", "data"],
        vec!["query", &quoted, "--pipeline", "p.yaml", "--data-dir", "data"],
        vec!["query", "--saved", &unknown, "--pipeline", "p.yaml", "--data-dir", "data"],
        vec!["query", "--subject", &unknown, "--pipeline", "p.yaml", "--data-dir", "data"],
        vec!["reconcile", "p.yaml", "--data-dir", "data"],
        vec!["check", "p.yaml"],
        vec!["check", &file],
        vec!["check", "p.yaml", "--sample", "sample.ndjson"],
        vec!["init", "sample.ndjson"],
        vec!["test", "p.yaml"],
        vec!["drift", "--baseline", "b.json", "sample.ndjson"],
        vec!["drift", "--baseline", "b.json", "--pipeline", "p.yaml", "--data-dir", "data"],
        vec!["outcomes", "labels.ndjson", "--pipeline", "p.yaml", "--data-dir", "data"],
        vec!["dead-letter", "replay", "p.yaml", "--data-dir", "data"],
        vec!["dead-letter", "show", &unknown, "--data-dir", "data"],
    ];
    verbs.extend(ids.iter().map(|id| [&["dead-letter", "show", id.as_str()], &state[..]].concat()));
    for arguments in verbs {
        let ended = verb(&place, &arguments);
        assert!(ended.code.is_some() && (ended.stdout.len() + ended.stderr.len() > 0), "{arguments:?}: {ended:?}");
        must_be_harmless(&format!("{arguments:?}"), &ended);
    }
    for line in [hostile_record(3), format!("text {HOSTILE}\n")] {
        let mut command = place.inferlog(&["explain", "p.yaml"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let ended = Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        assert!(!ended.stdout.is_empty(), "{ended:?}");
        must_be_harmless("explain", &ended);
    }
}

#[test]
fn all_state_is_for_its_owner_alone_whatever_the_mask() {
    let place = Place::new(&pipeline("store"));
    place.append(format!("{}no record\n", records(0..50)));
    let mut shell = Command::new("sh");
    shell.current_dir(place.path("")).env("HOME", place.path("home")).args(["-c", "umask 000; exec \"$0\" \"$@\""]);
    shell.args([env!("CARGO_BIN_EXE_inferlog"), "run", "p.yaml", "--data-dir", "data", "--listen", "off"]);
    let running = start(shell);
    wait_for("the records", || (place.store().count() == 50 && !place.dead_letters().is_empty()).then_some(()));
    // An answer to another process lies there for a moment; this one leaves its request and answer to be looked at.
    let replay = verb(&place, &["dead-letter", "replay", "p.yaml", "--data-dir", "data"]);
    assert_eq!(replay.code, Some(1), "{replay:?}");
    let modes = || -> BTreeSet<(String, u32)> {
        let entries = walkdir::WalkDir::new(place.path("data")).into_iter().filter_map(Result::ok);
        let mode = |entry: walkdir::DirEntry| Some((entry.path().to_owned(), entry.metadata().ok()?.mode() & 0o7777));
        let name = |(path, mode): (std::path::PathBuf, u32)| (path.to_string_lossy().into_owned(), mode);
        entries.filter_map(mode).map(name).collect()
    };
    let live = modes();
    running.stop();
    for (path, mode) in live.into_iter().chain(modes()) {
        assert!(matches!(mode, 0o600 | 0o700), "{path} has mode {mode:o}");
    }
    for name in ["admin.token", "p/lock", "p/checkpoint.json", "p/pipeline.json", "p/store.sqlite", "p/dead_letter"] {
        assert!(place.path("data").join(name).exists(), "{name}");
    }
}

/// Something else than a file stands in a watched folder, or takes the place of one while it is looked at.
#[test]
fn what_is_swapped_in_for_a_file_stops_nothing() {
    let place = Place::new(&pipeline("store"));
    let pipe = |name: &str| assert!(Command::new("mkfifo").arg(place.path(name)).status().unwrap().success());
    pipe("logs/pipe.ndjson");
    symlink("/dev/zero", place.path("logs/device.ndjson")).unwrap();
    symlink("loop.ndjson", place.path("logs/loop.ndjson")).unwrap();
    fs::create_dir(place.path("logs/folder.ndjson")).unwrap();
    place.append(records(0..10));
    let running = place.run();
    pipe("aside");
    for n in 0..300 {
        fs::write(place.path("new"), record(1_000 + n)).unwrap();
        fs::rename(place.path("new"), place.path("logs/b.ndjson")).unwrap();
        // The names of the two change places in one step.
        fs::hard_link(place.path("aside"), place.path("swap")).unwrap();
        fs::rename(place.path("swap"), place.path("logs/b.ndjson")).unwrap();
    }
    place.append(records(10..20));
    let is_there = || place.store().documents().iter().filter(|document| document.contains("\"n\": 19,")).count() == 1;
    wait_for("the last line of the ordinary file", || is_there().then_some(()));
    assert_eq!(running.get("/healthz").0, 200);
    running.stop();
}

#[test]
fn links_into_inferlogs_own_state_are_not_read() {
    let place = Place::new(
        "source: { files: { paths: [\"logs/**/*\"], poll_interval: 50ms } }\n\
         decode: { json: { other_text: wrap } }\nsink: { store: {} }\n",
    );
    place.append(record(0));
    let running = place.run();
    wait_for("the first record", || (place.store().count() == 1).then_some(()));
    let token = fs::read_to_string(place.path("data/admin.token")).unwrap();
    symlink(place.path("data/admin.token"), place.path("logs/t.ndjson")).unwrap();
    symlink(place.path("data/p"), place.path("logs/state")).unwrap();
    wait_for("it to be said", || running.stderr().contains("it is part of inferlog's own state").then_some(()));
    place.append(record(1));
    wait_for("the second record", || (place.store().count() == 2).then_some(()));
    assert!(!running.stderr().contains(token.trim()));
    running.stop();
    assert!(place.store().documents().iter().all(|document| document.contains("\"request_id\"")));
    assert!(place.dead_letters().is_empty());
}

/// Names that people and records give lead to no place of their own choice.
#[test]
fn names_lead_nowhere_else() {
    let place = Place::new(&pipeline("store"));
    place.append(record(0));
    place.run_once();
    for name in [".hidden.yaml", "a b.yaml", "a\u{1b}.yaml", "..yaml", "%2e%2e.yaml"] {
        fs::write(place.path(name), pipeline("store")).unwrap();
        let ended = verb(&place, &["check", name]);
        assert_eq!(ended.code, Some(2), "{name}: {ended:?}");
        assert!(ended.stderr.contains("a pipeline is named by its file"), "{name}: {ended:?}");
        fs::remove_file(place.path(name)).unwrap();
    }
    let before: BTreeSet<_> =
        walkdir::WalkDir::new(place.path("")).into_iter().map(|it| it.unwrap().into_path()).collect();
    for arguments in [
        &["query", "--saved", "../../p", "--pipeline", "p.yaml"][..],
        &["query", "--saved", "../p.yaml", "--pipeline", "p.yaml"],
        &["reconcile", "../p"],
        &["reconcile", ".."],
        &["dead-letter", "list", "../../etc"],
        &["dead-letter", "show", "../../../etc/passwd"],
    ] {
        let ended = verb(&place, &[arguments, &["--data-dir", "data"]].concat());
        assert!(matches!(ended.code, Some(1 | 2)), "{arguments:?}: {ended:?}");
    }
    let after: BTreeSet<_> =
        walkdir::WalkDir::new(place.path("")).into_iter().map(|it| it.unwrap().into_path()).collect();
    assert_eq!(before, after);
    for name in ["../x", "a/b", "A", "a b", "a\\nb", "*", "a,b"] {
        let rule = format!("{{ dataset: d.e, namespace: {{ from: tenant, allow: [\"{name}\"], else: else }} }}");
        place
            .set_pipeline(&pipeline(&format!("{{ elasticsearch: {{ hosts: [\"http://h\"], data_stream: {rule} }} }}")));
        assert_eq!(verb(&place, &["check", "p.yaml"]).code, Some(2), "{name}");
    }
}

/// What a record says decides between names of the pipeline file, and never becomes one.
#[test]
fn a_record_cannot_choose_where_it_goes_nor_add_to_a_request() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let url = {
        let asked = Arc::clone(&asked);
        scripted(move |request| {
            asked.lock().unwrap().push((request.line.clone(), request.head.clone()));
            match request.path.contains("_bulk") {
                true => Answer::created(&request.body),
                false => Answer::new(404, &[], "{}"),
            }
        })
    };
    let rule = "{ dataset: ml.x, namespace: { from: tenant, allow: [a], else: else } }";
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: {rule} }} }}");
    let place = Place::new(&pipeline(&sink));
    let names =
        ["a", "../_all", "a/_bulk?x", "x\\r\\nX-Evil: 1", "A", "*", "a,b", "\\u0000", "a\\\"}}\\n{\\\"delete\\\":{}"];
    place.append(names.iter().map(|name| format!("{{\"tenant\":\"{name}\",\"n\":1}}\n")).collect::<String>());
    let ended = place.run_once();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let asked = asked.lock().unwrap();
    let bulk: BTreeSet<&str> = asked
        .iter()
        .filter(|(line, _)| line.contains("_bulk"))
        .map(|(line, _)| line.split(['/', '?']).nth(1).unwrap())
        .collect();
    let known = ["logs-ml.x-a", "logs-ml.x-else", "metrics-ml.pipeline-x", "metrics-ml.pipeline-ml.x", "_bulk"];
    assert!(
        bulk.iter().all(|name| known.iter().any(|known| name.starts_with(known.trim_end_matches("-x")))),
        "{bulk:?}"
    );
    assert!(asked.iter().all(|(_, head)| !head.contains("x-evil")));
}

#[test]
fn a_secret_with_a_line_end_adds_no_header() {
    let asked = Arc::new(Mutex::new(String::new()));
    let url = {
        let asked = Arc::clone(&asked);
        scripted(move |request| {
            asked.lock().unwrap().push_str(&request.head);
            Answer::new(404, &[], "{}")
        })
    };
    for secret in ["k3y\r\nX-Evil: 1", "k3y\nX-Evil: 1", "k3y\u{0}x"] {
        for option in ["api_key: \"${file:key}\"", "bearer_token: \"${file:key}\""] {
            let retry = "retry: { initial: 10ms, max: 20ms }";
            let place = Place::new(&pipeline(&format!(
                "{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: logs-x, {option}, {retry} }} }}"
            )));
            fs::write(place.path("key"), secret).unwrap();
            place.append(record(0));
            let ended = verb(&place, &["check", "p.yaml", "--connect"]);
            assert!(matches!(ended.code, Some(1 | 2)), "{secret:?}: {ended:?}");
            assert!(!ended.stderr.contains("k3y") && !ended.stdout.contains("k3y"), "{ended:?}");
        }
    }
    assert!(!asked.lock().unwrap().contains("x-evil"), "{}", asked.lock().unwrap());
}

/// However a secret is given, it is in no list of processes, in no word and in no log.
#[test]
fn secrets_are_in_no_list_of_processes_and_in_no_words() {
    const SECRET: &str = "s3cr3tValue77";
    let nowhere = crate::place::free_address();
    for (hosts, option) in [
        (format!("http://user:{SECRET}@{nowhere}"), "".to_owned()),
        (format!("http://{nowhere}"), format!("api_key: \"{SECRET}\"")),
        (format!("http://{nowhere}"), format!("username: u, password: \"{SECRET}\"")),
        (format!("http://{nowhere}"), "bearer_token: \"${file:key}\"".to_owned()),
        (format!("http://{nowhere}"), "api_key: \"${SECRET_OF_TEST}\"".to_owned()),
    ] {
        let option = if option.is_empty() { option } else { format!(", {option}") };
        let sink = format!("{{ elasticsearch: {{ hosts: [\"{hosts}\"], data_stream: logs-x{option} }} }}");
        let place = Place::new(&pipeline(&sink));
        fs::write(place.path("key"), SECRET).unwrap();
        place.append(record(0));
        let of = |arguments: &[&str]| {
            let mut command = place.inferlog(arguments);
            command.env("SECRET_OF_TEST", SECRET).env("INFERLOG_LOG", "trace");
            command
        };
        for arguments in [&["check", "p.yaml"][..], &["check", "p.yaml", "--connect"], &["setup", "plan", "p.yaml"]] {
            let ended = start(of(arguments)).wait();
            assert!(!format!("{ended:?}").contains(SECRET), "{arguments:?}: {ended:?}");
        }
        let running = start(of(&["run", "p.yaml", "--data-dir", "data", "--listen", "off"]));
        let tried =
            || running.stderr().contains("no answer") || running.id() == 0 || running.stderr().contains("error:");
        wait_for("a try", || tried().then_some(()));
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", running.id())).unwrap_or_default();
        assert!(!read("cmdline").contains(SECRET));
        // It starts no other program, which would inherit what is in its environment.
        assert_eq!(read(&format!("task/{}/children", running.id())), "");
        let said = running.stderr();
        assert!(!said.contains(SECRET), "{said}");
        drop(running);
        for file in walkdir::WalkDir::new(place.path("")).into_iter().filter_map(Result::ok) {
            if file.path().ends_with("key") || file.path().ends_with("p.yaml") {
                continue;
            }
            let bytes = fs::read(file.path()).unwrap_or_default();
            assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{:?}", file.path());
        }
    }
}

fn gzip(write: impl Fn(&mut dyn std::io::Write)) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write(&mut encoder);
    encoder.finish().unwrap()
}

/// Logs that were made to exhaust memory. What they do to it is measured.
#[test]
fn crafted_logs_cannot_exhaust_memory() {
    let observe = "observe: [model_metrics]\n";
    let place = Place::new(&(pipeline_of("paths: [\"logs/*\"], poll_interval: 50ms", "", "store") + observe));
    let log = |name: &str, text: String| fs::write(place.path(&format!("logs/{name}")), text).unwrap();
    log("deep.ndjson", format!("{{\"a\":{}1{}}}\n", "[".repeat(400_000), "]".repeat(400_000)));
    log("open.ndjson", "{\"a\":".repeat(150_000) + "\n");
    log("unended.ndjson", "x".repeat(64 << 20));
    let names: Vec<String> = (0..60_000).map(|n| format!("\"n{n}\":{n}")).collect();
    log("names.ndjson", format!("{{{}}}\n", names.join(",")));
    log(
        "number.ndjson",
        format!("{{\"confidence\":{}}}\n{{\"latency_ms\":1e{}}}\n", "9".repeat(500_000), "9".repeat(400)),
    );
    let values = |n: u32| {
        format!(
            "{{\"event\":\"inference\",\"model_version\":\"v{n}\",\"model_name\":\"m{n}\",\"prediction\":\"p{n}\",\"status\":\"s{n}\",\
             \"error_type\":\"e{n}\",\"confidence\":0.5,\"latency_ms\":1}}\n"
        )
    };
    log("values.ndjson", (0..10_000).map(values).collect());
    // More than the process may have: a line without an end; and zeros.
    let bomb = |name: &str, byte: u8, mebibytes: usize| {
        let packed = gzip(|encoder| (0..mebibytes).for_each(|_| encoder.write_all(&vec![byte; 1 << 20]).unwrap()));
        assert!(packed.len() < mebibytes << 14, "{name}: {}", packed.len());
        fs::write(place.path(&format!("logs/{name}.gz")), packed).unwrap();
    };
    bomb("line", b'x', 192);
    bomb("zeros", 0, 32);
    let (ended, peak_bytes) = start(place.run_command(&["--once", "--listen", "off"])).wait_and_weigh();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    crate::numbered::report(&format!("crafted logs: {} MiB resident at most", peak_bytes >> 20));
    assert!(peak_bytes < RESIDENT_BYTES_MAX, "{} MiB", peak_bytes >> 20);
    assert!(place.store().count() >= 10_000, "{ended:?}");
}

/// Whoever reaches the admin port without the token changes nothing and learns nothing of records, paths or secrets.
#[test]
fn who_reaches_the_admin_port_without_the_token_changes_nothing() {
    let place = Place::new(&pipeline("store"));
    place.append(records(0..5));
    let running = place.run();
    wait_for("the records", || (place.store().count() == 5).then_some(()));
    let address = running.address.unwrap();
    let token = fs::read_to_string(place.path("data/admin.token")).unwrap();
    for path in ["/-/reload", "/-/log-level"] {
        for headers in
            [&[][..], &[("authorization", "Bearer ")], &[("authorization", "Bearer 0")], &[("cookie", token.trim())]]
        {
            assert_eq!(http(address, "POST", path, headers, "debug").unwrap().0, 401, "{path} {headers:?}");
        }
        let in_url = format!("{path}?token={}", token.trim());
        assert_eq!(http(address, "POST", &in_url, &[], "debug").unwrap().0, 401);
        assert_eq!(http(address, "GET", path, &[], "").unwrap().0, 405);
    }
    let request_id = record(0).split('"').nth(7).unwrap().to_owned();
    for path in
        ["/metrics", "/healthz", "/readyz", "/", "/../data/admin.token", "/%2e%2e/data/admin.token", "/static/..%2f"]
    {
        let (_, body) = http(address, "GET", path, &[], "").unwrap();
        for secret in [token.trim(), &request_id, place.path("").to_str().unwrap()] {
            assert!(!body.contains(secret), "{path}: {body}");
        }
    }
    assert!(running.stderr().matches("the log says").count() == 0 && running.stderr().matches("reloaded").count() == 0);
    running.stop();
}

/// A page of claims is worth what its tests are: each that `docs/security.md` names is there.
#[test]
fn every_test_that_the_page_on_security_names_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let named: BTreeSet<&str> =
        page.split('`').skip(1).step_by(2).filter(|word| word.contains("::") && !word.contains([' ', '('])).collect();
    assert!(named.len() >= 20, "only {named:?}: does the test still see them?");
    for name in &named {
        let (file, test) = name.split_once("::").unwrap();
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.contains(&format!("fn {test}(")), "{file} has no test `{test}`");
    }
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---") && !line.contains("| held by |"));
    for row in rows {
        assert!(row.contains("::") || row.contains("nothing holds it"), "a claim without a test: {row}");
    }
}

/// The corpus holds what is looked for, or the search says nothing.
#[test]
fn hostile_text_is_in_the_corpus() {
    let place = hostile_place();
    let text = fs::read_to_string(place.path("sample.ndjson")).unwrap();
    assert!(text.contains(HOSTILE) && text.contains(HOSTILE_JSON));
    let shown = Ended { code: Some(0), stdout: text, stderr: String::new() };
    assert!(std::panic::catch_unwind(|| must_be_harmless("the log", &shown)).is_err());
}
