//! Rules and the connector that they use: which are there, may they be made, and do they run?

use serde_json::{Map, Value, json};

use super::RuleState;
use super::marker::{Marker, TAG_OPENING, digest};
use super::normal::{of_rule, projected};
use super::server::{Area, Kibana, KibanaError, refusal};
use crate::elastic::client::{Body, Method};
use crate::elastic::exchange::Reply;
use crate::elastic::setup::{Conflicts, SetupAction, SetupOutcome, SetupResult, SetupStep, differences};
use crate::kibana::rule::{self, CONNECTOR_ID, Rule};
use crate::kibana::space;

/// What was found.
pub(super) struct Found {
    pub(super) work: Vec<Work>,
    /// Why none of it can be made.
    obstacle: Option<String>,
}

/// The connector, or a rule, and what is to be done about it.
pub(super) struct Work {
    pub(super) step: SetupStep,
    thing: Thing,
    /// What is there.
    there: Option<Value>,
    /// Why this one cannot be made.
    obstacle: Option<String>,
}

enum Thing {
    /// With its id.
    Connector(String),
    Rule(Box<Rule>),
}

impl Found {
    /// What stands in the way.
    pub(super) fn remarks(&self) -> Vec<String> {
        let of_work = self.work.iter().filter(|work| work.step.action != SetupAction::Unchanged);
        let each = of_work.filter_map(|work| Some(format!("{}: {}", work.step.name, work.obstacle.as_ref()?)));
        self.obstacle.iter().map(|obstacle| format!("rules: {obstacle}")).chain(each).collect()
    }
}

/// Looks at rules and their connector, unless there are to be none.
pub(super) async fn look(kibana: &Kibana, state: RuleState) -> Result<Found, KibanaError> {
    if state == RuleState::None {
        return Ok(Found { work: Vec::new(), obstacle: None });
    }
    let rules = rule::all().map_err(|error| KibanaError::new(error.to_string(), "please report it"))?;
    let obstacle = encryption(kibana).await?;
    let types = ask_for(kibana, "api/alerting/rule_types", Area::Rules).await?.unwrap_or_default();
    let mut work = vec![connector(kibana).await?];
    for rule in rules.into_iter().map(|rule| space::rule(rule, kibana.space())) {
        let there = ask_for(kibana, &format!("api/alerting/rule/{}", rule.id), Area::Rules).await?;
        let step = judge(&rule, there.as_ref(), state);
        let obstacle = unavailable(&rule, &types);
        work.push(Work { step, there, obstacle, thing: Thing::Rule(Box::new(rule)) });
    }
    Ok(Found { work, obstacle })
}

/// What is there under a path; `None` for nothing.
async fn ask_for(kibana: &Kibana, path: &str, area: Area) -> Result<Option<Value>, KibanaError> {
    let reply = kibana.ask(Method::Get, path, &Body::None).await?;
    match (reply.status, serde_json::from_slice(&reply.body)) {
        (200, Ok(value)) => Ok(Some(value)),
        (404, Ok(value)) if is_not_found(&value) => Ok(None),
        _ => Err(without_rules(refusal(&reply, path, area))),
    }
}

/// Kibana's own word for it, and not that of something between.
fn is_not_found(answer: &Value) -> bool {
    answer["statusCode"] == 404
}

/// The error, with the way around it.
fn without_rules(error: KibanaError) -> KibanaError {
    KibanaError { hint: format!("{}; `--rules none` leaves rules out", error.hint), ..error }
}

/// Why no rule can be made: it needs a key that outlives a restart.
async fn encryption(kibana: &Kibana) -> Result<Option<String>, KibanaError> {
    let health = ask_for(kibana, "api/alerting/_health", Area::Rules).await?.unwrap_or_default();
    Ok((health["has_permanent_encryption_key"] != true).then(|| {
        "Kibana has no encryption key of its own: set `xpack.encryptedSavedObjects.encryptionKey` in kibana.yml \
         (`bin/kibana-encryption-keys generate` gives one)"
            .to_owned()
    }))
}

