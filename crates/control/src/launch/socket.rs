//! Where a worker listens.

use std::path::{Path, PathBuf};

use deploy::LaunchId;

/// Longest path of a unix socket, in bytes: the kernel's 108 less the closing zero, and on macOS
/// still less (103).
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// The socket of one launch. Its name is short, whatever the model is called.
///
/// # Errors
/// The reason for the operator, if the directory's path is too long.
pub(crate) fn socket_path(run_dir: &Path, launch: &LaunchId) -> Result<PathBuf, String> {
    // The part of the launch id that tells launches apart.
    let (_, tail) = launch.as_str().rsplit_once('-').unwrap_or(("", launch.as_str()));
    let path = run_dir.join(format!("{tail}.sock"));
    match path.as_os_str().len() {
        ..=SOCKET_PATH_BYTES_MAX => Ok(path),
        _ => Err(format!(
            "the path of the run directory {} is too long for sockets; choose a shorter one",
            run_dir.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_a_short_name_whatever_the_model_is_called() {
        let launch = LaunchId::new(format!("{}-00a1b2c3d4e5", "long-model-name".repeat(8)));
        let path = socket_path(Path::new("/run/modelyard"), &launch).unwrap();
        assert_eq!(path, Path::new("/run/modelyard/00a1b2c3d4e5.sock"));
    }

    #[test]
    fn a_directory_that_is_too_deep_is_refused() {
        let deep = format!("/{}", "x".repeat(90));
        let error = socket_path(Path::new(&deep), &LaunchId::new("m-00a1b2c3d4e5")).unwrap_err();
        assert!(error.contains("too long for sockets"), "{error}");
    }
}
