//! What a machine with and without control groups says.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::Available;

const GIB: u64 = 1 << 30;

/// A directory with these files in it.
fn files(files: &[(&str, String)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn proc(group: &str) -> TempDir {
    let meminfo = format!("MemTotal: 1 kB\nMemAvailable:   {} kB\n", 8 * GIB / 1024);
    files(&[("meminfo", meminfo), ("self/cgroup", group.to_owned())])
}

#[track_caller]
fn check(proc: &TempDir, cgroup: &Path, bytes: u64) -> String {
    let available = Available::of(proc.path(), cgroup).unwrap();
    assert_eq!(available.bytes, bytes, "{available:?}");
    available.bound
}

#[test]
fn without_groups_the_machine_says_it() {
    let nothing = tempfile::tempdir().unwrap();
    check(&proc(""), nothing.path(), 8 * GIB);
}

#[test]
fn the_tightest_of_the_groups_around_us_counts_and_cache_is_no_use() {
    let cgroup = files(&[
        ("a/memory.max", "max\n".into()),
        ("a/memory.current", "1\n".into()),
        ("memory.max", format!("{}\n", 4 * GIB)),
        ("memory.current", format!("{}\n", 3 * GIB)),
        ("memory.stat", format!("anon 5\ninactive_file {GIB}\nactive_file {}\n", GIB / 2)),
    ]);
    let bound = check(&proc("0::/a/b\n"), cgroup.path(), 2 * GIB + GIB / 2);
    assert_eq!(bound, "is left of the 4.00 GiB that this group of processes may use");
}

#[test]
fn a_limit_that_only_slows_down_counts_too() {
    let cgroup = files(&[
        ("memory.max", format!("{}\n", 6 * GIB)),
        ("memory.high", format!("{}\n", 5 * GIB)),
        ("memory.current", format!("{GIB}\n")),
    ]);
    let bound = check(&proc("0::/\n"), cgroup.path(), 4 * GIB);
    assert_eq!(bound, "is left of the 5.00 GiB that this group of processes may use");
}

#[test]
fn the_older_kind_of_groups_is_understood() {
    let cgroup = files(&[
        ("memory/a/memory.limit_in_bytes", format!("{}\n", 3 * GIB)),
        ("memory/a/memory.usage_in_bytes", format!("{GIB}\n")),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n".into()),
        ("memory/memory.usage_in_bytes", "0\n".into()),
    ]);
    check(&proc("5:devices:/\n4:memory:/a\n0::/\n"), cgroup.path(), 2 * GIB);
}

#[test]
fn the_limit_of_this_process_counts() {
    let limits = |soft: u64| {
        format!(
            "Limit  Soft Limit  Hard Limit  Units\nMax address space  {soft}  unlimited  bytes\n"
        )
    };
    let of = |limits: String| {
        let meminfo = format!("MemAvailable:   {} kB\n", 8 * GIB / 1024);
        let status = format!("Name:\tmodelyard\nVmSize:\t {} kB\n", GIB / 1024);
        files(&[("meminfo", meminfo), ("self/limits", limits), ("self/status", status)])
    };
    let nothing = tempfile::tempdir().unwrap();
    let bound = check(&of(limits(3 * GIB)), nothing.path(), 2 * GIB);
    assert_eq!(bound, "is left of the 3.00 GiB that this process may map");
    check(&of(limits(GIB / 2)), nothing.path(), 0);
    check(&of("Max address space  unlimited  unlimited  bytes\n".into()), nothing.path(), 8 * GIB);
}
