//! The Elasticsearch sink: documents go out as one bulk request, and each gets its outcome.
//!
//! A whole batch for a data stream is sent from the batch's own buffer, without a copy; a selection copies its ranges. The
//! operation is always `create`, so that a document sent twice is found out by its `_id`. What an answer means is decided
//! by [`bulk`] alone. This module does not retry, wait or install anything.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Request, Sink, SinkFuture};
use crate::elastic::bulk;
use crate::elastic::client::{Body, Client, Method};
use crate::elastic::exchange::Unready;
use crate::elastic::in_force::{self, InForce};
use crate::elastic::installation::FailureStore;
use crate::elastic::options::{ClientOptions, OptionsError};
use crate::elastic::parameters::{BulkParameters, Place};
use crate::elastic::readiness::{self, Assessment, Matter, ReadinessFinding};
use crate::elastic::retention::Retention;
use crate::elastic::segments::Segments;
use crate::elastic::target::{IndexPattern, Target, TemplateCare};
use crate::elastic::tenants::Tenants;
use crate::elastic::tombstones;
use crate::flow::answer::{Answer, Outcome, Reason, Trouble};
use crate::flow::batch::{Batch, Id, Item, Stream};

/// How long what was seen of the server is believed: a stream may be rolled over into an index of another kind.
const LOOKED_AGAIN_AFTER: Duration = Duration::from_secs(5 * 60);

/// Where to ship, and how to get there.
#[derive(Clone, Debug)]
pub struct ElasticsearchOptions {
    /// The nodes, their addresses without credentials, and how they are reached.
    pub client: ClientOptions,
    /// What documents are written into.
    pub target: Target,
    /// How long records are kept there, which `setup` sees to.
    pub retention: Retention,
    /// What becomes there of records that cannot be indexed.
    pub failure_store: FailureStore,
    /// Who sees to the target's template.
    pub template: TemplateCare,
}

impl ElasticsearchOptions {
    /// With the defaults of a pipeline file.
    pub fn new(client: ClientOptions, target: Target) -> ElasticsearchOptions {
        let (retention, failure_store) = (Retention::default(), FailureStore::default());
        ElasticsearchOptions { client, target, retention, failure_store, template: TemplateCare::default() }
    }
}

/// A sink that ships into a data stream or into indices by time.
#[derive(Debug)]
pub struct Elasticsearch {
    client: Client,
    target: Target,
    template: TemplateCare,
    failure_store: FailureStore,
    /// What was seen last of what is in force for records.
    seen: Mutex<Option<InForceSeen>>,
    /// Which parameters the server knows, and when it was asked.
    parameters: Mutex<Option<(Instant, BulkParameters)>>,
    /// Only one looks at a time.
    looks: tokio::sync::Mutex<()>,
    /// What orders have erased, as far as it could be asked for.
    erased: RwLock<HashSet<Id>>,
}

/// What was seen of what is in force.
#[derive(Clone, Debug)]
struct InForceSeen {
    at: Instant,
    /// `None` where nobody is to look.
    in_force: Option<InForce>,
}

impl Elasticsearch {
    /// Makes the sink; reads certificate files, connects to nothing.
    pub fn new(options: &ElasticsearchOptions) -> Result<Elasticsearch, OptionsError> {
        let client = Client::new(&options.client)?;
        let (target, template, failure_store) = (options.target.clone(), options.template, options.failure_store);
        let (seen, parameters, looks, erased) = Default::default();
        Ok(Elasticsearch { client, target, template, failure_store, seen, parameters, looks, erased })
    }

