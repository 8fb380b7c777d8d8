//! Outcomes as they come, each under the number of its line.
//!
//! Every holder of a batch writes a journal of its own, so that one that has lost its lease and does
//! not know it yet cannot spoil that of the next. A line is `number TAB 1 or 0 TAB text`; one without
//! its end was torn by a crash and does not count. Where two journals have a line, the earlier counts.

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind},
    os::unix::fs::FileExt,
    sync::Arc,
};

use api::openai::RequestCounts;
use store::{Folder, NewFile};

use crate::{Error, outcome::Outcome};

/// Outcomes that are read together, however small they are.
const TOGETHER_MAX: usize = 256;

/// Where an outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    generation: u32,
    offset: u64,
    length: usize,
    is_answered: bool,
}

/// The journals of a batch, of which one is being written.
pub(crate) struct Journal {
    folder: Folder,
    batch: String,
    generation: u32,
    current: NewFile,
    places: Vec<Option<Place>>,
    counts: RequestCounts,
}

fn name(batch: &str, generation: u32) -> String {
    format!("{batch}.{generation}")
}

impl Journal {
    /// Reads what earlier holders wrote about a batch of so many lines, and begins the next journal.
    pub(crate) async fn open(
        folder: &Folder,
        batch: &str,
        generation: u32,
        lines: usize,
    ) -> Result<Self, Error> {
        let (reading, batch_name) = (folder.clone(), batch.to_owned());
        let looking = tokio::task::spawn_blocking(move || {
            let mut places = vec![None; lines];
            for earlier in 1..generation {
                let name = name(&batch_name, earlier);
                let read = read_places(&reading, &name, earlier, &mut places);
                read.map_err(|source| Error::Content { name, source })?;
            }
            Ok::<_, Error>(places)
        });
        let places = looking.await.unwrap_or_else(|panic| Err(unreadable(batch, panic.into())))?;
        let mut counts = RequestCounts { total: lines as u32, ..RequestCounts::default() };
        for place in places.iter().flatten() {
            count(&mut counts, place.is_answered);
        }
        let current = folder.begin_log(&name(batch, generation)).await?;
        let (folder, batch) = (folder.clone(), batch.to_owned());
        Ok(Self { folder, batch, generation, current, places, counts })
    }

    /// Whether a line has its outcome.
    pub(crate) fn has(&self, line: usize) -> bool {
        self.places.get(line).is_some_and(Option::is_some)
    }

    pub(crate) const fn counts(&self) -> RequestCounts {
        self.counts
    }

    /// Writes the outcome of a line, unless it has one.
    pub(crate) async fn add(&mut self, line: usize, outcome: &Outcome) -> Result<(), Error> {
        if self.has(line) {
            return Ok(());
        }
        let Outcome { is_answered, text } = outcome;
        let head = format!("{line}\t{}\t", u8::from(*is_answered));
        let offset = self.current.bytes() + head.len() as u64;
        self.current.write(format!("{head}{text}\n").as_bytes()).await?;
        let (generation, length) = (self.generation, text.len());
        let place = Place { generation, offset, length, is_answered: *is_answered };
        if let Some(free) = self.places.get_mut(line) {
            *free = Some(place);
            count(&mut self.counts, place.is_answered);
        }
        Ok(())
    }

    /// What was added is on disk when this answers.
    pub(crate) async fn sync(&mut self) -> Result<(), Error> {
        Ok(self.current.sync().await?)
    }

    /// The outcomes of a line and of those behind it, in their order: as many as have together at most so many
    /// bytes, and at least one unless there is none.
    pub(crate) async fn read(
        &self,
        first: usize,
        bytes_max: usize,
    ) -> Result<Vec<Option<Outcome>>, Error> {
        let places: Arc<[_]> =
            fitting(self.places.get(first..).unwrap_or_default(), bytes_max).into();
        let (folder, batch) = (self.folder.clone(), self.batch.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let mut opened: Option<(u32, File)> = None;
            places.iter().map(|place| read_one(&folder, &batch, *place, &mut opened)).collect()
        });
        let read = reading.await.unwrap_or_else(|panic| Err(panic.into()));
        read.map_err(|source| unreadable(&self.batch, source))
    }
}

/// Removes all journals of a batch.
pub(crate) async fn remove(folder: &Folder, batch: &str, generation: u32) -> Result<(), Error> {
    for generation in 1..=generation {
        folder.remove(&name(batch, generation)).await?;
    }
    Ok(())
}

fn unreadable(batch: &str, source: io::Error) -> Error {
    Error::Content { name: batch.to_owned(), source }
}

/// The places at the beginning whose outcomes are read together.
fn fitting(places: &[Option<Place>], bytes_max: usize) -> &[Option<Place>] {
    let mut bytes = 0;
    let ends = places.iter().take(TOGETHER_MAX).map(|place| {
        bytes += place.map_or(0, |place| place.length);
        bytes
    });
    let count = ends.take_while(|bytes| *bytes <= bytes_max).count();
    places.get(..count.max(1)).unwrap_or_default()
}

const fn count(counts: &mut RequestCounts, is_answered: bool) {
    if is_answered {
        counts.completed += 1;
    } else {
        counts.failed += 1;
    }
}

/// Notes where the outcomes of a journal are, of lines that have none yet.
fn read_places(
    folder: &Folder,
    name: &str,
    generation: u32,
    places: &mut [Option<Place>],
) -> io::Result<()> {
    let file = match File::open(folder.path(name)) {
        Ok(file) => file,
        // Its holder died before it wrote any.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (mut reader, mut offset, mut text) = (BufReader::new(file), 0_u64, Vec::new());
    loop {
        text.clear();
        let read = reader.read_until(b'\n', &mut text)?;
        if read == 0 || text.pop() != Some(b'\n') {
            return Ok(());
        }
        if let Some((line, is_answered, head)) = heading(&text)
            && let Some(free @ None) = places.get_mut(line)
        {
            let (offset, length) = (offset + head as u64, text.len() - head);
            *free = Some(Place { generation, offset, length, is_answered });
        }
        offset += read as u64;
    }
}

/// The number of a line, whether it has an answer, and where its text begins.
fn heading(text: &[u8]) -> Option<(usize, bool, usize)> {
    let mut parts = text.splitn(3, |byte| *byte == b'\t');
    let (line, answered, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let line = std::str::from_utf8(line).ok()?.parse().ok()?;
    // A torn write may have left zeros behind a crash of the machine.
    (rest.starts_with(b"{") && rest.ends_with(b"}")).then_some(())?;
    Some((line, answered == b"1", text.len() - rest.len()))
}

fn read_one(
    folder: &Folder,
    batch: &str,
    place: Option<Place>,
    opened: &mut Option<(u32, File)>,
) -> io::Result<Option<Outcome>> {
    let Some(Place { generation, offset, length, is_answered }) = place else { return Ok(None) };
    if opened.as_ref().is_none_or(|(open, _)| *open != generation) {
        *opened = Some((generation, File::open(folder.path(&name(batch, generation)))?));
    }
    let Some((_, file)) = opened else { return Ok(None) };
    let mut text = vec![0; length];
    file.read_exact_at(&mut text, offset)?;
    let text =
        String::from_utf8(text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    Ok(Some(Outcome { is_answered, text }))
}
