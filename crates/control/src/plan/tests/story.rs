//! How the stories are read and acted.

use std::time::{Duration, Instant};

use api::worker::{EXIT_LATER, EXIT_NEVER};
use deploy::{Exit, ExitCause, LaunchId};
use types::WorkerId;

use super::super::{Keeper, Outlook, Refusal, Seen, Standing, Step, Wanted};

#[track_caller]
pub(super) fn check(workers: u32, lines: &str) {
    let mut story = Story::new(workers);
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        story.line(line);
    }
}

pub(super) fn wanted(workers: u32) -> Wanted {
    Wanted {
        workers,
        generation: 1,
        start_timeout: Duration::from_secs(10),
        rejoin_timeout: Duration::from_secs(3),
        drain_grace: Duration::from_secs(60),
    }
}

pub(super) struct Story {
    pub(super) keeper: Keeper,
    seen: Vec<Seen>,
    names: Vec<LaunchId>,
    now: Instant,
    draws: u64,
}

impl Story {
    pub(super) fn new(workers: u32) -> Self {
        Self {
            keeper: Keeper::new("m".parse().unwrap(), wanted(workers)),
            seen: Vec::new(),
            names: Vec::new(),
            now: Instant::now(),
            draws: 0,
        }
    }

    #[track_caller]
    pub(super) fn line(&mut self, line: &str) {
        let (event, expected) = line.split_once("=>").expect("an arrow");
        let (steps, outlook) = expected.split_once('|').expect("an outlook");
        self.happen(event.trim());
        let (told_steps, told_outlook) = self.plan();
        let word = match told_outlook {
            Outlook::Starting => "starting",
            Outlook::Ready => "ready",
            Outlook::Failing { .. } => "failing",
        };
        assert_eq!((told_steps.as_str(), word), (steps.trim(), outlook.trim()), "in `{line}`");
    }

    /// Plans, does what the plan says, and tells the steps.
    pub(super) fn plan(&mut self) -> (String, Outlook) {
        let mut draw = || {
            self.draws += 1;
            self.draws << 16
        };
        let plan = self.keeper.plan(&self.seen, self.now, &mut draw);
        assert!(plan.wake_at.is_none_or(|at| at > self.now), "a plan never asks to plan at once");
        let told: Vec<_> = plan.steps.into_iter().map(|step| self.perform(step)).collect();
        (told.join(", "), plan.outlook)
    }

    fn perform(&mut self, step: Step) -> String {
        match step {
            Step::Start { launch, generation } => {
                self.names.push(launch.clone());
                let standing = Standing::Unregistered;
                let told = format!("start {}", self.name(&launch));
                self.seen.push(Seen { launch, generation, started: self.now, standing });
                told
            }
            Step::Retire { launch, grace, .. } => {
                let told = format!("retire {} in {}s", self.name(&launch), grace.as_secs());
                self.stand(&launch, Standing::Retiring);
                told
            }
        }
    }

    pub(super) fn happen(&mut self, event: &str) {
        let (verb, object) = event.split_once(' ').unwrap_or((event, ""));
        let worker = WorkerId::new(uuid_of(object));
        match verb {
            "look" => {}
            "after" => {
                let seconds = object.trim_end_matches('s').parse().expect("seconds");
                self.now += Duration::from_secs(seconds);
            }
            "restart" => {
                let wanted = self.keeper.wanted().clone();
                self.keeper.want(Wanted { generation: wanted.generation + 1, ..wanted });
            }
            "again" => self.keeper.try_again(),
            "workers" => {
                let workers = object.parse().expect("a number");
                self.keeper.want(Wanted { workers, ..self.keeper.wanted().clone() });
            }
            "ready" => self.stand(&self.launch(object), Standing::Ready(worker)),
            "stuck" => self.stand(&self.launch(object), Standing::Stuck(worker)),
            "drained" => self.stand(&self.launch(object), Standing::Draining(worker)),
            "lost" => self.stand(&self.launch(object), Standing::Unregistered),
            "launching" => self.stand(&self.launch(object), Standing::Launching),
            "ended" | "later" | "never" => {
                let last_lines = vec![format!("ImportError: no {object}")];
                let status = match verb {
                    "never" => EXIT_NEVER,
                    "later" => EXIT_LATER,
                    _ => 1,
                };
                let exit = Exit { cause: ExitCause::Code(status.into()), last_lines };
                self.stand(&self.launch(object), Standing::Ended(exit));
            }
            "refused" | "no-room" => {
                let refusal = Refusal { reason: "no".into(), no_room: verb == "no-room" };
                let launch = self.launch(object);
                self.keeper.refused(&launch, refusal, self.now);
                self.seen.retain(|seen| seen.launch != launch);
            }
            "gone" => {
                let launch = self.launch(object);
                self.seen.retain(|seen| seen.launch != launch);
            }
            other => panic!("`{other}` is no event"),
        }
    }

    fn stand(&mut self, launch: &LaunchId, standing: Standing) {
        let seen = self.seen.iter_mut().find(|seen| seen.launch == *launch);
        seen.expect("a process that is seen").standing = standing;
    }

    /// `a` is the first process that was started, `b` the second.
    fn launch(&self, name: &str) -> LaunchId {
        let index = name.bytes().next().expect("a name") - b'a';
        self.names[usize::from(index)].clone()
    }

    fn name(&self, launch: &LaunchId) -> char {
        let index = self.names.iter().position(|known| known == launch).expect("a known launch");
        char::from(b'a' + u8::try_from(index).expect("few processes"))
    }
}

fn uuid_of(name: &str) -> uuid::Uuid {
    uuid::Uuid::from_u128(name.bytes().map(u128::from).sum())
}
