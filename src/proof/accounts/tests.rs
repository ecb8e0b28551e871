//! Accounts as they are made, saved, sent and taken.

use std::sync::Arc;

use super::*;
use crate::flow::ack::FileNumber;
use crate::flow::batch::SourceFile;
use crate::state::checkpoint::{Fingerprint, Position};

fn subject(config: &str) -> Subject {
    let (pipeline, host, targets) = ("p".to_owned(), "h".to_owned(), vec!["store".to_owned()]);
    let (config, config_text, named_kinds) = (config.to_owned(), "source: …".to_owned(), Vec::new());
    Subject { pipeline, host, config, config_text, targets, named_kinds }
}

fn settled(inode: u64, end: u64) -> Settlement {
    let mut mark = Mark::of_line(inode as FileNumber, Position { offset_bytes: end, tail: Fingerprint::default() });
    mark.source = Arc::new(SourceFile { inode, ..SourceFile::default() });
    mark.tally.keep(&Id([b'a'; ID_CHARACTERS]));
    let delivered = Delivered { indexed: 1, ..Delivered::default() };
    Settlement { marks: vec![mark], delivered: vec![("store".into(), delivered)] }
}

/// A kind of account, and its ranges as inode, beginning and end.
type Shown = (String, Vec<(u64, u64, u64)>);

fn shown(documents: &[OwnDocument]) -> Vec<Shown> {
    let read = |document: &OwnDocument| {
        let account: Account = serde_json::from_str(document.text.get()).unwrap();
        let range = |range: &Range| (range.inode, range.from_bytes, range.to_bytes);
        (account.kind, account.files.iter().map(range).collect())
    };
    documents.iter().map(read).collect()
}

fn kinds(documents: &[OwnDocument]) -> Vec<String> {
    shown(documents).into_iter().map(|(kind, _)| kind).collect()
}

/// What the checkpoint keeps of them.
fn kept(accounts: &Accounts) -> JsonText {
    serde_json::from_str(&serde_json::to_string(accounts).unwrap()).unwrap()
}

fn kept_text(text: &str) -> JsonText {
    serde_json::from_str(text).unwrap()
}

fn started(config: &str) -> Accounts {
    let AccountsAtStart { mut accounts, pending, is_readable } =
        Accounts::restore(subject(config), &JsonText::default());
    assert!(pending.is_empty() && is_readable);
    assert_eq!(kinds(&accounts.begin()), ["configuration", "start"]);
    accounts
}

#[test]
fn ranges_grow_and_are_told_once_and_of_the_configuration_that_decided_them() {
    let mut accounts = started("one");
    [(7, 1), (7, 2), (8, 5), (7, 3)].into_iter().for_each(|(inode, end)| accounts.add(&settled(inode, end)));
    let news = accounts.saved();
    assert_eq!((news.lines, news.sinks["store"].indexed), (4, 4));
    // What the checkpoint holds goes on, under another configuration.
    let AccountsAtStart { mut accounts, .. } = Accounts::restore(subject("two"), &kept(&accounts));
    assert_eq!(accounts.totals().lines, 4);
    let open = of_checkpoint(&Checkpoint { accounts: kept(&accounts), ..Checkpoint::default() });
    let by_config: Vec<_> = open.iter().filter(|account| !account.files.is_empty()).map(|a| &*a.config).collect();
    assert_eq!(by_config, ["one"]);
    let documents = accounts.begin();
    assert_eq!(shown(&documents)[0], ("interval".to_owned(), vec![(7, 0, 3), (8, 4, 5)]));
    assert_eq!(kinds(&documents), ["interval", "configuration", "start"]);
    let member = |n: usize, name: &str| serde_json::from_str::<Value>(documents[n].text.get()).unwrap()[name].clone();
    assert_eq!((member(0, "inferlog.config"), member(2, "inferlog.config")), ("one".into(), "two".into()));
    assert_eq!(member(2, "account.previous_config"), "one");
    assert_eq!((member(0, "account.sequence"), member(2, "account.sequence")), (1.into(), 2.into()));
    // The same again has nothing new to keep.
    let AccountsAtStart { mut accounts, .. } = Accounts::restore(subject("two"), &kept(&accounts));
    assert_eq!(kinds(&accounts.begin()), ["start"]);
}

#[test]
fn an_account_of_many_files_is_several_of_which_none_is_large() {
    let mut accounts = started("one");
    (0..6_000).for_each(|inode| accounts.add(&settled(inode, 9)));
    let documents = accounts.close(Occasion::Interval, Utc::now(), &Backlog::default());
    assert!(documents.iter().all(|document| document.text.get().len() < 512 * 1024));
    assert!(documents.len() >= 3, "{} documents", documents.len());
    let told: Vec<_> = shown(&documents).into_iter().flat_map(|(_, files)| files).map(|(inode, ..)| inode).collect();
    assert_eq!(told, (0..6_000).collect::<Vec<_>>());
    let member = |name: &str| -> u64 {
        let of = |document: &OwnDocument| serde_json::from_str::<Value>(document.text.get()).unwrap()[name].as_u64();
        documents.iter().map(|document| of(document).unwrap()).sum()
    };
    assert_eq!((member("account.lines"), member("account.kept")), (6_000, 6_000));
}

