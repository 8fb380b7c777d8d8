//! Which page of tasks a query asks for.

use ::tasks::TaskFilter;

use super::{Limit, StateWord};
use crate::{failure::Failure, query::Query};

/// Which tasks, and how many of them.
pub(super) struct Page {
    pub(super) filter: TaskFilter,
    pub(super) cursor: Option<String>,
    pub(super) limit: u32,
}

impl Page {
    /// Reads the query of a route that filters by what `filter` takes.
    pub(super) fn of(
        query: Option<&str>,
        filter: impl FnOnce(&mut Query) -> Result<TaskFilter, Failure>,
    ) -> Result<Self, Failure> {
        let mut query = Query::parse(query)?;
        let filter = filter(&mut query)?;
        let cursor = query.take::<String>("cursor")?;
        let Limit(limit) = query.take::<Limit>("limit")?.unwrap_or_default();
        query.finish()?;
        Ok(Self { filter, cursor, limit })
    }
}

/// Tasks of a model, in a state, of a tenant.
pub(super) fn by_state(query: &mut Query) -> Result<TaskFilter, Failure> {
    Ok(TaskFilter {
        model: query.take("model")?,
        state: query.take::<StateWord>("state")?.map(|state| state.0),
        tenant: query.take("tenant")?,
        error_code: None,
    })
}