/// Why a rule cannot be made: a type that is not there, not in the licence, or not for this user.
fn unavailable(rule: &Rule, types: &Value) -> Option<String> {
    let (wanted, consumer) = (rule.type_id(), rule.consumer());
    let Some(found) = types.as_array().into_iter().flatten().find(|one| one["id"] == wanted) else {
        return Some(format!("this Kibana has no rules of the type `{wanted}`, or this user may not see them"));
    };
    if found["enabled_in_license"] != true {
        return Some(format!("the licence has no rules of the type `{wanted}`"));
    }
    let may = found["authorized_consumers"][consumer]["all"] == true;
    (!may).then(|| {
        format!("this user may not make rules of the type `{wanted}` for `{consumer}`: {}", Area::Rules.privileges())
    })
}

fn step(kind: &str, name: String, action: SetupAction, differences: Vec<String>) -> SetupStep {
    SetupStep { kind: kind.to_owned(), name, action, differences }
}

async fn connector(kibana: &Kibana) -> Result<Work, KibanaError> {
    let id = space::uuid(CONNECTOR_ID, kibana.space());
    let there = ask_for(kibana, &format!("api/actions/connector/{id}"), Area::Connectors).await?;
    let kind = rule::connector()["connector_type_id"].clone();
    let (action, differences) = match &there {
        None => (SetupAction::Create, Vec::new()),
        Some(there) if there["connector_type_id"] == kind => (SetupAction::Unchanged, Vec::new()),
        Some(there) => {
            (SetupAction::Conflict, vec![format!("connector_type_id: {} -> {kind}", there["connector_type_id"])])
        }
    };
    let name = rule::connector()["name"].as_str().unwrap_or_default().to_owned();
    Ok(Work { step: step("connector", name, action, differences), there, obstacle: None, thing: Thing::Connector(id) })
}

/// What is to be done about a rule, by what is there in its place.
fn judge(rule: &Rule, there: Option<&Value>, state: RuleState) -> SetupStep {
    let step = |action, differences| step("rule", rule.name.clone(), action, differences);
    let Some(there) = there else { return step(SetupAction::Create, Vec::new()) };
    let ours = of_rule(&rule.body(), &rule.connector);
    let content = of_rule(there, &rule.connector);
    let mut differences = differences(&projected(&content, &ours), &ours);
    let is_untouched = Marker::of_tags(&there["tags"])
        .and_then(|marker| marker.theirs)
        .is_some_and(|theirs| theirs == digest(&content));
    let is_conflict = !differences.is_empty() && !is_untouched;
    if let Some(wanted) = wanted_state(there, state) {
        differences.push(format!("enabled: {} -> {wanted}", !wanted));
    }
    match (differences.is_empty(), is_conflict) {
        (true, _) => step(SetupAction::Unchanged, Vec::new()),
        (false, false) => step(SetupAction::Update, differences),
        (false, true) => step(SetupAction::Conflict, differences),
    }
}

/// Whether a rule that is there is to run, where it does not as it should.
fn wanted_state(there: &Value, state: RuleState) -> Option<bool> {
    let wanted = match state {
        RuleState::Enabled => true,
        RuleState::Disabled => false,
        RuleState::AsTheyAre | RuleState::None => return None,
    };
    (there["enabled"] != wanted).then_some(wanted)
}

/// Makes what is missing, updates what is older, and what is in conflict if one says so.
pub(super) async fn carry_out(
    kibana: &Kibana,
    found: Found,
    state: RuleState,
    conflicts: Conflicts,
) -> Vec<SetupResult> {
    let Found { work, obstacle } = found;
    let mut results: Vec<SetupResult> = Vec::new();
    for work in work {
        let connector = results.first().and_then(|result| result.outcome.problem());
        let outcome = match (work.step.action, &work.obstacle, &obstacle) {
            (SetupAction::Unchanged, ..) => SetupOutcome::Unchanged,
            (SetupAction::Conflict, ..) if conflicts == Conflicts::Keep => SetupOutcome::Kept,
            (_, Some(obstacle), _) | (_, None, Some(obstacle)) => SetupOutcome::Refused(obstacle.clone()),
            _ if connector.is_some() => SetupOutcome::Blocked("their connector is not there".to_owned()),
            _ => match write(kibana, &work, state).await {
                Ok(()) => SetupOutcome::Done,
                Err(outcome) => outcome,
            },
        };
        results.push(SetupResult { step: work.step, outcome });
    }
    results
}

