//! `POST /query`, and the box on the page that asks it: who is answered, with what, and what is left of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use inferlog::server::{ANSWER_BYTES_MAX, OFF, ROWS_MAX};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::page::{browse_at, keep_picture, keyboard_reaches_everything, must_be_well, text, updates};
use crate::place::{Ended, PATIENCE, Place, Running, pipeline, records, start, wait_for};
use crate::support::provided;

/// What must be shown as it is, and run by nobody: markup, a formula, escape sequences, text that turns others around.
const HOSTILE: &str = "=HYPERLINK(\"http://x\") <img src=x onerror=\"document.title='run'\">\
                       <script>document.title='run'</script>\u{1b}[31m\u{202e}drawkcab\u{e0041}";

/// A text that is in records and must be nowhere else.
const CANARY: &str = "canary-4f1c9b";

/// What is answered.
#[derive(Debug)]
struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    fn problem(&self) -> String {
        let refusal: Value = serde_json::from_str(&self.body).unwrap();
        format!("{} {}", refusal["problem"].as_str().unwrap(), refusal["hint"].as_str().unwrap_or_default())
    }

    fn header(&self, name: &str) -> String {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name}: {}", self.head)).to_owned()
    }
}

/// One request, with exactly these lines in its head.
fn request(address: SocketAddr, first: &str, head: &[(&str, &str)], body: &str) -> Answered {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head: String = head.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    stream.write_all(format!("{first} HTTP/1.0\r\n{head}content-length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answered { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
}

/// The admin token. It listens a moment before it has one.
fn token(place: &Place) -> String {
    let file = place.path("data/admin.token");
    wait_for("the token", || fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))).trim().to_owned()
}

fn ask(place: &Place, running: &Running, question: &Value) -> Answered {
    let (address, bearer) = (running.address.unwrap(), format!("Bearer {}", token(place)));
    let head = [("host", &*address.to_string()), ("authorization", &bearer), ("content-type", "application/json")];
    request(address, "POST /query", &head, &question.to_string())
}

/// What `inferlog query` says to the same question.
fn queried(place: &Place, arguments: &[&str]) -> Ended {
    let mut command = place.inferlog(&["query", "--pipeline", "p.yaml", "--data-dir", "data"]);
    command.args(arguments);
    let ended = start(command).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

/// Records of all kinds: usual ones, several of one time, hostile ones, and one of a megabyte.
fn odd_records() -> String {
    let hostile = |n: u64| {
        json!({ "event": "inference", "request_id": format!("{HOSTILE}{n}"), "prediction": HOSTILE, "status": "=1+1",
            "confidence": 0.25, "note": CANARY, "timestamp": format!("2026-11-23T10:00:0{n}Z") })
    };
    let long = json!({ "event": "inference", "request_id": "long", "prediction": "x".repeat(1_000_000),
        "timestamp": "2026-11-23T09:00:00Z" });
    let without = json!({ "event": "inference", "stage": "shadow", "timestamp": "2026-11-23T09:00:00Z" });
    let odd: String = (0..5).map(hostile).chain([long, without]).map(|record| format!("{record}\n")).collect();
    records(0..300) + &odd
}

/// A process with all of them in its store.
fn with_records(more: &[&str], variables: &[(&str, &str)]) -> (Place, Running) {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(odd_records());
    let running = place.run_with("p.yaml", more, variables);
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"store\"}", 307);
    wait_for("all to be committed", || {
        let status: Value = serde_json::from_str(&running.get("/status.json").1).unwrap();
        (status["pipelines"][0]["totals"]["records"] == 307).then_some(())
    });
    (place, running)
}

#[test]
fn records_are_off_unless_somebody_wants_them() {
    let (place, running) = with_records(&[], &[]);
    let answered = ask(&place, &running, &json!({ "kql": "*" }));
    assert_eq!((answered.status, answered.problem().trim()), (403, OFF));
    let status: Value = serde_json::from_str(&running.get("/status.json").1).unwrap();
    assert_eq!(status["records_off"], OFF, "the page says the same");
    let ended = running.stop();
    assert!(!ended.stderr.contains("ask for records"), "{}", ended.stderr);
    let off = start(place.run_command(&["--listen", "off", "--page-records"])).wait();
    assert!(off.code == Some(2) && off.stderr.contains("no page"), "{off:?}");
}

