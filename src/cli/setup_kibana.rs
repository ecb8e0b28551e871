//! `inferlog setup … --kibana`: Kibana's side of a set-up. Whoever does not name a Kibana sees nothing of it.

use clap::ValueEnum;
use url::Url;

use super::Failure;
use crate::config::model::ElasticsearchOptions;
use crate::elastic::setup::{Applied, Conflicts, Plan};
use crate::elastic::target::Target;
use crate::kibana;
use crate::kibana::data_view::DataView;
use crate::kibana::import::{self, Kibana, KibanaError, RuleState};
use crate::kibana::object::SavedObject;
use crate::kibana::source::SourceError;

#[derive(Debug, clap::Args)]
pub(super) struct KibanaArguments {
    /// Set up this Kibana, too: data views, searches, dashboards and rules, as the user of the sink
    #[arg(long, value_name = "URL")]
    kibana: Option<Url>,
    /// The space of Kibana that they go into; else the default one
    #[arg(long, value_name = "SPACE", requires = "kibana")]
    space: Option<String>,
    /// Whether Kibana's rules run; else new ones do not, and the others are left as they are
    #[arg(long, value_enum, requires = "kibana")]
    rules: Option<Rules>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rules {
    /// All of ours run
    Enabled,
    /// None of ours runs
    Disabled,
    /// Leave rules out
    None,
}

impl KibanaArguments {
    fn rules(&self) -> RuleState {
        match self.rules {
            Option::None => RuleState::AsTheyAre,
            Some(Rules::Enabled) => RuleState::Enabled,
            Some(Rules::Disabled) => RuleState::Disabled,
            Some(Rules::None) => RuleState::None,
        }
    }

    async fn connect(&self, url: &Url, sink: &ElasticsearchOptions) -> Result<Kibana, KibanaError> {
        Kibana::connect(&sink.client, url, self.space.as_deref()).await
    }

    /// What is to be done; nothing where no Kibana is named.
    pub(super) async fn plan(&self, sinks: &[&ElasticsearchOptions]) -> Result<Option<Plan>, Failure> {
        let (Some(url), [sink, ..]) = (&self.kibana, sinks) else { return Ok(None) };
        let objects = objects(sinks)?;
        let kibana = self.connect(url, sink).await.map_err(|error| could_not_look(&error))?;
        import::plan(&kibana, &objects, self.rules()).await.map(Some).map_err(|error| could_not_look(&error))
    }

    /// Does it; nothing where no Kibana is named.
    pub(super) async fn apply(
        &self,
        sinks: &[&ElasticsearchOptions],
        conflicts: Conflicts,
    ) -> Result<Option<Applied>, Failure> {
        let (Some(url), [sink, ..]) = (&self.kibana, sinks) else { return Ok(None) };
        let objects = objects(sinks)?;
        let kibana = self.connect(url, sink).await.map_err(|error| could_not_look(&error))?;
        import::apply(&kibana, &objects, self.rules(), conflicts)
            .await
            .map(Some)
            .map_err(|error| could_not_look(&error))
    }
}

/// Kibana's side as files: paths below the folder of an export, and texts.
pub(super) fn files(sinks: &[&ElasticsearchOptions]) -> Result<Vec<(String, String)>, Failure> {
    kibana::export::files(records(sinks).as_deref()).map_err(|error| wrong_source(&error))
}

fn objects(sinks: &[&ElasticsearchOptions]) -> Result<Vec<SavedObject>, Failure> {
    kibana::objects(records(sinks).as_deref()).map_err(|error| wrong_source(&error))
}

/// Where records go that the data view would not show, with commas between.
fn records(sinks: &[&ElasticsearchOptions]) -> Option<String> {
    let shown = DataView::Inference.pattern().trim_end_matches('*');
    let name = |sink: &&ElasticsearchOptions| match &sink.target {
        Target::DataStream(stream) => stream.clone(),
        Target::Index(pattern) => pattern.wildcard(),
        Target::Tenants(tenants) => tenants.wildcard(),
    };
    let names: std::collections::BTreeSet<String> =
        sinks.iter().map(name).filter(|name| !name.starts_with(shown)).collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(","))
}

fn could_not_look(error: &KibanaError) -> Failure {
    Failure::new(error, Some(&error.hint))
}

fn wrong_source(error: &SourceError) -> Failure {
    Failure::new(error, Some("please report it"))
}