    async fn deliver_once(&self, request: &Request) -> Answer {
        let parameters = match self.parameters(self.name_of(request.batch.stream()).as_deref()).await {
            Ok(parameters) => parameters,
            Err(unready) => return wait_for(unready),
        };
        // What inferlog writes itself waits for no look at records.
        if request.batch.stream() == Stream::Records {
            match self.see(Some(LOOKED_AGAIN_AFTER)).await {
                Ok(Some(InForce::Altered(trouble))) => return Answer::Wait(trouble),
                Ok(_) => {}
                Err(unready) => return wait_for(unready),
            }
        }
        let erased = self.erased_places(request);
        if erased.is_empty() {
            return self.send(request, parameters).await;
        }
        let selection = request.selection.clone().unwrap_or_else(|| (0..request.len() as u32).collect());
        let is_left = |place: &usize| erased.binary_search(place).is_err();
        let left = (0..selection.len()).filter(is_left).map(|place| selection[place]).collect();
        let left = Request { batch: Arc::clone(&request.batch), selection: Some(left) };
        with_inserted(self.send(&left, parameters).await, &erased, &Outcome::Erased)
    }

    /// The one data stream that all documents of this kind go to, where they have one.
    fn name_of(&self, stream: Stream) -> Option<String> {
        match (stream, &self.target) {
            (Stream::Accounts, target) => Some(target.accounts()),
            (Stream::Drift, target) => Some(target.drift()),
            (Stream::Outcomes, target) => Some(target.outcomes()),
            (Stream::Records, Target::DataStream(stream)) => Some(stream.clone()),
            (Stream::Records, Target::Index(_) | Target::Tenants(_)) => None,
        }
    }

    async fn send(&self, request: &Request, parameters: BulkParameters) -> Answer {
        let name = self.name_of(request.batch.stream());
        let BulkBody { body, refused } = match (request.batch.stream(), &self.target) {
            (Stream::Records, Target::Index(pattern)) => index_body(request, pattern),
            (Stream::Records, Target::Tenants(tenants)) => tenants_body(request, tenants),
            _ => BulkBody::whole(request),
        };
        let sent = request.len() - refused.len();
        let is_dated = request.batch.stream() == Stream::Records && matches!(self.target, Target::Index(_));
        let place = if is_dated { Place::Index } else { Place::DataStream };
        let answer = match sent {
            0 => Answer::Items(Vec::new()),
            _ => self.post(parameters, name.as_deref(), place, body, sent).await,
        };
        with_inserted(answer, &refused, &out_of_range())
    }

    /// Posts a body of so many items; again at once where the server does not know a parameter after all.
    async fn post(
        &self,
        mut parameters: BulkParameters,
        name: Option<&str>,
        place: Place,
        body: Segments,
        items: usize,
    ) -> Answer {
        let body = Body::Lines(body);
        loop {
            let reply = match self.client.send(Method::Post, &parameters.path(name, place), &body).await {
                Ok(reply) => reply,
                Err(trouble) => return Answer::Wait(trouble),
            };
            let Some(known) = parameters.refused_by(&reply) else { return bulk::read_answer(&reply, items) };
            self.keep_parameters(&known);
            parameters = known;
        }
    }

