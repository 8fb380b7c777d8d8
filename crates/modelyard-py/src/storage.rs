//! `modelyard.storage` below Python: file systems and open files. Each call waits with the GIL
//! released, so that other threads run meanwhile.

mod failure;
mod file;
mod runtime;

use std::{path::PathBuf, sync::Arc, time::Duration};

use pyo3::{prelude::*, types::PyModule};
use storage::{
    Chunks, FileSystem, Home, Meta, NfsSettings, OpenMode, Settings, Target, WebDavSettings,
};

use self::{failure::raise, file::StorageFile, runtime::Running};

/// Puts the classes of the storage into the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Storage>()?;
    module.add_class::<StorageFile>()
}

/// What is known of an entry: mode, inode, device, links, uid, gid, size, atime, mtime, ctime,
/// bytes on the disk.
type Known = (u32, u64, u64, u32, u32, u32, u64, f64, f64, f64, u64);

fn known(meta: &Meta) -> Known {
    (
        meta.mode(),
        meta.inode,
        meta.device,
        meta.links,
        meta.uid,
        meta.gid,
        meta.size,
        meta.accessed,
        meta.modified,
        meta.changed,
        meta.used,
    )
}

/// One user's files on one server.
#[pyclass(frozen, module = "modelyard._core")]
pub(crate) struct Storage {
    files: Arc<FileSystem>,
    running: Running,
}

impl Storage {
    fn connect(py: Python<'_>, name: &str, settings: Settings) -> PyResult<Self> {
        let running = Running::current()?;
        let connected = running.wait(py, FileSystem::connect(settings));
        let files = Arc::new(connected.map_err(|error| raise(py, name, &error))?);
        Ok(Self { files, running })
    }

    fn wait<T: Send>(
        &self,
        py: Python<'_>,
        work: impl Future<Output = storage::Result<T>> + Send,
    ) -> PyResult<T> {
        let done = self.running.wait(py, work);
        done.map_err(|error| raise(py, self.files.backend_name(), &error))
    }
}

#[pymethods]
impl Storage {
    #[staticmethod]
    #[pyo3(signature = (*, host, port, export, versions, timeout_ms, chunks, home, make_home, cache_bytes))]
    #[expect(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "named in Python, which hands over what it has"
    )]
    fn nfs(
        py: Python<'_>,
        host: String,
        port: Option<u16>,
        export: String,
        versions: String,
        timeout_ms: u64,
        chunks: (usize, usize),
        home: Vec<String>,
        make_home: bool,
        cache_bytes: usize,
    ) -> PyResult<Self> {
        let target = Target::Nfs(NfsSettings {
            host,
            port,
            export,
            versions,
            timeout: Duration::from_millis(timeout_ms),
            chunks: pair(chunks),
        });
        let home = user(py, "nfs", &home)?;
        Self::connect(py, "nfs", Settings { target, home, make_home, cache_bytes })
    }

    #[staticmethod]
    #[pyo3(signature = (*, url, user, password, timeout_s, chunks, home, make_home, cache_bytes))]
    #[expect(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "named in Python, which hands over what it has"
    )]
    fn webdav(
        py: Python<'_>,
        url: String,
        user: String,
        password: String,
        timeout_s: f64,
        chunks: (usize, usize),
        home: Vec<String>,
        make_home: bool,
        cache_bytes: usize,
    ) -> PyResult<Self> {
        let timeout = seconds(timeout_s);
        let chunks = pair(chunks);
        let target = Target::WebDav(WebDavSettings { url, user, password, timeout, chunks });
        let home = self::user(py, "webdav", &home)?;
        Self::connect(py, "webdav", Settings { target, home, make_home, cache_bytes })
    }

    #[staticmethod]
    #[pyo3(signature = (*, root, chunks, home, make_home, cache_bytes))]
    #[expect(clippy::needless_pass_by_value, reason = "Python hands over what it has")]
    fn local(
        py: Python<'_>,
        root: PathBuf,
        chunks: (usize, usize),
        home: Vec<String>,
        make_home: bool,
        cache_bytes: usize,
    ) -> PyResult<Self> {
        let target = Target::Local { root, chunks: pair(chunks) };
        let home = user(py, "local", &home)?;
        Self::connect(py, "local", Settings { target, home, make_home, cache_bytes })
    }

    #[getter]
    fn backend(&self) -> &'static str {
        self.files.backend_name()
    }

    #[getter]
    fn home(&self) -> String {
        self.files.home().to_string()
    }

    #[getter]
    fn chunks(&self) -> (usize, usize) {
        let chunks = self.files.chunks();
        (chunks.read, chunks.write)
    }

    fn protocol(&self, py: Python<'_>) -> String {
        self.running.wait(py, self.files.protocol())
    }

    /// Opens a file; `mode` is that of Python's `open`.
    fn open(&self, py: Python<'_>, path: &str, mode: &str) -> PyResult<StorageFile> {
        let name = self.files.backend_name();
        let mode = OpenMode::parse(mode).map_err(|error| raise(py, name, &error))?;
        let file = self.wait(py, self.files.open(path, mode))?;
        Ok(StorageFile::new(file, self.running.clone(), name))
    }

    fn stat(&self, py: Python<'_>, path: &str, follow: bool) -> PyResult<Known> {
        Ok(known(&self.wait(py, self.files.stat(path, follow))?))
    }

    fn list(&self, py: Python<'_>, path: &str) -> PyResult<Vec<(String, Known)>> {
        let entries = self.wait(py, self.files.list(path))?;
        Ok(entries.into_iter().map(|entry| (entry.name, known(&entry.meta))).collect())
    }

    fn make_directory(
        &self,
        py: Python<'_>,
        path: &str,
        parents: bool,
        exist_ok: bool,
    ) -> PyResult<()> {
        self.wait(py, self.files.make_directory(path, parents, exist_ok))
    }

    fn remove_directory(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        self.wait(py, self.files.remove_directory(path))
    }

    fn remove_file(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        self.wait(py, self.files.remove_file(path))
    }

    fn rename(&self, py: Python<'_>, from: &str, to: &str) -> PyResult<()> {
        self.wait(py, self.files.rename(from, to))
    }

    fn copy(&self, py: Python<'_>, from: &str, to: &str) -> PyResult<()> {
        self.wait(py, self.files.copy(from, to))
    }

    fn set_permissions(&self, py: Python<'_>, path: &str, permissions: u32) -> PyResult<()> {
        self.wait(py, self.files.set_permissions(path, permissions))
    }

    fn close(&self, py: Python<'_>) {
        self.running.wait(py, self.files.close());
    }
}

const fn pair((read, write): (usize, usize)) -> Chunks {
    Chunks { read, write }
}

fn user(py: Python<'_>, backend: &str, names: &[String]) -> PyResult<Home> {
    Home::new(names).map_err(|error| raise(py, backend, &error))
}

/// A time that Python gave; what is negative or no number is none at all.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
