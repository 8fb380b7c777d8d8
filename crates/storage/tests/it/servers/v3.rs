//! An NFS 3 server over a folder. It can be slow, or full.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nfs3_server::{
    fs_util::{metadata_to_fattr3, path_setattr},
    nfs3_types::nfs3::{createverf3, fattr3, filename3, nfspath3, nfsstat3, sattr3, stable_how},
    tcp::{NFSTcp as _, NFSTcpListener},
    vfs::{
        DirEntryPlus, FileHandleU64, NextResult, NfsFileSystem, NfsReadFileSystem,
        ReadDirPlusIterator,
    },
};

/// What a test can turn while the server runs.
#[derive(Debug)]
pub(crate) struct Knobs {
    /// Waited before each read and write, in milliseconds.
    pub(crate) delay_ms: AtomicU64,
    /// Bytes that fit on the disk.
    pub(crate) capacity: AtomicU64,
    /// So many commits fail.
    pub(crate) failing_commits: AtomicU64,
    /// Reads that were served.
    pub(crate) reads: AtomicU64,
}

/// The folder, seen through handles that are inode numbers.
#[derive(Debug)]
struct Folder {
    root: PathBuf,
    paths: Mutex<HashMap<u64, PathBuf>>,
    knobs: Arc<Knobs>,
}

type Id = FileHandleU64;

impl Folder {
    fn path(&self, id: &Id) -> Result<PathBuf, nfsstat3> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.get(&id.as_u64()).cloned().ok_or(nfsstat3::NFS3ERR_STALE)
    }

    fn child(&self, dir: &Id, name: &filename3<'_>) -> Result<PathBuf, nfsstat3> {
        let name = std::str::from_utf8(&name.0).map_err(|_| nfsstat3::NFS3ERR_INVAL)?;
        Ok(self.path(dir)?.join(name))
    }

    fn note(&self, path: PathBuf) -> Result<(Id, Metadata), nfsstat3> {
        let known = fs::symlink_metadata(&path).map_err(status)?;
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.insert(known.ino(), path);
        Ok((Id::new(known.ino()), known))
    }

    fn attributes(path: &Path) -> Result<fattr3, nfsstat3> {
        let known = fs::symlink_metadata(path).map_err(status)?;
        let mut attributes = metadata_to_fattr3(known.ino(), &known);
        attributes.fsid = 1;
        Ok(attributes)
    }

    async fn wait(&self) {
        let delay = self.knobs.delay_ms.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn status(error: io::Error) -> nfsstat3 {
    match error.raw_os_error() {
        Some(1) => nfsstat3::NFS3ERR_PERM,
        Some(2) => nfsstat3::NFS3ERR_NOENT,
        Some(13) => nfsstat3::NFS3ERR_ACCES,
        Some(17) => nfsstat3::NFS3ERR_EXIST,
        Some(20) => nfsstat3::NFS3ERR_NOTDIR,
        Some(21) => nfsstat3::NFS3ERR_ISDIR,
        Some(39) => nfsstat3::NFS3ERR_NOTEMPTY,
        _ => nfsstat3::NFS3ERR_IO,
    }
}

impl NfsReadFileSystem for Folder {
    type Handle = Id;

    fn root_dir(&self) -> Id {
        let number = fs::metadata(&self.root).map_or(1, |known| known.ino());
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.insert(number, self.root.clone());
        Id::new(number)
    }

    async fn lookup(&self, dir: &Id, name: &filename3<'_>) -> Result<Id, nfsstat3> {
        if !fs::metadata(self.path(dir)?).is_ok_and(|known| known.is_dir()) {
            return Err(nfsstat3::NFS3ERR_NOTDIR);
        }
        Ok(self.note(self.child(dir, name)?)?.0)
    }

    async fn getattr(&self, id: &Id) -> Result<fattr3, nfsstat3> {
        Self::attributes(&self.path(id)?)
    }

    async fn read(&self, id: &Id, offset: u64, count: u32) -> Result<(Vec<u8>, bool), nfsstat3> {
        self.wait().await;
        self.knobs.reads.fetch_add(1, Ordering::Relaxed);
        let file = File::open(self.path(id)?).map_err(status)?;
        let mut data = vec![0; count as usize];
        let read = file.read_at(&mut data, offset).map_err(status)?;
        data.truncate(read);
        let size = file.metadata().map_err(status)?.len();
        Ok((data, offset + read as u64 >= size))
    }

    async fn readdirplus(
        &self,
        dir: &Id,
        cookie: u64,
    ) -> Result<impl ReadDirPlusIterator<Id>, nfsstat3> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.path(dir)?).map_err(status)? {
            let path = entry.map_err(status)?.path();
            found.push((path.clone(), self.note(path)?.0));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let entries = found.into_iter().enumerate().map(|(at, (path, id))| DirEntryPlus {
            fileid: id.as_u64(),
            name: path
                .file_name()
                .map_or(Vec::new(), |name| name.as_encoded_bytes().to_vec())
                .into(),
            cookie: at as u64 + 1,
            name_attributes: Self::attributes(&path).ok(),
            name_handle: Some(id),
        });
        let from = usize::try_from(cookie).unwrap_or(usize::MAX);
        Ok(Entries(entries.skip(from).collect::<Vec<_>>().into_iter()))
    }

    async fn readlink(&self, id: &Id) -> Result<nfspath3<'_>, nfsstat3> {
        let target = fs::read_link(self.path(id)?).map_err(status)?;
        Ok(target.into_os_string().into_encoded_bytes().into())
    }
}

