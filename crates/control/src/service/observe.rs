//! Puts together what the deployer runs and what the fleet has registered.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use deploy::{LaunchId, Process, ProcessState};
use fleet::{Member, ModelView, Phase};
use types::{ModelName, WorkerId};

use crate::plan::{Seen, Standing};

/// What we have begun ourselves and what neither deployer nor fleet can tell yet.
#[derive(Debug, Default)]
pub(super) struct Bearings {
    pub(super) starting: BTreeMap<LaunchId, Starting>,
    pub(super) retiring: BTreeSet<LaunchId>,
    /// Workers that do not know us, and therefore carry no launch id.
    pub(super) declared: BTreeMap<LaunchId, WorkerId>,
}

/// A start that is under way.
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) model: ModelName,
    pub(super) generation: u64,
    pub(super) since: Instant,
}

impl Bearings {
    /// Every process of one model, and where it stands.
    pub(super) fn seen(
        &self,
        model: &ModelName,
        processes: &[Process],
        view: Option<&ModelView>,
    ) -> Vec<Seen> {
        let members = view.map_or(&[][..], |view| &view.members);
        let listed =
            processes.iter().filter(|process| process.model == *model).map(|process| Seen {
                launch: process.launch.clone(),
                generation: process.generation,
                started: process.started,
                standing: self.standing(process, members),
            });
        let is_listed =
            |launch: &LaunchId| processes.iter().any(|process| process.launch == *launch);
        let launching = self
            .starting
            .iter()
            .filter(|(launch, starting)| starting.model == *model && !is_listed(launch))
            .map(|(launch, starting)| Seen {
                launch: launch.clone(),
                generation: starting.generation,
                started: starting.since,
                standing: Standing::Launching,
            });
        listed.chain(launching).collect()
    }

    fn standing(&self, process: &Process, members: &[Member]) -> Standing {
        if self.retiring.contains(&process.launch) {
            return Standing::Retiring;
        }
        if let ProcessState::Ended(exit) = &process.state {
            return Standing::Ended(exit.clone());
        }
        let declared = self.declared.get(&process.launch);
        // The last one: a worker that registered again is the newest under its launch.
        let member = members.iter().rev().find(|member| {
            let replica = &member.replica;
            replica.launch_id == process.launch.as_str() || Some(&replica.id) == declared
        });
        match member {
            None => Standing::Unregistered,
            Some(Member { replica, phase }) => match phase {
                Phase::Ready => Standing::Ready(replica.id),
                Phase::Draining => Standing::Draining(replica.id),
                Phase::Stuck => Standing::Stuck(replica.id),
            },
        }
    }
}
