//! What is looked at. Nothing is changed by looking.

use std::{fs, path::Path, thread};

use deploy::{
    gpus::discover,
    python::{PythonFinder, PythonSearch},
};
use kernels::Isa;
use nix::sys::statvfs::statvfs;
use types::ModelKind;

use super::finding::Finding;
use crate::{
    config::{Loaded, Settings},
    limits, listen,
    running::Server,
    store_room,
};

/// Less memory than this is soon used up by one worker.
const MEMORY_MIN: u64 = 1 << 30;
/// Less room than this is soon used up by tasks and logs.
const DISK_MIN: u64 = 1 << 30;
/// Each client and each call to a worker takes a descriptor.
const DESCRIPTORS_MIN: u64 = 4096;

pub(super) async fn all(loaded: &Loaded) -> Vec<Finding> {
    let settings = &loaded.settings;
    let running = Server::of(&settings.data_dir).ok().flatten();
    let mut findings = vec![configuration(loaded)];
    findings.extend(
        settings.warnings.iter().map(|warning| {
            Finding::doubtful("config", warning, "docs/config.md explains every key")
        }),
    );
    findings.push(match &running {
        Some(server) => Finding::good("server", format!("runs as process {}", server.pid)),
        None => doors(settings).await,
    });
    findings.push(folder(&settings.data_dir));
    findings.push(store(settings, running.is_some()).await);
    findings.extend([processor(), memory(), descriptors()].into_iter().flatten());
    findings.extend(python(settings).await);
    findings.extend(gpus(settings).await);
    findings
}

fn configuration(loaded: &Loaded) -> Finding {
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    let count = loaded.settings.models.values().filter(|model| model.enabled).count();
    let from = file.unwrap_or_else(|| "no file: the defaults are served".into());
    Finding::good("config", format!("{from}; {count} models are switched on"))
}

async fn doors(settings: &Settings) -> Finding {
    match listen::open(&settings.server.listen).await {
        Ok(doors) => {
            let free: Vec<_> = doors.iter().map(|door| door.address.to_string()).collect();
            Finding::good("address", format!("{} is free", free.join(" and ")))
        }
        Err(error) => Finding::bad("address", types::chain(&error), error.hint()),
    }
}

/// The data folder, and room on its disk.
fn folder(path: &Path) -> Finding {
    let shown = path.display();
    // It need not be there yet; then its parent decides.
    let Some(there) = path.ancestors().find(|part| part.is_dir()) else {
        return Finding::bad("data", format!("{shown} has no parent"), "set MODELYARD_DATA_DIR");
    };
    if let Err(error) = tempfile::tempfile_in(there) {
        let told = format!("{} cannot be written: {error}", there.display());
        return Finding::bad(
            "data",
            told,
            "give this user the right to, or set MODELYARD_DATA_DIR",
        );
    }
    match statvfs(there) {
        Ok(disk) => {
            let free = disk.blocks_available() * disk.fragment_size();
            let told = format!("{shown}, {} free", size(free));
            if free < DISK_MIN {
                return Finding::doubtful("data", told, "make room, or set MODELYARD_DATA_DIR");
            }
            Finding::good("data", told)
        }
        Err(_) => Finding::good("data", shown.to_string()),
    }
}

async fn store(settings: &Settings, runs: bool) -> Finding {
    if settings.store.url.is_none() {
        let path = &settings.store.path;
        let told = format!("tasks are kept in {}", path.display());
        if runs || !path.exists() {
            return Finding::good("store", told);
        }
    }
    match store_room::examine(settings).await {
        Ok(report) if report.is_sound() => {
            let tasks: u64 = report.tasks.values().sum();
            Finding::good(
                "store",
                format!("{} ({}) holds {tasks} tasks", report.store, report.engine),
            )
        }
        Ok(report) => {
            let told = format!("{} has {} problems", report.store, report.problems_found);
            Finding::bad("store", told, "`modelyard store check` names each and what to do")
        }
        Err(error) => {
            Finding::bad("store", types::chain(&error), "docs/operations.md says what it needs")
        }
    }
}

fn processor() -> Option<Finding> {
    let (cores, best) = (thread::available_parallelism().ok()?, Isa::best());
    let told = format!("{cores} processors; language models use {best}");
    Some(match best {
        Isa::Amx | Isa::Avx512 => Finding::good("processor", told),
        Isa::Avx2 => Finding::doubtful(
            "processor",
            told,
            "with AVX-512 or AMX they would be several times as fast",
        ),
        Isa::Portable => Finding::doubtful(
            "processor",
            told,
            "plain code is slow; use a processor with AVX2 at least, or an API elsewhere",
        ),
    })
}

fn memory() -> Option<Finding> {
    let table = fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = meminfo(&table, "MemAvailable")?;
    let told = format!("{} of {} available", size(bytes), size(meminfo(&table, "MemTotal")?));
    Some(if bytes < MEMORY_MIN {
        Finding::doubtful("memory", told, "a language model needs its weights and some more")
    } else {
        Finding::good("memory", told)
    })
}

/// `MemAvailable:   123 kB`
fn meminfo(table: &str, name: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

fn descriptors() -> Option<Finding> {
    let limit = limits::raise_descriptors()?;
    let told = format!("{limit} files and connections may be open");
    Some(if limit < DESCRIPTORS_MIN {
        let remedy = "raise it: `ulimit -Hn 65536`, or LimitNOFILE= of the systemd unit";
        Finding::doubtful("limits", told, remedy)
    } else {
        Finding::good("limits", told)
    })
}

/// One line for each interpreter that models need.
async fn python(settings: &Settings) -> Vec<Finding> {
    let finder = PythonFinder::default();
    let mut findings = Vec::new();
    for (name, model) in &settings.models {
        if !model.enabled || model.kind != ModelKind::Python {
            continue;
        }
        let search = PythonSearch {
            model: model.python.clone(),
            workers: settings.workers.python.clone(),
            beside: Some(settings.config_dir.clone()),
        };
        findings.push(match finder.find(&search).await {
            Ok(python) => Finding::good("python", format!("{name} runs on {}", python.display())),
            Err(missing) => Finding::bad(
                "python",
                format!("{name} does not run: {missing}"),
                "`pip install modelyard` there, or set `python` of the model",
            ),
        });
    }
    findings
}

async fn gpus(settings: &Settings) -> Option<Finding> {
    let wanting = settings.models.iter().filter(|(_, model)| model.enabled && model.num_gpus > 0.0);
    let wanting: Vec<_> = wanting.map(|(name, _)| name.as_str()).collect();
    let found = match &settings.workers.gpus {
        Some(named) => named.clone(),
        None => discover().await,
    };
    match (wanting.is_empty(), found.is_empty()) {
        (true, true) => None,
        (false, true) => Some(Finding::bad(
            "gpus",
            format!("none was found, and {} want some", wanting.join(", ")),
            "install the driver so that `nvidia-smi` lists them, or set `num_gpus = 0`",
        )),
        (_, false) => Some(Finding::good("gpus", found.join(", "))),
    }
}

/// Bytes as a person says them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_memory_are_read() {
        let table = "MemTotal:  2048 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(meminfo(table, "MemAvailable"), Some(1 << 20));
        assert_eq!(meminfo(table, "Mem"), None);
    }

    #[test]
    fn sizes_are_told_in_units_of_people() {
        assert_eq!(size(12_345_678), "12 MB");
        assert_eq!(size(16_500_000_000), "16.5 GB");
    }
}
