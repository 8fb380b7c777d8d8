//! Names of keys. Scripts make the same ones; see `scripts/common.lua`.

use sha2::{Digest, Sha256};
use types::{ModelName, TaskId};

use crate::{NewTask, Place};

/// What every key begins with.
#[derive(Debug, Clone)]
pub(super) struct Keys(pub(super) String);

impl Keys {
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }

    pub(super) fn task(&self, id: TaskId) -> String {
        format!("{}task:{id}", self.0)
    }

    pub(super) fn attempts(&self, id: TaskId) -> String {
        format!("{}attempts:{id}", self.0)
    }

    pub(super) fn queue(&self, model: &ModelName, place: Place) -> String {
        format!("{}queue:{model}:{}", self.0, place.code())
    }

    pub(super) fn due(&self, place: Place) -> String {
        format!("{}due:{}", self.0, place.code())
    }

    pub(super) fn document(&self, kind: &str, id: &str) -> String {
        format!("{}document:{kind}:{id}", self.0)
    }

    /// The names of all documents of a kind, or of those with a label.
    pub(super) fn documents(&self, kind: &str, label: Option<&str>) -> String {
        match label {
            None => format!("{}documents:{kind}", self.0),
            Some(label) => format!("{}documents:{kind}:{label}", self.0),
        }
    }

    /// The key of a heartbeat without our prefix, as the documents of the seed have it; empty if
    /// it would be the same key.
    pub(super) fn plain_heartbeat(&self, name: &str) -> String {
        if self.0.is_empty() { String::new() } else { format!("heartbeat:{name}") }
    }
}

/// Where a key of a client counts: a tenant and a model. Of one length, whatever the client sent.
pub(super) fn scope(task: &NewTask) -> String {
    let Some(given) = &task.idempotency else { return String::new() };
    let mut hash = Sha256::new();
    // Names hold no zero byte, so no other split gives the same input.
    for part in [task.tenant.as_str(), "\0", task.model.as_str(), "\0", &given.key] {
        hash.update(part);
    }
    hex(&hash.finalize())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`hex`] has written of a SHA-256.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
