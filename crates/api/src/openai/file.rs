//! Files, as they are uploaded, listed and deleted.

use serde::{Deserialize, Serialize};

/// What is known of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileObject {
    /// `file-…`
    pub id: String,
    /// Always `file`.
    pub object: String,
    /// Its length.
    pub bytes: u64,
    /// Unix time of the upload, in seconds.
    pub created_at: u64,
    /// Unix time at which it is deleted, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The name that its client gave it.
    pub filename: String,
    /// `batch` for what was uploaded, `batch_output` for what a batch wrote.
    pub purpose: String,
    /// Always `processed`.
    pub status: String,
}

/// The answer to a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileDeleted {
    /// The file that was.
    pub id: String,
    /// Always `file`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage<T> {
    /// Always `list`.
    pub object: String,
    /// What is on the page.
    pub data: Vec<T>,
    /// The id of the first; absent on an empty page.
    pub first_id: Option<String>,
    /// The id of the last, which `after` takes.
    pub last_id: Option<String>,
    /// Whether another page follows.
    pub has_more: bool,
}

impl<T> ListPage<T> {
    /// A page of what was found, of which at most `limit` are shown.
    pub fn of(mut data: Vec<T>, limit: usize, id: impl Fn(&T) -> &str) -> Self {
        let has_more = data.len() > limit;
        data.truncate(limit);
        let name = |item: Option<&T>| item.map(|item| id(item).to_owned());
        let (first_id, last_id) = (name(data.first()), name(data.last()));
        Self { object: "list".into(), data, first_id, last_id, has_more }
    }
}
