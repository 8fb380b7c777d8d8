//! `docs/config.md`, from the types of the file.

use std::fmt::Write as _;

use super::{
    environment::variable_of,
    key::KeyPath,
    schema::{ANY_MODEL, Field},
    seed,
};

const INTRODUCTION: &str = "\
# Configuration

Nothing has to be configured. What is, comes from four layers; a later one wins:

1. the file `modelyard.toml` in the working directory, or the one named with `--config`;
2. the variables of the documents of `ray-service` and `ieops-sdk` (next to last section);
3. variables named after a key: `MODELYARD_SERVER__LISTEN` is `server.listen`, two underscores between the parts. A value is
   read as TOML (`8`, `true`, `[\"a\", \"b\"]`), anything else as text. In the name of a model `-` and `.` are written `_`;
4. flags of `modelyard serve`.

A file `.env` in the working directory is read first; variables that are set already win over it. Relative paths in the file
are relative to the file, all others to the working directory. A key that does not exist is an error.
`modelyard check-config` shows every value and where it came from.

This page is written from the types in `crates/modelyard/src/config/file.rs` and `crates/types/src/model.rs`.
";

/// The page.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (section, field) in Field::root().children() {
        let key = KeyPath::new([section]);
        match field.named() {
            Some(model) => {
                let _ =
                    writeln!(page, "\n## `[{section}.{ANY_MODEL}]`\n\n{}\n", field.description());
                table(&mut page, &key.join(ANY_MODEL), model);
            }
            None => {
                let _ = writeln!(page, "\n## `[{section}]`\n\n{}\n", field.description());
                table(&mut page, &key, field);
            }
        }
    }
    seeds(&mut page);
    page
}

fn table(page: &mut String, section: &KeyPath, field: Field) {
    let _ = writeln!(page, "For example `{}`.\n", example(section, field));
    page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    rows(page, "", field);
}

fn example(section: &KeyPath, field: Field) -> String {
    let first = field.children().next().map_or("", |(key, _)| key);
    variable_of(&section.join(first))
}

fn rows(page: &mut String, prefix: &str, field: Field) {
    for (key, inner) in field.children() {
        let key = format!("{prefix}{key}");
        if inner.is_table() {
            rows(page, &format!("{key}."), inner);
            continue;
        }
        let default = match inner.default() {
            Some(value) if !value.as_object().is_some_and(serde_json::Map::is_empty) => {
                format!("`{value}`")
            }
            _ => String::new(),
        };
        let kind = inner.kind().replace('"', "`");
        let _ = writeln!(page, "| `{key}` | {kind} | {default} | {} |", meaning(inner));
    }
}

/// The comment in one line, for a cell.
fn meaning(field: Field) -> String {
    field.description().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn seeds(page: &mut String) {
    page.push_str(
        "\n## Variables of the documents\n\n\
         They win over the file and lose against a variable with our prefix. An empty one counts as not set.\n\n\
         | variable | key | note |\n|---|---|---|\n",
    );
    for (name, key, note) in seed::VARIABLES {
        let _ = writeln!(page, "| `{name}` | `{key}` | {note} |");
    }
    page.push_str(
        "\n## Other variables\n\n\
         | variable | meaning |\n|---|---|\n\
         | `MODELYARD_API_KEY` | The key that commands show to the server that they talk to. |\n\
         | `MODELYARD_CONFIG` | The file, like `--config`. |\n\
         | `MODELYARD_DATA_DIR` | Where tasks and examples are kept. |\n\
         | `MODELYARD_URL` | The server that `modelyard invoke` and `modelyard task` talk to. |\n",
    );
}
