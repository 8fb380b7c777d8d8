//! Rust source, parsed as far as the rules need it: its functions.

use anyhow::Context as _;
use syn::{Attribute, Block, Signature, Visibility, visit::Visit};

use crate::repo::File;

/// One function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name, with the type that it belongs to: `Lane::admit`.
    pub(crate) name: String,
    /// From the line of `fn` to the closing brace.
    pub(crate) lines: usize,
    /// Declared `async`.
    pub(crate) is_async: bool,
    /// Declared `pub` without a restriction.
    pub(crate) is_public: bool,
    /// Its doc comment.
    pub(crate) docs: String,
}

/// Every function of a file, nested ones included.
pub(crate) fn functions(file: &File) -> anyhow::Result<Vec<Function>> {
    let parsed = syn::parse_file(&file.text).with_context(|| file.path.clone())?;
    let mut collector = Collector::default();
    collector.visit_file(&parsed);
    Ok(collector.functions)
}

#[derive(Default)]
struct Collector {
    /// The types and traits around the current item.
    owners: Vec<String>,
    functions: Vec<Function>,
}

impl Collector {
    fn add(&mut self, signature: &Signature, body: &Block, attributes: &[Attribute], public: bool) {
        let first = signature.fn_token.span.start().line;
        let last = body.brace_token.span.close().end().line;
        let mut name = self.owners.last().map(|owner| format!("{owner}::")).unwrap_or_default();
        name.push_str(&signature.ident.to_string());
        self.functions.push(Function {
            name,
            lines: last + 1 - first,
            is_async: signature.asyncness.is_some(),
            is_public: public,
            docs: docs(attributes),
        });
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block, &item.attrs, is_public(&item.vis));
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.owners.push(type_name(&item.self_ty));
        syn::visit::visit_item_impl(self, item);
        self.owners.pop();
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.owners.push(item.ident.to_string());
        syn::visit::visit_item_trait(self, item);
        self.owners.pop();
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block, &item.attrs, is_public(&item.vis));
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.add(&item.sig, body, &item.attrs, true);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn type_name(kind: &syn::Type) -> String {
    match kind {
        syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    }
    .unwrap_or_default()
}

fn docs(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(literal) => match &literal.lit {
                syn::Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_after_its_type_and_measured_without_its_docs() {
        let text = "/// Waits.\n///\n/// # Cancel safety\n/// Fine.\npub async fn wait() {\n}\n\
                    struct A;\nimpl A {\n    fn go(&self) { fn inner() {} }\n}\n";
        let file = File { path: "a.rs".into(), text: text.into() };
        let found = functions(&file).unwrap();
        let names: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.lines)).collect();
        assert_eq!(names, [("wait", 2), ("A::go", 1), ("A::inner", 1)]);
        assert!(
            found[0].is_async && found[0].is_public && found[0].docs.contains("# Cancel safety")
        );
        assert!(!found[1].is_public);
    }
}
