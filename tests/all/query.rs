//! `inferlog query`: the same rows from the store and from Elasticsearch, in every format, and what is said about them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::place::{Ended, Place, Signal, pipeline, pipeline_of, record, records, start, wait_for};
use crate::scripted::read_request;
use crate::support::{Method, Node};

/// A day's records, some of which are odd in one way each.
fn log() -> String {
    let odd = [
        r#"{"event":"inference","request_id":"tie-b","confidence":0.1,"timestamp":"2026-11-23T20:00:00.000200Z"}"#,
        r#"{"event":"inference","request_id":"tie-a","confidence":0.1,"timestamp":"2026-11-23T20:00:00.000900Z"}"#,
        r#"{"event":"inference","request_id":"tie-c","confidence":0.1,"timestamp":"2026-11-23T20:00:00.000200Z"}"#,
        r#"{"event":"inference","request_id":"text","confidence":"0.25","latency_ms":"1500","timestamp":"2026-11-23T21:00:00Z"}"#,
        r#"{"event":"inference","request_id":"none","confidence":null,"latency_ms":2500.50,"timestamp":"2026-11-23T21:00:01Z"}"#,
        r#"{"event":"inference","request_id":"shadow","stage":"shadow","confidence":0.2,"timestamp":"2026-11-23T21:00:02Z"}"#,
        r#"{"event":"inference","request_id":"=1+1","prediction":"a\u001b[2Jb,\"c\"","status":"error","confidence":0.5,"timestamp":"2026-11-23T21:00:03Z"}"#,
        r#"{"event":"inference", "request_id":"input","features":{"amount":12.50,"country":"DE"},"subject":"s-1","confidence":0.9,"timestamp":"2026-11-23T21:00:04Z"}"#,
    ];
    records(0..200) + &odd.map(|line| format!("{line}\n")).concat()
}

/// A place with `log()` shipped into a store.
fn stored() -> Place {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(log());
    place.run_once_to(0);
    place
}

fn ask(place: &Place, arguments: &[&str]) -> Ended {
    start(place.inferlog(&[&["query", "--data-dir", "data"], arguments].concat())).wait()
}

