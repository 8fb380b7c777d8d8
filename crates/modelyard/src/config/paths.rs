//! Paths: those of the file are relative to the file, all others to the working directory.

use std::path::{Path, PathBuf};

use types::{ModelKind, ModelName, ModelSpec};

use super::{
    Inputs,
    environment::Environment,
    file::ConfigToml,
    key::KeyPath,
    tree::{Source, Tree},
};

/// What a relative path may be relative to.
#[derive(Debug, Clone)]
pub(super) struct Bases {
    /// The working directory.
    directory: PathBuf,
    /// The directory of the file, if one was read.
    file: Option<PathBuf>,
    home: Option<PathBuf>,
    data_dir: Option<PathBuf>,
}

impl Bases {
    pub(super) fn new(inputs: &Inputs, file: Option<&Path>) -> Self {
        let environment = &inputs.environment;
        Self {
            directory: inputs.directory.clone(),
            file: file.and_then(Path::parent).map(Path::to_owned),
            home: environment.get("HOME").map(PathBuf::from),
            data_dir: data_dir(environment, &inputs.directory),
        }
    }

    /// Where tasks and examples are kept, if the environment tells.
    pub(super) fn data_dir(&self) -> Option<PathBuf> {
        self.data_dir.clone()
    }

    /// Where the configuration is: the directory of the file, else the working directory.
    pub(super) fn config_dir(&self) -> &Path {
        self.file.as_deref().unwrap_or(&self.directory)
    }

    /// An absolute path from one that stands at `key`.
    fn absolute(&self, path: &Path, tree: &Tree, key: &KeyPath) -> PathBuf {
        if let (Ok(rest), Some(home)) = (path.strip_prefix("~"), &self.home) {
            return home.join(rest);
        }
        match tree.source(key) {
            Some(Source::File(_)) => self.config_dir().join(path),
            _ => self.directory.join(path),
        }
    }
}

fn data_dir(environment: &Environment, directory: &Path) -> Option<PathBuf> {
    let own = environment.get("MODELYARD_DATA_DIR").map(PathBuf::from);
    let shared = || environment.get("XDG_DATA_HOME").map(|path| Path::new(path).join("modelyard"));
    let home = || Some(Path::new(environment.get("HOME")?).join(".local/share/modelyard"));
    // A relative XDG directory is joined too: better a strange place than two.
    own.or_else(shared).or_else(home).map(|path| directory.join(path))
}

/// Makes every path of the configuration absolute.
pub(super) fn make_absolute(config: &mut ConfigToml, tree: &Tree, bases: &Bases) {
    let fix = |path: &mut Option<PathBuf>, key: &str| {
        if let Some(path) = path {
            *path = bases.absolute(path, tree, &KeyPath::dotted(key));
        }
    };
    fix(&mut config.server.static_dir, "server.static_dir");
    fix(&mut config.tls.cert_file, "tls.cert_file");
    fix(&mut config.tls.key_file, "tls.key_file");
    fix(&mut config.server.keys_file, "server.keys_file");
    fix(&mut config.store.path, "store.path");
    fix(&mut config.store.results_dir, "store.results_dir");
    fix(&mut config.files.dir, "files.dir");
    fix(&mut config.log.file, "log.file");
    fix(&mut config.ieops.socket, "ieops.socket");
    if let Some(python) = &mut config.workers.python {
        interpreter(python, tree, &KeyPath::dotted("workers.python"), bases);
    }
    let listen = KeyPath::dotted("server.listen");
    for address in &mut config.server.listen {
        socket(address, tree, &listen, bases);
    }
    if let Some(address) = &mut config.server.internal_listen {
        socket(address, tree, &KeyPath::dotted("server.internal_listen"), bases);
    }
    for (name, spec) in &mut config.models {
        model(name, spec, tree, bases);
    }
}

fn model(name: &ModelName, spec: &mut ModelSpec, tree: &Tree, bases: &Bases) {
    let key = KeyPath::dotted("models").join(name.as_str());
    if let Some(python) = &mut spec.python {
        interpreter(python, tree, &key.join("python"), bases);
    }
    if let Some(path) = &mut spec.path {
        *path = bases.absolute(path, tree, &key.join("path"));
    }
    if let Some(workdir) = &mut spec.workdir {
        *workdir = bases.absolute(workdir, tree, &key.join("workdir"));
    } else if matches!(spec.kind, ModelKind::Python | ModelKind::Command) {
        spec.workdir = Some(bases.config_dir().to_owned());
    }
    if let (ModelKind::Python, Some(implementation)) = (spec.kind, &mut spec.implementation)
        && let Some((file, class)) = implementation.rsplit_once(':')
        && file.ends_with(".py")
    {
        let file = bases.absolute(Path::new(file), tree, &key.join("implementation"));
        *implementation = format!("{}:{class}", file.display());
    }
}

/// A bare name such as `python3.12` is looked up on `PATH`, unless there is such a folder.
fn interpreter(python: &mut PathBuf, tree: &Tree, key: &KeyPath, bases: &Bases) {
    let absolute = bases.absolute(python, tree, key);
    let is_bare = python.components().count() == 1;
    if !is_bare || absolute.exists() {
        *python = absolute;
    }
}

fn socket(address: &mut String, tree: &Tree, key: &KeyPath, bases: &Bases) {
    if let Some(path) = address.strip_prefix("unix:") {
        *address = format!("unix:{}", bases.absolute(Path::new(path), tree, key).display());
    }
}
