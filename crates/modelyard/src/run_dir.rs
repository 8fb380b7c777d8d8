//! A directory for sockets that only this user can enter, for as long as the server runs.

use std::{
    env, fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// How every such directory begins.
const PREFIX: &str = "modelyard-";
/// Holds the process that a directory belongs to.
const PID_FILE: &str = "pid";
/// A socket's path has at most 107 bytes; the names within the directory need up to 60 of them.
const BASE_BYTES_MAX: usize = 30;

/// The directory; it goes when this is dropped.
#[derive(Debug)]
pub struct RunDir(TempDir);

impl RunDir {
    /// Makes a fresh directory, mode 0700, and removes those that killed servers left behind.
    ///
    /// # Errors
    /// When no directory can be made.
    pub fn create() -> io::Result<Self> {
        let base = base();
        sweep(&base);
        let private = fs::Permissions::from_mode(0o700);
        let directory =
            tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(base)?;
        fs::write(directory.path().join(PID_FILE), std::process::id().to_string())?;
        Ok(Self(directory))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The user's own run directory, if its path is short enough for sockets.
fn base() -> PathBuf {
    let own = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usable = |path: &PathBuf| path.is_dir() && path.as_os_str().len() <= BASE_BYTES_MAX;
    own.filter(usable).unwrap_or_else(|| "/tmp".into())
}

/// Removes our directories whose process is gone. What cannot be removed stays: it does no harm.
fn sweep(base: &Path) {
    let Ok(own) = fs::metadata("/proc/self").map(|own| own.uid()) else { return };
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == own);
        let Ok(pid) = fs::read_to_string(path.join(PID_FILE)) else { continue };
        if is_ours
            && pid.parse::<u32>().is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        {
            let _ = fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_can_enter_and_nothing_is_left() {
        let run_dir = RunDir::create().unwrap();
        let path = run_dir.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        drop(run_dir);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_server_left_is_swept_and_a_living_one_keeps_its_own() {
        let base = tempfile::tempdir().unwrap();
        // No process has this number: it is beyond the largest that Linux gives.
        for (name, pid) in [("modelyard-dead", 4_194_305), ("modelyard-live", std::process::id())] {
            fs::create_dir(base.path().join(name)).unwrap();
            fs::write(base.path().join(name).join(PID_FILE), pid.to_string()).unwrap();
        }
        fs::create_dir(base.path().join("other")).unwrap();
        sweep(base.path());
        let left = |name: &str| base.path().join(name).exists();
        assert_eq!(
            [left("modelyard-dead"), left("modelyard-live"), left("other")],
            [false, true, true]
        );
    }
}