async fn write(kibana: &Kibana, work: &Work, state: RuleState) -> Result<(), SetupOutcome> {
    let rule = match &work.thing {
        Thing::Rule(rule) => rule,
        Thing::Connector(id) => return write_connector(kibana, id, work.there.is_some()).await,
    };
    let connector = &rule.connector;
    let path = format!("api/alerting/rule/{}", rule.id);
    let written = match &work.there {
        None => {
            send(kibana, Method::Post, &path, &tagged(rule.create_body(state == RuleState::Enabled), None, connector))
                .await?
        }
        Some(there) => {
            let written = send(
                kibana,
                Method::Put,
                &path,
                &tagged(beside_others(rule.body(), there, connector), None, connector),
            )
            .await?;
            if let Some(wanted) = wanted_state(there, state) {
                let verb = if wanted { "_enable" } else { "_disable" };
                send(kibana, Method::Post, &format!("{path}/{verb}"), &json!({})).await?;
            }
            written
        }
    };
    let theirs = digest_of(&written, connector);
    send(kibana, Method::Put, &path, &tagged(beside_others(rule.body(), &written, connector), Some(theirs), connector))
        .await
        .map(drop)
}

async fn write_connector(kibana: &Kibana, id: &str, is_there: bool) -> Result<(), SetupOutcome> {
    if is_there {
        return Err(SetupOutcome::Refused("a connector of another type has its id: delete it in Kibana".to_owned()));
    }
    send(kibana, Method::Post, &format!("api/actions/connector/{id}"), &rule::connector()).await.map(drop)
}

/// A rule's body with its marker among the tags.
pub(in crate::kibana) fn tagged(mut body: Value, theirs: Option<String>, connector: &str) -> Value {
    let marker = Marker { ours: digest_of(&body, connector), theirs };
    if let Some(tags) = body["tags"].as_array_mut() {
        tags.push(Value::from(marker.to_tag()));
    }
    body
}

/// The digest of what we say of a rule.
pub(in crate::kibana) fn digest_of(rule: &Value, connector: &str) -> String {
    digest(&of_rule(rule, connector))
}

/// A rule's body together with the tags and the actions that others gave it.
fn beside_others(mut body: Value, there: &Value, connector: &str) -> Value {
    let ours = |tag: &str| {
        tag == "inferlog" || [TAG_OPENING, "severity:", "runbook:"].iter().any(|start| tag.starts_with(start))
    };
    let tags = there["tags"].as_array().into_iter().flatten().filter(|tag| !tag.as_str().is_some_and(ours));
    let actions = there["actions"].as_array().into_iter().flatten().filter(|action| action["id"] != connector);
    // What an answer tells of an action, and a request must not.
    let asked = |action: &Value| {
        let members = action.as_object().cloned().unwrap_or_default();
        Value::Object(members.into_iter().filter(|(name, _)| name != "connector_type_id").collect::<Map<_, _>>())
    };
    let others = [("tags", tags.cloned().collect::<Vec<_>>()), ("actions", actions.map(asked).collect())];
    for (name, others) in others {
        if let Some(list) = body[name].as_array_mut() {
            list.extend(others);
        }
    }
    body
}