#[test]
fn who_has_no_token_or_comes_from_elsewhere_gets_nothing() {
    let (place, running) = with_records(&["--page-records"], &[]);
    let (address, token) = (running.address.unwrap(), token(&place));
    let (host, bearer) = (address.to_string(), format!("Bearer {token}"));
    let ours = [("host", &*host), ("authorization", &*bearer), ("content-type", "application/json")];
    let all = "{\"kql\":\"*\"}";
    assert_eq!(request(address, "POST /query", &ours, all).status, 200, "it is asked rightly");
    let with = |name: &'static str, value: &'static str| {
        let mut head: Vec<(&str, &str)> = ours.into_iter().filter(|(other, _)| *other != name).collect();
        head.extend((!value.is_empty()).then_some((name, value)));
        request(address, "POST /query", &head, all)
    };
    for (name, value, status) in [
        ("authorization", "", 401),
        ("authorization", "Bearer 0000", 401),
        ("host", "attacker.example", 421),
        ("host", "", 421),
        ("origin", "http://attacker.example", 403),
        ("origin", "http://127.0.0.1:1", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("content-type", "text/plain", 415),
        ("content-type", "", 415),
    ] {
        let answered = with(name, value);
        assert_eq!(answered.status, status, "{name}: {value}: {answered:?}");
        assert!(!answered.body.contains(CANARY) && !answered.body.contains("\"rows\""), "{answered:?}");
        assert!(!answered.head.contains("access-control-allow"), "{answered:?}");
    }
    // The token counts nowhere else.
    let (cookie, path) = (format!("token={token}"), format!("POST /query?token={token}"));
    let head = [("host", &*host), ("content-type", "application/json"), ("cookie", &*cookie)];
    assert_eq!(request(address, &path, &head, all).status, 401);
    for method in ["GET", "PUT", "OPTIONS"] {
        assert_eq!(request(address, &format!("{method} /query"), &ours, all).status, 405, "{method}");
    }
    let ended = running.stop();
    let refused: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("was refused")).collect();
    let has = |words: &str| refused.iter().any(|line| line.contains(words) && line.contains("peer=\"127.0.0.1:"));
    assert!(has("it has no token") && has("it has another token") && has("a page of somebody else"), "{refused:?}");
    let told = format!("{}admin.token`", "with the token in `data/");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    assert!(!ended.stderr.contains(&token) && !ended.stderr.contains(CANARY), "{}", ended.stderr);
}

#[test]
fn a_question_that_is_wrong_is_refused_with_what_is_wrong() {
    let (place, running) = with_records(&["--page-records"], &[]);
    let long = format!("a : {}", "x".repeat(17_000));
    for (question, status, words) in [
        (json!({ "kql": "confidence < and" }), 400, "the question is not understood"),
        (json!({ "kql": "a == b" }), 400, "is not KQL"),
        (json!({ "kql": long }), 400, "longer than 16384 bytes"),
        (json!({ "kql": "x".repeat(200_000) }), 413, ""),
        (json!({ "kql": "*", "columns": "a" }), 400, "unknown field `columns`"),
        (json!({ "kql": "*", "last": "an hour" }), 400, "write `1h`"),
        (json!({ "kql": "*", "from": "then" }), 400, "`from then` is no time"),
        (json!({ "kql": "*", "from": "2026-11-24", "to": "2026-11-23" }), 400, "the range is empty"),
        (json!({ "kql": "*", "from": "2026-11-24", "last": "1h" }), 400, "`last` and `from` say two things"),
        (json!({ "kql": "*", "pipeline": "q" }), 404, "no such pipeline"),
        (json!("*"), 400, "this is no question"),
    ] {
        let answered = ask(&place, &running, &question);
        assert_eq!(answered.status, status, "{answered:?}");
        assert!(words.is_empty() || answered.problem().contains(words), "{answered:?}");
    }
    let answered: Value = serde_json::from_str(&ask(&place, &running, &json!({ "kql": "ü : (1" })).body).unwrap();
    assert_eq!(answered["position_characters"], 6, "{answered}");
    assert!(answered["problem"].as_str().unwrap().ends_with("\n  ü : (1\n        ^"), "{answered}");
    running.stop();
}

