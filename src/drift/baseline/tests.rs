use super::*;

pub(crate) fn numeric(name: &str, kind: Kind, edges: &[f64], counts: &[u64]) -> FeatureBaseline {
    let distribution = Distribution::Numeric(Numeric {
        edges_kind: EdgesKind::EqualWidth,
        edges: edges.to_vec(),
        counts: counts.to_vec(),
        not_finite: 0,
        mean: Some(0.1),
        deviation: Some(1.0 / 3.0),
        min: edges[0],
        max: edges[edges.len() - 1],
    });
    let count = counts.iter().sum();
    FeatureBaseline { name: name.to_owned(), kind, count, missing: 0, missing_share: 0.0, distribution }
}

pub(crate) fn categorical(name: &str, kind: Kind, categories: &[(&str, u64)], other: u64) -> FeatureBaseline {
    let categories: Vec<_> = categories.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let count = categories.iter().map(|(_, count)| count).sum::<u64>() + other;
    let distribution = Distribution::Categorical(Categorical { categories, other, seen_once: 0 });
    FeatureBaseline { name: name.to_owned(), kind, count, missing: 0, missing_share: 0.0, distribution }
}

/// Amount, country, prediction and confidence.
pub(crate) fn baseline() -> Baseline {
    Baseline {
        model_name: None,
        model_version: Some("1.0".to_owned()),
        fallback: true,
        sources: vec![SourceDigest { name: "train.csv".to_owned(), sha256: "00".repeat(32) }],
        rows: 1_000,
        features: vec![
            numeric("amount", Kind::Feature, &[0.0, 10.0, 20.0, 0.1 * 300.0], &[200, 500, 300]),
            categorical("country", Kind::Feature, &[("DE", 600), ("FR", 400)], 0),
            categorical("prediction", Kind::Prediction, &[("a", 900)], 100),
            numeric("confidence", Kind::Confidence, &[0.5, 0.75, 1.0], &[400, 600]),
        ],
    }
}

fn problem_of(change: impl FnOnce(&mut Baseline)) -> String {
    let mut changed = baseline();
    change(&mut changed);
    let file = BaselineFile::new(vec![changed]);
    BaselineFile::parse(&file.text(), Path::new("b.json")).map_or_else(|error| error.to_string(), |_| String::new())
}

#[test]
fn a_file_is_read_back_digit_for_digit() {
    let file = BaselineFile::new(vec![baseline()]);
    let text = file.text();
    assert!(text.contains("\"counts\": [200, 500, 300],\n"), "{text}");
    assert!(text.contains("\"DE\": 600,\n"), "{text}");
    assert_eq!(BaselineFile::parse(&text, Path::new("b.json")).unwrap(), file);
    let later = text.replacen("\"rows\"", "\"later\": [1, {}], \"rows\"", 1);
    assert_eq!(BaselineFile::parse(&later, Path::new("b.json")).unwrap(), file, "what is new is passed over");
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    fn edges(baseline: &mut Baseline) -> &mut Numeric {
        let Distribution::Numeric(numeric) = &mut baseline.features[0].distribution else { panic!() };
        numeric
    }
    assert_eq!(problem_of(|_| {}), "");
    for (problem, expected) in [
        (problem_of(|baseline| edges(baseline).edges[1] = 0.0), "`amount`: its edges do not rise"),
        (problem_of(|baseline| edges(baseline).edges.truncate(3)), "`amount`: it needs one edge more"),
        (problem_of(|baseline| edges(baseline).counts[0] = 1), "`amount`: its counts do not add up"),
        (problem_of(|baseline| edges(baseline).counts[0] = u64::MAX), "`amount`: its counts do not add up"),
        (problem_of(|baseline| baseline.features.push(baseline.features[0].clone())), "`amount`: it is there twice"),
        (problem_of(|baseline| baseline.features.clear()), "it has 0 features"),
    ] {
        assert!(problem.contains(expected) && problem.contains("b.json"), "{problem}");
    }
    let parse = |text: &str| BaselineFile::parse(text, Path::new("b.json")).unwrap_err().to_string();
    assert!(parse("{}").contains("is no baseline file"));
    assert!(parse(r#"{"inferlog_baseline":2}"#).contains("of a newer format (2)"));
    assert!(parse(r#"{"inferlog_baseline":1,"baselines":[]}"#).contains("it has no baseline"));
}

#[test]
fn a_version_has_its_own_baseline_or_the_fallback() {
    let of = |name: Option<&str>, version: Option<&str>, fallback| Baseline {
        model_name: name.map(str::to_owned),
        model_version: version.map(str::to_owned),
        fallback,
        ..baseline()
    };
    let file = BaselineFile::new(vec![
        of(None, Some("1"), true),
        of(None, Some("2"), false),
        of(Some("fraud"), Some("1"), false),
        of(Some("churn"), None, true),
    ]);
    for (name, version, expected) in [
        ("", "1", Some((0, false))),
        ("other", "2", Some((1, false))),
        ("fraud", "1", Some((2, false))),
        ("fraud", "2", Some((1, false))),
        ("fraud", "3", Some((0, true))),
        ("churn", "1", Some((0, false))),
        ("churn", "9", Some((3, true))),
        ("", "", Some((0, true))),
    ] {
        let chosen = file.choose(name, version).map(|chosen| (chosen.place, chosen.is_fallback));
        assert_eq!(chosen, expected, "{name} {version}");
    }
    let strict = BaselineFile::new(vec![of(None, Some("1"), false)]);
    assert_eq!(strict.choose("", "2"), None);
}
