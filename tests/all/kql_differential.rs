//! One language, the same answer everywhere: random questions over random records, put to the evaluator, to the store, to
//! a real Elasticsearch as our Query DSL, and to Elasticsearch's own reading of KQL.
//!
//! 300 questions over 1,000 records in `./test`, 2,500 over 5,000 with `--long`. The seed is printed where something
//! differs; `INFERLOG_TEST_SEED=n` replays it.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use fastrand::Rng;
use inferlog::elastic::client::Body;
use inferlog::elastic::search::Search;
use inferlog::elastic::target::Target;
use inferlog::flow::batch::{Batch, Origin, SourceFile};
use inferlog::flow::question::{Order, Question};
use inferlog::kql::{Comparison, Expression, Literal, Node};
use inferlog::record::{Record, Space};
use inferlog::sink::store::{Reader, Retention, Store, StoreOptions};
use serde_json::{Value, json};

use crate::kql_corpus::{DAY_US, Document, documents, question};
use crate::numbered::{is_long, report, seed};
use crate::support::{Method, Node as Server, id, outcomes};

/// Questions in one request.
const ASKED_AT_ONCE: usize = 250;

/// How many are selected, and the sum of their marks.
type Selection = (u64, u64);

/// Noon of the records' day, plus something.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(DAY_US + 45_296_789_000).unwrap()
}

fn batch_of(documents: &[Document], first: usize) -> Arc<Batch> {
    let mut batch = Batch::default();
    let file = SourceFile { path: "/logs/a.ndjson".to_owned(), inode: 7, generation: 0, ..SourceFile::default() };
    let file = batch.file(&Arc::new(file));
    for (number, document) in documents.iter().enumerate() {
        let origin = Origin { file, offset_bytes: 0, length_bytes: 0, ordinal: 0 };
        let render = |body: &mut Vec<u8>| body.extend_from_slice(document.text.as_bytes());
        batch.push(id(&format!("d{}", first + number)), document.timestamp_us, origin, render);
    }
    Arc::new(batch)
}

fn asked(text: &str) -> Question {
    let condition = Expression::parse(text).unwrap_or_else(|error| panic!("{error}")).at(now());
    Question {
        stream: inferlog::flow::batch::Stream::Records,
        condition,
        from_ms: None,
        until_ms: None,
        order: Order::NEWEST_FIRST,
    }
}

/// Documents in a store; the folder must outlive the reader.
async fn stored(documents: &[Document]) -> (tempfile::TempDir, Reader) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = Store::open(StoreOptions { path: path.clone(), retention: Retention::default() }).unwrap();
    assert_eq!(outcomes(&store, &batch_of(documents, 0)).await.len(), documents.len());
    drop(store);
    (folder, Store::open_read_only(&path).unwrap())
}

/// Documents in a data stream of our template; the stream's name.
async fn indexed(node: &Server, name: &str, documents: &[Document]) -> Target {
    let stream = format!("logs-ml.inference-{name}");
    node.forget(&stream).await;
    let target = Target::data_stream(&stream).unwrap();
    node.set_up(&target).await;
    let sink = node.sink(&target);
    // The first one alone, so that it gives the fields their types.
    for (first, part) in [(0, &documents[..1]), (1, &documents[1..])] {
        let batch = batch_of(part, first);
        if !part.is_empty() {
            let refused: Vec<_> = outcomes(&sink, &batch)
                .await
                .into_iter()
                .enumerate()
                .filter(|(_, outcome)| format!("{outcome:?}") != "Indexed")
                .map(|(place, outcome)| format!("{outcome:?} of {}", part[place].text))
                .collect();
            assert_eq!(refused, [""; 0]);
        }
    }
    node.ask(Method::Post, &format!("{stream}/_refresh"), "").await;
    target
}

