//! Packed weights on disk, so that the next start only reads them.
//!
//! A cache never decides whether a model loads: what is missing, foreign, damaged or of another
//! layout is packed again and replaced, and a disk that cannot take it is a warning. Nor does it fill the
//! disk: it has a limit, and what was not used for longest goes first.
//!
//! The file is read into huge pages rather than mapped. Measured with a Qwen3-0.6B shape in bf16
//! (1.19 GB, file in the page cache) on 2 threads of a Sapphire-Rapids-class machine that was not
//! quiet, runs taken in turns:
//!
//! | | ready after | decode, one stream |
//! |---|---|---|
//! | packed from the checkpoint, which is in the page cache too | 0.7 s | as read |
//! | read into huge pages, checksums included | 0.4 s | 20.5, 18.9, 18.0 tokens/s |
//! | mapped, checksums included | 0.2 s | 18.8, 17.2, 17.3 tokens/s |
//!
//! A mapped file has small pages, whose translations cost a few per cent of the memory bandwidth, and
//! a system that is short of memory may take them away from a model that is idle.

mod checksum;
mod file;
mod key;
mod limit;

use std::{
    fs::{self, DirBuilder, File, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use kernels::Slab;
use nix::{sys::statvfs::statvfs, unistd::geteuid};

use crate::CacheSettings;
pub(crate) use key::Key;
use limit::Kept;

/// A temporary file of this age belongs to nobody any more.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Packed weights are files of this kind, and unfinished ones of that.
const PACKED: &str = "packed";
const UNFINISHED: &str = "tmp";

/// Without another limit the cache takes at most this, in bytes, and at most this share of its disk.
const BYTES_MAX: u64 = 20 << 30;
const DISK_SHARE_MAX: u64 = 10;

/// Writable for its group or for everybody.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The place of one packing.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    settings: CacheSettings,
    key: Key,
}

impl Cache {
    pub(crate) fn new(settings: CacheSettings, key: Key) -> Self {
        Self { settings, key }
    }

    fn directory(&self) -> &Path {
        &self.settings.directory
    }

    fn path(&self) -> PathBuf {
        let content = hex(&self.key.content[..8]);
        self.directory().join(format!("{}-{content}.{PACKED}", self.family()))
    }

    fn family(&self) -> String {
        hex(&self.key.family)
    }

    /// Fills the pieces from the cache, on `threads` threads; `done` is told the bytes that are
    /// ready. False when that is not possible; the pieces then hold anything.
    pub(crate) fn read(
        &self,
        pieces: &mut [Slab],
        threads: usize,
        done: &mut dyn FnMut(usize),
    ) -> bool {
        let path = self.path();
        match self.try_read(&path, pieces, threads, done) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                let path = path.display();
                tracing::info!(%path, %error, "packed weights cannot be used; packing them again");
                false
            }
        }
    }

    fn try_read(
        &self,
        path: &Path,
        pieces: &mut [Slab],
        threads: usize,
        done: &mut dyn FnMut(usize),
    ) -> io::Result<()> {
        let file = File::open(path)?;
        if !is_ours(&file.metadata()?) {
            let problem = "others may have written it; only this user should be able to";
            return Err(io::Error::new(ErrorKind::PermissionDenied, problem));
        }
        file::read(&file, &self.key.content, pieces, threads, done)?;
        // The time of the last use decides what goes when room is needed. Best effort: the worst is
        // that a file goes too early.
        let _ = file.set_modified(SystemTime::now());
        Ok(())
    }

    /// Writes the pieces, and takes away what they replace. A failure is logged.
    pub(crate) fn write(&self, pieces: &[&[u8]]) {
        let path = self.path();
        if let Err(error) = self.try_write(&path, pieces) {
            let path = path.display();
            tracing::warn!(%path, %error, "packed weights could not be kept; the next start packs them again");
        }
    }

    fn try_write(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.directory())?;
        self.tidy();
        self.make_room(file::bytes(pieces))?;
        // A name that no other process has, also where processes of several containers share the
        // folder and have the same ids. It goes when it is dropped.
        let mut temporary = tempfile::Builder::new()
            .prefix(&self.family())
            .suffix(&format!(".{UNFINISHED}"))
            .tempfile_in(self.directory())?;
        file::write(temporary.as_file_mut(), &self.key.content, pieces)?;
        temporary.persist(path)?;
        Ok(())
    }

    /// Removes earlier packings of this model and format, and what a crash left behind.
    fn tidy(&self) {
        for (path, metadata) in self.entries() {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
            let abandoned = is_kind(&path, UNFINISHED) && age.is_some_and(|age| age > ABANDONED);
            let replaced = is_kind(&path, PACKED) && name.starts_with(&self.family());
            if abandoned || replaced {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Removes what was not used for longest until there is room for `needed` bytes.
    fn make_room(&self, needed: u64) -> io::Result<()> {
        let kept = self.entries().filter(|(path, _)| is_kind(path, PACKED));
        let kept: Vec<Kept> = kept.map(|(path, metadata)| Kept::new(path, &metadata)).collect();
        let disk = statvfs(self.directory())?;
        let block = disk.fragment_size();
        let usual = BYTES_MAX.min(disk.blocks() * block / DISK_SHARE_MAX);
        let limit = self.settings.bytes_max.unwrap_or(usual);
        let free = disk.blocks_available() * block;
        let limit = limit.min(free + kept.iter().map(|file| file.bytes).sum::<u64>());
        let Some(evicted) = limit::evicted(kept, needed, limit) else {
            let problem = format!(
                "they take {needed} bytes, and {limit} are allowed; `MODELYARD_CACHE_MB_MAX` and \
                 the free space of the disk decide"
            );
            return Err(io::Error::new(ErrorKind::StorageFull, problem));
        };
        for path in evicted {
            tracing::info!(path = %path.display(), "removing packed weights to make room for others");
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// The files of the folder. Whoever shares it may take some away meanwhile.
    fn entries(&self) -> impl Iterator<Item = (PathBuf, Metadata)> {
        let entries = fs::read_dir(self.directory()).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
    }
}

fn is_kind(path: &Path, kind: &str) -> bool {
    path.extension().is_some_and(|extension| extension == kind)
}

/// Whether nobody else can have written it: weights decide what a model says.
fn is_ours(metadata: &Metadata) -> bool {
    let owner = metadata.uid();
    let trusted = owner == geteuid().as_raw() || owner == 0;
    metadata.is_file() && trusted && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
