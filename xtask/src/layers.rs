//! Dependencies between crates only point down, or to a declared neighbour (`layers.toml`).

use std::collections::BTreeMap;

use cargo_metadata::{MetadataCommand, Package};
use serde::Deserialize;

use crate::repo::Repo;

/// `layers.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Every crate of the workspace.
    pub(crate) crates: BTreeMap<String, Room>,
    /// Which crates alone may see a library.
    pub(crate) owners: BTreeMap<String, Vec<String>>,
}

/// Where a crate lives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Room {
    /// Its floor, from 0.
    pub(crate) floor: u8,
    /// The neighbours on the same floor that it may lean on.
    #[serde(default)]
    pub(crate) beside: Vec<String>,
}

/// One crate names another, in whatever section of its `Cargo.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The crate that leans.
    pub(crate) from: String,
    /// What it leans on.
    pub(crate) to: String,
    /// Whether that is a crate of ours.
    pub(crate) ours: bool,
}

/// Reads the plan.
pub(crate) fn plan(repo: &Repo) -> anyhow::Result<Plan> {
    Ok(toml::from_str(repo.text("layers.toml")?)?)
}

/// Every breach of the plan in this checkout, as sentences.
pub(crate) fn violations_of(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let manifest = repo.root.join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec()?;
    let plan = plan(repo)?;
    let names: Vec<_> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let edges: Vec<_> = metadata.packages.iter().flat_map(edges_of).collect();
    let mut found = homeless(&plan, &names);
    found.extend(violations(&plan, &edges));
    Ok(found)
}

fn edges_of(package: &Package) -> impl Iterator<Item = Edge> + '_ {
    package.dependencies.iter().map(|dependency| Edge {
        from: package.name.to_string(),
        to: dependency.name.clone(),
        ours: dependency.path.is_some(),
    })
}

/// Crates without a floor, and floors without a crate.
fn homeless(plan: &Plan, names: &[String]) -> Vec<String> {
    let unplaced = names.iter().filter(|name| !plan.crates.contains_key(*name));
    let vacant = plan.crates.keys().filter(|name| !names.contains(name));
    unplaced
        .map(|name| format!("`{name}` has no floor: give it one in layers.toml"))
        .chain(
            vacant.map(|name| format!("layers.toml has a floor for `{name}`, which is no crate")),
        )
        .collect()
}

fn violations(plan: &Plan, edges: &[Edge]) -> Vec<String> {
    edges
        .iter()
        .filter_map(|edge| if edge.ours { climbs(plan, edge) } else { trespasses(plan, edge) })
        .collect()
}

fn climbs(plan: &Plan, Edge { from, to, .. }: &Edge) -> Option<String> {
    let (above, below) = (plan.crates.get(from)?, plan.crates.get(to)?);
    let down = below.floor < above.floor;
    let declared = below.floor == above.floor && above.beside.contains(to);
    (!down && !declared).then(|| {
        format!("`{from}` (floor {}) may not use `{to}` (floor {})", above.floor, below.floor)
    })
}

fn trespasses(plan: &Plan, Edge { from, to, .. }: &Edge) -> Option<String> {
    let owners = plan.owners.get(to)?;
    (!owners.contains(from)).then(|| {
        format!("`{from}` may not use the library `{to}`, which belongs to {}", owners.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_stands() {
        let found = violations_of(&Repo::open().unwrap()).unwrap();
        assert!(found.is_empty(), "\n{}", found.join("\n"));
    }

    fn small_house() -> Plan {
        toml::from_str(
            r#"
            crates.words = { floor = 0 }
            crates.store = { floor = 1 }
            crates.tasks = { floor = 1, beside = ["store"] }
            crates.door = { floor = 2 }
            owners.rusqlite = ["store"]
            "#,
        )
        .unwrap()
    }

    #[track_caller]
    fn check(from: &str, to: &str, ours: bool, expected: &[&str]) {
        let edge = Edge { from: from.into(), to: to.into(), ours };
        assert_eq!(violations(&small_house(), &[edge]), expected);
    }

    #[test]
    fn a_crate_uses_lower_floors_and_declared_neighbours() {
        check("door", "words", true, &[]);
        check("tasks", "store", true, &[]);
        check("store", "tasks", true, &["`store` (floor 1) may not use `tasks` (floor 1)"]);
        check("words", "door", true, &["`words` (floor 0) may not use `door` (floor 2)"]);
    }

    #[test]
    fn a_library_with_an_owner_is_used_by_the_owner_alone() {
        check("store", "rusqlite", false, &[]);
        check("door", "serde", false, &[]);
        let sentence = "`door` may not use the library `rusqlite`, which belongs to store";
        check("door", "rusqlite", false, &[sentence]);
    }

    #[test]
    fn every_crate_has_a_floor_and_every_floor_a_crate() {
        let names = ["words", "store", "tasks", "attic"].map(String::from);
        let found = homeless(&small_house(), &names);
        assert_eq!(
            found,
            [
                "`attic` has no floor: give it one in layers.toml",
                "layers.toml has a floor for `door`, which is no crate"
            ]
        );
    }
}
