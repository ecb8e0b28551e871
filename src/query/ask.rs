//! Asking: a question goes to the embedded store or to Elasticsearch, and the same rows come back.

use std::future::Future;
use std::ops::ControlFlow;

use crate::elastic::client::Client;
use crate::elastic::search::Search;
use crate::elastic::target::Target;
use crate::flow::answer::Trouble;
use crate::flow::question::{Question, Row, Visit};
use crate::sink::store::{Reader, StoreError};

use super::order::InOrder;

/// Fewest documents to ask Elasticsearch for at once.
const SLICE_ITEMS_MIN: usize = 100;

/// Where records are.
#[derive(Debug)]
pub enum Source {
    /// An embedded store.
    Store(Box<Reader>),
    /// A cluster, and what was shipped into.
    Elasticsearch(Box<Client>, Target),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Elasticsearch cannot be asked.
    #[error("{}", .0.problem)]
    Elasticsearch(Trouble),
}

impl AskError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            AskError::Store(error) => error.hint(),
            AskError::Elasticsearch(trouble) => trouble.hint.as_deref(),
        }
    }
}

impl From<Trouble> for AskError {
    fn from(trouble: Trouble) -> AskError {
        AskError::Elasticsearch(trouble)
    }
}

/// How a search ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchEnd {
    /// Somebody asked to stop before the end.
    pub is_stopped: bool,
    /// So many rows had one time that they came in parts, each in order.
    pub is_cut: bool,
    /// The indices that were searched.
    pub indices: Vec<String>,
}

impl Source {
    /// The number of records.
    ///
    /// # Errors
    /// When the source cannot be asked.
    pub async fn count(&self, question: &Question) -> Result<u64, AskError> {
        match self {
            Source::Store(reader) => Ok(reader.count_of(question)?),
            Source::Elasticsearch(client, target) => Ok(Search::new(client, target, question).await?.count().await?),
        }
    }

    /// Gives rows, in order, until `visit` breaks off or `stop` comes.
    ///
    /// # Errors
    /// When the source cannot be asked.
    pub async fn rows(
        &self,
        question: &Question,
        limit: Option<u64>,
        stop: impl Future<Output = ()>,
        visit: &mut Visit<'_>,
    ) -> Result<SearchEnd, AskError> {
        let mut in_order = InOrder::new(question.order);
        let mut end = match self {
            Source::Store(reader) => {
                rows_of_store(reader, question, &mut in_order, visit)?;
                SearchEnd::default()
            }
            Source::Elasticsearch(client, target) => {
                let search = Search::new(client, target, question).await?;
                let mut end = slices(&search, limit, stop, &mut in_order, visit).await?;
                end.indices.clone_from(&search.indices);
                end
            }
        };
        end.is_cut = in_order.is_cut();
        Ok(end)
    }
}

/// Gives the rows of a store, in order, until `visit` breaks off.
///
/// # Errors
/// When it cannot be read.
pub fn rows_of_store(
    reader: &Reader,
    question: &Question,
    in_order: &mut InOrder,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let mut is_broken = false;
    reader.search(question, &mut |row| {
        let flow = in_order.take(row, visit);
        is_broken = flow.is_break();
        flow
    })?;
    if !is_broken {
        let _ = in_order.finish(visit);
    }
    Ok(())
}

/// Asks slice after slice; the view is closed however it ends.
async fn slices(
    search: &Search<'_>,
    limit: Option<u64>,
    stop: impl Future<Output = ()>,
    in_order: &mut InOrder,
    visit: &mut Visit<'_>,
) -> Result<SearchEnd, AskError> {
    tokio::pin!(stop);
    let mut rows = search.rows().await?;
    if let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) {
        rows.limit_slices(limit.max(SLICE_ITEMS_MIN));
    }
    let ended = loop {
        let slice = tokio::select! {
            biased;
            () = &mut stop => break Ok(SearchEnd { is_stopped: true, ..SearchEnd::default() }),
            slice = rows.next() => slice,
        };
        match slice {
            Ok(Some(slice)) => {
                let mut take = |row: Row<'_>| -> ControlFlow<()> { in_order.take(row, visit) };
                match slice.visit(&mut take) {
                    Ok(false) => {}
                    Ok(true) => break Ok(SearchEnd::default()),
                    Err(trouble) => break Err(trouble.into()),
                }
            }
            Ok(None) => {
                let _ = in_order.finish(visit);
                break Ok(SearchEnd::default());
            }
            Err(trouble) => break Err(trouble.into()),
        }
    };
    rows.close().await;
    ended
}