struct Entries(std::vec::IntoIter<DirEntryPlus<Id>>);

impl ReadDirPlusIterator<Id> for Entries {
    async fn next(&mut self) -> NextResult<DirEntryPlus<Id>> {
        self.0.next().map_or(NextResult::Eof, NextResult::Ok)
    }
}

impl NfsFileSystem for Folder {
    async fn setattr(&self, id: &Id, change: sattr3) -> Result<fattr3, nfsstat3> {
        let path = self.path(id)?;
        path_setattr(&path, &change).await?;
        Self::attributes(&path)
    }

    async fn write(
        &self,
        id: &Id,
        offset: u64,
        data: &[u8],
        _stable: stable_how,
    ) -> Result<(fattr3, stable_how), nfsstat3> {
        self.wait().await;
        if offset + data.len() as u64 > self.knobs.capacity.load(Ordering::Relaxed) {
            return Err(nfsstat3::NFS3ERR_NOSPC);
        }
        let path = self.path(id)?;
        let file = OpenOptions::new().write(true).open(&path).map_err(status)?;
        file.write_all_at(data, offset).map_err(status)?;
        Ok((Self::attributes(&path)?, stable_how::UNSTABLE))
    }

    async fn create(
        &self,
        dir: &Id,
        name: &filename3<'_>,
        change: sattr3,
    ) -> Result<(Id, fattr3), nfsstat3> {
        let path = self.child(dir, name)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).open(&path).map_err(status)?;
        path_setattr(&path, &change).await?;
        Ok((self.note(path.clone())?.0, Self::attributes(&path)?))
    }

    async fn create_exclusive(
        &self,
        dir: &Id,
        name: &filename3<'_>,
        _verifier: createverf3,
    ) -> Result<Id, nfsstat3> {
        let path = self.child(dir, name)?;
        File::create_new(&path).map_err(status)?;
        Ok(self.note(path)?.0)
    }

    async fn mkdir(&self, dir: &Id, name: &filename3<'_>) -> Result<(Id, fattr3), nfsstat3> {
        let path = self.child(dir, name)?;
        fs::create_dir(&path).map_err(status)?;
        Ok((self.note(path.clone())?.0, Self::attributes(&path)?))
    }

    async fn remove(&self, dir: &Id, name: &filename3<'_>) -> Result<(), nfsstat3> {
        let path = self.child(dir, name)?;
        let folder = fs::symlink_metadata(&path).map_err(status)?.is_dir();
        if folder { fs::remove_dir(&path) } else { fs::remove_file(&path) }.map_err(status)
    }

    async fn rename<'a>(
        &self,
        from: &Id,
        name: &filename3<'a>,
        to: &Id,
        new: &filename3<'a>,
    ) -> Result<(), nfsstat3> {
        let (from, to) = (self.child(from, name)?, self.child(to, new)?);
        fs::rename(from, &to).map_err(status)?;
        self.note(to).map(drop)
    }

    async fn symlink<'a>(
        &self,
        dir: &Id,
        name: &filename3<'a>,
        target: &nfspath3<'a>,
        _change: &sattr3,
    ) -> Result<(Id, fattr3), nfsstat3> {
        let path = self.child(dir, name)?;
        let target = std::str::from_utf8(&target.0).map_err(|_| nfsstat3::NFS3ERR_INVAL)?;
        std::os::unix::fs::symlink(target, &path).map_err(status)?;
        Ok((self.note(path.clone())?.0, Self::attributes(&path)?))
    }

    async fn commit(&self, _id: &Id, _offset: u64, _count: u32) -> Result<(), nfsstat3> {
        let failing = &self.knobs.failing_commits;
        match failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        {
            Ok(_) => Err(nfsstat3::NFS3ERR_NOSPC),
            Err(_) => Ok(()),
        }
    }
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) knobs: Arc<Knobs>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Exports `folder` as `/export` on a free port of this machine.
    pub(crate) async fn start(folder: &Path) -> io::Result<Self> {
        let knobs = Arc::new(Knobs {
            delay_ms: AtomicU64::new(0),
            capacity: AtomicU64::new(u64::MAX),
            failing_commits: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        });
        let tree =
            Folder { root: folder.to_owned(), paths: Mutex::default(), knobs: Arc::clone(&knobs) };
        let mut listener = NFSTcpListener::bind("127.0.0.1:0", tree).await?;
        listener.with_export_name("export");
        let port = listener.get_listen_port();
        let task = tokio::spawn(async move {
            let _ = listener.handle_forever().await;
        });
        Ok(Self { port, knobs, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