#[test]
fn what_is_settled_without_room_for_an_account_is_told_later_and_by_nobody_twice() {
    let mut accounts = started("one");
    accounts.add(&settled(7, 1));
    // Two starts without room; the configuration is another meanwhile.
    let AccountsAtStart { mut accounts, .. } = Accounts::restore(subject("two"), &kept(&accounts));
    accounts.begin_untold();
    accounts.add(&settled(7, 2));
    let AccountsAtStart { mut accounts, .. } = Accounts::restore(subject("two"), &kept(&accounts));
    accounts.begin_untold();
    accounts.add(&settled(8, 4));
    let documents = accounts.close(Occasion::Interval, Utc::now(), &Backlog::default());
    assert_eq!(shown(&documents)[0].1, [(7, 0, 2), (8, 3, 4)]);
    assert_eq!(kinds(&documents), ["interval", "configuration"]);
    let account: Value = serde_json::from_str(documents[0].text.get()).unwrap();
    assert_eq!(account["inferlog.config"], SEVERAL_CONFIGURATIONS, "no one configuration decided it");
    let next: Value =
        serde_json::from_str(accounts.close(Occasion::Stop, Utc::now(), &Backlog::default())[0].text.get()).unwrap();
    assert_eq!(next["inferlog.config"], "two");
}

#[test]
fn too_many_files_are_told_in_sum() {
    let mut accounts = started("one");
    let path = "p".repeat(4_000);
    let files = RANGES_BYTES_MAX / (4_000 + RANGE_BYTES) + 1;
    for inode in 0..files as u64 + 5 {
        let mut settlement = settled(inode, 9);
        let source = SourceFile { inode, path: path.clone(), ..SourceFile::default() };
        settlement.marks[0].source = Arc::new(source);
        accounts.add(&settlement);
    }
    // The files that are listed go on.
    accounts.add(&settled(0, 10));
    let AccountsAtStart { mut accounts, .. } = Accounts::restore(subject("one"), &kept(&accounts));
    let documents = accounts.close(Occasion::Interval, Utc::now(), &Backlog::default());
    let read = |document: &OwnDocument| serde_json::from_str::<Account>(document.text.get()).unwrap();
    let listed: usize = documents.iter().map(|document| read(document).files.len()).sum();
    let unlisted = read(&documents[0]).unlisted;
    assert_eq!((listed, unlisted.ranges, unlisted.tally.lines), (files, 5, 5));
    let next = accounts.close(Occasion::Interval, Utc::now(), &Backlog::default());
    assert_eq!((read(&next[0]).files.len(), read(&next[0]).unlisted.ranges), (0, 0), "told once");
    let lines =
        |document: &OwnDocument| serde_json::from_str::<Value>(document.text.get()).unwrap()["account.lines"].as_u64();
    assert_eq!(documents.iter().map(|document| lines(document).unwrap()).sum::<u64>(), files as u64 + 6);
}

