//! `modelyard tls`

mod authority;
mod names;

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use tempfile::NamedTempFile;

use self::authority::Authority;
use super::{Surroundings, load, output};
use crate::{
    cli::{TlsCommand, TlsInitArgs},
    config,
    failure::Failure,
};

/// Where the document of ai-platform has them.
const SYSTEM: [&str; 2] =
    ["/etc/ssl/certs/nginx-selfsigned.crt", "/etc/ssl/private/nginx-selfsigned.key"];

pub(super) fn run(command: &TlsCommand, around: &Surroundings) -> Result<(), Failure> {
    match command {
        TlsCommand::Init(args) => init(args, around),
    }
}

fn init(args: &TlsInitArgs, around: &Surroundings) -> Result<(), Failure> {
    let data_dir = load(&(&args.config).into(), around)?.settings.data_dir;
    let [cert_file, key_file] = config::tls_files(&data_dir);
    let folder = data_dir.join("tls");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| unwritable(&folder, &error))?;
    let names = names::all(&args.names)?;
    let authority = authority(&folder)?;
    let (chain, key) = authority
        .issue(&names)
        .map_err(|error| Failure::new(format!("no certificate could be made: {error}")))?;
    // The key first: a server that sees a new certificate reads both.
    write(&key_file, &key)?;
    write(&cert_file, &chain)?;
    if args.system {
        write_system(&chain, &key)?;
    }
    output::print(
        format!(
            "certificate  {}\nkey          {}\nauthority    {}\nvalid for    {}\n",
            cert_file.display(),
            key_file.display(),
            folder.join("ca.crt").display(),
            names.join(" "),
        )
        .as_bytes(),
    )?;
    let told = "start the server again if it had no certificate; clients trust it by ca.crt";
    let _ = writeln!(io::stderr(), "{told}");
    Ok(())
}

/// The authority of this folder, made if there is none.
fn authority(folder: &Path) -> Result<Authority, Failure> {
    let (cert_file, key_file) = (folder.join("ca.crt"), folder.join("ca.key"));
    let made = match fs::read_to_string(&key_file) {
        Ok(key) => Authority::of(&key),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Authority::new(),
        Err(error) => return Err(unwritable(&key_file, &error)),
    };
    let authority = made.map_err(|error| {
        Failure::new(format!("{} is no key: {error}", key_file.display()))
            .hint("remove it to make a new authority, which clients must then trust anew")
    })?;
    if !key_file.exists() || !cert_file.exists() {
        write(&key_file, &authority.key_pem())?;
        let certificate = authority
            .certificate_pem()
            .map_err(|error| Failure::new(format!("no authority could be made: {error}")))?;
        write(&cert_file, &certificate)?;
    }
    Ok(authority)
}

/// For this user only.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    replace(path, text, 0o600).map_err(|error| unwritable(path, &error))
}

/// Whole or not at all, and never readable for more than `mode` says.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.persist(path)?;
    Ok(())
}

fn write_system(chain: &str, key: &str) -> Result<(), Failure> {
    let [cert_file, key_file] = SYSTEM;
    for (path, text, mode) in [(key_file, key, 0o600), (cert_file, chain, 0o644)] {
        replace(Path::new(path), text, mode).map_err(|error| {
            Failure::new(format!("{path} cannot be written: {error}")).hint("--system needs root")
        })?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}", path.display()))
        .hint("name another data folder with MODELYARD_DATA_DIR")
}