/// The answer to a question, which must have been answered.
fn answered(place: &Place, arguments: &[&str]) -> String {
    let ended = ask(place, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended.stdout
}

/// The `request_id` of each line of JSON.
fn request_ids(lines: &str) -> Vec<String> {
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["request_id"].as_str().unwrap().to_owned();
    lines.lines().map(id).collect()
}

#[test]
fn documents_come_back_byte_for_byte_the_newest_first() {
    let place = stored();
    let mut documents = place.store().documents();
    assert_eq!(documents.len(), 208);
    documents.retain(|document| !document.contains("\"shadow\""));
    let found = answered(&place, &["", "--format", "json"]);
    let mut lines: Vec<&str> = found.lines().collect();
    assert_eq!(request_ids(&found)[..4], ["input", "=1+1", "none", "text"]);
    let ties = request_ids(&found).into_iter().filter(|id| id.starts_with("tie")).collect::<Vec<_>>();
    assert_eq!(ties[0], "tie-a", "by all digits of the time");
    lines.sort_unstable();
    documents.sort_unstable();
    assert_eq!(lines, documents);
}

#[test]
fn questions_are_narrowed_counted_limited_and_ranged() {
    let place = stored();
    let ids = |arguments: &[&str]| request_ids(&answered(&place, &[arguments, &["--format", "json"]].concat()));
    assert_eq!(ids(&["confidence < 0.3 and latency_ms > 1000"]), ["text"]);
    assert_eq!(ids(&["stage : shadow"]), ["shadow"], "a query that names the stage means it");
    assert_eq!(ids(&["confidence : 0.2"]), [""; 0]);
    assert_eq!(ids(&["confidence : 0.2", "--include-shadow"]), ["shadow"]);
    assert_eq!(ids(&["not confidence : *"]), ["none"]);
    assert_eq!(ids(&["*", "--limit", "2"]), ["input", "=1+1"]);
    assert_eq!(ids(&["*", "--from", "2026-11-23T21:00:03Z", "--to", "2026-11-23T21:00:04Z"]), ["=1+1"]);
    assert_eq!(ids(&["@timestamp >= 2026-11-23||+21h and @timestamp < \"2026-11-23T21:00:01Z\""]), ["text"]);
    assert_eq!(ids(&["--saved", "slow", "--from", "2026-11-23"]), ["none", "text"], "the slowest first");
    assert_eq!(ids(&["request_id : none", "--saved", "slow", "--from", "2026-11-23"]), ["none"]);
    assert_eq!(answered(&place, &["confidence : 0.1", "--count"]), "3\n");
    let ended = ask(&place, &["confidence : 0.1", "--count", "--from", "2026-11-23T20:00", "--to", "2026-11-23T22:00"]);
    assert!(
        ended.stderr.contains("3 records in the store `p`, from 2026-11-23T20:00:00Z to 2026-11-23T22:00:00Z; 1 record there has no confidence; shadow records are left out"),
        "{ended:?}"
    );
    assert_eq!(ids(&["*", "--last", "1ms"]), [""; 0]);
}

#[test]
fn csv_and_tables_are_safe() {
    let place = stored();
    let csv = answered(
        &place,
        &["request_id : \"=1+1\"", "--format", "csv", "--columns", "request_id,prediction,confidence"],
    );
    assert_eq!(csv, "request_id,prediction,confidence\r\n'=1+1,\"a\u{1b}[2Jb,\"\"c\"\"\",0.5\r\n");
    let table = answered(&place, &["status : error"]);
    assert!(table.contains("a\\u{1b}[2Jb,\"c\"") && !table.contains('\u{1b}'), "{table}");
    let narrow = start({
        let mut command = place.inferlog(&["query", "*", "--data-dir", "data"]);
        command.env("COLUMNS", "60");
        command
    })
    .wait();
    assert_eq!(narrow.stdout.lines().count(), 208);
    assert!(
        !narrow.stdout.contains('…') && narrow.stdout.lines().any(|line| line.len() > 100),
        "into a pipe nothing is cut"
    );
    let usual = answered(&place, &["features.country : DE and request_id : input", "--format", "csv"]);
    assert!(usual.starts_with("_id,@timestamp,request_id,") && usual.contains(",features.country\r\n"), "{usual}");
}

#[test]
fn an_input_finds_the_predictions_that_were_made_on_it() {
    let place = stored();
    let ids = |arguments: &[&str]| request_ids(&answered(&place, &[arguments, &["--format", "json"]].concat()));
    let input = r#"{ "country" : "DE", "amount" : 12.5 }"#;
    assert_eq!(ids(&["--saved", "one-subject", "--input", input]), ["input"], "without a pipeline file, as usual");
    assert_eq!(ids(&["--input", input, "--pipeline", "p.yaml"]), ["input"]);
    assert_eq!(ids(&["confidence < 0.5", "--input", input]), [""; 0]);
    let wrong = ask(&place, &["--input", "{1}"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("`--input` takes the JSON"), "{wrong:?}");

    let keyed = Place::new(&pipeline_of(
        "paths: [\"logs/*.ndjson\"]",
        "- hash: { fields: [features.country, subject], into: who, key: s3cret }",
        "{ store: {} }",
    ));
    keyed.append(log());
    keyed.run_once_to(0);
    let hash =
        serde_json::from_str::<Value>(&answered(&keyed, &["subject : s-1", "--format", "json"])).unwrap()["input_hash"]
            .clone();
    let found =
        answered(&keyed, &["--input", input, "--pipeline", "p.yaml", "--format", "csv", "--columns", "input_hash"]);
    assert_eq!(found, format!("input_hash\r\n{}\r\n", hash.as_str().unwrap()));
}

#[test]
fn groups_have_counts_and_figures() {
    let place = stored();
    let csv =
        answered(&place, &["request_id : (tie-a or tie-b or tie-c or text)", "--by", "latency_ms", "--format", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[1], ",3,0.1,0.1,0.1,,,,2026-11-23T20:00:00.000200Z,2026-11-23T20:00:00.000900Z");
    assert_eq!(lines[2], "1500,1,0.25,0.25,0.25,1500,1500,1500,2026-11-23T21:00:00.000Z,2026-11-23T21:00:00.000Z");
    let json = answered(&place, &["--saved", "new-model-version", "--from", "2026-11-23", "--format", "json"]);
    let counts: u64 =
        json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["count"].as_u64().unwrap()).sum();
    assert_eq!((json.lines().count(), counts), (3, 200), "{json}");
}

#[test]
fn every_saved_query_runs() {
    let place = stored();
    let names = answered(&place, &["--saved", "list"]);
    assert_eq!(names.lines().count(), 12, "{names}");
    for name in names.lines().map(|line| line.split(' ').next().unwrap()) {
        answered(&place, &["--saved", name]);
        answered(&place, &["--saved", name, "--from", "2026-11-23", "--format", "csv"]);
    }
    std::fs::write(place.path("mine.yaml"), "title: mine\nkql: 'request_id : text'\ncolumns: [request_id]\n").unwrap();
    assert_eq!(answered(&place, &["--saved", "mine.yaml", "--format", "csv"]), "request_id\r\ntext\r\n");
}

#[test]
fn what_cannot_be_asked_is_said_and_exits_2() {
    let place = stored();
    let says = |arguments: &[&str], words: &str| {
        let ended = ask(&place, arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "no `{words}` in {ended:?}");
    };
    says(
        &["confidence == 0.5"],
        "the question is not understood: `==` is not KQL, which takes it for a text: write `confidence : 0.5`",
    );
    says(&["confidence == 0.5"], "hint: `--free-text` takes it as it is");
    says(&["SELECT * FROM logs"], "`SELECT` is not KQL");
    says(&["confidence < abc"], "`abc` is no number, and `confidence` is one");
    says(&["*", "--from", "2026-11-24", "--to", "2026-11-23"], "the range is empty: it begins at 2026-11-24T00:00:00Z");
    says(&["*", "--from", "now", "--to", "now"], "the range is empty");
    says(&["*", "--pipeline", "nobody"], "`nobody` is no pipeline file, and no pipeline of this name has run");
    says(&["*", "--pipeline", "nobody"], "pipelines that have state in `data`: p");
    says(&["confidence <"], "expected a value after `<`\n  confidence <\n              ^");
    says(&[], "nothing is asked");
    says(&["*", "--saved", "nothing"], "no saved query is called `nothing`");
    says(&["*", "--from", "yesterday"], "`--from yesterday` is no time");
    says(&["*", "--source", "elasticsearch"], "--pipeline FILE");
    says(&["*", "--source", "elasticsearch", "--pipeline", "p.yaml"], "does not ship into Elasticsearch");
    says(&["*", "--pipeline", "nowhere.yaml"], "no pipeline is here");
    says(&["*", "--last", "1h", "--from", "2026-11-23"], "cannot be used with");
    let nowhere = start(place.inferlog(&["query", "*", "--data-dir", "elsewhere"])).wait();
    assert!(nowhere.code == Some(2) && nowhere.stderr.contains("there is no store in `elsewhere`"), "{nowhere:?}");
    std::fs::create_dir(place.path("data/q")).unwrap();
    std::fs::copy(place.path("data/p/store.sqlite"), place.path("data/q/store.sqlite")).unwrap();
    says(&["*"], "there are several stores in `data`: p, q");
    assert_eq!(answered(&place, &["*", "--count", "--pipeline", "p.yaml"]), "207\n");
}

#[test]
fn a_question_without_kql_means_all_and_last_ends_where_it_is_told() {
    let place = stored();
    let count = |arguments: &[&str]| answered(&place, &[&["--count"], arguments].concat());
    assert_eq!(count(&[]), "207\n");
    assert_eq!(count(&["--last", "1ms"]), "0\n");
    assert_eq!(count(&["--last", "2s", "--to", "2026-11-23T21:00:02Z"]), "2\n");
    assert_eq!(count(&["--from", "2026-11-23T21:00:00Z", "--to", "2026-11-23T21:00:01Z"]), "1\n");
    assert_eq!(count(&["confidence == 0.5", "--free-text"]), "0\n");
    assert_eq!(count(&["event : and"]), "0\n", "a keyword alone is a text");
    let all = answered(&place, &["--from", "2026-11-23", "--format", "json"]);
    assert_eq!(all.lines().count(), 207);
}

/// What one has to know of an answer that is not as hoped stands on stderr.
#[test]
fn an_empty_answer_says_where_it_looked_and_what_is_odd() {
    let place = stored();
    let said = |arguments: &[&str]| {
        let ended = ask(&place, arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stderr
    };
    let words = said(&["confidnce < 0.6", "--from", "2026-11-23T21:00:00Z", "--to", "2026-11-23T21:00:02Z"]);
    assert!(
        words.contains("looked through 2 records in this range, of 208 at any time: data/p/store.sqlite\n"),
        "{words}"
    );
    assert!(
        words.contains("note: no record in this range has a field `confidnce`: did you mean `confidence`?\n"),
        "{words}"
    );
    let words = said(&["features.contry : DE", "--count"]);
    assert!(words.contains("looked through 208 records: data/p/store.sqlite\n"), "{words}");
    assert!(words.contains("has a field `features.contry`: did you mean `features.country`?\n"), "{words}");
    let words = said(&["*", "--by", "modl", "--columns", "_id,confidence"]);
    assert!(
        words.contains("has a field `modl`: did you mean `model_name`?\n")
            && !words.contains("_id")
            && !words.contains("`confidence`"),
        "{words}"
    );
    let words = said(&["confidence : np*"]);
    assert!(words.contains("note: `confidence : np*` can never match: `confidence` is a number"), "{words}");
    assert!(!said(&["confidence < 0.6 and log.file.path : * and features.country : DE"]).contains("note:"));
}

#[test]
fn the_biggest_groups_are_shown_and_the_others_counted() {
    let place = stored();
    let ended = ask(&place, &["*", "--by", "request_id"]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 21), "{ended:?}");
    assert!(
        ended.stderr.contains("the 20 biggest groups, and 187 more that `--limit` shows, in the store"),
        "{ended:?}"
    );
    assert_eq!(ask(&place, &["*", "--by", "request_id", "--format", "csv"]).stdout.lines().count(), 208);
    let few = ask(&place, &["*", "--by", "event"]);
    assert!(few.stderr.starts_with("1 group in the store `p`"), "{few:?}");
}

/// A pipeline that has run is known by its name, wherever its file is.
#[test]
fn pipelines_are_known_by_their_names() {
    let place = stored();
    place.append("no record\n");
    assert_eq!(place.run_once().code, Some(1));
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let data = place.path("data").to_str().unwrap().to_owned();
    let from_elsewhere = |arguments: &[&str]| {
        let mut command = place.inferlog(&[arguments, &["--data-dir", &data]].concat());
        command.current_dir(place.path("elsewhere"));
        start(command).wait()
    };
    let found = from_elsewhere(&["query", "confidence < 0.6", "--count", "--pipeline", "p"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    let input = r#"{"amount":12.50,"country":"DE"}"#;
    assert_eq!(from_elsewhere(&["query", "--input", input, "--count", "--pipeline", "p"]).stdout, "1\n");
    let proven = from_elsewhere(&["reconcile", "p"]);
    assert!(proven.code == Some(0) && proven.stderr.contains("pipeline `p`"), "{proven:?}");
    let replayed = from_elsewhere(&["dead-letter", "replay", "--pipeline", "p"]);
    assert!(replayed.code == Some(1) && replayed.stderr.contains("1 remains in the dead letter"), "{replayed:?}");
    for verb in [&["query", "*", "--pipeline", "q"][..], &["reconcile", "q"], &["dead-letter", "replay", "q"]] {
        let unknown = from_elsewhere(verb);
        assert!(unknown.code == Some(2) && unknown.stderr.contains("`q` is no pipeline file"), "{unknown:?}");
    }
    std::fs::rename(place.path("p.yaml"), place.path("moved.yaml")).unwrap();
    for verb in [&["query", "*", "--pipeline", "p"][..], &["reconcile", "p"]] {
        let gone = from_elsewhere(verb);
        assert!(gone.code == Some(2) && gone.stderr.contains("the file of pipeline `p` is gone: `/"), "{gone:?}");
    }
}

#[test]
fn an_answer_says_through_when_it_is_complete_and_a_manifest_proves_it() {
    let place = stored();
    let arguments = [
        "confidence < 0.6",
        "--format",
        "csv",
        "--manifest",
        "m.json",
        "--require-complete",
        "--to",
        "2026-11-23T22:00:00Z",
    ];
    let ended = ask(&place, &arguments);
    assert_eq!(ended.code, Some(0), "delivered after the range: {ended:?}");
    assert!(ended.stderr.contains("complete through 2026-11-23T22:00:00Z\n"), "{ended:?}");
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(place.path("m.json")).unwrap()).unwrap();
    let sha256: String = Sha256::digest(&ended.stdout).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(manifest["output"]["sha256"], sha256);
    assert_eq!(manifest["output"]["bytes"], ended.stdout.len());
    assert_eq!(manifest["count"], ended.stdout.lines().count() - 1);
    assert_eq!(manifest["query"], "confidence < 0.6");
    assert_eq!(manifest["range"]["to"], "2026-11-23T22:00:00Z");
    assert_eq!(manifest["completeness"]["complete"], true, "{manifest}");

    let open = ask(&place, &["*", "--count", "--require-complete"]);
    assert!(open.code == Some(1) && open.stderr.contains("pipeline `p` does not run: last heard of "), "{open:?}");
    place.append(record(500));
    let behind = ask(&place, &["*", "--count", "--require-complete", "--to", "2027-01-01"]);
    assert!(behind.code == Some(1) && behind.stderr.contains("pipeline `p` lags: "), "{behind:?}");
    place.append("no record\n");
    assert_eq!(place.run_once().code, Some(1));
    let dead = ask(&place, &["*", "--count", "--require-complete"]);
    assert!(dead.code == Some(1) && dead.stderr.contains("pipeline `p` has 1 dead letter in this range"), "{dead:?}");
    assert!(!ask(&place, &["*", "--count", "--to", "2026-01-01"]).stderr.contains("dead letters"));

    let running = place.run();
    let well = ask(&place, &["*", "--count", "--require-complete", "--from", "2026-11-23", "--to", "2026-11-23T23:00"]);
    assert_eq!(well.code, Some(0), "{well:?}");
    running.stop();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = stored();
    for arguments in ["query '*' --data-dir data --format json", "completions bash"] {
        let script = format!("{:?} {arguments} | head -n 1", env!("CARGO_BIN_EXE_inferlog"));
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(place.path("."));
        let ended = start(command).wait();
        assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 1), "{ended:?}");
        let is_calm = ["error", "panicked"].iter().all(|word| !ended.stderr.contains(word));
        assert!(is_calm, "{arguments}: {ended:?}");
    }
}

#[tokio::test]
async fn the_store_and_elasticsearch_give_the_same_rows() {
    let Some(node) = Node::plain("the same rows") else { return };
    let stream = "logs-ml.inference-query";
    node.forget(stream).await;
    let host = node.options.hosts[0].as_str();
    let sinks = format!("[{{ store: {{}} }}, {{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}]");
    let place = Place::new(&pipeline(&sinks));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    place.append(log());
    place.append(records(200..3_000));
    place.run_once_to(0);
    node.ask(Method::Post, &format!("{stream}/_refresh"), "").await;
    let both = |arguments: &[&str]| {
        let of = |source| {
            let more = ["--pipeline", "p.yaml", "--manifest", "m.json", "--source", source];
            let found = answered(&place, &[arguments, &more].concat());
            let manifest: Value =
                serde_json::from_str(&std::fs::read_to_string(place.path("m.json")).unwrap()).unwrap();
            (found, manifest["without_confidence"].clone(), manifest["source"]["indices"].as_array().unwrap().len())
        };
        let (store, elastic) = (of("store"), of("elasticsearch"));
        assert_eq!(store.0, elastic.0, "{arguments:?}");
        assert_eq!(store.1, elastic.1, "{arguments:?}");
        (store.0, elastic.2)
    };
    let (all, indices) = both(&["*", "--format", "json"]);
    assert_eq!((all.lines().count(), indices), (3_007, 1));
    for arguments in [
        &["confidence < 0.6 and features.country : (DE or F*)", "--format", "json"][..],
        &["confidence < 0.6 or not confidence : *", "--format", "csv", "--limit", "150"],
        &["*", "--include-shadow", "--count"],
        &["request_id : tie-*", "--format", "json"],
        &["--saved", "slow", "--from", "2026-11-23", "--format", "json"],
        &["--saved", "low-confidence-or-unknown", "--from", "2026-11-23", "--to", "2026-11-23T21:00:03Z"],
        &["features : *", "--by", "features.country", "--format", "csv"],
        &["--input", r#"{"country":"DE","amount":12.5}"#, "--format", "json"],
        &["nothing : here", "--format", "csv"],
        &["log.offset < 4096 and log.file.path : *a.ndjson", "--format", "json"],
    ] {
        both(arguments);
    }
    for source in ["store", "elasticsearch"] {
        let absent = ask(&place, &["confidnce < 0.6", "--pipeline", "p.yaml", "--source", source]);
        let words = "no record in this range has a field `confidnce`: did you mean `confidence`?";
        assert!(absent.code == Some(0) && absent.stderr.contains(words), "{source}: {absent:?}");
        assert!(absent.stderr.contains("looked through 3008 records: "), "{source}: {absent:?}");
    }
}

/// An Elasticsearch that opens a view and then does not come with any documents; notes what it was asked.
fn slow_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let noted = Arc::clone(&noted);
            std::thread::spawn(move || answer_slowly(stream, &noted));
        }
    });
    (url, asked)
}

