//! Suggestions: which of a log's members are the heart fields, its time, and what nobody should keep?
//!
//! By names, and by what the values look like ([`Shape`]). A guess is a guess: it is said what it is made of, and whoever
//! takes it over looks at it. What is written is YAML that a pipeline file takes as it is.

use super::shape::{DISTINCT_MAX, Member, Shape, without_places};

/// What a pipeline file could say of a log.
#[derive(Clone, Debug, Default)]
pub struct Suggestions {
    /// The record's time.
    pub time: Option<TimeSuggestion>,
    /// The heart fields that were found, also those that have their own names.
    pub roles: Vec<RoleSuggestion>,
    /// What to hide.
    pub hidden: Vec<HiddenSuggestion>,
}

/// A member that is the record's time.
#[derive(Clone, Debug)]
pub struct TimeSuggestion {
    /// Its path.
    pub path: String,
    /// In how many records it names no zone.
    pub without_zone: u64,
}

/// A member that is a heart field.
#[derive(Clone, Debug)]
pub struct RoleSuggestion {
    /// The heart field.
    pub role: &'static str,
    /// Where it is.
    pub path: String,
    /// What `roles` says of it; `None` where the log has it under its own name, as it should be.
    pub yaml: Option<String>,
    /// What was guessed and should be looked at.
    pub doubt: Option<&'static str>,
}

/// A member that should be hidden.
#[derive(Clone, Debug)]
pub struct HiddenSuggestion {
    /// Its path, which means every element of arrays.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Names of members by what they mean, in small letters and without `_`, `-` and `.`; the surest first. One that has a
/// member above it is also known with that: `output.label` is `outputlabel`.
const REQUEST_ID: [&str; 13] = [
    "requestid",
    "reqid",
    "xrequestid",
    "databricksrequestid",
    "correlationid",
    "eventid",
    "inferenceid",
    "predictionid",
    "rid",
    "callid",
    "id",
    "traceid",
    "uuid",
];
const MODEL_NAME: [&str; 5] = ["modelname", "inferenceservicename", "servingdeploymentname", "model", "modelid"];
const MODEL_VERSION: [&str; 3] = ["modelversion", "modelver", "modelrevision"];
const PREDICTION: [&str; 14] = [
    "prediction",
    "predictedlabel",
    "predictedclass",
    "predicted",
    "pred",
    "label",
    "outputlabel",
    "class",
    "predictions",
    "probabilities",
    "probs",
    "results",
    "scores",
    "outputsdata",
];
const CONFIDENCE: [&str; 9] =
    ["confidence", "probability", "proba", "prob", "score", "certainty", "probabilities", "probs", "results"];
const LATENCY: [&str; 24] = [
    "latencyms",
    "durationms",
    "tookms",
    "elapsedms",
    "executiontimems",
    "responsetimems",
    "inferencetimems",
    "processingtimems",
    "latencys",
    "latencyseconds",
    "durations",
    "durationseconds",
    "elapsedseconds",
    "tookseconds",
    "e2elatency",
    "latency",
    "duration",
    "took",
    "elapsed",
    "responsetime",
    "totaltime",
    "inferencetime",
    "processingtime",
    "executiontime",
];
const STATUS: [&str; 4] = ["status", "statuscode", "httpstatus", "responsecode"];
const FEATURES: [&str; 10] = [
    "features",
    "inputs",
    "input",
    "featurevalues",
    "instances",
    "instance",
    "requestelements",
    "inputsdata",
    "dataframerecords",
    "x",
];
const STAGE: [&str; 3] = ["stage", "environment", "deploymentstage"];
const TIME: [&str; 15] = [
    "timestamp",
    "@timestamp",
    "time",
    "ts",
    "datetime",
    "asctime",
    "eventtime",
    "timestampms",
    "timestampns",
    "timems",
    "starttime",
    "createdat",
    "created",
    "inferencetime",
    "timerepr",
];

/// Names of people and of ways to them, which are hidden whatever stands there.
const PERSONAL: [&str; 26] = [
    "email",
    "mail",
    "useremail",
    "customeremail",
    "emailaddress",
    "ssn",
    "phone",
    "phonenumber",
    "mobile",
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "cookie",
    "username",
    "firstname",
    "lastname",
    "fullname",
    "birthdate",
    "dateofbirth",
    "iban",
    "cardnumber",
    "ipaddress",
    "user",
];

/// Names of texts that people wrote, or were answered.
const WRITTEN: [&str; 14] = [
    "prompt",
    "prompts",
    "messages",
    "question",
    "query",
    "answer",
    "completion",
    "response",
    "comment",
    "content",
    "text",
    "generatedtext",
    "systemprompt",
    "transcript",
];

/// Names of texts that a model was given.
const ASKED: [&str; 8] = ["prompt", "prompts", "messages", "question", "query", "comment", "text", "content"];

impl Suggestions {
    /// The member that is the model's input: the features, else a text that it was given.
    pub fn input(&self) -> Option<&str> {
        let features = self.roles.iter().find(|found| found.role == "features").map(|found| found.role);
        let is_answer =
            |path: &str| path.split('.').any(|name| matches!(plain(name).as_str(), "out" | "output" | "response"));
        let is_asked =
            |path: &&str| known_as(path).iter().any(|name| ASKED.contains(&name.as_str())) && !is_answer(path);
        features.or_else(|| self.hidden.iter().map(|hidden| hidden.path.as_str()).find(is_asked))
    }
}

/// What kind of model a log is of, where it shows; else of classes.
pub fn kind(shape: &Shape, suggestions: &Suggestions) -> Option<&'static str> {
    let of = |role: &str| suggestions.roles.iter().find(|found| found.role == role);
    let prediction = of("prediction").and_then(|found| shape.members.get(&found.path));
    let counts_tokens = || shape.members.keys().any(|path| known_as(path)[0] == "completiontokens");
    match prediction {
        Some(member) if member.probabilities > 0 => None,
        Some(member) if member.arrays > 0 => Some("multilabel"),
        Some(member) if member.integers < member.numbers && of("confidence").is_none() => Some("regression"),
        Some(_) => None,
        None => counts_tokens().then_some("generation"),
    }
}

