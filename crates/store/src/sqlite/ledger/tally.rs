//! What the writer remembers between transactions, so that it need not be asked of the file: how
//! many tasks of each model stand in each place, and the numbers of names.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use types::ModelName;

use crate::{ModelTasks, Place, sqlite::rows};

/// Names that are remembered. Tenants are chosen by clients, so there is no end to them.
const NAMES_MAX: usize = 10_000;

/// The number of a model or a tenant in the table `name`.
pub(super) type NameId = i64;

#[derive(Default)]
pub(super) struct Tally {
    counts: HashMap<NameId, [u64; Place::ALL.len()]>,
    names: HashMap<Box<str>, NameId>,
}

impl Tally {
    /// Counts the file: one walk over an index.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut tally = Self::default();
        let mut query = connection
            .prepare_cached("SELECT model, place, count(*) FROM task GROUP BY model, place")?;
        let mut found = query.query([])?;
        while let Some(row) = found.next()? {
            let (model, place, count): (NameId, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if let Some(slot) = tally.slot(model, rows::place(1, place)?) {
                *slot = super::from_sql(count);
            }
        }
        Ok(tally)
    }

    /// The number of a name, written if it is new.
    pub(super) fn name(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<NameId> {
        if let Some(id) = self.names.get(text) {
            return Ok(*id);
        }
        let known = rows::name_id(connection, text)?;
        let id = match known {
            Some(id) => id,
            None => connection
                .prepare_cached("INSERT INTO name (text) VALUES (?1) RETURNING id")?
                .query_row(params![text], |row| row.get(0))?,
        };
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(text.into(), id);
        Ok(id)
    }

    pub(super) fn arrived(&mut self, model: NameId, place: Place) {
        if let Some(slot) = self.slot(model, place) {
            *slot += 1;
        }
    }

    pub(super) fn left(&mut self, model: NameId, place: Place) {
        if let Some(slot) = self.slot(model, place) {
            *slot = slot.saturating_sub(1);
        }
    }

    /// How many tasks of a model wait.
    pub(super) fn waiting(&self, model: NameId) -> u64 {
        let waits = |place: &Place| matches!(place, Place::Ready(_) | Place::Delayed);
        self.counts.get(&model).map_or(0, |counts| {
            Place::ALL.iter().zip(counts).filter(|(place, _)| waits(place)).map(|(_, n)| n).sum()
        })
    }

    pub(super) fn by_model(&self, connection: &Connection) -> rusqlite::Result<Vec<ModelTasks>> {
        let mut found = Vec::new();
        for (id, counts) in &self.counts {
            let Some(model) = model_name(connection, *id)? else { continue };
            let counts = Place::ALL.into_iter().zip(counts.iter().copied());
            found.extend(counts.map(|(place, count)| (model.clone(), place, count)));
        }
        found.retain(|(_, _, count)| *count > 0);
        Ok(ModelTasks::count_all(found.into_iter()))
    }

    fn slot(&mut self, model: NameId, place: Place) -> Option<&mut u64> {
        let index = usize::try_from(place.code()).ok()?;
        self.counts.entry(model).or_default().get_mut(index)
    }
}

/// The model with that number.
pub(super) fn model_name(
    connection: &Connection,
    id: NameId,
) -> rusqlite::Result<Option<ModelName>> {
    connection
        .prepare_cached("SELECT text FROM name WHERE id = ?1")?
        .query_row(params![id], |row| rows::parsed(row, 0))
        .optional()
}
