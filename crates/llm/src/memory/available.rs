//! What the system still has for us: the machine's memory, and the limit of the control group.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::spoken;

const PROC: &str = "/proc";
const CGROUP: &str = "/sys/fs/cgroup";

/// Bytes that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    /// So many.
    pub bytes: u64,
    /// Why no more, for a person.
    pub bound: String,
}

/// The files of one version of control groups.
struct Dialect {
    limit: &'static str,
    used: &'static str,
    /// The line of `memory.stat` that counts what the kernel would give back first.
    reclaimable: &'static str,
}

const V2: Dialect =
    Dialect { limit: "memory.max", used: "memory.current", reclaimable: "inactive_file" };
const V1: Dialect = Dialect {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};

impl Available {
    /// Asks the system; `None` where it does not say, as on anything but Linux.
    pub fn now() -> Option<Self> {
        Self::of(Path::new(PROC), Path::new(CGROUP))
    }

    fn of(proc: &Path, cgroup: &Path) -> Option<Self> {
        let machine = free_in_machine(proc);
        let groups = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
        let in_groups = groups.lines().flat_map(|line| in_group(line, cgroup));
        machine.into_iter().chain(in_groups).min_by_key(|available| available.bytes)
    }
}

fn free_in_machine(proc: &Path) -> Option<Available> {
    let text = fs::read_to_string(proc.join("meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Available { bytes: kibibytes * 1024, bound: "of the machine's memory is free".into() })
}

/// What the groups leave that a line of `/proc/self/cgroup` names: `4:memory:/a/b` or `0::/a/b`.
fn in_group(line: &str, cgroup: &Path) -> Vec<Available> {
    let mut parts = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
    else {
        return Vec::new();
    };
    let (root, dialect) = match controllers {
        "" if cgroup.join("unified").is_dir() => (cgroup.join("unified"), V2),
        "" => (cgroup.to_owned(), V2),
        _ if controllers.split(',').any(|name| name == "memory") => (cgroup.join("memory"), V1),
        _ => return Vec::new(),
    };
    // Each group is also bound by those around it. In a container the path may be another one
    // outside, and then only the root is there.
    let group = root.join(path.trim_start_matches('/'));
    let around = group.ancestors().take_while(|dir| dir.starts_with(&root)).map(PathBuf::from);
    around.filter_map(|dir| left_in(&dir, &dialect)).collect()
}

fn left_in(dir: &Path, dialect: &Dialect) -> Option<Available> {
    let read = |name| fs::read_to_string(dir.join(name)).ok();
    // No limit is written `max` in one version, and as a number beyond all memory in the other.
    let limit: u64 = read(dialect.limit)?.trim().parse().ok()?;
    let used: u64 = read(dialect.used)?.trim().parse().ok()?;
    let stat = read("memory.stat").unwrap_or_default();
    let reclaimable = stat.lines().find_map(|line| {
        let (name, bytes) = line.split_once(' ')?;
        (name == dialect.reclaimable).then(|| bytes.trim().parse::<u64>().ok())?
    });
    let used = used.saturating_sub(reclaimable.unwrap_or(0));
    let bound = format!("is left of the {} that this group of processes may use", spoken(limit));
    Some(Available { bytes: limit.saturating_sub(used), bound })
}

#[cfg(test)]
mod tests;