/// Looks at the shape of a log for what a pipeline file could say.
pub fn suggest(shape: &Shape) -> Suggestions {
    Suggestions { time: time(shape), roles: roles(shape), hidden: hidden(shape) }
}

/// A name in small letters and without marks.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric() || *c == '@').flat_map(char::to_lowercase).collect()
}

/// The plain names that a path is known by: its last one, and that with the one above.
fn known_as(path: &str) -> [String; 2] {
    let path = without_places(path);
    let mut names = path.rsplit('.');
    let last = names.next().unwrap_or_default();
    let above = names.next().unwrap_or_default();
    [plain(last), plain(&format!("{above}{last}"))]
}

/// The member that is most surely meant by one of the names: the surest name, then the least depth, then the order of paths.
fn best<'s>(
    shape: &'s Shape,
    names: &[&str],
    fits: impl Fn(&str, &Member) -> bool,
) -> Option<(&'s String, &'s Member)> {
    let rank = |path: &str| {
        let known = known_as(path);
        let name = names.iter().position(|name| known.iter().any(|known| known == name))?;
        Some((name, path.matches(['.', '[']).count()))
    };
    // What few records have is not what the log is about.
    let is_usual = |member: &Member| member.count * 10 >= shape.records;
    let members = shape.members.iter().filter(|(path, member)| is_usual(member) && fits(path, member));
    members.filter_map(|member| Some((rank(member.0)?, member))).min_by_key(|(rank, _)| *rank).map(|(_, member)| member)
}

fn time(shape: &Shape) -> Option<TimeSuggestion> {
    // A time is one of the record, not of an element.
    let is_time = |path: &str, member: &Member| !path.contains('[') && member.times * 10 >= member.count * 9;
    let by_value = || shape.members.iter().find(|(path, member)| member.texts > 0 && is_time(path, member));
    let (path, member) = best(shape, &TIME, is_time).or_else(by_value)?;
    Some(TimeSuggestion { path: path.clone(), without_zone: member.times_without_zone })
}

fn is_single(member: &Member) -> bool {
    member.objects + member.arrays == 0
}

fn roles(shape: &Shape) -> Vec<RoleSuggestion> {
    let copy = |role: &'static str, names: &[&str], fits: fn(&Member) -> bool| {
        let (path, _) = best(shape, names, |_, member| is_single(member) && fits(member))?;
        Some(RoleSuggestion { role, yaml: (path != role).then(|| quoted(path)), path: path.clone(), doubt: None })
    };
    let differs =
        |member: &Member| member.distinct.len() >= DISTINCT_MAX || member.distinct.len() as u64 * 3 >= member.count;
    let all = [
        copy("request_id", &REQUEST_ID, differs),
        copy("model_name", &MODEL_NAME, |member| member.texts > 0),
        copy("model_version", &MODEL_VERSION, |_| true),
        prediction(shape),
        confidence(shape),
        latency(shape),
        status(shape),
        features(shape),
        copy("stage", &STAGE, |member| member.texts > 0),
    ];
    all.into_iter().flatten().collect()
}

