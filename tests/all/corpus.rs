//! The corpus: the logs of `examples/logs`, each with a pipeline that maps it, held to what is documented of every line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folders of the corpus, in order.
pub(crate) fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/logs");
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir() && !path.ends_with("make")).collect();
    folders.sort();
    assert!(folders.len() >= 31, "a folder of the corpus is missing: {folders:?}");
    folders
}

/// The binary in a folder: its code, what it printed and what it said.
pub(crate) fn inferlog(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_inferlog"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("INFERLOG_LOG")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

/// What `check --sample` says of the log of a folder by a pipeline file.
pub(crate) fn sample(folder: &Path, pipeline: &str) -> Value {
    let arguments = ["check", pipeline, "--sample", "log.ndjson", "--format", "json"];
    let (code, answer, words) = inferlog(folder, &arguments);
    assert_eq!(code, Some(0), "{}: {words}", folder.display());
    serde_json::from_str(&answer).unwrap()
}

/// How many entries of a sample are shipped.
pub(crate) fn shipped(sample: &Value) -> u64 {
    let outcomes = sample["outcomes"].as_array().unwrap().iter();
    outcomes.filter(|outcome| outcome["outcome"] == "shipped").map(|outcome| outcome["count"].as_u64().unwrap()).sum()
}

/// The outcomes as `outcomes.txt` has them, a line each: `shipped: 1-5, 7`.
fn in_lines(sample: &Value) -> String {
    let line = |outcome: &Value| {
        let word = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
        let what = match word("outcome").as_str() {
            "rejected" => format!("rejected by {}, {}", word("stage"), word("reason")),
            "dropped" => format!("dropped by {}", word("rule")),
            other => other.to_owned(),
        };
        format!("{what}: {}\n", word("lines"))
    };
    let outcomes: String = sample["outcomes"].as_array().unwrap().iter().map(line).collect();
    let heart = sample["heart_fields"].as_object().unwrap().iter().filter(|(_, count)| **count != 0);
    let heart: Vec<String> = heart.map(|(field, count)| format!("{field} {count}")).collect();
    format!("{outcomes}heart fields: {}\n", if heart.is_empty() { "none".to_owned() } else { heart.join(", ") })
}

#[test]
fn every_line_of_the_corpus_has_its_documented_outcome() {
    let mut differences = Vec::new();
    for folder in folders() {
        let path = folder.join("outcomes.txt");
        let found = in_lines(&sample(&folder, "pipeline.yaml"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &found).unwrap();
        }
        let documented = fs::read_to_string(&path).unwrap_or_default();
        if found != documented {
            differences.push(format!("{}:\n{found}instead of\n{documented}", path.display()));
        }
    }
    assert!(differences.is_empty(), "UPDATE=1 writes them anew; look at what changed:\n{}", differences.join("\n"));
}

#[test]
fn every_pipeline_of_the_corpus_passes_its_own_tests_and_is_in_the_table() {
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/logs/README.md")).unwrap();
    for folder in folders() {
        let (code, _, words) = inferlog(&folder, &["test", "pipeline.yaml"]);
        assert_eq!(code, Some(0), "{}: {words}", folder.display());
        assert!(!words.contains("0 passed"), "{} has no tests: {words}", folder.display());
        let name = folder.file_name().unwrap().to_string_lossy();
        assert!(table.contains(&format!("| [{name}]({name}) | ")), "{name} is not in the table");
        // Personal data of the sample stays out of what is said of it.
        let said = sample(&folder, "pipeline.yaml").to_string();
        assert!(!said.contains("example.com"), "{name}: {said}");
    }
}

#[test]
fn what_is_suggested_for_a_log_can_be_pasted() {
    for folder in folders() {
        let place = tempfile::tempdir().unwrap();
        let head = "source: { files: { paths: [log.ndjson] } }\ndecode: json\nsink: stdout\n";
        fs::copy(folder.join("log.ndjson"), place.path().join("log.ndjson")).unwrap();
        fs::write(place.path().join("p.yaml"), head).unwrap();
        let bare = sample(place.path(), "p.yaml");
        let suggested = bare["suggested"].as_str().unwrap();
        if suggested.is_empty() {
            continue;
        }
        fs::write(place.path().join("p.yaml"), format!("{head}enrich:\n{suggested}")).unwrap();
        let pasted = sample(place.path(), "p.yaml");
        assert_eq!(shipped(&pasted), shipped(&bare), "{}:\n{suggested}", folder.display());
        assert_eq!(pasted["idle_rules"].as_array().map(Vec::len), Some(0), "{}: {pasted}", folder.display());
    }
}

/// What `init` makes of a log in a folder of its own.
fn init(folder: &Path, place: &Path) -> (Option<i32>, String) {
    let log = folder.join("log.ndjson").display().to_string();
    let (code, _, words) = inferlog(place, &["init", &log, "-o", "drafted.yaml"]);
    (code, words)
}

#[test]
fn a_drafted_pipeline_ships_what_the_one_by_hand_ships_and_quotes_nobody() {
    for folder in folders() {
        let place = tempfile::tempdir().unwrap();
        let (code, words) = init(&folder, place.path());
        let drafted = place.path().join("drafted.yaml");
        assert_eq!(code, Some(0), "{}: {words}", folder.display());
        let text = fs::read_to_string(&drafted).unwrap();
        let (code, _, words) = inferlog(place.path(), &["check", "drafted.yaml"]);
        assert_eq!(code, Some(0), "{}: {words}\n{text}", folder.display());
        assert!(!words.contains("warning"), "{}: {words}\n{text}", folder.display());
        let (code, passed, _) = inferlog(place.path(), &["test", "drafted.yaml"]);
        assert_eq!(code, Some(0), "{}: {passed}\n{text}", folder.display());
        assert!(!passed.contains("\n0 passed"), "{} has no tests\n{text}", folder.display());
        fs::copy(folder.join("log.ndjson"), place.path().join("log.ndjson")).unwrap();
        let (by_hand, drafted) = (sample(&folder, "pipeline.yaml"), sample(place.path(), "drafted.yaml"));
        assert!(shipped(&drafted) >= shipped(&by_hand), "{}: {drafted}\n{text}", folder.display());
        for personal in ["example.com", "user1", "Write to", "my address"] {
            assert!(!text.contains(personal), "{}: `{personal}` of the log is in the file:\n{text}", folder.display());
        }
    }
}

#[test]
fn init_overwrites_nothing_and_says_what_it_could_not_look_at() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    fs::write(folder.join("there.yaml"), "mine").unwrap();
    fs::write(folder.join("log.ndjson"), "{\"prediction\":\"a\",\"at\":\"2026-11-23 10:00:00\"}\nsome text\n").unwrap();
    fs::write(folder.join("empty.ndjson"), "").unwrap();
    fs::write(folder.join("text.log"), "one\ntwo\n").unwrap();
    fs::write(folder.join("packed.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    for (arguments, code, words) in [
        (&["init", "log.ndjson", "-o", "there.yaml"][..], 2, "`there.yaml` is there already"),
        (&["init", "nowhere.ndjson", "-o", "a.yaml"], 2, "nowhere.ndjson"),
        (&["init", "empty.ndjson", "-o", "a.yaml"], 2, "the log has no whole line"),
        (&["init", "packed.gz", "-o", "a.yaml"], 2, "is compressed"),
        (&["init", "text.log", "-o", "a.yaml"], 1, "no line of the log is a record"),
        (&["init", "log.ndjson", "-o", "no/folder/a.yaml"], 2, "the folder cannot be read"),
    ] {
        let (ended, printed, said) = inferlog(folder, arguments);
        assert_eq!(ended, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words) && printed.is_empty(), "{arguments:?}: {said}");
        assert!(!folder.join("a.yaml").exists(), "{arguments:?} wrote a file");
    }
    assert_eq!(fs::read_to_string(folder.join("there.yaml")).unwrap(), "mine");
    let (code, printed, said) = inferlog(folder, &["init", "log.ndjson"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains("paths: [\"log.ndjson\"]"), "{printed}");
    for words in
        ["ships 1 of 2 lines", "name no zone", "nothing was found for request_id", "dead letter: not_an_object"]
    {
        assert!(said.contains(words), "`{words}` is not said: {said}");
    }
}
