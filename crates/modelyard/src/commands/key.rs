//! `modelyard key`

use std::io::{self, Write};

use serde_json::json;

use super::{Surroundings, load, output};
use crate::{
    cli::{ConfigFileArgs, KeyCommand, KeyCreateArgs},
    failure::Failure,
    key_file::{KeyEntry, KeyFile, KeyFileError},
};

pub(super) fn run(command: &KeyCommand, around: &Surroundings) -> Result<(), Failure> {
    match command {
        KeyCommand::Create(args) => create(args, &file(&args.config, around)?),
        KeyCommand::List(args) => list(&file(args, around)?),
        KeyCommand::Revoke(args) => revoke(&args.which, &file(&args.config, around)?),
    }
}

fn file(args: &ConfigFileArgs, around: &Surroundings) -> Result<KeyFile, Failure> {
    Ok(KeyFile::at(load(&args.into(), around)?.settings.server.keys_file))
}

/// The key alone goes to standard output, so that a script can take it.
fn create(args: &KeyCreateArgs, file: &KeyFile) -> Result<(), Failure> {
    let was_open = file.read().map_err(|error| failed(&error))?.is_none();
    let (entry, key) = file.create(args.name.clone(), args.qps).map_err(|error| failed(&error))?;
    let mut told = format!("{} of {}; keep it well, it is not shown again", entry.id, entry.name);
    if was_open {
        let path = file.path().display();
        told +=
            &format!("\nfrom now on callers need a key; to let everybody in again remove {path}");
    }
    // Whoever reads only the key wants nothing else.
    let _ = writeln!(io::stderr(), "{told}");
    output::print(format!("{key}\n").as_bytes())
}

fn list(file: &KeyFile) -> Result<(), Failure> {
    let keys = file.read().map_err(|error| failed(&error))?;
    if keys.is_none() {
        let _ = writeln!(io::stderr(), "there are no keys: callers need none");
    }
    output::print_value(&keys.unwrap_or_default().iter().map(shown).collect::<Vec<_>>())
}

fn revoke(which: &str, file: &KeyFile) -> Result<(), Failure> {
    let revoked = file.revoke(which).map_err(|error| failed(&error))?;
    if revoked.is_empty() {
        return Err(Failure::misuse(format!("there is no key of that id or name: {which}"))
            .hint("`modelyard key list` shows all"));
    }
    output::print_value(&revoked.iter().map(shown).collect::<Vec<_>>())
}

fn shown(key: &KeyEntry) -> serde_json::Value {
    json!({
        "id": key.id, "name": key.name, "begins": key.begins, "qps": key.qps, "created": key.created,
    })
}

fn failed(error: &KeyFileError) -> Failure {
    Failure::from_error(error)
}
