//! What the system still has for us: the machine's memory, and the limits of the control groups and of
//! this process.

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
    /// What must not be exceeded; the least of them holds.
    limits: &'static [&'static str],
    used: &'static str,
    /// The lines of `memory.stat` that count copies of files. The kernel gives them back when memory is
    /// short, those in frequent use as well: packed weights that were read at an earlier start are such.
    reclaimable: [&'static str; 2],
}

const V2: Dialect = Dialect {
    // A group above `memory.high` is not killed, but slowed down until it is of no use.
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
    reclaimable: ["inactive_file", "active_file"],
};
const V1: Dialect = Dialect {
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    reclaimable: ["total_inactive_file", "total_active_file"],
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
        let of_process = left_in_process(proc);
        let all = machine.into_iter().chain(of_process).chain(in_groups);
        all.min_by_key(|available| available.bytes)
    }
}

fn free_in_machine(proc: &Path) -> Option<Available> {
    let bytes = kibibytes(&proc.join("meminfo"), "MemAvailable:")? * 1024;
    Some(Available { bytes, bound: "of the machine's memory is free".into() })
}

/// What the limit of the address space leaves, which `memory_mb_max` and `ulimit -v` set.
fn left_in_process(proc: &Path) -> Option<Available> {
    let limits = fs::read_to_string(proc.join("self/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    // The one that holds comes before the one to which it may be raised; none is `unlimited`.
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    let used = kibibytes(&proc.join("self/status"), "VmSize:")? * 1024;
    let bound = format!("is left of the {} that this process may map", spoken(limit));
    Some(Available { bytes: limit.saturating_sub(used), bound })
}

/// The number of a line such as `VmSize:   1234 kB`.
fn kibibytes(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
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
    let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
    // No limit is written `max` in one version, and as a number beyond all memory in the other.
    let limits = dialect.limits.iter().filter_map(|name| read(name)?.trim().parse::<u64>().ok());
    let limit = limits.min()?;
    let used: u64 = read(dialect.used)?.trim().parse().ok()?;
    let stat = read("memory.stat").unwrap_or_default();
    let reclaimable = stat.lines().filter_map(|line| {
        let (name, bytes) = line.split_once(' ')?;
        dialect.reclaimable.contains(&name).then(|| bytes.trim().parse::<u64>().ok())?
    });
    let used = used.saturating_sub(reclaimable.sum());
    let bound = format!("is left of the {} that this group of processes may use", spoken(limit));
    Some(Available { bytes: limit.saturating_sub(used), bound })
}

#[cfg(test)]
mod tests;