fn answer_slowly(stream: TcpStream, noted: &Mutex<Vec<String>>) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let asked = read_request(&mut reader)?;
        noted.lock().unwrap().push(format!("{} {}", asked.line, String::from_utf8_lossy(&asked.body)));
        if asked.line.contains("POST /_search") {
            // Until the client goes away.
            let _ = reader.read_line(&mut String::new());
            return None;
        }
        let shards = r#""_shards":{"total":1,"successful":1,"failed":0}"#;
        let answer = format!(r#"{{"indices":["i"],"fields":{{}},"id":"v13w","succeeded":true,{shards}}}"#);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch";
        writer.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).as_bytes()).ok()?;
    }
}

#[test]
fn ctrl_c_closes_the_view() {
    let (url, asked) = slow_server();
    let place = Place::new(&pipeline(&format!("{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: logs-x }} }}")));
    let running = start(place.inferlog(&["query", "*", "--pipeline", "p.yaml", "--data-dir", "data"]));
    let was_asked = |words: &str| asked.lock().unwrap().iter().any(|request| request.contains(words));
    wait_for("the search", || was_asked("POST /_search").then_some(()));
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(was_asked("DELETE /_pit HTTP/1.1 {\"id\":\"v13w\"}"), "{asked:?}");
    assert_eq!(ended.stderr, "interrupted: what was printed is not all\n");
}