#[test]
fn answers_are_those_of_inferlog_query() {
    let (place, running) = with_records(&["--page-records"], &[]);
    let usual = ["--from", "2026-11-23", "--to", "2026-11-24"];
    for kql in [
        "*",
        "confidence < 0.6",
        "prediction : fraud and latency_ms > 20",
        "features.country : (DE or FR)",
        "request_id : long",
        "stage : shadow",
        "status : \"=1+1\"",
        "confidance : 1",
        "nothing : here",
    ] {
        let question = |format: &str| json!({ "kql": kql, "from": usual[1], "to": usual[3], "format": format });
        let found = ask(&place, &running, &question("json")).json();
        let expected = queried(&place, &[&usual[..], &["--format", "json", kql]].concat());
        let documents: Vec<&str> =
            found["rows"].as_array().unwrap().iter().map(|row| row["document"].as_str().unwrap()).collect();
        assert_eq!(documents, expected.stdout.lines().collect::<Vec<_>>(), "{kql}");
        assert_eq!((found["count"].as_u64().unwrap(), &found["cut"]), (documents.len() as u64, &Value::Null));
        // The same words, but for the store's path.
        let said = |words: &Value| {
            words.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let path = format!(": {}", place.path("data/p/store.sqlite").display());
        let lines = expected
            .stderr
            .lines()
            .map(|line| line.trim_start().replace(&path, "").replace(": data/p/store.sqlite", ""));
        let words = [said(&found["words"]), said(&found["completeness"]["words"])].concat();
        assert_eq!(words, lines.collect::<Vec<_>>(), "{kql}");
        assert_eq!(found["completeness"]["verdict"], "complete", "{kql}");
        let csv = ask(&place, &running, &question("csv"));
        assert_eq!(csv.status, 200, "{csv:?}");
        assert_eq!(csv.body, queried(&place, &[&usual[..], &["--format", "csv", kql]].concat()).stdout, "{kql}");
        assert_eq!(
            (csv.header("inferlog-rows"), csv.header("inferlog-cut")),
            (documents.len().to_string(), "no".to_owned())
        );
        assert_eq!(csv.header("inferlog-completeness"), "complete");
        // The columns are those of the table.
        let table = queried(&place, &[&usual[..], &["--limit", "1", kql]].concat()).stdout;
        if let Some(head) = table.lines().next() {
            assert_eq!(head.split_whitespace().collect::<Vec<_>>(), said(&found["columns"]), "{kql}");
        }
    }
    let hostile = ask(&place, &running, &json!({ "kql": "confidence : 0.25", "limit": 1 })).json();
    let cells = hostile["rows"][0]["cells"].to_string();
    assert!(cells.contains("\\\\u{202e}drawkcab\\\\u{e0041}") && cells.contains("\\\\u{1b}[31m"), "{cells}");
    running.stop();
}

#[test]
fn a_limit_that_is_reached_is_said() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let big =
        |n: u64| format!("{}\n", json!({ "event": "inference", "n": n, "text": "x".repeat(900_000), "kind": "big" }));
    place.append(records(0..ROWS_MAX + 200) + &(0..12).map(big).collect::<String>());
    let running = place.run_with("p.yaml", &["--page-records"], &[]);
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"store\"}", ROWS_MAX + 212);
    let asked = |kql: &str, limit: Option<u64>| ask(&place, &running, &json!({ "kql": kql, "limit": limit })).json();
    for (kql, limit, count, cut) in [
        ("model_version : *", Some(3), 3, "rows"),
        ("model_version : *", Some(0), 0, "rows"),
        ("model_version : *", None, ROWS_MAX, "rows"),
        ("model_version : *", Some(1_000_000), ROWS_MAX, "rows"),
        ("kind : big", None, ANSWER_BYTES_MAX / 900_100, "bytes"),
    ] {
        let answered = asked(kql, limit);
        assert_eq!((answered["count"].as_u64(), answered["cut"].as_str()), (Some(count), Some(cut)), "{kql} {limit:?}");
        assert_eq!(answered["rows"].as_array().unwrap().len() as u64, count);
        let words = answered["words"][0].as_str().unwrap();
        assert!(words.contains("as many as"), "{words}");
    }
    assert_eq!(asked("kind : big", Some(2))["count"], 2);
    // CSV has room for more.
    let csv = ask(&place, &running, &json!({ "kql": "model_version : *", "format": "csv" }));
    assert_eq!((csv.body.lines().count() as u64, csv.header("inferlog-cut")), (ROWS_MAX + 201, "no".to_owned()));
    let csv = ask(&place, &running, &json!({ "kql": "model_version : *", "format": "csv", "limit": 7 }));
    assert_eq!((csv.body.lines().count(), csv.header("inferlog-cut")), (8, "rows".to_owned()));
    running.stop();
}

