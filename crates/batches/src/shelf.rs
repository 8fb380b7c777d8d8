//! Documents as records.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use store::{Document, DocumentQuery, DocumentStore};

use crate::Error;

/// What a document holds.
pub(crate) trait Record: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// Names the kind in the store.
    const KIND: &'static str;

    /// The group that it belongs to.
    fn label(&self) -> &str;
}

/// A record and where it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored<R> {
    pub(crate) id: String,
    /// 0 until it is written.
    pub(crate) revision: u64,
    pub(crate) record: R,
}

/// Which records to read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) label: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) oldest_first: bool,
    pub(crate) limit: u32,
}

/// The records. Clones share them.
#[derive(Clone)]
pub(crate) struct Shelf(pub(crate) Arc<dyn DocumentStore>);

impl Shelf {
    pub(crate) async fn get<R: Record>(&self, id: &str) -> Result<Option<Stored<R>>, Error> {
        self.0.document(R::KIND, id).await?.map(stored).transpose()
    }

    pub(crate) async fn list<R: Record>(&self, wanted: Wanted) -> Result<Vec<Stored<R>>, Error> {
        let Wanted { label, after, oldest_first, limit } = wanted;
        let query = DocumentQuery { kind: R::KIND, label, after, oldest_first, limit };
        self.0.documents(query).await?.into_iter().map(stored).collect()
    }

    /// Writes a record over the revision that was read; false if it stands at another.
    pub(crate) async fn put<R: Record>(&self, stored: &mut Stored<R>) -> Result<bool, Error> {
        let Stored { id, revision, record } = &*stored;
        let body = serde_json::to_string(record)
            .map_err(|source| Error::Document { id: id.clone(), source })?;
        let (id, label) = (id.clone(), record.label().to_owned());
        let document = Document { id, label, revision: *revision, body };
        match self.0.put_document(R::KIND, document).await? {
            Some(revision) => {
                stored.revision = revision;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Removes a record; false if it stands at another revision.
    pub(crate) async fn remove<R: Record>(&self, stored: &Stored<R>) -> Result<bool, Error> {
        Ok(self.0.remove_document(R::KIND, &stored.id, stored.revision).await?)
    }
}

fn stored<R: Record>(document: Document) -> Result<Stored<R>, Error> {
    let Document { id, revision, body, .. } = document;
    match serde_json::from_str(&body) {
        Ok(record) => Ok(Stored { id, revision, record }),
        Err(source) => Err(Error::Document { id, source }),
    }
}
