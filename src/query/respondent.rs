//! A respondent: a sink that is asked, with what is known of the pipelines that ship there, so that beside an answer can be
//! said whether it is all.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::ask::Source;
use crate::config::model::{ElasticsearchOptions, Pipeline};
use crate::elastic::client::Client;
use crate::elastic::options::OptionsError;
use crate::elastic::pages::{self, Refreshed};
use crate::elastic::target::Target;
use crate::enrich::Step;
use crate::flow::batch::Stream;
use crate::flow::question::Question;
use crate::judge::enrichment::host_name;
use crate::observe::drift::options::DriftOptions;
use crate::proof::accounted;
use crate::proof::completeness::{Completeness, local_state};
use crate::sink::store::{Store, StoreError};
use crate::state::folder::state_folder;

/// A sink that can be asked.
#[derive(Debug)]
pub struct Respondent {
    /// Where the records are.
    pub source: Source,
    /// For people: "the store `inference`".
    pub name: String,
    /// The store's file, or the cluster's addresses.
    pub place: String,
    pipeline: Option<Pipeline>,
    /// The pipeline's name and folder of state.
    state: (String, PathBuf),
}

impl Respondent {
    /// The store of the pipeline of this name, opened for reading.
    ///
    /// # Errors
    /// When it is not there, or no store.
    pub fn of_store(
        path: &Path,
        name: &str,
        pipeline: Option<Pipeline>,
        data_dir: &Path,
    ) -> Result<Respondent, StoreError> {
        Ok(Respondent {
            source: Source::Store(Box::new(Store::open_read_only(path)?)),
            name: format!("the store `{name}`"),
            place: path.display().to_string(),
            pipeline,
            state: (name.to_owned(), state_folder(data_dir, name)),
        })
    }

    /// What a pipeline ships into Elasticsearch.
    ///
    /// # Errors
    /// When the client's options are not right.
    pub fn of_elasticsearch(
        options: &ElasticsearchOptions,
        pipeline: Pipeline,
        data_dir: &Path,
    ) -> Result<Respondent, OptionsError> {
        let client = Client::new(&options.client)?;
        let hosts: Vec<&str> = options.client.hosts.iter().map(|host| host.as_str()).collect();
        Ok(Respondent {
            source: Source::Elasticsearch(Box::new(client), options.target.clone()),
            name: format!("`{}` of Elasticsearch", options.target.searched()),
            place: hosts.join(", "),
            state: (pipeline.name.clone(), state_folder(data_dir, &pipeline.name)),
            pipeline: Some(pipeline),
        })
    }

    /// Whether an answer may lack something: by the folder of state, where it is on this machine, and by the accounts of
    /// all other pipelines that ship there. Where those cannot be read, that is a gap, too.
    ///
    /// To be asked before the answer is: what was delivered by then has to be in it, for which Elasticsearch makes it
    /// visible first.
    pub async fn completeness(&self, question: &Question, now: DateTime<Utc>) -> Completeness {
        let (name, folder) = &self.state;
        let until = question.until_ms.and_then(DateTime::from_timestamp_millis);
        let globs = self.pipeline.as_ref().map(|pipeline| {
            let files = &pipeline.source.files;
            (files.paths.as_slice(), files.exclude.as_slice())
        });
        let local = local_state(folder, name, globs, question.from_ms, question.until_ms);
        let host = host_name();
        let but = local.is_some().then_some((host.as_str(), name.as_str()));
        let accounts_visible = self.refresh(|target| vec![target.accounts()]).await;
        let accounted = accounted::states(&self.source, but, question.from_ms, question.until_ms).await;
        let records_visible = self.refresh(Target::parts).await;
        let (others, problem) = match accounted {
            Ok(others) => (others, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let states: Vec<_> = local.into_iter().chain(others).collect();
        let mut completeness = Completeness::of(&states, until, now);
        if let Some(problem) = problem {
            completeness.withhold(format!("the accounts of pipelines cannot be read: {problem}"));
        }
        for gap in [accounts_visible, records_visible].into_iter().filter_map(Result::err) {
            completeness.withhold(gap);
        }
        if question.stream == Stream::Outcomes {
            // What was just asked for is visible, and no account tells of labels that are still to come.
            if let Err(gap) = self.refresh(|target| vec![target.outcomes()]).await {
                completeness.withhold(gap);
            }
            completeness
                .withhold("an outcome comes when its label does, and nobody knows which labels will".to_owned());
        }
        completeness
    }

    /// The pipeline, where its file is known.
    pub fn pipeline(&self) -> Option<&Pipeline> {
        self.pipeline.as_ref()
    }

    /// The processors of the pipeline, where its file is known.
    pub fn steps(&self) -> &[Step] {
        self.pipeline.as_ref().map_or(&[], |pipeline| &pipeline.enrich)
    }

    /// What the pipeline's file says of drift.
    pub fn drift(&self) -> Option<&DriftOptions> {
        self.pipeline.as_ref().and_then(Pipeline::drift)
    }

    /// The name of the pipeline.
    pub fn pipeline_name(&self) -> &str {
        &self.state.0
    }

    /// Makes visible what was delivered, or says why it may not be.
    pub async fn refresh(&self, indices: impl Fn(&Target) -> Vec<String>) -> Result<(), String> {
        let Source::Elasticsearch(client, target) = &self.source else { return Ok(()) };
        for index in indices(target) {
            let problem = match pages::refresh(client, &index).await {
                Ok(Refreshed::Done) => continue,
                Ok(Refreshed::Forbidden) => "this user may not refresh it (privilege `maintenance`)".to_owned(),
                Err(trouble) => trouble.problem,
            };
            return Err(format!("what was delivered to `{index}` last may not be visible yet: {problem}"));
        }
        Ok(())
    }
}
