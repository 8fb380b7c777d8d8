//! The model that is part of this program, so that a machine without a network has one.
//!
//! What it can do, and how it was made, stands in `crates/llm/demo/README.md`.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// The name under which it is served.
pub const NAME: &str = "modelyard-demo";

const FILES: [(&str, &[u8]); 5] = [
    ("config.json", include_bytes!("../demo/config.json")),
    ("generation_config.json", include_bytes!("../demo/generation_config.json")),
    ("model.safetensors", include_bytes!("../demo/model.safetensors")),
    ("tokenizer.json", include_bytes!("../demo/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../demo/tokenizer_config.json")),
];

/// How much of each end of a file is compared. The whole would bring 7 MB into the memory of a
/// server at every start.
const COMPARED_BYTES: usize = 4096;

/// Writes it into a folder, unless it is there.
///
/// # Errors
/// When the folder cannot be written.
pub fn install(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, bytes) in FILES {
        let path = folder.join(name);
        if !holds(&path, bytes).unwrap_or(false) {
            write(&path, bytes)?;
        }
    }
    Ok(())
}

/// Whether the file has the right length, and begins and ends as it should.
fn holds(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != bytes.len() as u64 {
        return Ok(false);
    }
    let compared = COMPARED_BYTES.min(bytes.len());
    let tail = bytes.len() - compared;
    let mut read = vec![0; compared];
    file.read_exact(&mut read)?;
    let begins = read == bytes[..compared];
    file.seek(SeekFrom::Start(tail as u64))?;
    file.read_exact(&mut read)?;
    Ok(begins && read == bytes[tail..])
}

/// Under its name stands all of it or nothing, also after a crash, and for whoever reads it now.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_once_and_repaired() {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path()).unwrap();
        let weights = folder.path().join("model.safetensors");
        let written = fs::metadata(&weights).unwrap().modified().unwrap();
        install(folder.path()).unwrap();
        assert_eq!(fs::metadata(&weights).unwrap().modified().unwrap(), written);

        File::options().write(true).open(&weights).unwrap().set_len(100).unwrap();
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        install(folder.path()).unwrap();
        for (name, bytes) in FILES {
            assert!(fs::read(folder.path().join(name)).unwrap() == bytes, "{name}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), FILES.len());
    }
}