#[tokio::test]
async fn pipelines_elsewhere_are_known_by_their_accounts() {
    let Some(node) = Node::plain("completeness by accounts") else { return };
    let stream = "logs-ml.inference-elsewhere";
    node.forget(stream).await;
    node.forget("metrics-ml.pipeline-elsewhere").await;
    let host = node.options.hosts[0].as_str();
    let place =
        Place::new(&pipeline(&format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}")));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    place.append(record(1) + "no record\n");
    place.run_once_to(1);
    node.ask(Method::Post, &format!("{stream},metrics-ml.pipeline-elsewhere/_refresh"), "").await;
    let ask = |data: &str, to: &str| {
        let arguments = ["query", "*", "--pipeline", "p.yaml", "--count", "--require-complete", "--data-dir", data];
        start(place.inferlog(&[&arguments[..], &["--to", to]].concat())).wait()
    };
    // A folder of state that is not there stands for another machine.
    let told = ask("elsewhere", "now");
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.stderr.contains("pipeline `p` on `") && told.stderr.contains("is known by its accounts alone"),
        "{told:?}"
    );
    assert!(told.stderr.contains("has 1 dead letter in this range"), "{told:?}");
    let before = ask("elsewhere", "2026-11-23T23:00");
    assert_eq!(before.code, Some(0), "the account is later, and its dead letter is not of this range: {before:?}");
    assert!(before.stderr.contains("complete through 2026-11-23T23:00:00Z"), "{before:?}");
    // Here more is known, and it is not told twice.
    let here = ask("data", "now");
    assert!(here.stderr.contains("does not run") && !here.stderr.contains("accounts alone"), "{here:?}");
}

