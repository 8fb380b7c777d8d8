//! Each store keeps every promise.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use store::{
    DocumentStore, MemoryStore, RedisOptions, RedisStore, SqliteOptions, SqliteStore, StoreError,
    TaskStore,
    conformance::{Fixture, documents::DocumentFixture},
    document_store_conformance, task_store_conformance,
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

#[async_trait]
impl DocumentFixture for Memory {
    async fn open_documents(&self) -> Arc<dyn DocumentStore> {
        Arc::new(self.0.lock().unwrap().restarted())
    }
}

#[async_trait]
impl DocumentFixture for Sqlite {
    async fn open_documents(&self) -> Arc<dyn DocumentStore> {
        let options = SqliteOptions::new(self.0.path().join("tasks.db"));
        loop {
            match SqliteStore::open(&options) {
                Ok(store) => return Arc::new(store),
                // The thread of the store that was dropped has not ended yet.
                Err(StoreError::Owned { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[async_trait]
impl DocumentFixture for Redis {
    async fn open_documents(&self) -> Arc<dyn DocumentStore> {
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

document_store_conformance!(documents_in_memory, memory);
document_store_conformance!(documents_in_sqlite, sqlite);
document_store_conformance!(documents_in_redis, redis);
