//! The configuration, in three stages with three names.
//!
//! 1. [`file`]: what can be written in `modelyard.toml`. Its types are the truth about keys.
//! 2. [`tree`]: the values of all layers laid over each other (the built-in registry, the file, the
//!    environment, the flags), each with its source.
//! 3. [`settings`]: what the program runs on, checked and complete.
//!
//! Whatever is wrong in any of them is collected and told together.

mod check;
mod docs;
mod environment;
mod file;
mod flags;
mod folder;
mod issue;
mod judge;
mod key;
mod paths;
mod registry;
mod resolve;
mod schema;
mod seed;
mod settings;
mod show;
mod toml_file;
mod tree;
mod webhooks;

use std::path::PathBuf;

use self::{file::ConfigToml, judge::Judge, paths::Bases, tree::Tree};

pub use self::{
    docs::page as documentation,
    environment::Environment,
    file::SyncCalls,
    flags::Flags,
    issue::{Issue, Issues},
    registry::write_builtin,
    resolve::{ieops_model, tls_files},
    settings::{
        ListenAddress, ServerSettings, Settings, StoreSettings, TlsSettings, WebhooksSettings,
        WorkerSettings,
    },
    show::Shown,
};

/// The name that is looked for when no file is given.
pub const FILE_NAME: &str = "modelyard.toml";

/// What the configuration is made from.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The file that the person named; otherwise `modelyard.toml` is read if it is there.
    pub file: Option<PathBuf>,
    /// What was given on the command line.
    pub flags: Flags,
    /// The variables, those of `.env` included.
    pub environment: Environment,
    /// The working directory, absolute.
    pub directory: PathBuf,
}

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// What the program runs on.
    pub settings: Settings,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    config: ConfigToml,
    tree: Tree,
}

impl Loaded {
    /// Every value with its source.
    pub fn show(&self, shown: Shown) -> String {
        show::lines(&self.config, &self.tree, shown)
    }
}

/// Reads all layers and checks them.
///
/// # Errors
/// [`Issues`]: everything that is wrong, in the order in which a person would fix it.
pub fn load(inputs: &Inputs) -> Result<Loaded, Issues> {
    let mut issues = Issues::default();
    let mut tree = Tree::default();
    let file = toml_file::read_into(&mut tree, inputs, &mut issues);
    seed::lay_over(&mut tree, &inputs.environment, &mut issues);
    let mut warnings = environment::lay_over(&mut tree, &inputs.environment, &mut issues);
    flags::lay_over(&mut tree, &inputs.flags, &mut issues);

    let bases = Bases::new(inputs, file.as_deref());
    let data_dir = bases.data_dir().unwrap_or_else(|| {
        issues.push(Issue::general(
            "no directory for the data is known",
            "set MODELYARD_DATA_DIR, for example to /var/lib/modelyard",
        ));
        PathBuf::default()
    });
    registry::fill_in(&mut tree, &data_dir);
    let mut config = check::checked(&mut tree, &mut issues);
    paths::make_absolute(&mut config, &tree, &bases);
    let mut judge = Judge { tree: &tree, issues: &mut issues };
    let mut settings = resolve::settings(&mut config, data_dir, &bases, &mut judge);
    settings.warnings.append(&mut warnings);
    if issues.is_empty() { Ok(Loaded { settings, file, config, tree }) } else { Err(issues) }
}

#[cfg(test)]
mod tests;