    /// Which parameters the server knows: as of the last time that it was asked, where that is not too long ago.
    async fn parameters(&self, name: Option<&str>) -> Result<BulkParameters, Unready> {
        let last = self.parameters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, known)) = last.filter(|(asked, _)| asked.elapsed() < LOOKED_AGAIN_AFTER) {
            return Ok(known);
        }
        let known = BulkParameters::ask(&self.client, name).await?;
        self.keep_parameters(&known);
        Ok(known)
    }

    fn keep_parameters(&self, known: &BulkParameters) {
        let kept = (Instant::now(), known.clone());
        *self.parameters.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }

    /// What is in force for records: what was seen last, where that is not older and does not stand against shipping; else it
    /// is looked at anew.
    async fn see(&self, not_older: Option<Duration>) -> Result<Option<InForce>, Unready> {
        let _one_at_a_time = self.looks.lock().await;
        let last = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_fresh = |seen: &InForceSeen| not_older.is_some_and(|age| seen.at.elapsed() < age);
        let is_good = |seen: &InForceSeen| !matches!(seen.in_force, Some(InForce::Altered(_)));
        if let Some(seen) = last.filter(|seen| is_fresh(seen) && is_good(seen)) {
            return Ok(seen.in_force);
        }
        let in_force = match self.template {
            TemplateCare::Managed => Some(in_force::look(&self.client, &self.target).await?),
            TemplateCare::Unmanaged => None,
        };
        let seen = InForceSeen { at: Instant::now(), in_force: in_force.clone() };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(in_force)
    }

    /// What stands against shipping records by what is in force, looked at anew.
    async fn look_for_hold(&self) -> Option<Trouble> {
        match self.see(None).await {
            Ok(Some(InForce::Altered(trouble))) => Some(trouble),
            // Whoever does not answer is heard of when records are sent.
            Ok(_) | Err(_) => None,
        }
    }

    /// What is to be known of a sink that ships.
    fn what_is_not_looked_at(&self) -> Option<Trouble> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let name = self.target.searched();
        let (problem, hint) = match seen.as_ref()?.in_force.as_ref() {
            None => (
                format!("`template: unmanaged`: nobody looks whether `{name}` keeps records as they are sent"),
                "take it out of the sink to have that looked at",
            ),
            Some(InForce::NotShown) => (
                format!(
                    "it could not be looked at whether `{name}` keeps records as they are sent: this user is not shown it; \
                     they are shipped"
                ),
                "`inferlog check --connect` looks, as a user with `view_index_metadata` and `manage_index_templates`",
            ),
            Some(InForce::Kept | InForce::Altered(_)) => return None,
        };
        Some(Trouble { problem, hint: Some(hint.to_owned()) })
    }

    /// The places of items that must not come back, ascending.
    fn erased_places(&self, request: &Request) -> Vec<usize> {
        let erased = self.erased.read().unwrap_or_else(PoisonError::into_inner);
        let is_erased = |item: &Item| match request.batch.stream() {
            Stream::Records => erased.contains(&item.id),
            Stream::Outcomes => prediction_id(request.batch.document(item)).is_some_and(|id| erased.contains(&id)),
            Stream::Accounts | Stream::Drift => false,
        };
        if erased.is_empty() {
            return Vec::new();
        }
        request.items().enumerate().filter(|(_, item)| is_erased(item)).map(|(place, _)| place).collect()
    }

    /// Asks which records an order has erased. Needs a privilege that shipping does not need: without it, only what is
    /// read again after a loss of the folder of state could come back.
    async fn learn_erased(&self) {
        match tombstones::load(&self.client, &self.target.accounts()).await {
            Ok(ids) => *self.erased.write().unwrap_or_else(PoisonError::into_inner) = ids,
            Err(trouble) => tracing::debug!(problem = trouble.problem, "cannot ask which records were erased"),
        }
    }

    /// Looks at all that says whether records would be taken, and kept as they are sent; writes nothing.
    pub async fn examine(&self) -> Vec<ReadinessFinding> {
        let mut findings = readiness::examine(&self.client, &self.target).await;
        if findings.iter().any(|finding| finding.matter == Matter::Records) && self.template == TemplateCare::Managed {
            findings.extend(readiness::examine_keeping(&self.client, &self.target, self.failure_store).await);
        }
        findings
    }

    /// Looks at what says whether documents of outcomes would be taken.
    pub async fn examine_outcomes(&self) -> Vec<ReadinessFinding> {
        readiness::examine_stream(&self.client, Matter::Outcomes, &self.target.outcomes()).await
    }

    /// Looks at what says whether documents of drift would be taken.
    pub async fn examine_drift(&self) -> Vec<ReadinessFinding> {
        readiness::examine_stream(&self.client, Matter::Drift, &self.target.drift()).await
    }

    /// The first thing that is known to stand against shipping records. Accounts wait for nothing, and are warned of when
    /// they wait; and what could not be looked at at a server that is there will show.
    async fn look(&self) -> Result<(), Trouble> {
        let findings = readiness::examine(&self.client, &self.target).await;
        let mut troubles = findings.into_iter().filter_map(|finding| match (finding.matter, finding.verdict) {
            (Matter::Server | Matter::Records, Assessment::NotSo(trouble)) => Some(trouble),
            (Matter::Server, Assessment::CouldNotLook(trouble)) => Some(trouble),
            _ => None,
        });
        troubles.next().map_or(Ok(()), Err)
    }
}