fn prediction(shape: &Shape) -> Option<RoleSuggestion> {
    let fits = |path: &str, member: &Member| path == "prediction" || is_single(member) || member.probabilities > 0;
    let (path, member) = best(shape, &PREDICTION, fits)?;
    let yaml = match member.probabilities > 0 {
        true => Some(format!("{{ largest: {} }}", quoted(path))),
        false => (path != "prediction").then(|| quoted(path)),
    };
    Some(RoleSuggestion { role: "prediction", path: path.clone(), yaml, doubt: None })
}

fn confidence(shape: &Shape) -> Option<RoleSuggestion> {
    let is_number = |member: &Member| member.numbers + member.number_texts + member.percent_texts == member.count;
    let in_range = |member: &Member| member.numbers == 0 || (member.least >= 0.0 && member.largest <= 100.0);
    let fits = |_: &str, member: &Member| member.probabilities > 0 || (is_number(member) && in_range(member));
    let (path, member) = best(shape, &CONFIDENCE, fits)?;
    let (yaml, doubt) = match member {
        _ if member.probabilities > 0 => (Some(format!("{{ largest: {} }}", quoted(path))), None),
        _ if member.largest > 1.0 => {
            (Some(format!("{{ from: {}, scale: percent }}", quoted(path))), Some("numbers above 1: taken as percent"))
        }
        _ if member.numbers > 0 && member.least < 0.5 && path != "confidence" => {
            (Some(quoted(path)), Some("some are below 0.5: of one class? then `of: positive, positive: CLASS`"))
        }
        _ => ((path != "confidence").then(|| quoted(path)), None),
    };
    Some(RoleSuggestion { role: "confidence", path: path.clone(), yaml, doubt })
}

fn latency(shape: &Shape) -> Option<RoleSuggestion> {
    let is_duration = |member: &Member| {
        let numbers = member.numbers + member.number_texts + member.duration_texts;
        numbers == member.count && (member.numbers == 0 || member.least >= 0.0) && member.times < member.count
    };
    let (path, member) = best(shape, &LATENCY, |_, member| is_duration(member))?;
    let (unit, doubt) = unit(&known_as(path)[0], member);
    let is_there = path == "latency_ms";
    let yaml = (!is_there).then(|| match unit {
        "ms" => quoted(path),
        unit => format!("{{ from: {}, unit: {unit} }}", quoted(path)),
    });
    Some(RoleSuggestion { role: "latency_ms", path: path.clone(), yaml, doubt: doubt.filter(|_| !is_there) })
}

/// The unit of a duration: what the values or the name say, else what its size suggests.
fn unit(name: &str, member: &Member) -> (&'static str, Option<&'static str>) {
    let by_size = Some("the unit is guessed by the size of the numbers: look at it");
    match name {
        _ if member.duration_texts > 0 => ("auto", None),
        // `duration_s`, before the `ns` at its end is taken for nanoseconds.
        "latencys" | "durations" | "e2elatency" => ("s", None),
        _ if name.ends_with("ms") => ("ms", None),
        _ if name.ends_with("us") => ("us", None),
        _ if name.ends_with("ns") => ("ns", None),
        _ if name.ends_with("seconds") => ("s", None),
        _ if member.integers == member.numbers && member.least >= 10_000.0 => ("ns", by_size),
        _ if member.integers < member.numbers && member.largest < 10.0 => ("s", by_size),
        _ => ("ms", by_size),
    }
}

fn status(shape: &Shape) -> Option<RoleSuggestion> {
    let is_http = |member: &Member| member.numbers == member.count && member.least >= 100.0 && member.largest <= 599.0;
    let fits = |path: &str, member: &Member| is_http(member) || (path == "status" && member.texts > 0);
    let (path, member) = best(shape, &STATUS, fits)?;
    let yaml = is_http(member).then(|| format!("{{ from: {}, errors_from: 400 }}", quoted(path)));
    Some(RoleSuggestion { role: "status", path: path.clone(), yaml, doubt: None })
}

fn features(shape: &Shape) -> Option<RoleSuggestion> {
    let fits = |path: &str, member: &Member| path == "features" || member.objects + member.arrays == member.count;
    let (path, _) = best(shape, &FEATURES, fits)?;
    let yaml = (path != "features").then(|| quoted(path));
    Some(RoleSuggestion { role: "features", path: path.clone(), yaml, doubt: None })
}

