//! Each store keeps every promise.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use store::{
    MemoryStore, SqliteOptions, SqliteStore, TaskStore, conformance::Fixture,
    task_store_conformance,
};
use tempfile::TempDir;

struct Memory(Mutex<MemoryStore>);

#[async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Arc<dyn TaskStore> {
        Arc::new(self.0.lock().unwrap().restarted())
    }
}

struct Sqlite(TempDir);

#[async_trait]
impl Fixture for Sqlite {
    async fn open(&self) -> Arc<dyn TaskStore> {
        Arc::new(SqliteStore::open(&SqliteOptions::new(self.0.path().join("tasks.db"))).unwrap())
    }
}

fn memory() -> Memory {
    Memory(Mutex::new(MemoryStore::new()))
}

fn sqlite() -> Sqlite {
    Sqlite(tempfile::tempdir().unwrap())
}

task_store_conformance!(in_memory, memory);
task_store_conformance!(in_sqlite, sqlite);
