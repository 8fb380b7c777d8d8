//! Tests in Rust, by crate, modules and function: `modelyard::it::help::help_teaches`.

use std::collections::BTreeSet;

use anyhow::Context as _;
use proc_macro2::{TokenStream, TokenTree};
use serde::Deserialize;
use syn::{Attribute, visit::Visit};

use crate::repo::{File, Repo};

#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// The tests of every crate.
pub(super) fn tests(repo: &Repo) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let manifests = repo.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    for manifest in manifests {
        let parsed: Manifest =
            toml::from_str(&manifest.text).with_context(|| manifest.path.clone())?;
        let Some(package) = parsed.package else { continue };
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        for file in repo.with_extension("rs").filter(|file| file.path.starts_with(folder)) {
            if let Some(modules) = modules(&file.path[folder.len()..]) {
                let path = [vec![package.name.clone()], modules].concat();
                names.extend(tests_of(file, path)?);
            }
        }
    }
    Ok(names)
}

/// The modules that a file of a crate stands for: `tests/it/help.rs` is `it::help`.
fn modules(file: &str) -> Option<Vec<String>> {
    let inner = file.strip_prefix("src/").or_else(|| file.strip_prefix("tests/"))?;
    let mut parts: Vec<_> = inner.strip_suffix(".rs")?.split('/').map(String::from).collect();
    if parts.last().is_some_and(|last| last == "main" || last == "lib") {
        parts.pop();
    }
    Some(parts)
}

fn tests_of(file: &File, path: Vec<String>) -> anyhow::Result<Vec<String>> {
    let parsed = syn::parse_file(&file.text).with_context(|| file.path.clone())?;
    let mut collector = Collector { path, names: Vec::new() };
    collector.visit_file(&parsed);
    Ok(collector.names)
}

struct Collector {
    /// The crate and the modules around the current item.
    path: Vec<String>,
    names: Vec<String>,
}

impl Collector {
    fn add(&mut self, function: &str) {
        self.names.push(format!("{}::{function}", self.path.join("::")));
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.path.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.path.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        // What is ignored proves nothing.
        let is_run = !item.attrs.iter().any(|attribute| attribute.path().is_ident("ignore"));
        if is_run && item.attrs.iter().any(is_test) {
            self.add(&item.sig.ident.to_string());
        }
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if item.mac.path.is_ident("proptest") {
            for function in functions(&item.mac.tokens) {
                self.add(&function);
            }
        }
    }
}

/// `#[test]`, `#[tokio::test]`, with or without arguments.
fn is_test(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "test")
}

/// The functions that `proptest!` holds: its arguments are no Rust, so only `fn name` can be read.
fn functions(tokens: &TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut after_fn = false;
    for token in tokens.clone() {
        let word = match token {
            TokenTree::Ident(ident) => ident.to_string(),
            _ => String::new(),
        };
        if after_fn {
            found.push(word.clone());
        }
        after_fn = word == "fn";
    }
    found
}
