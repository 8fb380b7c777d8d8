//! Documents in Redis: a hash each, and sorted sets of their names, one for all of a kind and one for
//! each label.

use redis::Pipeline;

use super::{Shared, link::Question};
use crate::{Document, DocumentQuery, StoreError};

/// What a hash holds, in the order in which it is asked for.
type Fields = (Option<String>, Option<u64>, Option<String>);

impl Shared {
    pub(super) async fn put_document(
        &self,
        kind: &str,
        document: &Document,
    ) -> Result<Option<u64>, StoreError> {
        let Document { id, label, revision, body } = document;
        let mut script = self.scripts.put_document.key(&self.keys.0);
        script.arg(kind).arg(id).arg(*revision).arg(label).arg(body);
        let written: u64 = self.link.ask(Question::Script(&script)).await?;
        Ok((written > 0).then_some(written))
    }

    pub(super) async fn remove_document(
        &self,
        kind: &str,
        id: &str,
        revision: u64,
    ) -> Result<bool, StoreError> {
        let mut script = self.scripts.remove_document.key(&self.keys.0);
        script.arg(kind).arg(id).arg(revision);
        let removed: u64 = self.link.ask(Question::Script(&script)).await?;
        Ok(removed > 0)
    }

    pub(super) async fn documents(
        &self,
        query: &DocumentQuery,
    ) -> Result<Vec<Document>, StoreError> {
        let names = self.keys.documents(query.kind, query.label.as_deref());
        let (limit, mut pipe) = (query.limit as isize, Pipeline::new());
        let after = query.after.as_ref().map(|id| format!("({id}"));
        if query.oldest_first {
            pipe.zrangebylex_limit(names, after.as_deref().unwrap_or("-"), "+", 0, limit);
        } else {
            pipe.zrevrangebylex_limit(names, after.as_deref().unwrap_or("+"), "-", 0, limit);
        }
        let (ids,): (Vec<String>,) = self.link.ask(Question::Pipe(&pipe)).await?;
        self.documents_named(query.kind, ids).await
    }

    /// Those of these documents that are there.
    pub(super) async fn documents_named(
        &self,
        kind: &str,
        ids: Vec<String>,
    ) -> Result<Vec<Document>, StoreError> {
        let mut pipe = Pipeline::new();
        for id in &ids {
            pipe.hmget(self.keys.document(kind, id), ["label", "revision", "body"].as_slice());
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let read: Vec<Fields> = self.link.ask(Question::Pipe(&pipe)).await?;
        let document = |(id, fields)| match fields {
            (Some(label), Some(revision), Some(body)) => {
                Some(Document { id, label, revision, body })
            }
            // Removed since its name was read.
            _ => None,
        };
        Ok(ids.into_iter().zip(read).filter_map(document).collect())
    }
}