/// The answer of a server that was not ready for the question before it.
fn wait_for(Unready { trouble, wait }: Unready) -> Answer {
    match wait {
        Some(wait) => Answer::WaitAtLeast(wait, trouble),
        None => Answer::Wait(trouble),
    }
}

/// The record that an outcome is of.
fn prediction_id(document: &[u8]) -> Option<Id> {
    #[derive(serde::Deserialize)]
    struct Outcome<'d> {
        prediction_id: &'d str,
    }
    Id::read(serde_json::from_slice::<Outcome<'_>>(document).ok()?.prediction_id)
}

impl Sink for Elasticsearch {
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
        Box::pin(self.deliver_once(request))
    }

    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
        Box::pin(async {
            let looked = self.look().await;
            self.learn_erased().await;
            looked
        })
    }

    fn hold(&self) -> SinkFuture<'_, Option<Trouble>> {
        Box::pin(self.look_for_hold())
    }

    fn remark(&self) -> Option<Trouble> {
        self.what_is_not_looked_at()
    }
}

/// A bulk body, and the places of items that cannot stand in it, ascending.
struct BulkBody {
    body: Segments,
    refused: Vec<usize>,
}

impl BulkBody {
    fn whole(request: &Request) -> BulkBody {
        BulkBody { body: stream_body(request), refused: Vec::new() }
    }
}

/// A segment of a batch as a part of a body. The batch lives until the last byte is sent.
struct SentSegment {
    batch: Arc<Batch>,
    position: usize,
}

impl AsRef<[u8]> for SentSegment {
    fn as_ref(&self) -> &[u8] {
        self.batch.segment(self.position)
    }
}

fn stream_body(request: &Request) -> Segments {
    let batch = &request.batch;
    if request.selection.is_none() {
        let segment = |position| Bytes::from_owner(SentSegment { batch: Arc::clone(batch), position });
        return (0..batch.segments().len()).map(segment).collect();
    }
    let mut body = Vec::with_capacity(request.bytes());
    for item in request.items() {
        body.extend_from_slice(batch.action_and_document(item));
    }
    body.into()
}

fn tenants_body(request: &Request, tenants: &Tenants) -> BulkBody {
    let mut body = Vec::with_capacity(request.bytes() + request.len() * (tenants.stream(0).len() + 16));
    for item in request.items() {
        push_into_index(&mut body, tenants.stream(item.namespace), request, item);
    }
    BulkBody { body: body.into(), refused: Vec::new() }
}

