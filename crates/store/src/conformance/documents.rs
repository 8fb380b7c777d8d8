//! Promises about documents.

use async_trait::async_trait;
use std::sync::Arc;

use crate::{Document, DocumentQuery, DocumentStore};

/// One database of documents for one test.
#[async_trait]
pub trait DocumentFixture: Send + Sync {
    /// Opens it as a server does at its start; the store that was opened before is closed.
    async fn open_documents(&self) -> Arc<dyn DocumentStore>;
}

const KIND: &str = "file";

fn new(id: &str, label: &str) -> Document {
    Document { id: id.into(), label: label.into(), revision: 0, body: format!("{{\"{id}\":1}}") }
}

fn newest(limit: u32) -> DocumentQuery {
    DocumentQuery { kind: KIND, label: None, after: None, oldest_first: false, limit }
}

async fn ids(store: &dyn DocumentStore, query: DocumentQuery) -> Vec<String> {
    store.documents(query).await.unwrap().into_iter().map(|document| document.id).collect()
}

/// Also by the next server, and only under its kind.
pub async fn a_document_reads_back_as_it_was_written(fixture: &dyn DocumentFixture) {
    let store = fixture.open_documents().await;
    let document = Document { body: "{\"é\": \"\\u0000\"}".into(), ..new("a", "open") };
    assert_eq!(store.put_document(KIND, document.clone()).await.unwrap(), Some(1));
    drop(store);
    let store = fixture.open_documents().await;
    let read = store.document(KIND, "a").await.unwrap();
    assert_eq!(read, Some(Document { revision: 1, ..document }));
    assert_eq!(store.document("batch", "a").await.unwrap(), None);
    assert_eq!(store.document(KIND, "b").await.unwrap(), None);
}

/// Whoever read an older revision looks again.
pub async fn a_change_over_another_revision_is_refused(fixture: &dyn DocumentFixture) {
    let store = fixture.open_documents().await;
    store.put_document(KIND, new("a", "open")).await.unwrap();
    let other = Document { body: "other".into(), ..new("a", "open") };
    assert_eq!(store.put_document(KIND, other.clone()).await.unwrap(), None, "it is there");
    let second = Document { revision: 1, ..other };
    assert_eq!(store.put_document(KIND, second.clone()).await.unwrap(), Some(2));
    let late = Document { body: "late".into(), ..second };
    assert_eq!(store.put_document(KIND, late).await.unwrap(), None);
    assert_eq!(store.document(KIND, "a").await.unwrap().unwrap().body, "other");
    let unknown = Document { revision: 1, ..new("b", "open") };
    assert_eq!(store.put_document(KIND, unknown).await.unwrap(), None);
}

/// Of many that decide at once.
pub async fn one_of_many_writers_wins(fixture: &dyn DocumentFixture) {
    let store = fixture.open_documents().await;
    store.put_document(KIND, new("a", "open")).await.unwrap();
    let write = async |writer: usize| {
        let body = format!("by {writer}");
        let document = Document { revision: 1, body: body.clone(), ..new("a", "open") };
        store.put_document(KIND, document).await.unwrap().map(|_| body)
    };
    let (a, b, c, d) = tokio::join!(write(1), write(2), write(3), write(4));
    let winners: Vec<_> = [a, b, c, d].into_iter().flatten().collect();
    assert_eq!(winners, [store.document(KIND, "a").await.unwrap().unwrap().body]);
}

/// In both orders, with and without a label.
pub async fn documents_are_listed_in_the_order_of_their_names(fixture: &dyn DocumentFixture) {
    let store = fixture.open_documents().await;
    for (id, label) in [("b", "open"), ("d", "over"), ("a", "over"), ("c", "open")] {
        store.put_document(KIND, new(id, label)).await.unwrap();
    }
    store.put_document("batch", new("z", "open")).await.unwrap();
    assert_eq!(ids(&*store, newest(9)).await, ["d", "c", "b", "a"]);
    assert_eq!(ids(&*store, newest(2)).await, ["d", "c"]);
    let after = DocumentQuery { after: Some("c".into()), ..newest(9) };
    assert_eq!(ids(&*store, after.clone()).await, ["b", "a"]);
    let oldest_first = DocumentQuery { oldest_first: true, ..after };
    assert_eq!(ids(&*store, oldest_first).await, ["d"]);
    let open = DocumentQuery { label: Some("open".into()), ..newest(9) };
    assert_eq!(ids(&*store, open.clone()).await, ["c", "b"]);
    let oldest = DocumentQuery { oldest_first: true, limit: 1, ..open.clone() };
    assert_eq!(ids(&*store, oldest).await, ["b"]);

    let moved = Document { revision: 1, ..new("b", "over") };
    store.put_document(KIND, moved).await.unwrap();
    assert_eq!(ids(&*store, open).await, ["c"]);
    let over = DocumentQuery { label: Some("over".into()), ..newest(9) };
    assert_eq!(ids(&*store, over).await, ["d", "b", "a"]);
}

/// Unless it has changed meanwhile.
pub async fn a_document_is_removed_from_every_list(fixture: &dyn DocumentFixture) {
    let store = fixture.open_documents().await;
    store.put_document(KIND, new("a", "open")).await.unwrap();
    assert!(!store.remove_document(KIND, "a", 7).await.unwrap());
    assert!(store.remove_document(KIND, "a", 1).await.unwrap());
    assert!(store.remove_document(KIND, "a", 1).await.unwrap(), "it is not there");
    assert_eq!(store.document(KIND, "a").await.unwrap(), None);
    let open = DocumentQuery { label: Some("open".into()), ..newest(9) };
    assert_eq!(ids(&*store, newest(9)).await, Vec::<String>::new());
    assert_eq!(ids(&*store, open).await, Vec::<String>::new());
}

/// Runs every promise about documents on one store. `$fixture` is a function beside the call that
/// makes a fresh [`DocumentFixture`] for each.
#[macro_export]
macro_rules! document_store_conformance {
    ($store:ident, $fixture:ident) => {
        $crate::document_store_conformance!(@each $store, $fixture,
            a_document_reads_back_as_it_was_written,
            a_change_over_another_revision_is_refused,
            one_of_many_writers_wins,
            documents_are_listed_in_the_order_of_their_names,
            a_document_is_removed_from_every_list,
        );
    };
    (@each $store:ident, $fixture:ident, $($promise:ident,)*) => {
        mod $store {
            $(#[tokio::test]
            async fn $promise() {
                $crate::conformance::documents::$promise(&super::$fixture()).await;
            })*
        }
    };
}