/// What the store selects, in order; and its count, which may come from the index alone.
fn of_store(reader: &Reader, question: &Question, documents: &[Document]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut last = f64::INFINITY;
    reader
        .search(question, &mut |row| {
            let number: usize = row.id.trim_end_matches('-')[1..].parse().unwrap();
            assert_eq!(row.document, documents[number].text);
            assert!(row.key.unwrap() <= last, "not the newest first");
            last = row.key.unwrap();
            found.push(number);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(reader.count_of(question).unwrap(), found.len() as u64);
    found.sort_unstable();
    found
}

/// Whether Elasticsearch's own `kql` can be asked: it knows no braces but of `nested` fields and no objects, reads an escaped
/// or quoted `*` and a `?` in a pattern as wildcards, takes 0 and -0.0 for two numbers, and its clock is not the one of the test. What does not exist for its mapping is
/// not there for it, though it is in the record; and the number in a prediction is a field for it, where many are asked.
fn is_judged(node: &Node) -> bool {
    let is_zero = |literal: &Literal| literal.text().parse() == Ok(0.0);
    let is_fixed = |literal: &Literal| !literal.text().starts_with("now") && !is_zero(literal);
    let is_plain = |comparison: &Comparison| match comparison {
        Comparison::Pattern(pattern) => !pattern.pieces().concat().contains(['?', '\\', '*', ' ']),
        Comparison::Literal(literal) => is_fixed(literal) && !literal.text().contains('*'),
    };
    match node {
        Node::All => true,
        Node::Or(nodes) | Node::And(nodes) => nodes.iter().all(is_judged),
        Node::Not(inner) => is_judged(inner),
        Node::Nested { .. } => false,
        Node::Exists(field) => {
            ["event", "confidence", "features.geo.city", "nowhere", "*_version"].contains(&field.path_text())
        }
        Node::Is { field, value } => is_plain(value) && !["*", "pre*"].contains(&field.path_text()),
        Node::Text(Comparison::Literal(literal)) if literal.number().is_some() => false,
        Node::Text(value) => is_plain(value),
        Node::Range { literal, .. } => is_fixed(literal),
    }
}

/// The question as Elasticsearch's own `kql` reads it: with every bracket, because it gives `and` and `or` one precedence,
/// unlike Kibana, and with value lists taken apart, because it knows none.
fn bracketed(node: &Node) -> String {
    let joined = |nodes: &[Node], word: &str| {
        let parts: Vec<String> = nodes.iter().map(|node| format!("({})", bracketed(node))).collect();
        parts.join(word)
    };
    match node {
        Node::Or(nodes) => joined(nodes, " or "),
        Node::And(nodes) => joined(nodes, " and "),
        Node::Not(inner) => format!("not ({})", bracketed(inner)),
        leaf => leaf.to_string(),
    }
}

/// Asks many questions at once; `None` where Elasticsearch refuses one.
async fn selections(node: &Server, stream: &str, queries: &[Value]) -> Vec<Option<Selection>> {
    let mut all = Vec::new();
    for some in queries.chunks(ASKED_AT_ONCE) {
        let mut body = String::new();
        for query in some {
            let search = json!({"size": 0, "track_total_hits": true, "query": query, "aggs": {"marks": {"sum": {"field": "mark"}}}});
            let _ = writeln!(body, "{}\n{search}", json!({"index": stream}));
        }
        let reply = node.client.send(Method::Post, "_msearch", &Body::Lines(body.into())).await.unwrap();
        let answer: Value = serde_json::from_slice(&reply.body).unwrap();
        let answers = answer["responses"].as_array().unwrap_or_else(|| panic!("{answer}"));
        all.extend(answers.iter().map(|answer| {
            let count = answer["hits"]["total"]["value"].as_u64()?;
            Some((count, answer["aggregations"]["marks"]["value"].as_f64()? as u64))
        }));
    }
    all
}

/// The numbers of the records that a query of Elasticsearch selects, for a message.
async fn ids(node: &Server, stream: &str, query: &Value) -> Vec<usize> {
    let body = json!({"size": 10_000, "_source": false, "query": query}).to_string();
    let (_, answer) = node.ask(Method::Post, &format!("{stream}/_search"), &body).await;
    let mut numbers: Vec<usize> = answer["hits"]["hits"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .map(|hit| hit["_id"].as_str().unwrap().trim_end_matches('-')[1..].parse().unwrap())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Fails with the first record on which two answers differ.
fn assert_same(who: &str, text: &str, expected: &[usize], found: &[usize], documents: &[Document]) {
    let odd = |number: &&usize| expected.contains(number) != found.contains(number);
    if let Some(&number) = expected.iter().chain(found).find(odd) {
        let answer =
            if expected.contains(&number) { "the evaluator alone selects" } else { "the evaluator leaves out" };
        panic!("{who}, `{text}`: {answer}\n{:.2000}", documents[number].text);
    }
}

struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report(&format!("replay with INFERLOG_TEST_SEED={}", self.0));
        }
    }
}

#[tokio::test]
async fn the_same_text_selects_the_same_records_everywhere() {
    let Some(node) = Server::plain("one language, the same answers") else { return };
    let seed = Seed(seed());
    let (questions, records) = if is_long() { (2_500, 5_000) } else { (300, 1_000) };
    let mut random = Rng::with_seed(seed.0);
    let documents = documents(&mut random, records);
    let name = format!("kql-differential-{}", seed.0);
    let target = indexed(&node, &name, &documents).await;
    let stream = format!("logs-ml.inference-{name}");
    let stream = stream.as_str();
    let (_folder, reader) = stored(&documents).await;
    let texts: Vec<String> = (0..questions).map(|_| question(&mut random, 3)).collect();

    let mut spaces: Vec<Space> = documents.iter().map(|_| Space::default()).collect();
    let parsed: Vec<Record<'_>> = documents
        .iter()
        .zip(&mut spaces)
        .map(|(document, space)| Record::parse(&document.text, space).unwrap_or_else(|error| panic!("{error:?}")))
        .collect();
    let (mut expected, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for text in &texts {
        let question = asked(text);
        let selected = |number: &usize| question.condition.matches(&parsed[*number]);
        let found: Vec<usize> = (0..records).filter(selected).collect();
        assert_same("the store", text, &found, &of_store(&reader, &question, &documents), &documents);
        ours.push(Search::new(&node.client, &target, &question).await.unwrap().query().clone());
        let tree = question.condition.tree();
        theirs.push(is_judged(tree).then(|| json!({"kql": {"query": bracketed(tree)}})));
        expected.push(found);
    }
    let sum = |found: &[usize]| (found.len() as u64, found.iter().map(|number| documents[*number].mark).sum::<u64>());
    for (place, selection) in selections(&node, stream, &ours).await.into_iter().enumerate() {
        let selection = selection.unwrap_or_else(|| panic!("refused: `{}` as {}", texts[place], ours[place]));
        if selection != sum(&expected[place]) {
            let found = ids(&node, stream, &ours[place]).await;
            assert_same("Query DSL", &texts[place], &expected[place], &found, &documents);
            panic!("Query DSL, `{}`: {selection:?} against {:?}", texts[place], sum(&expected[place]));
        }
    }
    let (places, judged): (Vec<usize>, Vec<Value>) =
        theirs.into_iter().enumerate().filter_map(|(place, query)| Some((place, query?))).unzip();
    let (mut agreed, mut refused) = (0, 0);
    for (selection, place) in selections(&node, stream, &judged).await.into_iter().zip(places) {
        match selection {
            // It refuses what does not fit a field's type, such as `confidence < high`.
            None => refused += 1,
            Some(selection) if selection == sum(&expected[place]) => agreed += 1,
            Some(_) => {
                let query = json!({"kql": {"query": bracketed(asked(&texts[place]).condition.tree())}});
                let found = ids(&node, stream, &query).await;
                assert_same("Elasticsearch's own kql", &texts[place], &expected[place], &found, &documents);
            }
        }
    }
    node.forget(stream).await;
    let some = expected.iter().filter(|found| !found.is_empty() && found.len() < records).count();
    report(&format!(
        "{questions} questions over {records} records, seed {}: no difference; {some} select some and not all; \
         Elasticsearch's own kql agrees on {agreed} and refuses {refused}",
        seed.0
    ));
    assert!(some * 3 > questions, "too many questions select all or nothing: {some} of {questions} do not");
    assert!(agreed * 3 > questions, "too few are judged: {agreed} of {questions}");
}

/// Where the mapping decides, and the answers cannot agree: each line of `docs/kql.md` that says so. Records by their number;
/// what the evaluator and the store select, what our Query DSL selects, and what Elasticsearch's own `kql` does.
#[tokio::test]
async fn where_the_mapping_decides_is_pinned() {
    let Some(node) = Server::plain("where the mapping decides") else { return };
    let long = "lng ".repeat(2_100);
    let lines = [
        r#""x":5,"big":1.5,"prompt":"sh0rt","features":{"a":1,"embedding":[0.5,1]}"#.to_owned(),
        r#""x":"5.0","big":12345678901234567890,"prediction":{"number":7}"#.to_owned(),
        format!(r#""x":"n/a","big":12345678901234567891,"prompt":"{long}""#),
    ];
    let documents: Vec<Document> = lines
        .iter()
        .map(|line| format!("{{\"@timestamp\":\"2026-11-23T00:00:00Z\",{line}}}"))
        .map(|text| Document { timestamp_us: DAY_US, mark: 1, text })
        .collect();
    let target = indexed(&node, "kql-pinned", &documents).await;
    let stream = "logs-ml.inference-kql-pinned";
    let (_folder, reader) = stored(&documents).await;
    type Numbers = &'static [usize];
    let cases: [(&str, Numbers, Numbers, Numbers); 12] = [
        // The first value made `x` a number, and "5.0" is one there.
        ("x : 5", &[0], &[0, 1], &[0, 1]),
        // What is no number was left out of its index. It is there all the same, which `_ignored` knows and `kql` does not.
        ("not x < 10", &[1, 2], &[2], &[2]),
        ("x : *", &[0, 1, 2], &[0, 1, 2], &[0, 1]),
        // A double has 15 to 17 digits.
        ("big : 12345678901234567890", &[1], &[1, 2], &[1, 2]),
        // A text over 8,191 characters is not found by its content.
        ("prompt : lng*", &[2], &[], &[]),
        ("prompt : *", &[0, 2], &[0, 2], &[0]),
        // A vector is kept and not indexed.
        ("features.embedding > 0", &[0], &[], &[]),
        ("features.embedding : *", &[0], &[0], &[]),
        // What `prediction.number` is to Elasticsearch is for charts; a record's own member of that name is hidden by it.
        ("prediction.number : 7", &[1], &[], &[]),
        ("prediction : *", &[1], &[], &[]),
        // An object is no field with `subobjects: false`.
        ("features : *", &[0], &[0], &[]),
        ("feat* : *", &[0], &[0], &[0]),
    ];
    for (text, evaluated, ours, theirs) in cases {
        let question = asked(text);
        assert_eq!(of_store(&reader, &question, &documents), evaluated, "the store, `{text}`");
        let query = Search::new(&node.client, &target, &question).await.unwrap().query().clone();
        assert_eq!(ids(&node, stream, &query).await, ours, "Query DSL, `{text}`");
        assert_eq!(ids(&node, stream, &json!({"kql": {"query": text}})).await, theirs, "kql, `{text}`");
    }
}