#[test]
fn what_was_kept_before_there_was_an_outbox_is_read() {
    let before = r#"{"state":"s","sequence":4,"config":"one","since":"2026-11-23T10:00:00Z","ranges":[],"sinks":{},
        "pending":[{"id":"AGc0000000000000000000000000","timestamp_us":5,"document":{"@timestamp":"2026-11-23T10:00:00Z",
        "account.kind":"interval","account.state":"s","account.sequence":3,
        "account.files":[{"path":"a","inode":7,"generation":0,"from_bytes":0,"to_bytes":9,"lines":1,"records":1,"kept":1,
        "ids":"00000000000000000000000000000001"}]}}],"totals":{"lines":1}}"#;
    let AccountsAtStart { accounts, pending, is_readable } = Accounts::restore(subject("one"), &kept_text(before));
    assert!(is_readable);
    assert_eq!((shown(&pending), accounts.totals().lines), (vec![("interval".to_owned(), vec![(7, 0, 9)])], 1));
    assert_eq!((pending[0].id.as_str(), pending[0].timestamp_us), ("AGc0000000000000000000000000", 5));
    let read = of_checkpoint(&Checkpoint { accounts: kept_text(before), ..Checkpoint::default() });
    assert_eq!(read.iter().map(|account| account.sequence).collect::<Vec<_>>(), [3, 4]);
    let AccountsAtStart { is_readable, .. } =
        Accounts::restore(subject("one"), &kept_text(r#"{"sequence":"damaged"}"#));
    assert!(!is_readable, "what cannot be read is begun anew");
}

#[test]
fn what_was_counted_under_a_kind_goes_on_under_the_name_of_its_first_sink() {
    let mut accounts = started("one");
    accounts.add(&settled(7, 1));
    accounts.saved();
    let named_kinds = vec![("store", "audit".to_owned())];
    let AccountsAtStart { accounts, .. } =
        Accounts::restore(Subject { named_kinds, ..subject("one") }, &kept(&accounts));
    let sinks: Vec<_> = accounts.totals().sinks.iter().map(|(name, delivered)| (&**name, delivered.indexed)).collect();
    assert_eq!(sinks, [("audit", 1)]);
}

/// Two sinks, of which the second answers slowly, and reasons from before and behind the sinks.
#[test]
fn plain_members_sum_up_what_stands_in_maps_and_each_reason_has_a_document() {
    let mut accounts = started("one");
    let mut settlement = settled(7, 1);
    settlement.marks[0].tally.dead_lettered.add("decode/invalid_json", 2);
    let mut delivered = Delivered { indexed: 5, duplicates: 3, ..Delivered::default() };
    delivered.dead_lettered.add("sink/document_parsing_exception", 4);
    settlement.delivered.push(("second".into(), delivered));
    accounts.add(&settlement);
    let milliseconds = |requests: u64, sum: u64, max: u64| {
        let (sum, max) = (Duration::from_millis(sum), Duration::from_millis(max));
        Latency { requests, sum, max }
    };
    let latency =
        [("store", milliseconds(4, 20, 9)), ("second", milliseconds(2, 40, 30)), ("idle", milliseconds(0, 0, 0))];
    let latency = latency.map(|(sink, latency)| (sink.into(), latency)).into();
    let documents = accounts.close(Occasion::Interval, Utc::now(), &Backlog { latency, ..Backlog::default() });
    let json: Vec<Value> =
        documents.iter().map(|document| serde_json::from_str(document.text.get()).unwrap()).collect();
    let account = &json[2];
    let reasons = ["sink/document_parsing_exception", "decode/invalid_json"];
    for (name, expected) in [
        ("account.kind", json!("interval")),
        ("account.indexed", json!(6)),
        ("account.duplicates", json!(3)),
        ("account.sink_latency_mean_ms", json!(20.0)),
        ("account.sink_latency_max_ms", json!(30.0)),
        ("account.dead_letter_reasons", json!(reasons)),
        ("account.dead_lettered", json!(6)),
    ] {
        assert_eq!(account[name], expected, "{name} of {account}");
    }
    for (reason, (document, count)) in reasons.iter().zip(json.iter().zip([4, 2])) {
        assert_eq!(document["account.kind"], "dead_letter");
        assert_eq!((&document["account.reason"], &document["account.reason_count"]), (&json!(reason), &json!(count)));
        assert_eq!(document["@timestamp"], account["@timestamp"]);
        assert!(document["account.sequence"].is_null() && document["account.targets"].is_null());
    }
    assert_ne!(documents[0].id, documents[1].id);
    // Told once, and of nothing there is no latency.
    let next = accounts.close(Occasion::Stop, Utc::now(), &Backlog::default());
    let account: Value = serde_json::from_str(next[0].text.get()).unwrap();
    assert_eq!((next.len(), &account["account.indexed"]), (1, &json!(0)));
    assert!(account["account.sink_latency_max_ms"].is_null());
}

#[test]
fn of_many_reasons_the_rare_ones_are_told_in_sum() {
    let mut accounts = started("one");
    let mut settlement = settled(7, 1);
    for reason in 0..60 {
        settlement.marks[0].tally.dead_lettered.add(&format!("decode/{reason}"), reason + 1);
    }
    accounts.add(&settlement);
    let documents = accounts.close(Occasion::Interval, Utc::now(), &Backlog::default());
    let member =
        |place: usize, name: &str| serde_json::from_str::<Value>(documents[place].text.get()).unwrap()[name].clone();
    assert_eq!(documents.len(), 51);
    assert_eq!((member(0, "account.reason"), member(0, "account.reason_count")), (json!("decode/59"), json!(60)));
    assert_eq!((member(49, "account.reason"), member(49, "account.reason_count")), (json!("other"), json!(66)));
    let told: u64 = (0..50).map(|place| member(place, "account.reason_count").as_u64().unwrap()).sum();
    assert_eq!(json!(told), member(50, "account.dead_lettered"));
}

/// What stands beside accounts is no account for those who ask what waits.
#[test]
fn a_reason_of_dead_letters_is_no_account() {
    let mut accounts = started("one");
    let mut settlement = settled(7, 1);
    settlement.marks[0].tally.dead_lettered.add("decode/invalid_json", 2);
    accounts.add(&settlement);
    let documents = accounts.close(Occasion::Stop, Utc::now(), &Backlog::default());
    let entry = |document: &OwnDocument| json!({ "document": document.text });
    let outbox = Value::Array(documents.iter().map(entry).collect()).to_string();
    let read = of_checkpoint(&Checkpoint { outbox: kept_text(&outbox), ..Checkpoint::default() });
    assert_eq!(read.iter().map(|account| &*account.kind).collect::<Vec<_>>(), ["stop"]);
    assert_eq!(documents.len(), 2);
}