/// Appends an item with the name of what it goes into.
fn push_into_index(body: &mut Vec<u8>, index: &str, request: &Request, item: &Item) {
    for part in ["{\"create\":{\"_index\":\"", index, "\",\"_id\":\"", item.id.as_str(), "\"}}\n"] {
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(request.batch.document(item));
    body.push(b'\n');
}

fn index_body(request: &Request, pattern: &IndexPattern) -> BulkBody {
    let mut body = Vec::new();
    let mut refused = Vec::new();
    for (place, item) in request.items().enumerate() {
        let Some(index) = pattern.name(item.timestamp_us) else {
            refused.push(place);
            continue;
        };
        push_into_index(&mut body, &index, request, item);
    }
    BulkBody { body: body.into(), refused }
}

/// Puts the items that were not sent back into their places, which ascend.
fn with_inserted(answer: Answer, places: &[usize], outcome: &Outcome) -> Answer {
    let Answer::Items(mut outcomes) = answer else { return answer };
    for &place in places {
        outcomes.insert(place, outcome.clone());
    }
    Answer::Items(outcomes)
}

fn out_of_range() -> Outcome {
    let detail = "the record's time is outside the years 0 to 9999, so no index can be named for it".to_owned();
    Outcome::Rejected(Reason { kind: "time_out_of_range".to_owned(), detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::batch::{Id, Origin};

    const DAY_US: i64 = 86_400_000_000;

    fn batch(times_us: &[i64]) -> Arc<Batch> {
        let mut batch = Batch::default();
        for (n, &time_us) in times_us.iter().enumerate() {
            let origin = Origin { file: 0, offset_bytes: 0, length_bytes: 0, ordinal: 0 };
            let id = Id([b'a' + n as u8; crate::flow::batch::ID_CHARACTERS]);
            batch.push(id, time_us, origin, |body| body.extend_from_slice(format!("{{\"n\": {n}}}").as_bytes()));
        }
        Arc::new(batch)
    }

    #[test]
    fn a_whole_batch_is_not_copied_and_a_selection_is_its_ranges() {
        let batch = batch(&[0, 1, 2]);
        let whole = stream_body(&Request { batch: Arc::clone(&batch), selection: None });
        assert_eq!(whole.iter().map(|segment| segment.as_ptr()).collect::<Vec<_>>(), [batch.segment(0).as_ptr()]);
        let some = stream_body(&Request { batch: Arc::clone(&batch), selection: Some(vec![0, 2]) });
        let items = batch.items();
        let expected = [batch.action_and_document(&items[0]), batch.action_and_document(&items[2])].concat();
        assert_eq!(some, expected.into());
    }

    #[test]
    fn each_document_goes_to_the_index_of_its_own_day() {
        let pattern = IndexPattern::parse("ml-{yyyy.MM.dd}").unwrap();
        let request = Request { batch: batch(&[0, i64::MAX, DAY_US]), selection: None };
        let BulkBody { body, refused } = index_body(&request, &pattern);
        let (a, c) = ("a".repeat(28), "c".repeat(28));
        let expected = format!(
            "{{\"create\":{{\"_index\":\"ml-1970.01.01\",\"_id\":\"{a}\"}}}}\n{{\"n\": 0}}\n\
             {{\"create\":{{\"_index\":\"ml-1970.01.02\",\"_id\":\"{c}\"}}}}\n{{\"n\": 2}}\n"
        );
        assert_eq!((body, refused.as_slice()), (expected.into(), &[1][..]));
        let sent = Answer::Items(vec![Outcome::Indexed, Outcome::Duplicate]);
        let Answer::Items(outcomes) = with_inserted(sent, &refused, &out_of_range()) else { panic!("not items") };
        assert!(matches!(outcomes[..], [Outcome::Indexed, Outcome::Rejected(_), Outcome::Duplicate]), "{outcomes:?}");
    }

    #[tokio::test]
    async fn an_outcome_of_an_erased_record_is_not_sent() {
        // Nobody listens there: what is sent is waited for.
        let client = ClientOptions::new(vec!["http://127.0.0.1:1".parse().unwrap()]);
        let target = Target::DataStream("logs-m-default".to_owned());
        let options = ElasticsearchOptions::new(client, target);
        let sink = Elasticsearch::new(&options).unwrap();
        sink.keep_parameters(&BulkParameters::default());
        let (erased, other) =
            (Id([b'e'; crate::flow::batch::ID_CHARACTERS]), Id([b'o'; crate::flow::batch::ID_CHARACTERS]));
        sink.erased.write().unwrap().insert(erased);
        for (predictions, places, is_sent) in
            [(&[erased][..], &[0][..], false), (&[other, erased], &[1], true), (&[other], &[], true)]
        {
            let mut batch = Batch::of(Stream::Outcomes);
            for (number, prediction) in predictions.iter().enumerate() {
                let document = format!("{{\"prediction_id\":\"{}\"}}", prediction.as_str());
                batch.push(Id::new(0, [number as u8; 16]), 0, None, |body| body.extend_from_slice(document.as_bytes()));
            }
            let request = Request { batch: Arc::new(batch), selection: None };
            assert_eq!(sink.erased_places(&request), places);
            match sink.deliver_once(&request).await {
                Answer::Items(outcomes) => assert_eq!((outcomes, is_sent), (vec![Outcome::Erased], false)),
                answer => assert!(is_sent, "{answer:?}"),
            }
        }
    }
}