fn hidden(shape: &Shape) -> Vec<HiddenSuggestion> {
    let mut found: Vec<HiddenSuggestion> = Vec::new();
    for (path, member) in &shape.members {
        let plain_path = without_places(path);
        let is_covered = |found: &HiddenSuggestion| crate::record::covers(&found.path, &plain_path);
        if found.iter().any(is_covered) {
            continue;
        }
        if let Some(why) = why_hide(&plain_path, member) {
            found.push(HiddenSuggestion { path: plain_path, why });
        }
    }
    found
}

fn why_hide(path: &str, member: &Member) -> Option<String> {
    let name = plain(path.rsplit('.').next().unwrap_or_default());
    let is_text = member.texts > 0;
    match name.as_str() {
        name if PERSONAL.contains(&name) && is_text => Some("by its name".to_owned()),
        _ if member.personal > 0 => Some(format!("personal data or a secret is found in {} texts", member.personal)),
        "messages" | "prompts" if member.arrays > 0 => Some("what people wrote, by its name".to_owned()),
        name if WRITTEN.contains(&name) && member.sentences > 0 => Some("what people wrote, by its name".to_owned()),
        _ => None,
    }
}

/// A path as YAML takes it, also between brackets.
pub fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let begins_plain = path.starts_with(|c: char| c.is_ascii_alphabetic());
    // YAML has words of its own.
    let is_word = matches!(
        path.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    match begins_plain && path.chars().all(is_plain) && !is_word {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::shape;
    use super::*;

    /// Each log in one line, and what is suggested for it.
    #[test]
    fn heart_fields_are_found_by_names_and_by_values() {
        for (line, expected) in [
            (
                r#"{"prediction":"a","confidence":0.9,"latency_ms":4,"request_id":"r"}"#,
                "request_id prediction confidence latency_ms",
            ),
            (
                r#"{"label":"a","score":0.9,"took":900000}"#,
                "prediction: label confidence: score latency_ms: { from: took, unit: ns }",
            ),
            (
                r#"{"pred":1,"certainty":87.5,"duration_s":0.2}"#,
                "prediction: pred confidence: { from: certainty, scale: percent } latency_ms: { from: duration_s, unit: s }",
            ),
            (r#"{"probs":[0.2,0.8]}"#, "prediction: { largest: probs } confidence: { largest: probs }"),
            (
                r#"{"model":{"name":"m","version":"1"},"span":{"total_time":"1.2s"}}"#,
                "model_name: model.name model_version: model.version latency_ms: { from: span.total_time, unit: auto }",
            ),
            (
                r#"{"status":200,"request":{"inputs":[{"data":[1,2]}]}}"#,
                "status: { from: status, errors_from: 400 } features: request.inputs",
            ),
            (r#"{"status":"ok","score":-3.5,"latency":"slow"}"#, "status"),
        ] {
            let found: Vec<String> = suggest(&shape(&[line]))
                .roles
                .iter()
                .map(|found| match &found.yaml {
                    Some(yaml) => format!("{}: {yaml}", found.role),
                    None => found.role.to_owned(),
                })
                .collect();
            assert_eq!(found.join(" "), expected, "{line}");
        }
    }

    #[test]
    fn what_is_personal_is_found_by_names_and_by_patterns() {
        let shape = shape(&[
            r#"{"user":{"email":"x","id":7},"prompt":"a b c d","prompt_tokens":4,"note":"to a.b@c.example","messages":[{"content":"hi"}]}"#,
        ]);
        let paths: Vec<String> = suggest(&shape).hidden.into_iter().map(|hidden| hidden.path).collect();
        assert_eq!(paths, ["messages", "note", "prompt", "user.email"]);
    }

    #[test]
    fn the_time_is_found_and_whether_it_has_a_zone() {
        for (line, expected) in [
            (r#"{"asctime":"2026-11-23 10:00:00,5"}"#, Some(("asctime", 1))),
            (r#"{"record":{"time":{"timestamp":1795428000.5}}}"#, Some(("record.time.timestamp", 0))),
            (r#"{"served":"2026-11-23T10:00:00Z","n":1795428000}"#, Some(("served", 0))),
            (r#"{"time":"yesterday"}"#, None),
        ] {
            let time = suggest(&shape(&[line])).time;
            assert_eq!(time.as_ref().map(|time| (time.path.as_str(), time.without_zone)), expected, "{line}");
        }
    }

    #[test]
    fn paths_are_quoted_where_yaml_needs_it() {
        for (path, expected) in [
            ("a.b-c", "a.b-c"),
            ("a[0]", "'a[0]'"),
            ("@timestamp", "'@timestamp'"),
            ("no", "'no'"),
            ("it's", "'it''s'"),
        ] {
            assert_eq!(quoted(path), expected);
        }
    }
}