#[test]
fn each_question_is_a_line_of_the_log_without_what_was_found() {
    let variables = [("INFERLOG_LOG", "off"), ("INFERLOG_LOG_FORMAT", "json")];
    let (place, running) = with_records(&["--page-records"], &variables);
    // More than one place in the code may say within a minute.
    for n in 0..120 {
        ask(&place, &running, &json!({ "kql": format!("note : * and not n : {n}\u{202e}"), "limit": 2 })).json();
    }
    ask(&place, &running, &json!({ "kql": "status : \"=1+1\"", "last": "1h", "format": "csv" }));
    let secret = token(&place);
    let ended = running.stop();
    let lines = ended.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let asked: Vec<Value> = lines.filter(|line| line["message"] == "records were asked for").collect();
    assert_eq!(asked.len(), 121, "{}", ended.stderr);
    let (first, last) = (&asked[0], &asked[120]);
    assert_eq!(
        (&first["kql"], &first["rows"], &first["pipeline"]),
        (&json!("note : * and not n : 0\u{202e}"), &json!(2), &json!("p"))
    );
    assert_eq!((&first["range"], &first["completeness"]), (&json!("at any time"), &json!("complete")));
    assert!(first["peer"].as_str().unwrap().starts_with("127.0.0.1:") && first["milliseconds"].is_u64(), "{first}");
    assert_eq!((&last["rows"], &last["format"]), (&json!(0), &json!("csv")));
    for told in [CANARY, "drawkcab", &secret] {
        assert!(!ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
    // As text, too, and without what would move a cursor.
    let running = place.run_with("p.yaml", &["--page-records"], &[("INFERLOG_LOG", "error")]);
    ask(&place, &running, &json!({ "kql": "note : \"a\u{202e}b\"" })).json();
    let ended = running.stop();
    let line = ended.stderr.lines().find(|line| line.contains("records were asked for")).unwrap();
    assert!(line.contains("kql=\"note : \\\"a\\u{202e}b\\\"\"") && line.contains("rows=0"), "{line}");
}

#[test]
fn a_pipeline_that_ships_elsewhere_is_searched_there() {
    let sink = "{ elasticsearch: { hosts: [\"http://127.0.0.1:1\"], data_stream: logs-ml.inference-default } }";
    let place = Place::new(&pipeline(sink));
    let running = place.run_with("p.yaml", &["--page-records"], &[]);
    let answered = ask(&place, &running, &json!({ "kql": "*" }));
    assert_eq!(answered.status, 409, "{answered:?}");
    assert!(answered.problem().contains("Kibana") && answered.problem().contains("inferlog query --pipeline p"));
    running.signal(crate::place::Signal::TERM);
}

#[test]
fn questions_beside_a_thousand_records_a_second_cost_none() {
    const EVERY: u64 = 1_000;
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(records(0..1));
    let running = place.run_with("p.yaml", &["--page-records"], &[]);
    let mut written = 1;
    let questions = ["*", "confidence < 0.6", "nothing : here", "prediction : fraud", "features.country : DE"];
    thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let count = |kql| ask(&place, &running, &json!({ "kql": kql })).json()["count"].as_u64().unwrap();
            for kql in questions.repeat(6) {
                count(kql);
            }
            // Some were found while others were written.
            wait_for("records", || (count("*") == ROWS_MAX).then_some(()));
        });
        // It ends with the last question, also where one fails.
        let begin = Instant::now();
        while !asker.is_finished() {
            place.append(records(written..written + EVERY / 20));
            written += EVERY / 20;
            let due = begin + Duration::from_millis(written * 1_000 / EVERY);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    });
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"store\"}", written);
    running.stop();
    place.store().must_hold_each_once(written);
}