async fn send(kibana: &Kibana, method: Method, path: &str, body: &Value) -> Result<Value, SetupOutcome> {
    let area = if path.contains("/connector/") { Area::Connectors } else { Area::Rules };
    let reply: Reply = match kibana.ask_json(method, path, body).await {
        Ok(reply) => reply,
        Err(error) => return Err(SetupOutcome::Unreached(error.problem)),
    };
    if (200..=299).contains(&reply.status) {
        return Ok(serde_json::from_slice(&reply.body).unwrap_or_default());
    }
    let KibanaError { problem, hint } = refusal(&reply, path, area);
    Err(SetupOutcome::Refused(format!("{problem}; {hint}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        rule::all().unwrap().into_iter().find(|rule| rule.file == "drift").unwrap()
    }

    /// The rule as Kibana gives it back, with what it adds.
    fn there() -> Value {
        let mut there = tagged(rule().create_body(false), None, CONNECTOR_ID);
        there["params"]["added"] = json!("by Kibana");
        there["actions"][0]["uuid"] = json!("u");
        let theirs = digest_of(&there, CONNECTOR_ID);
        let mut marked = tagged(rule().create_body(false), Some(theirs), CONNECTOR_ID);
        for member in ["params", "actions"] {
            marked[member] = there[member].clone();
        }
        marked
    }

    #[test]
    fn a_rule_is_known_again_whatever_others_add_and_a_change_of_it_is_seen() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change, RuleState, SetupAction); 8] = [
            ("nothing", |_| {}, RuleState::AsTheyAre, SetupAction::Unchanged),
            ("its own state", |_| {}, RuleState::Disabled, SetupAction::Unchanged),
            ("another state", |_| {}, RuleState::Enabled, SetupAction::Update),
            ("a user's state", |there| there["enabled"] = json!(true), RuleState::AsTheyAre, SetupAction::Unchanged),
            (
                "a connector and a tag",
                |there| {
                    there["actions"].as_array_mut().unwrap().push(json!({ "id": "mail", "group": "recovered" }));
                    there["tags"].as_array_mut().unwrap().push(json!("mine"));
                },
                RuleState::AsTheyAre,
                SetupAction::Unchanged,
            ),
            (
                "a threshold",
                |there| there["params"]["threshold"] = json!([3]),
                RuleState::AsTheyAre,
                SetupAction::Conflict,
            ),
            (
                "a schedule",
                |there| there["schedule"]["interval"] = json!("1h"),
                RuleState::Enabled,
                SetupAction::Conflict,
            ),
            (
                "no marker, and another name",
                |there| {
                    there["tags"] = json!([]);
                    there["name"] = json!("x");
                },
                RuleState::AsTheyAre,
                SetupAction::Conflict,
            ),
        ];
        for (name, change, state, expected) in cases {
            let mut there = there();
            change(&mut there);
            let step = judge(&rule(), Some(&there), state);
            assert_eq!(step.action, expected, "{name}: {:?}", step.differences);
        }
        let older = Rule { every: "9m".to_owned(), ..rule() };
        let step = judge(&older, Some(&there()), RuleState::AsTheyAre);
        assert_eq!(
            (step.action, step.differences),
            (SetupAction::Update, vec!["schedule.interval: 5m -> 9m".to_owned()])
        );
    }

    #[test]
    fn an_update_keeps_the_tags_and_connectors_of_others() {
        let mut there = there();
        there["tags"].as_array_mut().unwrap().push(json!("mine"));
        there["actions"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "id": "mail", "connector_type_id": ".email", "uuid": "u" }));
        let body = beside_others(rule().body(), &there, CONNECTOR_ID);
        let tags = body["tags"].as_array().unwrap();
        assert_eq!((tags.len(), tags.last().unwrap()), (4, &json!("mine")));
        let actions = body["actions"].as_array().unwrap();
        assert_eq!((actions.len(), actions.last().unwrap()), (3, &json!({ "id": "mail", "uuid": "u" })));
    }

    #[test]
    fn a_type_that_cannot_be_used_is_said() {
        let types = |licensed: bool, all: bool| json!([{ "id": ".es-query", "enabled_in_license": licensed, "authorized_consumers": { "stackAlerts": { "all": all } } }]);
        for (types, words) in [
            (types(true, true), None),
            (types(true, false), Some("needs `All` of Stack Rules")),
            (types(false, true), Some("the licence has no rules")),
            (json!([]), Some("has no rules of the type `.es-query`")),
        ] {
            let found = unavailable(&rule(), &types);
            assert_eq!(found.is_some(), words.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(words.unwrap_or_default()));
        }
    }
}
