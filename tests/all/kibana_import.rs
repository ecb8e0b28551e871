//! `setup --kibana`: how objects and rules get into a Kibana, and what becomes of what somebody else has changed there.
//!
//! No Kibana can be had here. The server below does what was seen of a real one: an import says in an answer of status 200 what it
//! did not take, and moves what it took to its own shape; an export fails as a whole where one object is missing; a rule comes back
//! with defaults, and a request must not hold what only answers have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inferlog::elastic::options::ClientOptions;
use inferlog::elastic::setup::{Applied, Conflicts, Plan, SetupAction, SetupOutcome};
use inferlog::kibana::import::{self, Kibana, KibanaError, RuleState};
use inferlog::kibana::object::SavedObject;
use inferlog::kibana::rule;
use serde_json::{Value, json};
use url::Url;

use crate::monitoring::list;
use crate::place::{Ended, Place, pipeline, start};
use crate::scripted::{Answer, Asked, scripted};
use crate::support::provided;

/// What goes wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Nobody is known.
    Unauthorized,
    /// Whoever asks may look and change nothing.
    ReadOnly,
    /// No object may be seen.
    Blind,
    /// None any more once one was imported.
    BlindLater,
    /// It is Kibana, and too old.
    Old,
    /// It is a fork that knows neither Lens nor tags.
    OpenSearch,
    /// An import does not take this object.
    Refuses(&'static str),
    /// An import that does nothing, and says neither what nor why.
    Vague,
    /// An object from a Kibana that is newer.
    TooNew,
    /// There is no key to keep rules by.
    NoEncryptionKey,
    /// There are no rules with an equation.
    NoEquations,
    /// Connectors may not be made.
    NoConnectors,
}

#[derive(Debug)]
struct State {
    fault: Fault,
    /// By space, type and id.
    objects: BTreeMap<(String, String, String), Value>,
    rules: BTreeMap<String, Value>,
    connectors: BTreeMap<String, Value>,
    /// What was asked for that changes something: method and path.
    changes: Vec<String>,
}

/// A Kibana.
struct Fake {
    url: Url,
    state: Arc<Mutex<State>>,
}

