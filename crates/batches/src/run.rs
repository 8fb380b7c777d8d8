//! One batch from its check to its end, under a lease.

mod feeding;

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    os::unix::fs::FileExt,
    sync::Arc,
};

use api::openai::{BatchStatus, LineError};
use tokio_util::sync::CancellationToken;

use self::feeding::Feeding;
use crate::{
    Error, check,
    check::{Rules, Span},
    clock,
    handle::Service,
    held::{Held, Left},
    journal::Journal,
    line::{self, Call, Endpoint},
    output,
    record::FileRecord,
};

/// The input of a batch, and where its lines are.
#[derive(Clone)]
pub(crate) struct Input {
    file: Arc<File>,
    spans: Arc<[Span]>,
    endpoint: Endpoint,
}

/// Runs a batch until it has ended, or has to be let go.
pub(crate) async fn run(
    service: &Arc<Service>,
    mut held: Held,
    stop: CancellationToken,
) -> Result<BatchStatus, Left> {
    if held.record().sealed.is_none() {
        let input = match open(service, &mut held).await? {
            Ok(input) => input,
            Err(errors) => {
                held.update(|record| record.refused(errors.clone(), clock::now())).await?;
                return Ok(held.record().status);
            }
        };
        let lines = input.len();
        held.update(|record| record.checked(lines as u32, clock::now())).await?;
        let (folder, generation) = (&service.files.folder, held.record().generation);
        let id = held.id().to_owned();
        let opening = Journal::open(folder, &id, generation, lines);
        let mut journal = held.keep_while(opening).await??;
        let feeding = Feeding::new(service, &input);
        let cause = match feeding.feed(&mut held, &mut journal, &stop).await {
            Ok(cause) => cause,
            Err(Left::Stopped) => {
                journal.sync().await?;
                held.release().await?;
                return Err(Left::Stopped);
            }
            Err(left) => return Err(left),
        };
        journal.sync().await?;
        held.update(|record| record.finalizing(clock::now())).await?;
        let cause = held.record().final_cause(cause);
        output::seal(service, &mut held, &input, &journal, cause).await?;
    }
    output::publish(service, &mut held).await?;
    Ok(held.record().status)
}

/// Opens the input, and checks it the first time; what is wrong with it otherwise.
async fn open(
    service: &Arc<Service>,
    held: &mut Held,
) -> Result<Result<Input, Vec<LineError>>, Left> {
    let id = held.record().input_file_id.clone();
    if held.record().folder != service.files.folder.id() {
        let message =
            "no server that has the folder of the file came in time; give all of them one";
        return refuse(service, held, "file_elsewhere", message.into());
    }
    let Some(stored) = service.shelf.get::<FileRecord>(&id).await? else {
        return refuse(service, held, "file_not_found", format!("file {id} was deleted"));
    };
    let Ok(endpoint) = held.record().endpoint.parse::<Endpoint>() else {
        let message = "the endpoint takes no batches any more";
        return refuse(service, held, "invalid_endpoint", message.into());
    };
    let path = service.files.folder.path(&stored.record.content);
    let (checking, known, has_begun) =
        (service.clone(), endpoint.clone(), held.record().has_begun());
    let look = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        let mut reader = BufReader::new(&file);
        // Lines may have been called: what would be refused by now becomes the outcome of its line.
        let found = if has_begun {
            Ok(check::spans(&mut reader)?)
        } else {
            check_lines(&checking, &known, &mut reader)?
        };
        Ok((file, found))
    });
    let found = held.keep_while(look).await?.unwrap_or_else(|panic| Err(io::Error::from(panic)));
    match found {
        Ok((file, Ok(spans))) => {
            Ok(Ok(Input { file: Arc::new(file), spans: spans.into(), endpoint }))
        }
        Ok((_, Err(errors))) => Ok(Err(errors)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("the content of file {id} is gone");
            refuse(service, held, "file_not_found", message)
        }
        Err(source) => Err(Error::Content { name: id, source }.into()),
    }
}

/// The input as a whole cannot be used. A batch that has begun waits for it as long as it has time:
/// what was answered is not thrown away for a folder that is missing for a while.
fn refuse(
    service: &Service,
    held: &Held,
    code: &str,
    message: String,
) -> Result<Result<Input, Vec<LineError>>, Left> {
    let record = held.record();
    if record.has_begun() && !record.is_overdue(service.settings.grace(), clock::now()) {
        return Err(Error::Waits { batch: held.id().to_owned(), reason: message }.into());
    }
    let (line, param) = (None, Some("input_file_id".to_owned()));
    Ok(Err(vec![LineError { code: code.into(), line, message, param }]))
}

fn check_lines(
    service: &Service,
    endpoint: &Endpoint,
    input: &mut dyn BufRead,
) -> io::Result<Result<Vec<Span>, Vec<LineError>>> {
    let knows = |model: &types::ModelName| service.tasks.check_model(model);
    let settings = &service.settings;
    let rules = Rules {
        endpoint,
        lines_max: settings.lines_max,
        line_bytes_max: settings.line_bytes_max,
        knows: &knows,
    };
    check::check(input, &rules)
}

impl Input {
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Reads a line again. It was checked, so what is wrong with it now is the disk.
    pub(crate) async fn call(&self, line: usize) -> Result<Call, Error> {
        let input = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let span = input.spans.get(line).copied().unwrap_or(Span { offset: 0, length: 0 });
            let mut text = vec![0; span.length];
            input.file.read_exact_at(&mut text, span.offset)?;
            line::parse(&text, &input.endpoint)
                .map_err(|issue| io::Error::new(io::ErrorKind::InvalidData, issue.message))
        });
        let read = reading.await.unwrap_or_else(|panic| Err(panic.into()));
        read.map_err(|source| Error::Content { name: format!("line {}", line + 1), source })
    }
}
