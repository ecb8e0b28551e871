//! `examples/labels`: label lines as other systems write them become outcomes of the predictions beside them.

use std::fs;

use serde_json::Value;

use crate::monitoring::{project, project_files};
use crate::place::{Place, pipeline};

const FOLDER: &str = "examples/labels";

/// Each example with the outcomes that it gives: request, kind, what was predicted, what the label or review says, by whom.
const EXAMPLES: [(&str, &[&str]); 4] = [
    (
        "openinference",
        &[
            "67f6740bbe1ddc3f truth refund: refund, correct, by HUMAN",
            "67f6740bbe1ddc40 review shipping: overridden by judge-2",
            "67f6740bbe1ddc40 truth shipping: billing, wrong, by CODE",
        ],
    ),
    (
        "opentelemetry",
        &[
            "chatcmpl-AbC123 review Your refund is on its way.: upheld by Relevance",
            "chatcmpl-AbC124 review We do not ship to Mars.: overridden by Relevance",
        ],
    ),
    (
        "sagemaker",
        &[
            "1f0ccb55-3e5d-4a1b-9f0e-6f6f2f1f7a01 truth 1: 1, correct, by nobody",
            "1f0ccb55-3e5d-4a1b-9f0e-6f6f2f1f7a02 truth 0: 1, wrong, by nobody",
        ],
    ),
    (
        "seldon",
        &[
            "2h1u1fj0sm4bo0hf1ks3bsmtqs truth fraud: fraud, correct, by nobody",
            "9n7rg5d2c8vuk1lq0e4hj6ab3t truth normal: fraud, wrong, by nobody",
        ],
    ),
];

/// An outcome in a line.
fn summary(document: &str) -> String {
    let outcome: Value = serde_json::from_str(document).unwrap();
    let text = |member: &str| outcome[member].as_str().unwrap_or("nobody").to_owned();
    let says = match (outcome["kind"].as_str().unwrap(), outcome["correct"].as_bool()) {
        ("review", None) => format!("{} by {}", text("decision"), text("reviewer")),
        (_, Some(true)) => format!("{}, correct, by {}", text("label"), text("label_by")),
        (_, Some(false)) => format!("{}, wrong, by {}", text("label"), text("label_by")),
        (_, None) => "nothing".to_owned(),
    };
    format!("{} {} {}: {says}", text("request_id"), text("kind"), text("prediction"))
}

/// The outcomes in the store, sorted.
fn outcomes(place: &Place) -> Vec<String> {
    let connection = place.store().open();
    let mut statement = connection.prepare("SELECT document FROM outcomes WHERE prediction_id IS NOT NULL").unwrap();
    let documents = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut outcomes: Vec<String> = documents.map(|document| summary(&document.unwrap())).collect();
    outcomes.sort();
    outcomes
}

#[test]
fn labels_of_each_known_shape_are_joined_with_their_predictions() {
    let names: Vec<String> = project_files(FOLDER, ".yaml")
        .iter()
        .map(|file| file.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, EXAMPLES.map(|(name, _)| name.to_owned()), "examples in the folder, and those that are tested");
    for (name, expected) in EXAMPLES {
        let text = fs::read_to_string(project(&format!("{FOLDER}/{name}.yaml"))).unwrap();
        let place = Place::new(&text);
        for file in ["predictions.ndjson", &format!("{name}.ndjson")] {
            fs::copy(project(FOLDER).join(file), place.path(file)).unwrap();
        }
        let ended = place.run_once_to(0);
        assert_eq!(outcomes(&place), expected, "{name}: {ended:?}");
    }
}

#[test]
fn a_csv_of_reviews_and_truths_needs_no_more_than_its_first_line() {
    let labels = "labels: { paths: [l.csv], format: csv }";
    let place = Place::new(&format!("{}observe: [ground_truth: {{ {labels} }}]\n", pipeline("{ store: {} }")));
    place.append("{\"event\":\"inference\",\"request_id\":\"r-1\",\"prediction\":\"ok\",\"confidence\":0.5}\n");
    let rows = "request_id,kind,label,by,decision,reviewer\nr-1,truth,fraud,bank,,\nr-1,review,,,overridden,ann\n";
    fs::write(place.path("l.csv"), rows).unwrap();
    let ended = place.run_once_to(0);
    assert_eq!(
        outcomes(&place),
        ["r-1 review ok: overridden by ann", "r-1 truth ok: fraud, wrong, by bank"],
        "{ended:?}"
    );
}
