//! Which GPUs this machine has.

use std::{env, ffi::OsStr, fs, path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time};

/// `nvidia-smi` loads the driver when nobody else has, which takes seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names the devices that may be handed out: those that our own `CUDA_VISIBLE_DEVICES` allows, else
/// those that the driver tells of. None on a machine without NVIDIA GPUs.
///
/// # Cancel safety
/// Reads only; dropping it ends the question to the driver.
pub async fn discover() -> Vec<String> {
    if let Ok(allowed) = env::var("CUDA_VISIBLE_DEVICES") {
        return parse_visible(&allowed);
    }
    match ask_driver("nvidia-smi".as_ref()).await {
        Some(listing) => parse_listing(&listing),
        None => count_up(Path::new("/proc/driver/nvidia/gpus")),
    }
}

async fn ask_driver(program: &OsStr) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("-L").stdin(Stdio::null()).kill_on_drop(true);
    let output = time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn parse_visible(value: &str) -> Vec<String> {
    // As CUDA reads it: the first `-1` ends the list.
    let ids = value.split(',').map(str::trim);
    ids.take_while(|id| !id.is_empty() && *id != "-1").map(str::to_owned).collect()
}

/// Reads `nvidia-smi -L`. A GPU that is cut into MIG devices is used through those.
fn parse_listing(listing: &str) -> Vec<String> {
    let mut devices: Vec<String> = Vec::new();
    let mut whole_gpu_is_last = false;
    for line in listing.lines() {
        if let Some(rest) = line.strip_prefix("GPU ") {
            devices.extend(rest.split(':').next().map(str::to_owned));
            whole_gpu_is_last = true;
        } else if let Some((_, uuid)) = line.split_once("(UUID: MIG-") {
            if std::mem::take(&mut whole_gpu_is_last) {
                devices.pop();
            }
            devices.push(format!("MIG-{}", uuid.trim_end().trim_end_matches(')')));
        }
    }
    devices
}

/// One folder for each GPU; CUDA numbers them from 0.
fn count_up(folder: &Path) -> Vec<String> {
    let count = fs::read_dir(folder).map_or(0, Iterator::count);
    (0..count).map(|index| index.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_numbered_as_the_driver_lists_them() {
        let listing = "GPU 0: NVIDIA H200 (UUID: GPU-1a)\nGPU 1: NVIDIA H200 (UUID: GPU-2b)\n";
        assert_eq!(parse_listing(listing), ["0", "1"]);
        assert_eq!(parse_listing("No devices found.\n"), Vec::<String>::new());
    }

    #[test]
    fn a_gpu_in_slices_is_used_by_the_slice() {
        let listing = "GPU 0: NVIDIA A100 (UUID: GPU-1a)\n\
            \x20 MIG 1g.5gb      Device  0: (UUID: MIG-aa)\n\
            \x20 MIG 1g.5gb      Device  1: (UUID: MIG-bb)\n\
            GPU 1: NVIDIA A100 (UUID: GPU-2b)\n";
        assert_eq!(parse_listing(listing), ["MIG-aa", "MIG-bb", "1"]);
    }

    #[test]
    fn our_own_limits_are_handed_down() {
        assert_eq!(parse_visible("2, 3"), ["2", "3"]);
        assert_eq!(parse_visible("GPU-1a,-1,4"), ["GPU-1a"]);
        assert_eq!(parse_visible(""), Vec::<String>::new());
    }

    #[test]
    fn without_the_drivers_tool_its_folders_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("0000:01:00.0")).unwrap();
        fs::create_dir(folder.path().join("0000:02:00.0")).unwrap();
        assert_eq!(count_up(folder.path()), ["0", "1"]);
        assert_eq!(count_up(&folder.path().join("missing")), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_missing_tool_is_no_error() {
        assert_eq!(ask_driver("/no/such/nvidia-smi".as_ref()).await, None);
    }
}