// --- In a browser -----------------------------------------------------------------------------------------------------

fn open(chromium: &str, place: &Place, running: &Running, size: (u32, u32), scheme: &str) -> Browser {
    let mut browser = browse_at(chromium, place, running, &format!("#token={}", token(place)), size, scheme);
    let address = browser.evaluate("location.href");
    assert_eq!(address, format!("http://{}/", running.address.unwrap()), "the token is in the address no longer");
    assert_eq!(browser.evaluate("sessionStorage.getItem('inferlog-token')"), token(place));
    assert_eq!(browser.evaluate("document.cookie + JSON.stringify(localStorage)"), "{}");
    browser
}

/// Asks at any time, with the keyboard alone.
fn type_question(browser: &mut Browser, kql: &str) {
    browser.evaluate("{ document.getElementById('range').value = 'ever'; const kql = document.getElementById('kql'); kql.focus(); kql.select(); } 0");
    browser.type_in(kql);
    browser.press("Enter");
    wait_for("an answer", || {
        let is_there = "!document.getElementById('records').hasAttribute('aria-busy') && \
                        (document.getElementById('count').textContent !== '' || !document.getElementById('ask-error').hidden)";
        (browser.evaluate(is_there) == true).then_some(())
    });
}

fn inner(browser: &mut Browser, selector: &str) -> String {
    let found = browser.evaluate(&format!("document.querySelector({})?.innerText ?? ''", json!(selector)));
    found.as_str().unwrap().to_owned()
}

