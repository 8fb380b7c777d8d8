//! The handle: what doors may ask about batches.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use api::openai::{BatchObject, BatchRequest, BatchStatus, ListPage, RequestCounts};
use store::{DocumentStore, Folder};
use tasks::Tasks;
use tokio::sync::Notify;
use types::{ErrorCode, Fault, Tenant};

use crate::{
    BatchSettings, Files, clock,
    files::{lifetime, new_id},
    line::{ENDPOINTS, Endpoint},
    record::{BatchRecord, PURPOSE_BATCH, Times},
    shelf::{Shelf, Stored, Wanted},
};

/// Shortest and longest time for a batch.
const WINDOW: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);

/// What a client may write on a batch: so many texts, with names and values so long.
const METADATA_MAX: usize = 16;
const METADATA_NAME_CHARS_MAX: usize = 64;
const METADATA_TEXT_CHARS_MAX: usize = 512;

/// Files and batches. Cheap to clone.
///
/// Nothing runs until [`Batches::run`] is awaited; batches are taken before.
#[derive(Clone)]
pub struct Batches {
    pub(crate) service: Arc<Service>,
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

/// What the handle and the loops share.
pub(crate) struct Service {
    pub(crate) shelf: Shelf,
    pub(crate) files: Files,
    pub(crate) tasks: Tasks,
    pub(crate) settings: BatchSettings,
    /// Rung when a batch may have something new to do.
    pub(crate) bell: Notify,
}

impl Batches {
    /// The batches of `documents`, whose contents are in `folder`, called as tasks.
    pub fn new(
        documents: Arc<dyn DocumentStore>,
        folder: Folder,
        tasks: Tasks,
        settings: BatchSettings,
    ) -> Self {
        let shelf = Shelf(documents);
        let files = Files::new(shelf.clone(), folder, settings.file_bytes_max);
        Self { service: Arc::new(Service { shelf, files, tasks, settings, bell: Notify::new() }) }
    }

    /// The files.
    pub fn files(&self) -> &Files {
        &self.service.files
    }

    /// Writes a batch. It is on disk when this answers, and will reach exactly one end.
    ///
    /// # Errors
    /// `invalid_request` that names its field, `file_not_found`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// It may have been written.
    pub async fn create(
        &self,
        request: BatchRequest,
        tenant: Tenant,
    ) -> Result<BatchObject, Fault> {
        let endpoint = endpoint(request.endpoint.as_deref())?;
        let window = request.completion_window;
        let time = window_time(window.as_deref())?;
        check_metadata(request.metadata.as_ref())?;
        if let Some(after) = &request.output_expires_after {
            lifetime(after)?;
        }
        let Some(input_file_id) = request.input_file_id else {
            return Err(bad("input_file_id", "`input_file_id` is missing; upload a file first"));
        };
        let input = self.service.files.record(&input_file_id).await;
        let input = input.map_err(|fault| fault.about("input_file_id"))?;
        if input.record.purpose != PURPOSE_BATCH {
            let purpose = &input.record.purpose;
            let detail = format!("file {input_file_id} has the purpose `{purpose}`, not `batch`");
            return Err(bad("input_file_id", detail));
        }
        let created = clock::now();
        let record = BatchRecord {
            endpoint: endpoint.to_string(),
            input_file_id,
            completion_window: window.unwrap_or_default(),
            metadata: request.metadata,
            output_expires_after: request.output_expires_after,
            tenant,
            folder: input.record.folder,
            status: BatchStatus::Validating,
            errors: Vec::new(),
            counts: RequestCounts::default(),
            sealed: None,
            times: Times { created, expires: created.after(time), ..Times::default() },
            lease: None,
            generation: 0,
        };
        let mut stored = Stored { id: new_id("batch_"), revision: 0, record };
        self.service.shelf.put(&mut stored).await?;
        self.service.bell.notify_one();
        Ok(stored.object())
    }

    /// Tells where a batch stands.
    ///
    /// # Errors
    /// `batch_not_found`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn get(&self, id: &str) -> Result<BatchObject, Fault> {
        Ok(self.record(id).await?.object())
    }

    /// Lists batches, newest first.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn list(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<ListPage<BatchObject>, Fault> {
        let wanted = Wanted { after, limit: limit.saturating_add(1), ..Wanted::default() };
        let found = self.service.shelf.list::<BatchRecord>(wanted).await?;
        let objects = found.iter().map(Stored::<BatchRecord>::object).collect();
        Ok(ListPage::of(objects, limit as usize, |batch: &BatchObject| &batch.id))
    }

    /// Asks a batch to end. What runs is dropped; what was answered stays.
    ///
    /// # Errors
    /// `batch_not_found`, `batch_finished`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not cancel the batch.
    pub async fn cancel(&self, id: &str) -> Result<BatchObject, Fault> {
        loop {
            let mut stored = self.record(id).await?;
            if !stored.record.cancel(clock::now()) {
                let status = stored.record.status.as_str();
                let detail = format!("batch {id} has already ended: it is {status}");
                return Err(Fault::new(ErrorCode::BatchFinished, detail));
            }
            if self.service.shelf.put(&mut stored).await? {
                self.service.bell.notify_one();
                return Ok(stored.object());
            }
        }
    }

    async fn record(&self, id: &str) -> Result<Stored<BatchRecord>, Fault> {
        let missing = || Fault::new(ErrorCode::BatchNotFound, format!("no batch by the id {id}"));
        self.service.shelf.get::<BatchRecord>(id).await?.ok_or_else(missing)
    }
}

fn bad(param: &'static str, detail: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(ErrorCode::InvalidRequest, detail).about(param)
}

fn endpoint(given: Option<&str>) -> Result<Endpoint, Fault> {
    let Some(text) = given else {
        return Err(bad("endpoint", format!("`endpoint` is missing; write {ENDPOINTS}")));
    };
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(128).collect();
        bad("endpoint", format!("endpoint `{shown}` takes no batches; write {ENDPOINTS}"))
    })
}

/// A time as `24h`, `90m`, `7d`.
fn window_time(given: Option<&str>) -> Result<Duration, Fault> {
    let Some(text) = given else {
        let detail = "`completion_window` is missing; write a time, for example \"24h\"";
        return Err(bad("completion_window", detail));
    };
    let time = humantime::parse_duration(text).ok().filter(|time| WINDOW.contains(time));
    time.ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        let detail =
            format!("completion window `{shown}` is not a time from 1s to 30d, as \"24h\"");
        bad("completion_window", detail)
    })
}

fn check_metadata(metadata: Option<&BTreeMap<String, String>>) -> Result<(), Fault> {
    let Some(metadata) = metadata else { return Ok(()) };
    let is_long = |(name, text): (&String, &String)| {
        name.chars().count() > METADATA_NAME_CHARS_MAX
            || text.chars().count() > METADATA_TEXT_CHARS_MAX
    };
    if metadata.len() > METADATA_MAX || metadata.iter().any(is_long) {
        let detail = format!(
            "`metadata` has at most {METADATA_MAX} texts, with names of {METADATA_NAME_CHARS_MAX} and \
             values of {METADATA_TEXT_CHARS_MAX} characters"
        );
        return Err(bad("metadata", detail));
    }
    Ok(())
}
