//! `modelyard logs`

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::Duration,
};

use super::{Surroundings, output, server_of};
use crate::{cli::LogsArgs, failure::Failure};

/// How often the file is looked at. A person notices no delay below half a second.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Bytes that are read at a time.
const PIECE: u64 = 64 << 10;

pub(super) fn run(args: &LogsArgs, around: &Surroundings) -> Result<(), Failure> {
    let (settings, found) = server_of(&args.server, around)?;
    let named = found.and_then(|server| server.log).or_else(|| settings.log.file.clone());
    let path = named.unwrap_or_else(|| settings.data_dir.join("modelyard.log"));
    let mut log = File::open(&path).map_err(|error| no_log(&path, &error))?;
    let begin = last_lines(&mut log, args.lines).map_err(|error| no_log(&path, &error))?;
    log.seek(SeekFrom::Start(begin)).map_err(|error| no_log(&path, &error))?;
    if !args.follow {
        let mut lines = BufReader::new(log);
        return pass_on(&mut lines).map_err(|error| no_log(&path, &error))?;
    }
    follow(log, &path)
}

/// Where the last lines of a file begin.
fn last_lines(file: &mut (impl Read + Seek), lines: usize) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(length);
    }
    let (mut end, mut missing, mut piece) = (length, lines, Vec::new());
    while end > 0 {
        let begin = end.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(begin))?;
        piece.clear();
        file.by_ref().take(end - begin).read_to_end(&mut piece)?;
        let breaks = piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
        // Behind the end of the last line begins none.
        for next in breaks.map(|(at, _)| begin + at as u64 + 1).filter(|next| *next < length) {
            missing -= 1;
            if missing == 0 {
                return Ok(next);
            }
        }
        end = begin;
    }
    Ok(0)
}

/// Prints what there is; the inner error is that of standard output.
fn pass_on(lines: &mut impl BufRead) -> io::Result<Result<(), Failure>> {
    loop {
        let piece = lines.fill_buf()?;
        if piece.is_empty() {
            return Ok(Ok(()));
        }
        let length = piece.len();
        if let Err(failure) = output::print(piece) {
            return Ok(Err(failure));
        }
        lines.consume(length);
    }
}

/// Goes on for ever, also in the file that takes the place of a full one.
fn follow(log: File, path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| no_log(path, &error);
    let mut number = log.metadata().map_err(failed)?.ino();
    let mut lines = BufReader::new(log);
    loop {
        pass_on(&mut lines).map_err(failed)??;
        thread::sleep(LOOK_EVERY);
        // The old file has been renamed by then, and nobody writes to it any more.
        let Ok(next) = File::open(path) else { continue };
        let found = next.metadata().map_err(failed)?.ino();
        if found != number {
            pass_on(&mut lines).map_err(failed)??;
            (number, lines) = (found, BufReader::new(next));
        }
    }
}

fn no_log(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("the log {} cannot be read: {error}", path.display())).hint(
        "`modelyard up` writes one; a server in the foreground writes to standard output, and to `log.file` if that is set",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let begin = |text: &str, lines| last_lines(&mut Cursor::new(text), lines).unwrap();
        assert_eq!(begin("a\nb\nc\n", 0), 6);
        assert_eq!(begin("a\nb\nc\n", 1), 4);
        assert_eq!(begin("a\nb\nc", 2), 2);
        assert_eq!(begin("a\nb\nc\n", 9), 0);
        assert_eq!(begin("", 3), 0);
        let long = "0123456789\n".repeat(30_000);
        assert_eq!(begin(&long, 20_000), 11 * 10_000);
    }
}
