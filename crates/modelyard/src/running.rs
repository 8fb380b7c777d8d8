//! The note that a server leaves in its data folder for as long as it runs: who it is, where it listens,
//! where it writes its log.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// The name of the note.
const FILE: &str = "server.json";

/// A server that runs, or ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Its process.
    pub(crate) pid: i32,
    /// When the process began, in ticks since the machine did: tells it from a later one of its number.
    begun_ticks: u64,
    /// When it began to listen, in seconds since 1970.
    since: u64,
    /// Where it listens: `host:port` or `unix:/path`.
    pub(crate) addresses: Vec<String>,
    /// Its log, if it writes one to a file.
    pub(crate) log: Option<PathBuf>,
}

/// The note of this process; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Note(Option<PathBuf>);

impl Note {
    /// Leaves it, unless another server that runs has one there. A server serves without a note as well.
    pub(crate) fn leave(data_dir: &Path, addresses: Vec<String>, log: Option<PathBuf>) -> Self {
        let left = || -> io::Result<Option<PathBuf>> {
            if Server::of(data_dir)?.is_some() {
                return Ok(None);
            }
            let pid = std::process::id().cast_signed();
            let begun_ticks = begun_ticks(pid).ok_or(io::ErrorKind::NotFound)?;
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let server = Server { pid, begun_ticks, since, addresses, log };
            let path = data_dir.join(FILE);
            // Whole or not at all: somebody may read it now.
            let mut file = NamedTempFile::new_in(data_dir)?;
            file.write_all(&serde_json::to_vec_pretty(&server)?)?;
            file.persist(&path)?;
            Ok(Some(path))
        };
        Self(left().unwrap_or_else(|error| {
            tracing::warn!(%error, "`modelyard status` and `down` will not know this server");
            None
        }))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What stays is known to be old by its process.
            let _ = fs::remove_file(path);
        }
    }
}

impl Server {
    /// The one that runs on a data folder.
    ///
    /// # Errors
    /// When the note is there and cannot be read. One that makes no sense is none.
    pub(crate) fn of(data_dir: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(data_dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let server: Option<Self> = serde_json::from_slice(&text).ok();
        Ok(server.filter(Self::runs))
    }

    /// Whether it still does.
    pub(crate) fn runs(&self) -> bool {
        begun_ticks(self.pid) == Some(self.begun_ticks)
    }

    /// How long it has run.
    pub(crate) fn uptime(&self) -> Duration {
        let since = UNIX_EPOCH + Duration::from_secs(self.since);
        SystemTime::now().duration_since(since).unwrap_or_default()
    }

    /// Asks it to end: the first time gently, the second time at once.
    ///
    /// # Errors
    /// When it may not be asked, being somebody else's. One that is gone has ended.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        if !self.runs() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), Signal::SIGTERM) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Where a client of this machine reaches it; `None` if it listens on sockets of files only.
    pub(crate) fn url(&self) -> Option<String> {
        let mut tcp = self.addresses.iter().filter(|address| !address.starts_with("unix:"));
        let (host, port) = tcp.next()?.rsplit_once(':')?;
        let host = match host {
            "0.0.0.0" => "127.0.0.1",
            "[::]" => "[::1]",
            host => host,
        };
        Some(format!("http://{host}:{port}"))
    }
}

/// The 22nd field of `/proc/PID/stat`; `None` for a process that is gone, or dead and not yet buried.
fn begun_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name, which may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave(folder: &Path) -> Note {
        Note::leave(folder, vec!["0.0.0.0:8000".into(), "unix:/run/a".into()], None)
    }

    #[test]
    fn a_server_is_known_as_long_as_its_note_lasts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Server::of(folder.path()).unwrap(), None);
        let note = leave(folder.path());
        let server = Server::of(folder.path()).unwrap().unwrap();
        assert_eq!(server.pid, std::process::id().cast_signed());
        assert_eq!(server.url().as_deref(), Some("http://127.0.0.1:8000"));
        assert!(server.uptime() < Duration::from_secs(3600));
        // A second one on the same folder says nothing, and takes nothing away.
        drop(leave(folder.path()));
        assert_eq!(Server::of(folder.path()).unwrap(), Some(server));
        drop(note);
        assert_eq!(Server::of(folder.path()).unwrap(), None);
    }

    #[test]
    fn another_process_with_its_number_is_not_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let note = leave(folder.path());
        let mut server = Server::of(folder.path()).unwrap().unwrap();
        server.begun_ticks -= 1;
        assert!(!server.runs());
        server.terminate().unwrap();
        fs::write(folder.path().join(FILE), serde_json::to_vec(&server).unwrap()).unwrap();
        assert_eq!(Server::of(folder.path()).unwrap(), None);
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(Server::of(folder.path()).unwrap(), None);
        drop(note);
    }
}
