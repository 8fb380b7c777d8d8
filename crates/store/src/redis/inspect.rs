//! Whether a server can be trusted with tasks: looked at when it is reached, decided from its own
//! words.

use std::{collections::HashMap, fmt};

/// The oldest version with all the commands that we use.
const VERSION_MIN: (u32, u32) = (6, 2);

/// What `INFO` says.
#[derive(Debug, Default)]
pub(super) struct Info<'a>(HashMap<&'a str, &'a str>);

/// Something that may lose tasks although everything works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Risk {
    /// Tasks are in memory only.
    NoAppendOnlyFile,
    /// Redis throws keys away when its memory is full.
    Evicts,
    /// The last write of the append-only file failed.
    AppendFailed,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAppendOnlyFile => {
                "Redis keeps no append-only file: tasks are lost when it stops; set `appendonly yes`"
            }
            Self::Evicts => {
                "Redis may throw tasks away when its memory is full; set `maxmemory-policy noeviction`"
            }
            Self::AppendFailed => {
                "Redis could not write its append-only file; look at its log and its disk"
            }
        })
    }
}

impl<'a> Info<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    fn is(&self, field: &str, value: &str) -> bool {
        self.0.get(field) == Some(&value)
    }

    /// What it is, with its version.
    pub(super) fn name(&self) -> String {
        match (self.0.get("valkey_version"), self.0.get("redis_version")) {
            (Some(version), _) => format!("Valkey {version}"),
            (None, version) => format!("Redis {}", version.copied().unwrap_or("unknown")),
        }
    }

    /// Why tasks cannot be kept there at all.
    pub(super) fn refusal(&self) -> Option<String> {
        // Valkey tells the version of Redis that it is compatible with here.
        let version = self.0.get("redis_version").copied().unwrap_or("unknown");
        let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
        let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if found < VERSION_MIN {
            let (major, minor) = VERSION_MIN;
            return Some(format!(
                "it is version {version}; use Redis {major}.{minor} or newer, or Valkey"
            ));
        }
        if self.is("cluster_enabled", "1") {
            return Some("it is part of a cluster, over which tasks cannot be spread; use one primary, or Sentinel".into());
        }
        if self.is("role", "slave") {
            return Some(
                "it is a replica and takes no changes; name the primary, or Sentinel".into(),
            );
        }
        None
    }

    /// What the operator should know.
    pub(super) fn risks(&self) -> Vec<Risk> {
        let mut risks = Vec::new();
        if !self.is("aof_enabled", "1") {
            risks.push(Risk::NoAppendOnlyFile);
        } else if self.is("aof_last_write_status", "err") {
            risks.push(Risk::AppendFailed);
        }
        let bounded = !self.is("maxmemory", "0");
        if bounded && !self.is("maxmemory_policy", "noeviction") {
            risks.push(Risk::Evicts);
        }
        risks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "redis_version:7.2.4\r\ncluster_enabled:0\r\nrole:master\r\n\
        aof_enabled:1\r\naof_last_write_status:ok\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";

    fn with(from: &str, to: &str) -> String {
        assert!(SOUND.contains(from));
        SOUND.replace(from, to)
    }

    #[test]
    fn a_sound_server_is_taken_without_a_word() {
        let info = Info::parse(SOUND);
        assert_eq!((info.refusal(), info.risks()), (None, vec![]));
    }

    #[test]
    fn old_versions_clusters_and_replicas_are_refused() {
        for (from, to, word) in [
            ("redis_version:7.2.4", "redis_version:6.0.16", "version 6.0.16"),
            ("redis_version:7.2.4", "nothing:1", "version unknown"),
            ("cluster_enabled:0", "cluster_enabled:1", "cluster"),
            ("role:master", "role:slave", "replica"),
        ] {
            let text = with(from, to);
            let said = Info::parse(&text).refusal().unwrap();
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(Info::parse(&with("7.2.4", "6.2.0")).refusal(), None);
    }

    #[test]
    fn whatever_may_lose_tasks_is_told() {
        let risks = |from, to| Info::parse(&with(from, to)).risks();
        assert_eq!(risks("aof_enabled:1", "aof_enabled:0"), [Risk::NoAppendOnlyFile]);
        assert_eq!(risks("write_status:ok", "write_status:err"), [Risk::AppendFailed]);
        assert_eq!(
            risks(
                "maxmemory:0\r\nmaxmemory_policy:noeviction",
                "maxmemory:9\r\nmaxmemory_policy:allkeys-lru"
            ),
            [Risk::Evicts]
        );
        assert_eq!(risks("maxmemory:0", "maxmemory:9"), []);
    }
}
