//! What every [`Deployer`] promises, told as stories. A new one is done when these pass, and a new
//! promise is added here, never in one deployer's own tests.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use tokio::time;

use crate::{DeployError, Deployer, Exit, ExitCause, LaunchId, Process, ProcessSpec, ProcessState};

/// Far longer than anything here takes; a test that needs it has failed.
const LONG: Duration = Duration::from_secs(30);

/// Runs each promise against the deployer that `$open` gives.
macro_rules! deployer_conformance {
    ($place:ident, $open:expr) => {
        mod $place {
            use super::*;
            crate::conformance::deployer_conformance!(@each $open,
                a_process_is_listed_from_its_start_until_it_is_stopped
                a_process_that_ends_stays_listed_with_its_reason
                a_stop_takes_what_has_ended_off_the_list
                a_gentle_stop_lets_the_process_tidy_up
                a_process_that_does_not_listen_is_killed_after_the_grace
                a_second_stop_can_bring_the_end_forward
                stopping_what_is_unknown_is_no_error
                a_launch_id_is_used_once
                the_process_gets_its_environment_and_its_directory
                ending_one_process_leaves_the_others_alone
            );
        }
    };
    (@each $open:expr, $($promise:ident)*) => {$(
        #[tokio::test]
        async fn $promise() {
            let deployer = $open;
            crate::conformance::$promise(&deployer).await;
        }
    )*};
}
pub(crate) use deployer_conformance;

pub(crate) async fn a_process_is_listed_from_its_start_until_it_is_stopped(place: &impl Deployer) {
    place.start(shell("a", "sleep 1000")).await.unwrap();
    let listed = place.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].launch.as_str(), listed[0].model.as_str()), ("a", "model"));
    assert_eq!(listed[0].generation, 7);
    assert!(matches!(listed[0].state, ProcessState::Running { .. }));

    place.stop(&listed[0].launch, LONG).await.unwrap();
    assert_eq!(place.list().await.unwrap(), []);
}

pub(crate) async fn a_process_that_ends_stays_listed_with_its_reason(place: &impl Deployer) {
    place.start(shell("a", "echo out; echo err >&2; exit 3")).await.unwrap();
    let mut exit = end_of(place, "a").await;
    // The order between the two streams is not known.
    exit.last_lines.sort();
    let last_lines = vec!["err".to_owned(), "out".to_owned()];
    assert_eq!(exit, Exit { cause: ExitCause::Code(3), last_lines });

    place.start(shell("b", "kill -9 $$")).await.unwrap();
    assert_eq!(end_of(place, "b").await.cause, ExitCause::Signal(9));
}

pub(crate) async fn a_stop_takes_what_has_ended_off_the_list(place: &impl Deployer) {
    place.start(shell("a", "exit 0")).await.unwrap();
    end_of(place, "a").await;
    place.stop(&LaunchId::new("a"), LONG).await.unwrap();
    assert_eq!(place.list().await.unwrap(), []);
}

pub(crate) async fn a_gentle_stop_lets_the_process_tidy_up(place: &impl Deployer) {
    let folder = tempfile::tempdir().unwrap();
    let traps = "trap 'echo tidy > tidied; exit 0' TERM; touch ready; while :; do sleep 0.01; done";
    place.start(within(folder.path(), shell("a", traps))).await.unwrap();
    appearance_of(&folder.path().join("ready")).await;
    place.stop(&LaunchId::new("a"), LONG).await.unwrap();
    assert!(folder.path().join("tidied").exists());
}

pub(crate) async fn a_process_that_does_not_listen_is_killed_after_the_grace(
    place: &impl Deployer,
) {
    let folder = tempfile::tempdir().unwrap();
    place.start(within(folder.path(), shell("a", DEAF))).await.unwrap();
    appearance_of(&folder.path().join("ready")).await;
    let launch = LaunchId::new("a");
    let stop = place.stop(&launch, Duration::from_millis(50));
    time::timeout(LONG, stop).await.expect("it is killed").unwrap();
    assert_eq!(place.list().await.unwrap(), []);
}