#[test]
fn the_box_asks_shows_and_downloads() {
    let Some(chromium) = provided("INFERLOG_TEST_CHROMIUM", "the box for questions in a browser") else { return };
    let (place, running) = with_records(&["--page-records"], &[]);
    let mut browser = open(&chromium, &place, &running, (1_400, 1_000), "light");
    type_question(&mut browser, "confidence < 0.6");
    let count = inner(&mut browser, "#count");
    assert!(count.contains("in the store `p`, at any time"), "{count}");
    assert!(inner(&mut browser, "#verdict").starts_with("complete through "), "{}", inner(&mut browser, "#verdict"));
    let rows = browser.evaluate("document.querySelectorAll('#answer tbody tr').length").as_u64().unwrap();
    assert!(rows > 50 && count.starts_with(&format!("{rows} records")), "{rows}: {count}");
    // From the box to the rows, and through them, with keys alone.
    while browser.evaluate("document.activeElement.className") != "open" {
        browser.press("Tab");
    }
    browser.press("ArrowDown");
    browser.press("Enter");
    let opened = inner(&mut browser, "#answer tr.document pre");
    let second = "document.querySelectorAll('#answer tbody tr')[1].document";
    let document = browser.evaluate(second).as_str().unwrap().to_owned();
    let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    assert!(opened.lines().count() > 10 && opened.starts_with("{\n  \"confidence\": 0.25,\n"), "{opened}");
    assert!(opened.contains("\\u{202e}"), "the newest ones are hostile: {opened}");
    let plain = |text: &str| squeezed(&text.replace('\u{202e}', "\\u{202e}").replace('\u{e0041}', "\\u{e0041}"));
    assert_eq!(squeezed(&opened), plain(&document), "it is the document");
    keep_picture(&mut browser, "records-light");
    browser.press("Escape");
    assert_eq!(browser.evaluate("document.querySelectorAll('#answer tr.document').length"), 0);
    assert_eq!(browser.evaluate("document.activeElement.getAttribute('aria-expanded')"), "false", "focus goes back");
    // The CSV is that of `inferlog query`.
    let folder = place.path("downloads");
    let allowed = json!({ "behavior": "allow", "downloadPath": folder });
    browser.ask("Page.setDownloadBehavior", &allowed);
    browser.evaluate("document.getElementById('csv').click(); 0");
    let csv = wait_for("the download", || {
        let mut files = fs::read_dir(&folder).ok()?.map(|file| file.unwrap().path());
        files.find(|path| path.extension().is_some_and(|end| end == "csv"))
    });
    assert!(csv.file_name().unwrap().to_str().unwrap().starts_with("p-2"), "{}", csv.display());
    let expected = queried(&place, &["--format", "csv", "confidence < 0.6"]).stdout;
    wait_for("all of it", || (fs::read_to_string(&csv).unwrap() == expected).then_some(()));
    wait_for("the words", || {
        inner(&mut browser, "#count").contains(&format!("{rows} records are in the CSV")).then_some(())
    });
    must_be_well(&mut browser);
    // What is wrong is said where it is wrong, and hostile words of one's own are harmless.
    type_question(&mut browser, "status : (ok");
    let error = inner(&mut browser, "#ask-error");
    assert!(
        error.contains("the question is not understood") && error.contains("\n  status : (ok\n              ^"),
        "{error}"
    );
    assert_eq!(
        browser.evaluate("[document.activeElement.id, document.activeElement.selectionStart]"),
        json!(["kql", 12])
    );
    assert_eq!(browser.evaluate("document.getElementById('kql').getAttribute('aria-invalid')"), "true");
    keep_picture(&mut browser, "records-error");
    type_question(&mut browser, "note : \"<img src=x onerror=alert(1)>\"");
    assert!(inner(&mut browser, "#notes").contains("looked through"), "{}", text(&mut browser));
    assert_eq!(inner(&mut browser, "#ask-error"), "");
    must_be_well(&mut browser);
    for (size, scheme) in [((1_400, 1_000), "dark"), ((400, 1_000), "light")] {
        let mut browser = open(&chromium, &place, &running, size, scheme);
        type_question(&mut browser, "confidence < 0.6");
        keep_picture(&mut browser, &format!("records-{scheme}-{}", size.0));
        must_be_well(&mut browser);
        keyboard_reaches_everything(&mut browser);
    }
    running.stop();
}

#[test]
fn hostile_records_are_rows_and_nothing_else() {
    let Some(chromium) = provided("INFERLOG_TEST_CHROMIUM", "hostile records in a browser") else { return };
    let (place, running) = with_records(&["--page-records"], &[]);
    place.append(records(1_000..2_300));
    running.wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"p\",sink=\"store\"}", 1_607);
    let mut browser = open(&chromium, &place, &running, (1_400, 1_000), "light");
    type_question(&mut browser, "confidence : 0.25 or request_id : long");
    browser.evaluate("document.querySelectorAll('#answer button.open').forEach((it) => it.click()); 0");
    let all = text(&mut browser);
    assert!(all.contains("<script>document.title='run'</script>\\u{1b}[31m\\u{202e}drawkcab"), "{all}");
    assert!(all.contains("further characters"), "a long document is cut, and that is said");
    assert!(!all.contains(['\u{202e}', '\u{1b}', '\u{e0041}']) && all.len() < 400_000, "{} bytes", all.len());
    assert_ne!(browser.evaluate("document.title"), "run", "it was run");
    assert_eq!(browser.evaluate("document.querySelectorAll('#records img, #records script, #records a').length"), 0);
    keep_picture(&mut browser, "records-hostile");
    must_be_well(&mut browser);
    // A thousand rows, of which it is said that they are not all; the page goes on beside them.
    type_question(&mut browser, "*");
    assert_eq!(browser.evaluate("document.querySelectorAll('#answer tbody tr').length"), ROWS_MAX);
    assert!(
        inner(&mut browser, "#verdict").contains("not all: There may be more"),
        "{}",
        inner(&mut browser, "#verdict")
    );
    let before = updates(&mut browser);
    wait_for("the page to go on", || (updates(&mut browser) >= before + 2).then_some(()));
    must_be_well(&mut browser);
    running.stop();
}

