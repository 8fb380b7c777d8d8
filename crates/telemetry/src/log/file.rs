//! The log file and its five predecessors.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
};

use file_rotate::{ContentLimit, FileRotate, compression::Compression, suffix::AppendCount};

/// As the seed has it: 10 MB, and five old files.
const BYTES_MAX: usize = 10 * 1024 * 1024;
const OLD_FILES_MAX: usize = 5;

/// Opens the file for appending; it is rotated between two writes, so that no line is cut.
///
/// # Errors
/// When the directory cannot be made or the file cannot be written.
pub(super) fn open(path: &Path) -> io::Result<FileRotate<AppendCount>> {
    let path = std::path::absolute(path)?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // `FileRotate` would keep silent about a file that it cannot open.
    OpenOptions::new().create(true).append(true).open(&path)?;
    Ok(FileRotate::new(
        path,
        AppendCount::new(OLD_FILES_MAX),
        ContentLimit::BytesSurpassed(BYTES_MAX),
        Compression::None,
        None,
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_full_file_makes_room_and_five_old_ones_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/server.log");
        let mut file = open(&path).unwrap();
        let megabyte = "x".repeat(1024 * 1024 - 1) + "\n";
        for _ in 0..8 * 11 {
            file.write_all(megabyte.as_bytes()).unwrap();
        }
        let mut names: Vec<String> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = [
            "server.log",
            "server.log.1",
            "server.log.2",
            "server.log.3",
            "server.log.4",
            "server.log.5",
        ];
        assert_eq!(names, expected);
    }
}
