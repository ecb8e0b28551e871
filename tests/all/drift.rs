//! `inferlog baseline` and `inferlog drift`: what is read, what is said and how it ends; NumPy as the judge of the numbers, and a
//! browser of the page.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::numbered::report;
use crate::place::{Ended, Place, pipeline, records, start};
use crate::support::{Method, Node, provided};

/// The number between 0 and 1 of a place in a sequence without any pattern.
fn random(number: u64) -> f64 {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A table of an amount from `low` to `low + 100`, a country, a prediction and a confidence.
pub(crate) fn table(rows: u64, seed: u64, low: f64) -> String {
    let mut text = "request_id,amount,country,prediction,confidence\n".to_owned();
    for row in 0..rows {
        let of = |column: u64| random((row * 4 + column) ^ (seed << 32));
        let country = ["DE", "FR", "US"][(of(1) * 3.0) as usize];
        let prediction = if of(2) < 0.1 { "fraud" } else { "normal" };
        let _ = writeln!(text, "r{row},{},{country},{prediction},{}", low + of(0) * 100.0, of(3));
    }
    text
}

/// The same rows as records of a version.
pub(crate) fn as_records(table: &str, version: &str) -> String {
    let line = |row: &str| {
        let cells: Vec<&str> = row.split(',').collect();
        format!(
            "{{\"event\":\"inference\",\"model_version\":\"{version}\",\"features\":{{\"amount\":{},\"country\":\"{}\"}},\"prediction\":\"{}\",\"confidence\":{}}}\n",
            cells[1], cells[2], cells[3], cells[4]
        )
    };
    table.lines().skip(1).map(line).collect()
}

/// A place with `train.csv`, and `b.json` of it for version 1.
pub(crate) fn trained() -> Place {
    let place = Place::new(&pipeline("{ store: {} }"));
    write(&place, "train.csv", table(10_000, 1, 0.0));
    let ended = run(&place, "baseline train.csv -o b.json --model-version 1");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    place
}

pub(crate) fn write(place: &Place, name: &str, text: impl AsRef<[u8]>) {
    fs::write(place.path(name), text).unwrap();
}

/// Runs a command line without quotes.
pub(crate) fn run(place: &Place, line: &str) -> Ended {
    start(place.inferlog(&line.split(' ').collect::<Vec<_>>())).wait()
}

/// Runs a command line, which has to end so and say this on one of its outputs.
pub(crate) fn check(place: &Place, line: &str, code: i32, words: &[&str]) {
    let ended = run(place, line);
    assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    for word in words {
        assert!(said.contains(word), "{line} does not say `{word}`: {said}");
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn it_ends_with_what_was_found() {
    let place = trained();
    write(&place, "same.csv", table(3_000, 2, 0.0));
    write(&place, "moved.csv", table(3_000, 3, 40.0));
    write(&place, "few.csv", table(100, 4, 40.0));
    write(&place, "head.csv", "amount,country\n");
    write(&place, "other.csv", "x,y\n1,2\n3,4\n");
    write(&place, "own.ndjson", as_records(&table(1_000, 5, 0.0), "1"));
    write(&place, "next.ndjson", as_records(&table(1_000, 6, 0.0), "2"));
    write(&place, "few.ndjson", as_records(&table(100, 4, 0.0), "2"));
    let dirty = format!("started\n{{\"event\":\"ready\"}}\n{}", as_records(&table(1_000, 7, 0.0), "1"));
    write(&place, "dirty.log", dirty);
    let strict = fs::read_to_string(place.path("b.json")).unwrap().replace("\"fallback\": true", "\"fallback\": false");
    write(&place, "strict.json", strict);
    let of = |name: &str| format!("drift --baseline b.json {name}");
    for (line, code, words) in [
        (of("same.csv"), 0, &["no drift: 4 distributions over 3000 records in `same.csv`"][..]),
        (of("moved.csv"), 1, &["drift: 1 of 4 distributions alarm", "distribution, out of range"]),
        (of("moved.csv --alert-psi 20 --alert-share 0.9"), 0, &["no drift"]),
        (of("moved.csv --mode open"), 1, &["distribution"]),
        (of("few.csv"), 0, &["nothing alarms, and nothing could: 4 distributions", "too few values, 500 are needed"]),
        (of("few.csv --min-sample 50"), 1, &["drift: 1 of 4"]),
        (of("same.csv own.ndjson"), 0, &["no drift"]),
        (of("own.ndjson"), 0, &["version `1`: 1000 records against its own baseline of 10000 rows"]),
        (of("next.ndjson"), 0, &["against the fallback, the baseline of version `1`"]),
        (
            of("own.ndjson few.ndjson"),
            0,
            &[
                "no drift: 8 distributions over 1100 records in `own.ndjson`, `few.ndjson`; 4 had too few values for an alarm",
            ],
        ),
        (
            of("dirty.log"),
            0,
            &["1 record without features", "1 line that are no JSON objects, the first of them `dirty.log`, line 1"],
        ),
        (of("head.csv"), 2, &["there is no row that could be measured in `head.csv`"]),
        (of("other.csv"), 2, &["have none of the baseline's features", "not in the baseline, and not measured: x, y"]),
        (of("gone.csv"), 2, &["gone.csv"]),
        (of("same.csv --last 1h"), 2, &["files have no range"]),
        ("drift same.csv".to_owned(), 2, &["there is no baseline to measure against"]),
        ("drift --baseline b.json".to_owned(), 2, &["there are no data to look at"]),
        ("drift --baseline train.csv same.csv".to_owned(), 2, &["`train.csv` is no baseline file"]),
        (
            "drift --baseline strict.json own.ndjson next.ndjson".to_owned(),
            2,
            &[
                "not measured: 1000 rows of version `2`, which has no baseline here, and there is no fallback",
                "nothing alarms, but 1 model version could not be measured",
            ],
        ),
        ("drift --baseline strict.json next.ndjson".to_owned(), 2, &["no row that could be measured"]),
    ] {
        check(&place, &line, code, words);
    }
}

/// What is on the terminal, to the letter: the greatest PSI first, with its bar.
#[test]
fn a_table_has_the_greatest_psi_first() {
    let place = trained();
    let moved = table(1_000, 3, 40.0).replace(",US,", ",GB,").replacen(",DE,", ",,", 100);
    write(&place, "moved.ndjson", as_records(&moved, "1").replace("\"country\":\"\"", "\"country\":null"));
    write(&place, "few.ndjson", as_records(&table(60, 4, 0.0), "2"));
    let ended = run(&place, "drift --baseline b.json moved.ndjson few.ndjson");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let expected = "\
version `1`: 1000 records against its own baseline of 10000 rows
feature       psi                            by chance  p-value  out of range  unseen  missing  values  alarm
amount        6.3788  ████████████████████▸  0.0099     < 1e-16  39.6 %        0 %     0 %      1000    distribution, out of range
country       5.6966  ████████████████████▸  0.0024     < 1e-16  0 %           36.9 %  10.0 %   900     distribution, unseen, missing
(confidence)  0.0171  █                      0.0099     0.174    0 %           0 %     0 %      1000
(prediction)  0.0015                         0.0011     0.247    0 %           0 %     0 %      1000

version `2`: 60 records against the fallback, the baseline of version `1` of 10000 rows
feature       psi             by chance  p-value  out of range  unseen  missing  values  alarm
amount        0.1269  ██████  0.1923     1.000    0 %           0 %     0 %      60      too few values, 500 are needed
(confidence)  0.1168  ██████  0.1925     1.000    0 %           0 %     0 %      60      too few values, 500 are needed
(prediction)  0.0466  ██      0.0200     0.155    0 %           0 %     0 %      60      too few values, 500 are needed
country       0.0100          0.0344     0.737    0 %           0 %     0 %      60      too few values, 500 are needed

";
    assert_eq!(ended.stdout, expected);
}

#[test]
fn one_line_of_json_a_version_and_feature() {
    let place = trained();
    let moved = table(1_000, 3, 40.0);
    write(&place, "live.ndjson", as_records(&moved, "1") + &as_records(&table(400, 4, 0.0), "2"));
    let ended = run(&place, "drift --baseline b.json live.ndjson --format json");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let found = lines(&ended.stdout);
    assert_eq!(found.len(), 8, "{ended:?}");
    let line = |version: &str, feature: &str| {
        let is_it = |line: &&Value| line["model_version"] == version && line["feature"] == feature;
        found.iter().find(is_it).unwrap_or_else(|| panic!("no {feature} of {version}: {found:?}"))
    };
    let amount = line("1", "amount");
    assert!(amount["psi"].as_f64().unwrap() > 0.2 && amount["p_value"].as_f64().unwrap() < 1e-9, "{amount}");
    assert!(amount["psi_by_chance"].as_f64().unwrap() < 0.02, "{amount}");
    let out_of_range = amount["out_of_range"].as_f64().unwrap();
    assert!((0.3..0.5).contains(&out_of_range), "{amount}");
    assert_eq!((&amount["n"], &amount["missing"], &amount["alarm"]), (&1_000.into(), &0.0.into(), &true.into()));
    assert_eq!(amount["baseline"]["fallback"], false);
    let few = line("2", "amount");
    assert_eq!((&few["alarm"], &few["n"], &few["min_sample"]), (&false.into(), &400.into(), &500.into()));
    assert_eq!(few["baseline"]["fallback"], true);
    assert_eq!(line("1", "prediction")["kind"], "prediction");
    assert_eq!(line("1", "confidence")["kind"], "confidence");
}

#[test]
fn a_baseline_names_what_is_wrong_with_its_place() {
    let place = Place::new(&pipeline("{ store: {} }"));
    for (name, text, words) in [
        ("cells.csv", &b"a,b\n1,2\n3\n"[..], &["`cells.csv`, line 3: it has 1 cell, and the head has 2"][..]),
        ("bytes.csv", b"a,b\n1,\xff\n", &["`bytes.csv`, line 2: cell 2 is no UTF-8 text"]),
        ("twice.csv", b"a,a\n1,2\n", &["`twice.csv`, line 1: two columns are called `a`"]),
        ("text.ndjson", b"{\"features\":{\"a\":1}}\nstarted\n", &["`text.ndjson`, line 2: it is no record"]),
        ("nan.ndjson", b"{\"features\":{\"a\":NaN}}\n", &["`nan.ndjson`, line 1: it is no record"]),
        ("flat.ndjson", b"{\"a\":1}\n", &["there is no row to count in `flat.ndjson`", "a flat table is read as CSV"]),
        ("empty.csv", b"", &["there is no row to count"]),
        ("head.csv", b"a,b\n", &["there is no row to count"]),
        ("nothing.csv", b"a,b\n,NA\n", &["no feature of version `` has a value"]),
    ] {
        write(&place, name, text);
        check(&place, &format!("baseline {name} -o b.json"), 2, words);
        assert!(!place.path("b.json").exists(), "{name} made a baseline");
    }
    write(&place, "good.csv", "amount,zip,note\n1,01234,\n2,99999,\n");
    for (line, code, words) in [
        ("baseline good.csv --categorical zipp", 2, &["there is no feature `zipp`", "did you mean one of `zip`"][..]),
        ("baseline good.csv --categorical zip --numeric zip", 2, &["cannot be both"]),
        ("baseline good.csv --fallback 9", 2, &["there is no baseline of version `9`"]),
        ("baseline good.csv --buckets 1", 2, &["--buckets"]),
        ("baseline good.csv --add", 2, &["--output"]),
        (
            "baseline good.csv --categorical zip",
            0,
            &["\"01234\": 1", "`note` is left out", "1 numeric and 1 categorical features"],
        ),
    ] {
        check(&place, line, code, words);
    }
}

#[test]
fn versions_share_a_file() {
    let place = trained();
    write(&place, "next.csv", table(20_000, 8, 40.0));
    check(
        &place,
        "baseline next.csv -o b.json --add --model-version 2",
        0,
        &["version `1` (the fallback)", "version `2`:"],
    );
    write(&place, "live.ndjson", as_records(&table(1_000, 9, 40.0), "2"));
    check(&place, "drift --baseline b.json live.ndjson", 0, &["against its own baseline of 20000 rows"]);
    check(
        &place,
        "baseline next.csv -o b.json --add --model-version 2 --fallback 2",
        0,
        &["version `2` (the fallback)"],
    );
    write(&place, "third.ndjson", as_records(&table(1_000, 10, 0.0), "3"));
    check(&place, "drift --baseline b.json third.ndjson", 1, &["the fallback, the baseline of version `2`"]);
    // Rows that name their versions make a baseline of each.
    let both = as_records(&table(600, 11, 0.0), "a") + &as_records(&table(700, 12, 0.0), "b");
    write(&place, "both.ndjson", both);
    check(
        &place,
        "baseline both.ndjson -o c.json",
        0,
        &["version `a`: 600 rows", "version `b` (the fallback): 700 rows"],
    );
    check(
        &place,
        "baseline both.ndjson -o c.json --model-version a",
        0,
        &["600 rows", "700 rows of other models or versions"],
    );
}

#[test]
fn edges_of_quantiles_see_what_a_wide_range_hides() {
    let place = Place::new(&pipeline("{ store: {} }"));
    // One value far away, and all others between 0 and 1: buckets of one width hold them all in the first.
    let cells =
        |seed: u64, half: f64| (0..1_000).map(|n| format!("{}\n", random(n ^ (seed << 32)) * half)).collect::<String>();
    write(&place, "train.csv", format!("x\n1000\n{}", cells(1, 1.0)));
    write(&place, "live.csv", format!("x\n{}", cells(2, 0.5)));
    for (edges, code) in [("equal-width", 0), ("quantile", 1)] {
        check(&place, &format!("baseline train.csv -o b.json --edges {edges}"), 0, &[]);
        check(&place, "drift --baseline b.json live.csv", code, &[]);
    }
}

#[test]
fn what_a_pipeline_has_shipped_is_data_too() {
    let place = Place::new(&pipeline("{ store: {} }"));
    place.append(records(0..3_000));
    place.run_once_to(0);
    let shipped = "--pipeline p.yaml --data-dir data";
    check(&place, &format!("baseline {shipped} -o b.json"), 0, &["version `anomaly-3.2.0`", "prediction, confidence"]);
    let file: Value = serde_json::from_str(&fs::read_to_string(place.path("b.json")).unwrap()).unwrap();
    let rows: u64 = file["baselines"].as_array().unwrap().iter().map(|one| one["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, 3_000);
    check(
        &place,
        &format!("drift --baseline b.json {shipped} *"),
        0,
        &["no drift: 21 distributions over 3000 records in the store `p`"],
    );
    let other = "features.country:DE --min-sample 200";
    check(&place, &format!("drift --baseline b.json {shipped} {other}"), 1, &["country"]);
    check(&place, &format!("drift --baseline b.json {shipped} features.country:XX"), 2, &["there is no row"]);
    check(&place, &format!("drift --baseline b.json {shipped}"), 2, &["there is no document of a window"]);
    check(&place, &format!("baseline {shipped} --to 2020-01-01 -o c.json"), 2, &["there is no row to count"]);
}

/// The baselines of a file in an order of their own, without what says where they are from, and their means and deviations apart:
/// these are sums of floats, whose last digits are by the order of the rows.
fn counted_baselines(place: &Place, name: &str) -> (Vec<Value>, Vec<f64>) {
    let mut file: Value = serde_json::from_str(&fs::read_to_string(place.path(name)).unwrap()).unwrap();
    let baselines = file["baselines"].as_array_mut().unwrap();
    baselines.sort_by_key(|baseline| baseline["model_version"].to_string());
    let mut moments = Vec::new();
    for baseline in &mut *baselines {
        let sources = baseline["sources"].take();
        assert_eq!(sources[0]["sha256"].as_str().map(str::len), Some(64), "{name}: {sources}");
        for feature in baseline["features"].as_array_mut().unwrap() {
            moments.extend(["mean", "deviation"].iter().filter_map(|moment| feature.get_mut(moment)?.take().as_f64()));
        }
    }
    (std::mem::take(baselines), moments)
}

/// By query and range, of both kinds of edges, and to the last count.
#[tokio::test]
async fn a_baseline_of_what_elasticsearch_holds_is_that_of_the_store_and_of_the_file() {
    let test = "a_baseline_of_what_elasticsearch_holds_is_that_of_the_store_and_of_the_file";
    let Some(node) = Node::plain(test) else { return };
    let streams = ["logs-ml.inference-trained", "metrics-ml.pipeline-trained"];
    for stream in streams {
        node.forget(stream).await;
    }
    let elasticsearch =
        format!("elasticsearch: {{ hosts: [\"{}\"], data_stream: {} }}", node.options.hosts[0], streams[0]);
    let place = Place::new(&pipeline(&format!("[store, {{ {elasticsearch} }}]")));
    check(&place, "setup apply p.yaml", 0, &[]);
    place.append(records(0..1));
    place.run_once_to(0);
    never_refresh(&node, streams[0]).await;
    place.append(records(1..3_000));
    place.run_once_to(0);
    // 50 records a second from midnight on.
    let is_asked = |line: &&str| line.contains("\"country\": \"DE\"");
    let lines: String = records(500..2_500).lines().filter(is_asked).map(|line| format!("{line}\n")).collect();
    assert!((400..600).contains(&lines.lines().count()), "{} lines", lines.lines().count());
    write(&place, "asked.ndjson", lines);
    let range = "--from 2026-11-23T00:00:10Z --to 2026-11-23T00:00:50Z";
    for edges in ["equal-width", "quantile"] {
        let options = format!("--edges {edges} --fallback anomaly-3.2.1");
        check(&place, &format!("baseline asked.ndjson {options} -o file.json"), 0, &[]);
        let (baselines, moments) = counted_baselines(&place, "file.json");
        assert_eq!((baselines.len(), moments.len()), (3, 3 * 2 * 4), "three versions of four numbers");
        for sink in ["store", "elasticsearch"] {
            let shipped = "--pipeline p.yaml --data-dir data --source";
            check(
                &place,
                &format!("baseline {shipped} {sink} {range} {options} features.country:DE -o b.json"),
                0,
                &[],
            );
            let (found, found_moments) = counted_baselines(&place, "b.json");
            assert_eq!(found, baselines, "{sink}, {edges}");
            for (one, other) in found_moments.iter().zip(&moments) {
                assert!((one - other).abs() <= 1e-12 * other.abs(), "{sink}, {edges}: {one} and {other}");
            }
        }
    }
    for stream in streams {
        node.forget(stream).await;
    }
}

/// A pipeline that observes drift in windows of 500 records a version, with this sink.
fn observing(sink: &str) -> String {
    let observe = "observe:\n  - drift: { baseline: b.json, window: { records: 500 } }\nsink:";
    pipeline(sink).replacen("sink:", observe, 1)
}

/// The lines of JSON, in one order.
fn measured(ended: &Ended) -> Vec<String> {
    let mut lines: Vec<String> = lines(&ended.stdout).iter().map(Value::to_string).collect();
    lines.sort();
    lines
}

#[test]
fn windows_of_a_pipeline_add_up_to_its_records() {
    let place = Place::new(&pipeline("{ store: {} }"));
    write(&place, "train.ndjson", records(0..3_000));
    check(&place, "baseline train.ndjson -o b.json", 0, &[]);
    place.set_pipeline(&observing("{ store: {} }"));
    // 1,000 records of each of three versions: two windows each.
    place.append(records(3_000..6_000));
    place.run_once_to(0);
    let of = |more: &str| run(&place, &format!("drift --pipeline p.yaml --data-dir data --format json{more}"));
    let (windows, counted) = (of(""), of(" *"));
    assert_eq!((windows.code, counted.code), (Some(0), Some(0)), "{windows:?} {counted:?}");
    assert_eq!(measured(&windows), measured(&counted), "{windows:?}");
    assert_eq!(measured(&windows).len(), 21);
    assert!(windows.stderr.contains(" documents of 1 host"), "{windows:?}");
    // Windows of another baseline cannot be added.
    check(&place, "baseline train.ndjson -o other.json --buckets 7", 0, &[]);
    let other = "drift --pipeline p.yaml --data-dir data --baseline other.json";
    check(&place, other, 2, &["documents of another baseline", "no document of a window that could be added"]);
    check(&place, "drift --pipeline p.yaml --data-dir data --to 2020-01-01", 2, &["no document of a window"]);
}

/// From now on nothing becomes visible there by itself.
async fn never_refresh(node: &Node, stream: &str) {
    let (status, answer) =
        node.ask(Method::Put, &format!("{stream}/_settings"), r#"{"index":{"refresh_interval":"-1"}}"#).await;
    assert_eq!(status, 200, "{answer}");
}

/// Gives the documents of this machine the name of another: a process cannot choose its host's name.
async fn name_host(node: &Node, stream: &str, name: &str) {
    node.ask(Method::Post, &format!("{stream}/_refresh"), "").await;
    let body = format!(
        r#"{{"query":{{"bool":{{"must_not":{{"prefix":{{"host.name":"replica-"}}}}}}}},
            "script":{{"source":"ctx._source['host.name']=params.name","params":{{"name":"{name}"}}}}}}"#
    );
    let (status, answer) = node.ask(Method::Post, &format!("{stream}/_update_by_query?refresh=true"), &body).await;
    assert!(status == 200 && answer["updated"].as_u64().is_some_and(|updated| updated > 0), "{answer}");
}

#[tokio::test]
async fn windows_of_three_replicas_add_up_in_elasticsearch() {
    let Some(node) = Node::plain("windows_of_three_replicas_add_up_in_elasticsearch") else { return };
    let name = "drifting";
    let streams = [
        format!("logs-ml.inference-{name}"),
        format!("metrics-ml.drift-{name}"),
        format!("metrics-ml.pipeline-{name}"),
    ];
    for stream in &streams {
        node.forget(stream).await;
    }
    let sink =
        format!("{{ elasticsearch: {{ hosts: [\"{}\"], data_stream: {} }} }}", node.options.hosts[0], streams[0]);
    let all = Place::new(&pipeline("{ store: {} }"));
    write(&all, "train.ndjson", records(0..3_000));
    check(&all, "baseline train.ndjson -o b.json", 0, &[]);
    write(&all, "union.ndjson", records(3_000..12_500));
    all.set_pipeline(&observing(&sink));
    check(&all, "setup apply p.yaml", 0, &[]);
    // Of different sizes, whose last windows are shorter.
    for (replica, range) in [3_000..4_100, 4_100..7_000, 7_000..12_000].into_iter().enumerate() {
        let place = Place::new(&observing(&sink).replacen("files: {", &format!("id: replica-{replica}, files: {{"), 1));
        fs::copy(all.path("b.json"), place.path("b.json")).unwrap();
        place.append(records(range));
        place.run_once_to(0);
        name_host(&node, &streams[1], &format!("replica-{replica}")).await;
    }
    never_refresh(&node, &streams[1]).await;
    let last = Place::new(&observing(&sink));
    fs::copy(all.path("b.json"), last.path("b.json")).unwrap();
    last.append(records(12_000..12_500));
    last.run_once_to(0);
    let merged = run(&all, "drift --pipeline p.yaml --data-dir data --last 3650d --format json");
    let union = run(&all, "drift --baseline b.json union.ndjson --format json");
    assert_eq!((merged.code, union.code), (Some(0), Some(0)), "{merged:?} {union:?}");
    assert_eq!(measured(&merged), measured(&union), "{merged:?}");
    assert!(merged.stderr.contains(" documents of 4 hosts: "), "{merged:?}");
    // The windows that have ended when record 4,100 came: those of the first replica.
    let first = run(&all, "drift --pipeline p.yaml --data-dir data --to 2026-11-23T00:01:22.001Z --format json");
    write(&all, "first.ndjson", records(3_000..4_100));
    assert_eq!(
        measured(&first),
        measured(&run(&all, "drift --baseline b.json first.ndjson --format json")),
        "{first:?}"
    );
    assert!(first.stderr.contains(" documents of 1 host: replica-0"), "{first:?}");
    check(&all, "drift --pipeline p.yaml --data-dir data --to 2020-01-01", 2, &["no document of a window"]);
    for stream in &streams {
        node.forget(stream).await;
    }
}

/// The judge's own words: `147 values of PSI, greatest difference 1.8e-15`.
#[test]
fn the_numbers_are_numpys() {
    let Some(python) = provided("INFERLOG_TEST_PYTHON", "the_numbers_are_numpys") else { return };
    let place = Place::new(&pipeline("{ store: {} }"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/numpy/psi.py");
    let mut command = Command::new(python);
    command.arg(script).arg(env!("CARGO_BIN_EXE_inferlog")).arg(place.path(""));
    if std::env::var_os("INFERLOG_TEST_LONG").is_some() {
        command.arg("--long");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let cases: u64 = said.split(" values of PSI").next().unwrap().parse().unwrap();
    assert!(cases >= 140, "{said}");
    report(said.trim_end());
}

/// A page that says how wide the page of drift is in windows of some widths: `1200:1200 700:690 …`.
const MEASURED: &str = "<!doctype html><body><script>
const widths = [1200, 700, 420], found = [];
for (const width of widths) {
  const frame = document.createElement('iframe');
  frame.src = 'page.html'; frame.width = width; frame.height = 900; frame.style.border = 0;
  frame.onload = () => found.push(width + ':' + frame.contentDocument.documentElement.scrollWidth);
  document.body.append(frame);
}
onload = () => { document.title = found.sort().join(' '); };
</script></body>";

/// A page of two versions, one of which has drifted, of a feature with a name that is markup and one whose name is long.
#[test]
fn a_browser_shows_the_page() {
    let Some(chromium) = provided("INFERLOG_TEST_CHROMIUM", "a_browser_shows_the_page") else { return };
    let place = trained();
    let hostile = "<img src=http://127.0.0.1:9/x onerror=document.title='no'>";
    let rename = |text: String| {
        let text = text.replace("\"amount\"", &format!("\"{hostile}\""));
        text.replace("\"country\"", &format!("\"{}\"", "c".repeat(90)))
    };
    write(&place, "train.ndjson", rename(as_records(&table(5_000, 1, 0.0), "1")));
    write(
        &place,
        "live.ndjson",
        rename(as_records(&table(1_000, 2, 40.0), "1") + &as_records(&table(1_000, 3, 0.0), "2")),
    );
    check(&place, "baseline train.ndjson -o b.json", 0, &[]);
    check(&place, "drift --baseline b.json live.ndjson --html page.html", 1, &["the page is `page.html`"]);
    write(&place, "measured.html", MEASURED);
    let browse = |page: &str, arguments: &[&str]| {
        let mut command = Command::new(&chromium);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]);
        command.arg(format!("--user-data-dir={}", place.path("browser").display())).env("HOME", place.path(""));
        command.args(["--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1200,900"]).args(arguments);
        let output = command.arg(format!("file://{}", place.path(page).display())).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains("CONSOLE"), "the browser complains of the page: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let page = browse("page.html", &["--dump-dom"]);
    for (what, count) in [
        ("class=\"card\"", 7),
        ("class=\"card alarm\"", 1),
        ("<td class=\"bar\">", 8),
        // Of twice the threshold and more, as the bar of a table is long.
        ("width=\"180.0\" height=\"8\"", 1),
        ("aria-label=\"histogram\"", 4),
        ("aria-label=\"categories\"", 4),
        (">1 alarm</span>", 1),
        ("<img", 0),
        ("NaN", 0),
        ("default-src 'none'", 1),
        ("<title>Drift</title>", 1),
        // A column of values in no bucket has its name below it.
        (">above</text>", 1),
        ("% out of range</span>", 1),
    ] {
        assert_eq!(page.matches(what).count(), count, "`{what}` in {page}");
    }
    // A bar is as long as PSI is great, 180 at twice the threshold.
    for row in page.split("<td class=\"bar\">").skip(1) {
        let after = |words: &str| -> f64 {
            row.split(words).nth(1).unwrap().split(['"', '<']).next().unwrap().parse().unwrap()
        };
        let (length, psi) = (after("width=\""), after("</svg></td><td>"));
        assert!((length - (psi / 0.4).min(1.0) * 180.0).abs() < 0.1, "{length} for {psi}");
    }
    // A bar says what it is, and is as high as that: there is none of training above training's range.
    let above = page.split("<title>above: baseline 0 %, live 4").nth(1).unwrap().split("</g>").next().unwrap();
    let bar = |class: &str| above.split(&format!("class=\"{class}\"")).nth(1).unwrap().split('>').next().unwrap();
    assert!(bar("base").contains("height=\"0.00\"") && !bar("out").contains("height=\"0.00\""), "{above}");
    let measured = browse("measured.html", &["--allow-file-access-from-files", "--dump-dom"]);
    assert!(measured.contains("<title>1200:1200 420:420 700:700</title>"), "wider than its window: {measured}");
    let picture = place.path("page.png");
    browse("page.html", &[&format!("--screenshot={}", picture.display())]);
    let picture = fs::read(picture).unwrap();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 20_000, "{} bytes: an empty picture", picture.len());
}
