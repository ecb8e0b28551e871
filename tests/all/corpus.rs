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
