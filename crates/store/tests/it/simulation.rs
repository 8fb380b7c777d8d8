//! A world in one process, drawn from one seed: clients, servers whose clocks are wrong, attempts that
//! hang, answers that get lost, crashes, and servers that were given up and do not know it. Whatever
//! happens, each acknowledged task reaches one end and keeps it.
//!
//! `SIMULATION_SEEDS=10000 cargo test -p store --test it simulation` explores more worlds;
//! `SIMULATION_FIRST=77 SIMULATION_SEEDS=1` shows one again.

mod ledger;
mod server;
mod world;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use async_trait::async_trait;
use store::{MemoryStore, SqliteOptions, SqliteStore, TaskStore};

use self::world::World;

/// Seeds that are usual.
const SEEDS: u64 = 200;

/// What servers share.
#[async_trait]
trait Database {
    /// The store in the hands of another server. A database with one owner closes `before` first.
    async fn open(&self, before: Option<Arc<dyn TaskStore>>) -> Arc<dyn TaskStore>;

    /// Whether a server that was given up can still reach it.
    fn lets_ghosts_in(&self) -> bool;
}

#[async_trait]
impl Database for MemoryStore {
    async fn open(&self, _: Option<Arc<dyn TaskStore>>) -> Arc<dyn TaskStore> {
        Arc::new(self.restarted())
    }

    fn lets_ghosts_in(&self) -> bool {
        true
    }
}

#[async_trait]
impl Database for SqliteOptions {
    async fn open(&self, before: Option<Arc<dyn TaskStore>>) -> Arc<dyn TaskStore> {
        if let Some(store) = before {
            store.close().await;
        }
        Arc::new(SqliteStore::open(self).unwrap())
    }

    fn lets_ghosts_in(&self) -> bool {
        false
    }
}

#[test]
fn one_server_after_the_other_loses_nothing() {
    explore(SEEDS, |seed| live(World::new(seed, 1, Arc::new(MemoryStore::new()))));
}

#[test]
fn several_servers_at_once_lose_nothing() {
    explore(SEEDS, |seed| live(World::new(seed, 3, Arc::new(MemoryStore::new()))));
}

/// Fewer worlds: each sync takes its time.
#[test]
fn one_server_after_the_other_loses_nothing_on_disk() {
    explore(6, |seed| {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("tasks.db"));
        live(World::new(seed, 1, Arc::new(options)));
    });
}

/// Lives one world to its end.
fn live(mut world: World) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lived = catch_unwind(AssertUnwindSafe(|| runtime.block_on(world.live())));
    // What was wrong has been printed already.
    assert!(lived.is_ok(), "{}", world.history());
}

/// Lives `usual` worlds, or as many more as there are more seeds than usual.
fn explore(usual: u64, world: impl Fn(u64)) {
    let number = |name| env::var(name).ok().map(|text| text.parse().unwrap());
    let first: u64 = number("SIMULATION_FIRST").unwrap_or(0);
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS) * usual / SEEDS;
    for seed in first..first + seeds.max(1) {
        world(seed);
    }
}
