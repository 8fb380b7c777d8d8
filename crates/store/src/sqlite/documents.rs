//! Documents in the file.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::ledger::{Ledger, from_sql, to_sql};
use crate::{Document, DocumentQuery};

pub(super) const BY_ID: &str =
    "SELECT id, label, revision, body FROM document WHERE kind = ?1 AND id = ?2";

/// One question for each order, with and without a label, so that each walks an index.
pub(super) const PAGES: [&str; 4] = [
    "SELECT id, label, revision, body FROM document \
     WHERE kind = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
    "SELECT id, label, revision, body FROM document \
     WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    "SELECT id, label, revision, body FROM document \
     WHERE kind = ?1 AND id < ?2 AND label = ?4 ORDER BY id DESC LIMIT ?3",
    "SELECT id, label, revision, body FROM document \
     WHERE kind = ?1 AND id > ?2 AND label = ?4 ORDER BY id LIMIT ?3",
];

/// Behind every name: none has such a character.
const BEHIND_ALL: &str = "\u{10ffff}";

pub(super) fn by_id(
    connection: &Connection,
    kind: &str,
    id: &str,
) -> rusqlite::Result<Option<Document>> {
    connection.prepare_cached(BY_ID)?.query_row(params![kind, id], document).optional()
}

pub(super) fn page(
    connection: &Connection,
    query: &DocumentQuery,
) -> rusqlite::Result<Vec<Document>> {
    let question = PAGES[usize::from(query.oldest_first) + 2 * usize::from(query.label.is_some())];
    let first = if query.oldest_first { "" } else { BEHIND_ALL };
    let after = query.after.as_deref().unwrap_or(first);
    let mut statement = connection.prepare_cached(question)?;
    let rows = match &query.label {
        None => statement.query_map(params![query.kind, after, query.limit], document)?,
        Some(label) => {
            statement.query_map(params![query.kind, after, query.limit, label], document)?
        }
    };
    rows.collect()
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document {
        id: row.get(0)?,
        label: row.get(1)?,
        revision: from_sql(row.get(2)?),
        body: row.get(3)?,
    })
}

impl Ledger {
    /// Writes a document over the revision that it carries; its new one, unless it stands at another.
    pub(super) fn put_document(
        &mut self,
        kind: &str,
        document: &Document,
    ) -> rusqlite::Result<Option<u64>> {
        let Document { id, label, revision, body } = document;
        let (before, after) = (to_sql(*revision), to_sql(*revision + 1));
        let changed = if *revision == 0 {
            self.connection()
                .prepare_cached(
                    "INSERT INTO document (kind, id, label, revision, body) \
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute(params![kind, id, label, after, body])?
        } else {
            self.connection()
                .prepare_cached(
                    "UPDATE document SET label = ?3, revision = ?4, body = ?5 \
                     WHERE kind = ?1 AND id = ?2 AND revision = ?6",
                )?
                .execute(params![kind, id, label, after, body, before])?
        };
        Ok((changed > 0).then_some(revision + 1))
    }

    /// Removes a document; false if it stands at another revision.
    pub(super) fn remove_document(
        &mut self,
        kind: &str,
        id: &str,
        revision: u64,
    ) -> rusqlite::Result<bool> {
        let connection = self.connection();
        let removed = connection
            .prepare_cached("DELETE FROM document WHERE kind = ?1 AND id = ?2 AND revision = ?3")?
            .execute(params![kind, id, to_sql(revision)])?;
        Ok(removed > 0 || by_id(connection, kind, id)?.is_none())
    }
}
