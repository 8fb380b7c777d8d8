//! Documents in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::MemoryStore;
use crate::{Document, DocumentQuery, DocumentStore, StoreError};

/// By kind and name.
pub(super) type Documents = Mutex<BTreeMap<(&'static str, String), Document>>;

#[async_trait]
impl DocumentStore for MemoryStore {
    async fn put_document(
        &self,
        kind: &'static str,
        document: Document,
    ) -> Result<Option<u64>, StoreError> {
        let mut documents = self.documents.lock();
        let name = (kind, document.id.clone());
        let found = documents.get(&name).map_or(0, |there| there.revision);
        if found != document.revision {
            return Ok(None);
        }
        documents.insert(name, Document { revision: found + 1, ..document });
        Ok(Some(found + 1))
    }

    async fn document(&self, kind: &'static str, id: &str) -> Result<Option<Document>, StoreError> {
        Ok(self.documents.lock().get(&(kind, id.to_owned())).cloned())
    }

    async fn documents(&self, query: DocumentQuery) -> Result<Vec<Document>, StoreError> {
        let documents = self.documents.lock();
        let mut found: Vec<_> = documents
            .iter()
            .filter(|((kind, _), _)| *kind == query.kind)
            .map(|(_, document)| document)
            .filter(|document| query.label.as_ref().is_none_or(|label| *label == document.label))
            .collect();
        if !query.oldest_first {
            found.reverse();
        }
        let is_after = |document: &&Document| match &query.after {
            None => true,
            Some(after) if query.oldest_first => document.id > *after,
            Some(after) => document.id < *after,
        };
        Ok(found.into_iter().filter(is_after).take(query.limit as usize).cloned().collect())
    }

    async fn remove_document(
        &self,
        kind: &'static str,
        id: &str,
        revision: u64,
    ) -> Result<bool, StoreError> {
        let mut documents = self.documents.lock();
        let name = (kind, id.to_owned());
        let is_other = documents.get(&name).is_some_and(|there| there.revision != revision);
        if !is_other {
            documents.remove(&name);
        }
        Ok(!is_other)
    }
}