impl Fake {
    fn new(fault: Fault) -> Fake {
        let (objects, rules, connectors) = Default::default();
        let state = Arc::new(Mutex::new(State { fault, objects, rules, connectors, changes: Vec::new() }));
        let answering = Arc::clone(&state);
        let url = scripted(move |asked| lock(&answering).answer(asked));
        Fake { url: Url::parse(&url).unwrap(), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    async fn connect(&self, space: Option<&str>) -> Result<Kibana, KibanaError> {
        let options = ClientOptions::new(vec![Url::parse("http://elasticsearch.invalid").unwrap()]);
        Kibana::connect(&options, &self.url, space).await
    }

    async fn kibana(&self) -> Kibana {
        self.connect(None).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn plan(&self) -> Plan {
        let plan = import::plan(&self.kibana().await, &objects(), RuleState::AsTheyAre).await;
        plan.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn apply(&self, conflicts: Conflicts) -> Applied {
        self.apply_all(&objects(), RuleState::AsTheyAre, conflicts).await
    }

    async fn apply_all(&self, objects: &[SavedObject], rules: RuleState, conflicts: Conflicts) -> Applied {
        let applied = import::apply(&self.kibana().await, objects, rules, conflicts).await;
        applied.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Somebody changes an object in the default space.
    fn change(&self, kind: &str, id: &str, change: impl FnOnce(&mut Value)) {
        change(self.state().objects.get_mut(&(String::new(), kind.to_owned(), id.to_owned())).unwrap());
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn objects() -> Vec<SavedObject> {
    inferlog::kibana::objects(None).unwrap_or_else(|error| panic!("{error}"))
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer::new(status, &[("content-type", "application/json")], &body.to_string())
}

fn problem(status: u16, message: &str) -> Answer {
    answer(status, &json!({ "statusCode": status, "error": "E", "message": message }))
}

fn key(space: &str, object: &Value) -> (String, String, String) {
    let text = |name: &str| object[name].as_str().unwrap().to_owned();
    (space.to_owned(), text("type"), text("id"))
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Answer {
        let method = asked.line.split(' ').next().unwrap();
        let (space, path) = match asked.path.strip_prefix("/s/").and_then(|rest| rest.split_once('/')) {
            Some((space, path)) => (space.to_owned(), format!("/{path}")),
            None => (String::new(), asked.path.clone()),
        };
        if method != "GET" && !asked.head.contains("kbn-xsrf:") {
            return problem(400, "Request must contain a kbn-xsrf header.");
        }
        if self.fault == Fault::Unauthorized {
            return problem(401, "Unauthorized");
        }
        let is_change = method != "GET" && !path.ends_with("/_export");
        if is_change {
            self.changes.push(format!("{method} {}", asked.path));
        }
        if is_change && self.fault == Fault::ReadOnly {
            return problem(403, "Unable to bulk_create dashboard");
        }
        let body = serde_json::from_slice(&asked.body).unwrap_or_default();
        match path.split('?').next().unwrap() {
            "/api/status" => answer(200, &self.status()),
            "/api/spaces/space/team" => answer(200, &json!({ "id": "team" })),
            "/api/saved_objects/_export" => self.export(&space, &body),
            "/api/saved_objects/_import" => self.import(&space, asked),
            "/api/alerting/_health" => {
                answer(200, &json!({ "has_permanent_encryption_key": self.fault != Fault::NoEncryptionKey }))
            }
            "/api/alerting/rule_types" => self.rule_types(),
            path => match (path.strip_prefix("/api/alerting/rule/"), path.strip_prefix("/api/actions/connector/")) {
                (Some(rest), _) => self.rule(method, &space, rest, body),
                (_, Some(id)) => self.connector(method, &space, id, &body),
                _ => problem(404, "Not Found"),
            },
        }
    }

    fn status(&self) -> Value {
        let (number, overall) = match self.fault {
            Fault::Old => ("8.11.4", json!({ "level": "available" })),
            Fault::OpenSearch => ("2.8.0", json!({ "state": "green" })),
            _ => ("8.12.2", json!({ "level": "available" })),
        };
        json!({ "version": { "number": number }, "status": { "overall": overall } })
    }

    fn export(&self, space: &str, body: &Value) -> Answer {
        if self.fault == Fault::Blind || (self.fault == Fault::BlindLater && !self.objects.is_empty()) {
            return problem(403, "Unable to bulk_get dashboard");
        }
        let asked: Vec<_> = list(&body["objects"]).collect();
        let missing: Vec<Value> = asked
            .iter()
            .filter(|object| !self.objects.contains_key(&key(space, object)))
            .map(|object| json!({ "type": object["type"], "id": object["id"], "error": { "statusCode": 404 } }))
            .collect();
        if !missing.is_empty() {
            let message = "Error fetching objects to export";
            return answer(
                400,
                &json!({ "statusCode": 400, "message": message, "attributes": { "objects": missing } }),
            );
        }
        let lines: Vec<String> = asked.iter().map(|object| self.objects[&key(space, object)].to_string()).collect();
        Answer::new(200, &[("content-type", "application/ndjson")], &lines.join("\n"))
    }

    fn import(&mut self, space: &str, asked: &Asked) -> Answer {
        assert!(asked.path.ends_with("?overwrite=true"), "{}", asked.path);
        let boundary = asked.head.split("boundary=").nth(1).unwrap().lines().next().unwrap().to_owned();
        let body = String::from_utf8(asked.body.clone()).unwrap();
        let part = body.split(&format!("--{boundary}")).nth(1).unwrap();
        let (head, content) = part.split_once("\r\n\r\n").unwrap();
        if !head.contains("name=\"file\"") || !head.contains(".ndjson\"") {
            return problem(400, "Invalid file extension");
        }
        if self.fault == Fault::TooNew {
            return problem(422, "Document \"x\" belongs to a more recent version of Kibana [8.9.0]");
        }
        if self.fault == Fault::Vague {
            return answer(200, &json!({ "success": false, "successCount": 0 }));
        }
        let objects: Vec<Value> = content.trim().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut errors = Vec::new();
        for object in &objects {
            let is_there = |to: &Value| {
                objects.iter().any(|object| key(space, object) == key(space, to))
                    || self.objects.contains_key(&key(space, to))
            };
            let missing: Vec<&Value> = list(&object["references"]).filter(|to| !is_there(to)).collect();
            let error = match self.fault {
                _ if !missing.is_empty() => json!({ "type": "missing_references", "references": missing }),
                Fault::Refuses(id) if object["id"] == id => {
                    json!({ "type": "unknown", "message": "it is odd", "statusCode": 400 })
                }
                _ => {
                    let mut place = key(space, object);
                    // An id is taken in all spaces: what comes with it into another one gets a new one.
                    if self.objects.keys().any(|(other, kind, id)| other != space && (kind, id) == (&place.1, &place.2))
                    {
                        place.2 = format!("new-{}", self.objects.len());
                    }
                    self.objects.insert(place, moved(object));
                    continue;
                }
            };
            errors.push(json!({ "type": object["type"], "id": object["id"], "error": error }));
        }
        let mut body = json!({ "success": errors.is_empty(), "successCount": objects.len() - errors.len() });
        if !errors.is_empty() {
            body["errors"] = json!(errors);
        }
        answer(200, &body)
    }

    fn rule_types(&self) -> Answer {
        let rule_type = |id: &str, consumer: &str| json!({ "id": id, "enabled_in_license": true, "authorized_consumers": { consumer: { "read": true, "all": true } } });
        let mut types = vec![rule_type(".es-query", "stackAlerts")];
        if self.fault != Fault::NoEquations {
            types.push(rule_type("observability.rules.custom_threshold", "logs"));
        }
        answer(200, &json!(types))
    }

    fn rule(&mut self, method: &str, space: &str, rest: &str, mut body: Value) -> Answer {
        let (id, verb) = rest.split_once('/').unwrap_or((rest, ""));
        let there = self.rules.get(id).filter(|rule| method == "POST" || rule["space"] == space).cloned();
        if method == "POST" {
            body["space"] = json!(space);
        }
        match (method, there, verb) {
            ("GET", Some(rule), "") => answer(200, &rule),
            (_, None, "") if method != "POST" => problem(404, "Saved object [alert] not found"),
            ("POST", None, "") => {
                self.rules.insert(id.to_owned(), with_defaults(body));
                answer(200, &self.rules[id])
            }
            ("PUT", Some(mut rule), "") => {
                let known = ["name", "tags", "schedule", "params", "actions"];
                let unknown = body.as_object().unwrap().keys().any(|name| !known.contains(&name.as_str()));
                if unknown || list(&body["actions"]).any(|action| action.get("connector_type_id").is_some()) {
                    return problem(400, "[request body]: definition for this key is missing");
                }
                rule.as_object_mut().unwrap().extend(with_defaults(body).as_object().unwrap().clone());
                self.rules.insert(id.to_owned(), rule.clone());
                answer(200, &rule)
            }
            ("POST", Some(mut rule), "_enable" | "_disable") => {
                rule["enabled"] = json!(verb == "_enable");
                self.rules.insert(id.to_owned(), rule);
                Answer::new(204, &[], "")
            }
            _ => problem(409, "it is there"),
        }
    }

    fn connector(&mut self, method: &str, space: &str, id: &str, body: &Value) -> Answer {
        let there = self.connectors.get(id).filter(|connector| method == "POST" || connector["space"] == space);
        match (method, there) {
            ("GET", Some(connector)) => answer(200, connector),
            ("GET", None) => problem(404, "Saved object [action] not found"),
            ("POST", None) if self.fault == Fault::NoConnectors => problem(403, "Unauthorized to create a connector"),
            ("POST", None) => {
                let mut connector = body.clone();
                connector["space"] = json!(space);
                self.connectors.insert(id.to_owned(), connector);
                answer(200, body)
            }
            _ => problem(409, "it is there"),
        }
    }
}

/// What a newer Kibana makes of an object: a member more, its own version, and JSON in texts written anew.
fn moved(object: &Value) -> Value {
    let mut object = object.clone();
    object["typeMigrationVersion"] = json!("10.1.0");
    object["managed"] = json!(false);
    object["attributes"]["version"] = json!(1);
    if let Some(text) = object["attributes"]["panelsJSON"].as_str() {
        let panels: Value = serde_json::from_str(text).unwrap();
        object["attributes"]["panelsJSON"] = json!(format!("{panels:#}"));
    }
    object
}

fn with_defaults(mut rule: Value) -> Value {
    rule["params"]["sourceFields"] = json!([]);
    for action in rule["actions"].as_array_mut().unwrap() {
        action["uuid"] = json!("00000000-0000-4000-8000-000000000000");
        action["connector_type_id"] = json!(".server-log");
    }
    rule
}

/// How many steps have each action, in the order create, update, unchanged, conflict.
fn counts(plan: &Plan) -> [usize; 4] {
    let of = |action| plan.steps.iter().filter(|step| step.action == action).count();
    [SetupAction::Create, SetupAction::Update, SetupAction::Unchanged, SetupAction::Conflict].map(of)
}

/// What became of a step, by its name.
fn outcome<'a>(applied: &'a Applied, name: &str) -> &'a SetupOutcome {
    &applied.results.iter().find(|result| result.step.name == name).unwrap_or_else(|| panic!("no {name}")).outcome
}

/// How many steps there are: objects, the connector, rules.
fn all() -> usize {
    objects().len() + 1 + rule::all().unwrap().len()
}

#[tokio::test]
async fn an_empty_kibana_gets_everything_once() {
    let fake = Fake::new(Fault::None);
    assert_eq!(counts(&fake.plan().await), [all(), 0, 0, 0]);
    assert_eq!(fake.state().changes, [""; 0], "a plan changes nothing");
    let applied = fake.apply(Conflicts::Keep).await;
    assert!(applied.results.iter().all(|result| result.outcome == SetupOutcome::Done), "{applied:?}");
    let plan = fake.plan().await;
    assert_eq!(counts(&plan), [0, 0, all(), 0], "{plan:?}");
    assert!(
        plan.remarks.last().unwrap().starts_with(&format!("looked at: {} objects of Kibana 8.12.2 at http", all()))
    );
    fake.state().changes.clear();
    let again = fake.apply(Conflicts::Overwrite).await;
    assert!(again.results.iter().all(|result| result.outcome == SetupOutcome::Unchanged), "{again:?}");
    assert_eq!(fake.state().changes, [""; 0], "and so does a second `apply`");
    assert!(fake.state().rules.values().all(|rule| rule["enabled"] == false));
}

#[tokio::test]
async fn what_somebody_has_changed_is_kept_unless_one_says_otherwise() {
    let fake = Fake::new(Fault::None);
    fake.apply(Conflicts::Keep).await;
    fake.change("search", "inferlog-search-slow", |search| search["attributes"]["title"] = json!("Mine"));
    let plan = fake.plan().await;
    assert_eq!(counts(&plan)[3], 1);
    let conflict = plan.steps.iter().find(|step| step.action == SetupAction::Conflict).unwrap();
    assert_eq!((conflict.kind.as_str(), conflict.name.as_str()), ("search", "inferlog-search-slow"));
    assert!(conflict.differences[0].starts_with("attributes.title: Mine -> Requests that took"), "{conflict:?}");
    let kept = fake.apply(Conflicts::Keep).await;
    assert_eq!(outcome(&kept, "inferlog-search-slow"), &SetupOutcome::Kept);
    assert_eq!(counts(&fake.plan().await)[3], 1, "it is still there as it was");
    let replaced = fake.apply(Conflicts::Overwrite).await;
    assert_eq!(outcome(&replaced, "inferlog-search-slow"), &SetupOutcome::Done);
    assert_eq!(counts(&fake.plan().await), [0, 0, all(), 0]);
}

#[tokio::test]
async fn an_older_object_of_ours_is_updated_and_one_that_was_changed_since_is_a_conflict() {
    let fake = Fake::new(Fault::None);
    let mut older = objects();
    let changed: Vec<String> = older
        .iter()
        .filter(|object| object.attributes.get("title").is_some())
        .map(|object| object.id.clone())
        .collect();
    for object in older.iter_mut().filter(|object| changed.contains(&object.id)) {
        object.attributes["title"] = json!("Older");
    }
    fake.apply_all(&older, RuleState::AsTheyAre, Conflicts::Keep).await;
    fake.change("search", "inferlog-search-slow", |search| search["attributes"]["columns"] = json!(["status"]));
    // How often somebody looked at a field is not a change of his.
    fake.change("index-pattern", "inferlog-drift", |view| {
        let mut fields: Value = serde_json::from_str(view["attributes"]["fieldAttrs"].as_str().unwrap()).unwrap();
        fields["psi"]["count"] = json!(3);
        view["attributes"]["fieldAttrs"] = json!(fields.to_string());
    });
    let plan = fake.plan().await;
    assert_eq!(counts(&plan), [0, changed.len() - 1, all() - changed.len(), 1], "{plan:#?}");
    let applied = fake.apply(Conflicts::Keep).await;
    assert_eq!(outcome(&applied, "inferlog-drift"), &SetupOutcome::Done);
    assert_eq!(counts(&fake.plan().await), [0, 0, all() - 1, 1]);
}

#[tokio::test]
async fn what_kibana_does_not_take_is_named_with_its_reason_and_the_rest_is_there() {
    let id = "inferlog-search-slow";
    let fake = Fake::new(Fault::Refuses(id));
    let applied = fake.apply(Conflicts::Keep).await;
    assert_eq!(outcome(&applied, id), &SetupOutcome::Refused("it is odd".to_owned()));
    let not_done: Vec<_> = applied.results.iter().filter(|result| result.outcome != SetupOutcome::Done).collect();
    assert_eq!(not_done.len(), 1, "{not_done:?}");
    assert_eq!(counts(&fake.plan().await), [1, 0, all() - 1, 0]);
    fake.state().fault = Fault::None;
    assert_eq!(outcome(&fake.apply(Conflicts::Keep).await, id), &SetupOutcome::Done, "run again, it goes on");
    let alone = objects().into_iter().filter(|object| object.id == id).collect::<Vec<_>>();
    let elsewhere = Fake::new(Fault::None);
    let applied = elsewhere.apply_all(&alone, RuleState::None, Conflicts::Keep).await;
    let missing = "it needs what is not there: index-pattern inferlog-inference, tag inferlog";
    assert_eq!(outcome(&applied, id), &SetupOutcome::Refused(missing.to_owned()));
}

#[tokio::test]
async fn a_refusal_of_everything_is_told_with_what_to_do() {
    for (fault, words) in [
        (Fault::ReadOnly, "the role needs `All` of Discover, Dashboard"),
        (Fault::TooNew, "belongs to a more recent version of Kibana"),
        (Fault::Vague, "does not add up: 0 imported and 0 refused"),
    ] {
        let fake = Fake::new(fault);
        let applied = fake.apply_all(&objects(), RuleState::None, Conflicts::Keep).await;
        assert_eq!(applied.results.len(), objects().len());
        for result in &applied.results {
            assert!(result.outcome.problem().is_some_and(|problem| problem.contains(words)), "{fault:?}: {result:?}");
        }
        assert_eq!(fake.state().objects.len(), 0);
    }
    for (fault, words) in [(Fault::Unauthorized, "does not know the user of the sink"), (Fault::Blind, "403")] {
        let fake = Fake::new(fault);
        let error = match fake.connect(None).await {
            Ok(kibana) => import::plan(&kibana, &objects(), RuleState::None).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.problem.contains(words) && !error.hint.is_empty(), "{fault:?}: {error:?}");
    }
}

#[tokio::test]
async fn what_kibana_made_of_objects_that_cannot_be_read_again_is_told_and_costs_a_conflict_later() {
    let fake = Fake::new(Fault::BlindLater);
    let mut older = objects();
    for object in older.iter_mut().filter(|object| object.id == "inferlog-search-slow") {
        object.attributes["title"] = json!("Older");
    }
    let applied = fake.apply_all(&older, RuleState::None, Conflicts::Keep).await;
    assert!(applied.results.iter().all(|result| result.outcome == SetupOutcome::Done), "{applied:?}");
    assert!(
        applied.remarks.iter().any(|remark| remark.contains("could not be noted in them")),
        "{:?}",
        applied.remarks
    );
    fake.state().fault = Fault::None;
    let plan = import::plan(&fake.kibana().await, &objects(), RuleState::None).await.unwrap();
    assert_eq!(counts(&plan), [0, 0, objects().len() - 1, 1], "nobody knows whether somebody has changed it");
}

#[tokio::test]
async fn each_space_that_is_named_has_everything_and_finds_it_again() {
    let fake = Fake::new(Fault::None);
    fake.apply(Conflicts::Keep).await;
    let kibana = fake.connect(Some("team")).await.unwrap();
    let applied = import::apply(&kibana, &objects(), RuleState::Enabled, Conflicts::Keep).await.unwrap();
    assert!(applied.results.iter().all(|result| result.outcome == SetupOutcome::Done), "{applied:?}");
    assert!(applied.remarks.last().unwrap().ends_with("space `team`"), "{applied:?}");
    let plan = import::plan(&kibana, &objects(), RuleState::AsTheyAre).await.unwrap();
    assert_eq!(counts(&plan), [0, 0, all(), 0], "{plan:#?}");
    assert_eq!(counts(&fake.plan().await), [0, 0, all(), 0], "and the default space is as it was");
    {
        let state = fake.state();
        let of_team = state.objects.iter().filter(|((space, ..), _)| space == "team");
        assert_eq!(of_team.count(), objects().len());
        let of_team = state.rules.values().filter(|rule| rule["space"] == "team");
        for rule in of_team.clone() {
            let index = rule["params"]["searchConfiguration"]["index"].as_str().unwrap();
            assert!(rule["enabled"] == true && index.ends_with("-team"), "{rule}");
            assert!(state.connectors.contains_key(rule["actions"][0]["id"].as_str().unwrap()), "{rule}");
        }
        assert_eq!((of_team.count(), state.connectors.len()), (rule::all().unwrap().len(), 2));
    }
    let error = fake.connect(Some("nowhere")).await.unwrap_err();
    assert!(error.problem.ends_with("has no space `nowhere`"), "{error}");
}

#[tokio::test]
async fn rules_run_if_one_says_so_and_keep_what_users_added() {
    let fake = Fake::new(Fault::None);
    fake.apply_all(&[], RuleState::Enabled, Conflicts::Keep).await;
    assert!(fake.state().rules.values().all(|rule| rule["enabled"] == true));
    let id = rule::all().unwrap()[0].id.clone();
    {
        let mut state = fake.state();
        let rule = state.rules.get_mut(&id).unwrap();
        rule["actions"].as_array_mut().unwrap().push(json!({ "id": "mail", "group": "recovered", "params": {} }));
        rule["enabled"] = json!(false);
    }
    let kibana = fake.kibana().await;
    let plan = import::plan(&kibana, &[], RuleState::AsTheyAre).await.unwrap();
    assert_eq!(counts(&plan)[2], plan.steps.len(), "what users switch and add is theirs: {plan:?}");
    let plan = import::plan(&kibana, &[], RuleState::Enabled).await.unwrap();
    assert_eq!(counts(&plan)[1], 1);
    fake.apply_all(&[], RuleState::Enabled, Conflicts::Keep).await;
    let state = fake.state();
    let actions = state.rules[&id]["actions"].as_array().unwrap();
    assert_eq!((&state.rules[&id]["enabled"], actions.len(), &actions[2]["id"]), (&json!(true), 3, &json!("mail")));
}

#[tokio::test]
async fn rules_that_cannot_be_made_are_named_before_and_after() {
    for (fault, words, count) in [
        (Fault::NoEncryptionKey, "set `xpack.encryptedSavedObjects.encryptionKey`", rule::all().unwrap().len() + 1),
        (Fault::NoEquations, "has no rules of the type `observability.rules.custom_threshold`", 3),
        (Fault::NoConnectors, "the role needs `All` of Actions and Connectors", 1),
    ] {
        let fake = Fake::new(fault);
        let plan = import::plan(&fake.kibana().await, &[], RuleState::AsTheyAre).await.unwrap();
        let is_foreseen = plan.remarks.iter().any(|remark| remark.contains(words));
        assert_eq!(is_foreseen, fault != Fault::NoConnectors, "{:?}", plan.remarks);
        let applied = fake.apply_all(&[], RuleState::AsTheyAre, Conflicts::Keep).await;
        let refused = applied
            .results
            .iter()
            .filter(|result| matches!(&result.outcome, SetupOutcome::Refused(why) if why.contains(words)));
        assert_eq!(refused.count(), count, "{fault:?}: {applied:#?}");
        let blocked =
            applied.results.iter().filter(|result| matches!(result.outcome, SetupOutcome::Blocked(_))).count();
        assert_eq!(blocked, if fault == Fault::NoConnectors { rule::all().unwrap().len() } else { 0 });
    }
}

/// The verbs in a folder with a pipeline that ships into the real node, and this Kibana.
fn setup(place: &Place, fake: &Fake, arguments: &str) -> Ended {
    let mut words: Vec<&str> = vec!["setup"];
    words.extend(arguments.split(' '));
    words.extend(["--kibana", fake.url.as_str()]);
    start(place.inferlog(&words)).wait()
}

/// What the steps of Kibana's objects say: each action or outcome once.
fn said(ended: &Ended, member: &str) -> BTreeSet<String> {
    let kinds = ["tag", "index-pattern", "search", "query", "lens", "dashboard", "connector", "rule"];
    let steps = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ours = steps.filter(|step| kinds.contains(&step["kind"].as_str().unwrap()));
    ours.map(|step| step[member].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_verbs_set_up_kibana_too_and_exit_by_both() {
    let Some(url) = provided("INFERLOG_TEST_ES_URL", "`setup --kibana`") else { return };
    let fake = Fake::new(Fault::None);
    let place = Place::new(&pipeline(&format!(
        "{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: logs-kibana-verbs }} }}"
    )));
    let only = |word: &str| BTreeSet::from([word.to_owned()]);
    let plan = setup(&place, &fake, "plan p.yaml --format json");
    assert_eq!((plan.code, said(&plan, "action")), (Some(1), only("create")), "{plan:?}");
    let apply = setup(&place, &fake, "apply p.yaml --format json --rules enabled");
    assert_eq!((apply.code, said(&apply, "outcome")), (Some(0), only("done")), "{apply:?}");
    let titles: Vec<Value> =
        fake.state().objects.values().map(|object| object["attributes"]["title"].clone()).collect();
    assert!(
        titles.contains(&json!("logs-ml.inference-*,logs-kibana-verbs")),
        "its own stream is shown, too: {titles:?}"
    );
    assert!(fake.state().rules.values().all(|rule| rule["enabled"] == true));
    let again = setup(&place, &fake, "apply p.yaml --format json");
    assert_eq!((again.code, said(&again, "outcome")), (Some(0), only("unchanged")), "{again:?}");
    let check = setup(&place, &fake, "check p.yaml --format json");
    assert_eq!((check.code, said(&check, "action")), (Some(0), only("unchanged")), "{check:?}");
    assert!(check.stderr.contains("of Kibana 8.12.2 at http"), "it names what it looked at: {check:?}");
    fake.change("lens", &first_lens(), |lens| lens["attributes"]["title"] = json!("Mine"));
    let check = setup(&place, &fake, "check p.yaml");
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.stdout.contains("attributes.title: Mine -> "), "{check:?}");
    let kept = setup(&place, &fake, "apply p.yaml");
    assert_eq!(kept.code, Some(1), "{kept:?}");
    assert_eq!(setup(&place, &fake, "apply p.yaml --overwrite").code, Some(0));
    for (fault, verb, code, words) in [
        (Fault::Unauthorized, "plan p.yaml", 2, "it does not know the user of the sink"),
        (Fault::Unauthorized, "apply p.yaml", 2, "it does not know the user of the sink"),
        (Fault::ReadOnly, "apply p.yaml", 1, "the role needs `All` of Discover"),
        (Fault::Old, "plan p.yaml", 2, "is Kibana 8.11.4, and the objects are written for 8.12 and later"),
        (Fault::OpenSearch, "plan p.yaml", 2, "is OpenSearch Dashboards 2.8.0, which knows neither Lens nor tags"),
    ] {
        let ended = setup(&place, &Fake::new(fault), verb);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(words) || ended.stdout.contains(words), "{ended:?}");
    }
    let space = setup(&place, &fake, "plan p.yaml --space nowhere");
    assert!(space.code == Some(2) && space.stderr.contains("has no space `nowhere`"), "{space:?}");
}

fn first_lens() -> String {
    objects().into_iter().find(|object| object.kind.as_str() == "lens").unwrap().id
}

#[test]
fn an_export_has_kibana_s_files_and_writes_nothing_over_that_somebody_changed() {
    let place = Place::new(&pipeline(
        "{ elasticsearch: { hosts: [\"http://127.0.0.1:9\"], data_stream: logs-ml.inference-default } }",
    ));
    let export = || start(place.inferlog(&["setup", "export", "p.yaml", "--output", "out"])).wait();
    let written = export();
    assert_eq!(written.code, Some(0), "{written:?}");
    let file = place.path("out/kibana/inferlog.ndjson");
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(lines.lines().count(), objects().len());
    assert_eq!(std::fs::read_dir(place.path("out/kibana/rules")).unwrap().count(), rule::all().unwrap().len());
    assert_eq!(export().code, Some(0), "what nobody changed is written again");
    std::fs::write(&file, lines.replacen("latency_ms > 1000", "latency_ms > 5", 1)).unwrap();
    let kept = export();
    assert!(kept.code == Some(1) && kept.stderr.contains("kibana/inferlog.ndjson"), "{kept:?}");
}