#[test]
fn the_box_is_not_there_without_the_flag_nor_asks_without_a_token_nor_for_what_is_elsewhere() {
    let Some(chromium) = provided("INFERLOG_TEST_CHROMIUM", "the box where nothing can be asked") else { return };
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(records(0..10));
    let running = place.run();
    let mut browser = browse_at(&chromium, &place, &running, "", (1_400, 1_000), "light");
    assert_eq!(inner(&mut browser, "#records").lines().last(), Some(OFF));
    assert_eq!(browser.evaluate("document.getElementById('records-on').hidden"), true);
    drop(browser);
    running.stop();
    let running = place.run_with("p.yaml", &["--page-records"], &[]);
    let mut browser = browse_at(&chromium, &place, &running, "", (1_400, 1_000), "light");
    browser.evaluate("document.getElementById('kql').focus(); 0");
    browser.type_in("*");
    browser.press("Enter");
    assert_eq!(browser.evaluate("document.activeElement.id"), "token", "the token is asked for first");
    browser.type_in("wrong");
    browser.press("Enter");
    browser.press("Enter");
    wait_for("the refusal", || inner(&mut browser, "#ask-error").contains("the admin token is needed").then_some(()));
    assert_eq!(browser.evaluate("[document.activeElement.id, sessionStorage.length]"), json!(["token", 0]));
    keep_picture(&mut browser, "records-token");
    browser.type_in(&token(&place));
    browser.press("Enter");
    type_question(&mut browser, "*");
    assert_eq!(browser.evaluate("document.querySelectorAll('#answer tbody tr').length"), 10);
    // A page of somebody else that got hold of the token is not answered either: the browser asks first, and nobody allows it.
    let asked = |mode: &str| {
        let head = format!("{{ authorization: 'Bearer {}', 'content-type': 'application/json' }}", token(&place));
        format!(
            "fetch('http://{}/query', {{ method: 'POST', mode: '{mode}', headers: {head}, body: '{{\"kql\":\"*\"}}' }}).then((it) => it.text(), (it) => `refused: ${{it.message}}`)",
            running.address.unwrap()
        )
    };
    browser.open("data:text/html,<p>another page</p>");
    wait_for("another page", || (browser.evaluate("location.protocol") == "data:").then_some(()));
    for mode in ["cors", "no-cors"] {
        assert_eq!(browser.evaluate(&asked(mode)), "refused: Failed to fetch", "{mode}");
    }
    drop(browser);
    let ended = running.stop();
    let answered = ended.stderr.lines().filter(|line| line.contains("records were asked for")).count();
    assert_eq!(answered, 1, "{}", ended.stderr);
    let sink = "{ elasticsearch: { hosts: [\"http://127.0.0.1:1\"], data_stream: logs-ml.inference-default } }";
    let place = Place::new(&pipeline(sink));
    let running = place.run_with("p.yaml", &["--page-records"], &[]);
    let mut browser = open(&chromium, &place, &running, (1_400, 1_000), "light");
    wait_for("where they are", || inner(&mut browser, "#elsewhere").contains("look for them in Kibana").then_some(()));
    assert_eq!(browser.evaluate("document.getElementById('ask-button').disabled"), true);
    running.signal(crate::place::Signal::TERM);
}
