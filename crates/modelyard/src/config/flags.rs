//! The command line, as the topmost layer.

use super::{
    Issue, Issues, folder,
    key::KeyPath,
    seed,
    tree::{Source, Tree},
};

/// What was given on the command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `FILE.py:CLASS` or a folder of weights, each to be served under a name made from it.
    pub models: Vec<String>,
    /// Host of the first address.
    pub host: Option<String>,
    /// Port of the first address.
    pub port: Option<u16>,
    /// Every address, instead of the configured ones.
    pub listen: Vec<String>,
}

pub(super) fn lay_over(tree: &mut Tree, flags: &Flags, issues: &mut Issues) {
    let listen = KeyPath::dotted("server.listen");
    if !flags.listen.is_empty() {
        tree.set(listen.clone(), flags.listen.clone(), Source::Flag("--listen"));
    }
    if let Some(host) = &flags.host {
        seed::listen(tree, &listen, Some(host), None, Source::Flag("--host"));
    }
    if let Some(port) = flags.port {
        seed::listen(tree, &listen, None, Some(&port.to_string()), Source::Flag("--port"));
    }
    for word in &flags.models {
        let source = Source::Flag("the command line");
        if folder::is_meant(word) {
            if let Err(problem) = folder::lay_over(tree, word, &source) {
                issues.push(Issue::general(problem, "rename the folder, or write a [models.NAME]"));
            }
            continue;
        }
        match word.rsplit_once(':') {
            Some((module, name)) if !module.is_empty() && is_class(name) => {
                let model = KeyPath::dotted("models").join(kebab_case(name));
                tree.set(model.join("kind"), "python", source.clone());
                tree.set(model.join("implementation"), word.as_str(), source);
            }
            _ => issues.push(Issue::general(
                format!("`{word}` names no class and no folder"),
                "write a file and the class in it, for example `app.py:Digits`, or a folder of weights",
            )),
        }
    }
}

fn is_class(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && name.chars().all(|char| char.is_alphanumeric() || char == '_')
}

/// `SpeechToText` becomes `speech-to-text`, `HTTPServer` becomes `http-server`.
fn kebab_case(class: &str) -> String {
    let chars: Vec<char> = class.trim_matches('_').chars().collect();
    let mut name = String::with_capacity(class.len() + 4);
    for (at, &char) in chars.iter().enumerate() {
        let after_small = at > 0 && !chars[at - 1].is_uppercase() && chars[at - 1] != '_';
        let before_small = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if char == '_' {
            name.push('-');
            continue;
        }
        if char.is_uppercase() && at > 0 && chars[at - 1] != '_' && (after_small || before_small) {
            name.push('-');
        }
        name.extend(char.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_gets_the_name_that_an_address_would_have() {
        for (class, name) in [
            ("Digits", "digits"),
            ("SpeechToText", "speech-to-text"),
            ("HTTPServer", "http-server"),
            ("Gpt4Mini", "gpt4-mini"),
            ("_My_Model", "my-model"),
            ("echo", "echo"),
        ] {
            assert_eq!(kebab_case(class), name);
        }
    }
}
