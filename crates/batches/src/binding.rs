//! Whose folder it is: what one store does not know there may be all that another store has.
//!
//! A store has an id, and the folder that is known to be its own is marked with it. Only there is a
//! content that the store does not know one that nobody needs. A folder is marked once the store knows
//! every content in it, and loses its mark when another store comes.

use serde::{Deserialize, Serialize};
use tokio::io::ErrorKind;
use uuid::Uuid;

use crate::{
    Error, Files,
    shelf::{Record, Stored},
};

/// The mark, beside the contents.
const MARK: &str = "folder.store";

/// Names the only document of its kind.
const DOCUMENT: &str = "store";

/// Tells a store from others. It is not exported: a copy of a store is another store.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoreRecord {
    id: String,
}

impl Record for StoreRecord {
    const KIND: &'static str = "store";
    fn label(&self) -> &str {
        "store"
    }
}

/// Whether the folder is known to be that of the store.
pub(crate) async fn is_bound(files: &Files) -> Result<bool, Error> {
    // The mark first: whoever made it had written the document before.
    let mark = match tokio::fs::read_to_string(files.folder.path(MARK)).await {
        Ok(mark) => mark,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(Error::Content { name: MARK.into(), source }),
    };
    let ours = files.shelf.get::<StoreRecord>(DOCUMENT).await?;
    if ours.is_some_and(|ours| ours.record.id == mark) {
        return Ok(true);
    }
    // From now on two stores may have contents here: the other must not remove those of this one
    // either, should it come back.
    files.folder.remove(MARK).await?;
    Ok(false)
}

/// Makes the folder that of the store.
pub(crate) async fn bind(files: &Files) -> Result<(), Error> {
    let id = store_id(files).await?;
    let mut mark = files.folder.begin().await?;
    mark.write(id.as_bytes()).await?;
    mark.keep(MARK).await?;
    Ok(())
}

/// The id of the store, made if it has none.
async fn store_id(files: &Files) -> Result<String, Error> {
    loop {
        if let Some(found) = files.shelf.get::<StoreRecord>(DOCUMENT).await? {
            return Ok(found.record.id);
        }
        let record = StoreRecord { id: Uuid::new_v4().to_string() };
        let mut stored = Stored { id: DOCUMENT.into(), revision: 0, record };
        if files.shelf.put(&mut stored).await? {
            return Ok(stored.record.id);
        }
        // Another server was quicker.
    }
}