#[tokio::test]
async fn what_was_delivered_a_moment_ago_is_found_before_an_answer_is_called_complete() {
    let Some(node) = Node::plain("completeness right after delivery") else { return };
    let stream = "logs-ml.inference-atonce";
    node.forget(stream).await;
    node.forget("metrics-ml.pipeline-atonce").await;
    let host = node.options.hosts[0].as_str();
    let place =
        Place::new(&pipeline(&format!("{{ elasticsearch: {{ hosts: [\"{host}\"], data_stream: {stream} }} }}")));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    // Nothing becomes visible by itself.
    let (status, answer) = node.ask(Method::Put, &format!("_data_stream/{stream}"), "").await;
    assert_eq!(status, 200, "{answer}");
    let never = r#"{"index":{"refresh_interval":"-1"}}"#;
    assert_eq!(node.ask(Method::Put, &format!("{stream}/_settings"), never).await.0, 200);
    place.append(records(0..50));
    place.run_once_to(0);
    let arguments = ["*", "--count", "--pipeline", "p.yaml", "--require-complete", "--to", "2026-11-25"];
    let ended = ask(&place, &arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "50\n"), "{ended:?}");
    assert!(ended.stderr.contains("complete through 2026-11-25T00:00:00Z"), "{ended:?}");
    place.append(records(50..60));
    place.run_once_to(0);
    let proof = start(place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data"])).wait();
    assert!(proof.code == Some(0) && proof.stderr.contains("all 60 lines are accounted for"), "{proof:?}");
}