pub(crate) async fn a_second_stop_can_bring_the_end_forward(place: &impl Deployer) {
    let folder = tempfile::tempdir().unwrap();
    place.start(within(folder.path(), shell("a", DEAF))).await.unwrap();
    appearance_of(&folder.path().join("ready")).await;
    let launch = LaunchId::new("a");
    let both = async {
        tokio::join!(place.stop(&launch, Duration::MAX), place.stop(&launch, Duration::ZERO))
    };
    let (patient, hasty) = time::timeout(LONG, both).await.expect("the hasty one ends both");
    patient.unwrap();
    hasty.unwrap();
}

pub(crate) async fn stopping_what_is_unknown_is_no_error(place: &impl Deployer) {
    place.stop(&LaunchId::new("never-started"), LONG).await.unwrap();
}

pub(crate) async fn a_launch_id_is_used_once(place: &impl Deployer) {
    place.start(shell("a", "sleep 1000")).await.unwrap();
    let again = place.start(shell("a", "sleep 1000")).await.unwrap_err();
    assert!(matches!(again, DeployError::LaunchInUse(launch) if launch.as_str() == "a"));
    assert_eq!(place.list().await.unwrap().len(), 1);
}

pub(crate) async fn the_process_gets_its_environment_and_its_directory(place: &impl Deployer) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("note"), "from the directory").unwrap();
    let mut process = within(folder.path(), shell("a", "cat note; echo; echo $GREETING"));
    process.env.insert("GREETING".into(), "from the environment".into());
    place.start(process).await.unwrap();
    let lines = end_of(place, "a").await.last_lines;
    assert_eq!(lines, ["from the directory", "from the environment"]);
}

pub(crate) async fn ending_one_process_leaves_the_others_alone(place: &impl Deployer) {
    for launch in ["a", "b", "c"] {
        place.start(shell(launch, "sleep 1000")).await.unwrap();
    }
    place.stop(&LaunchId::new("b"), LONG).await.unwrap();
    let left = place.list().await.unwrap();
    assert_eq!(left.iter().map(|left| left.launch.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert!(left.iter().all(|left| matches!(left.state, ProcessState::Running { .. })));
}

/// Does not hear the gentle stop.
const DEAF: &str = "trap '' TERM; touch ready; while :; do sleep 0.01; done";

/// A process that runs this script.
pub(crate) fn shell(launch: &str, script: &str) -> ProcessSpec {
    ProcessSpec {
        launch: LaunchId::new(launch),
        model: "model".parse().unwrap(),
        generation: 7,
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::new(),
        workdir: None,
        memory_mb_max: None,
    }
}

pub(crate) fn within(folder: &Path, process: ProcessSpec) -> ProcessSpec {
    ProcessSpec { workdir: Some(folder.to_owned()), ..process }
}

/// Waits until the process has ended by itself.
pub(crate) async fn end_of(place: &impl Deployer, launch: &str) -> Exit {
    let ended = async {
        let mut changes = place.changes();
        loop {
            changes.borrow_and_update();
            let listed = place.list().await.unwrap();
            if let Some(exit) = listed.into_iter().find_map(|process| ended_as(process, launch)) {
                return exit;
            }
            changes.changed().await.unwrap();
        }
    };
    time::timeout(LONG, ended).await.expect("the process ends")
}

fn ended_as(process: Process, launch: &str) -> Option<Exit> {
    match process.state {
        ProcessState::Ended(exit) if process.launch.as_str() == launch => Some(exit),
        _ => None,
    }
}

/// Waits until the process has made this file.
pub(crate) async fn appearance_of(path: &Path) {
    let appears = async {
        while !path.exists() {
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    time::timeout(LONG, appears).await.expect("the file appears");
}
