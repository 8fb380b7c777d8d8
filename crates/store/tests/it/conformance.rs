//! Each store keeps every promise.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use store::{
    MemoryStore, RedisOptions, RedisStore, SqliteOptions, SqliteStore, TaskStore,
    conformance::Fixture, task_store_conformance,
};
use tempfile::TempDir;

use crate::redis_server::RedisServer;

struct Memory(Mutex<MemoryStore>);

#[async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Arc<dyn TaskStore> {
        Arc::new(self.0.lock().unwrap().restarted())
    }
}

pub(crate) struct Sqlite(TempDir);

#[async_trait]
impl Fixture for Sqlite {
    async fn open(&self) -> Arc<dyn TaskStore> {
        Arc::new(SqliteStore::open(&SqliteOptions::new(self.0.path().join("tasks.db"))).unwrap())
    }
}

struct Redis(RedisServer);

#[async_trait]
impl Fixture for Redis {
    async fn open(&self) -> Arc<dyn TaskStore> {
        let options = RedisOptions::new(self.0.url(), "gateway");
        Arc::new(RedisStore::open(&options).await.unwrap())
    }
}

fn memory() -> Memory {
    Memory(Mutex::new(MemoryStore::new()))
}

pub(crate) fn sqlite() -> Sqlite {
    Sqlite(tempfile::tempdir().unwrap())
}

fn redis() -> Redis {
    Redis(RedisServer::start())
}

task_store_conformance!(in_memory, memory);
task_store_conformance!(in_sqlite, sqlite);
task_store_conformance!(in_redis, redis);