#[tokio::test]
async fn a_user_who_may_not_refresh_gets_no_claim_that_all_is_there() {
    let Some(node) = Node::strict("completeness without the right to refresh") else { return };
    let stream = "logs-ml.inference-readonly";
    node.forget(stream).await;
    node.forget("metrics-ml.pipeline-readonly").await;
    let host = node.options.hosts[0].as_str();
    let sink = |key: &str| {
        let target = format!("hosts: [\"{host}\"], data_stream: {stream}, api_key: \"{key}\"");
        pipeline(&format!("{{ elasticsearch: {{ {target} }} }}"))
    };
    let key = |privileges: &'static str| {
        let role = format!(
            r#"{{"name":"k","role_descriptors":{{"r":{{"cluster":["all"],"indices":[{{"names":["*ml*"],"privileges":[{privileges}]}}]}}}}}}"#
        );
        let node = &node;
        async move {
            let (status, key) = node.ask(Method::Post, "_security/api_key", &role).await;
            assert_eq!(status, 200, "{key}");
            key["encoded"].as_str().unwrap().to_owned()
        }
    };
    let (all, read) = (key("\"all\"").await, key("\"read\"").await);
    let place = Place::new(&sink(&all));
    assert_eq!(start(place.inferlog(&["setup", "apply", "p.yaml"])).wait().code, Some(0));
    place.append(records(0..5));
    place.run_once_to(0);
    let arguments = ["*", "--count", "--pipeline", "p.yaml", "--require-complete", "--to", "2026-11-25"];
    assert_eq!(ask(&place, &arguments).code, Some(0));
    let text = std::fs::read_to_string(place.path("p.yaml")).unwrap();
    std::fs::write(place.path("p.yaml"), text.replace(&all, &read)).unwrap();
    let ended = ask(&place, &arguments);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("it is not known through which time") && ended.stderr.contains("`maintenance`"),
        "{ended:?}"
    );
    let proof = start(place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data"])).wait();
    assert!(proof.code == Some(2) && proof.stderr.contains("may not refresh"), "{proof:?}");
}
