//! The world: what happens next is drawn, done to the stores, and held against what clients know.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use policy::random::SplitMix64;
use store::{
    Cancelled, Fence, Finished, Lease, NewTask, Outcome, Replayed, StoredAnswer, Submitted,
    TaskStore,
    conformance::{START, keyed, model, new_task, raised, retries},
};
use types::{Priority, TaskId, Timestamp};
use uuid::Uuid;

use super::{Database, ledger::Ledger, server::Server};

/// What happens in one world before it is healed.
const DEEDS: u32 = 400;

/// Everything is read again after so many deeds.
const READ_EVERY: u32 = 40;

pub(super) struct World {
    seed: u64,
    chance: SplitMix64,
    now: Timestamp,
    database: Arc<dyn Database>,
    /// How many servers share the database; one alone takes over what ran before it.
    size: usize,
    servers: Vec<Server>,
    /// Servers that were given up and go on.
    ghosts: Vec<Server>,
    ledger: Ledger,
    history: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64, size: usize, database: Arc<dyn Database>) -> Self {
        let (servers, ghosts, history) = (Vec::new(), Vec::new(), Vec::new());
        let chance = SplitMix64::new(seed);
        let ledger = Ledger::default();
        Self { seed, chance, now: START, database, size, servers, ghosts, ledger, history }
    }

    /// From the first server to the last answer.
    pub(super) async fn live(&mut self) {
        for _ in 0..self.size {
            let store = self.database.open(None).await;
            self.servers.push(Server::new(store));
        }
        for deed in 0..DEEDS {
            self.act().await;
            if deed % READ_EVERY == 0 {
                self.read_all().await;
            }
        }
        self.heal().await;
    }

    /// For whoever looks for the cause of a failure.
    pub(super) fn history(&self) -> String {
        let Self { seed, size, history, .. } = self;
        format!("the world of seed {seed} with {size} servers:\n  {}", history.join("\n  "))
    }

    async fn act(&mut self) {
        match self.draw(36) {
            0..6 => self.submit().await,
            6..14 => self.claim().await,
            14..22 => self.finish().await,
            22..24 => self.renew().await,
            24..27 => self.sweep().await,
            27 => self.cancel().await,
            28 => self.replay().await,
            29..33 => self.wait(),
            33 => self.set_clock(),
            34 => self.crash().await,
            _ => self.haunt().await,
        }
    }

    async fn submit(&mut self) {
        let mut task = self.new_task();
        // Few keys, so that they meet.
        if self.draw(3) == 0 {
            let key = self.draw(12).to_string();
            task = keyed(task, &key);
        }
        let server = self.any_server();
        // The client hears nothing and asks again; without a key that may not be noticed.
        let tries = if task.idempotency.is_some() { 1 + self.draw(2) } else { 1 };
        for _ in 0..tries {
            let id = task.id;
            match self.servers[server].store.submit(task.clone()).await.unwrap() {
                Submitted::New => self.ledger.acknowledged(id),
                Submitted::Existing(record) => self.ledger.read_again(&record),
                Submitted::Conflict { .. } => panic!("all requests are the same"),
                Submitted::Full => panic!("there is no such limit"),
            }
            self.note(format!("submit {id}"));
        }
    }

    fn new_task(&mut self) -> NewTask {
        let id = TaskId::new(Uuid::from_u64_pair(self.seed, self.draw(u64::MAX)));
        let class = [Priority::Low, Priority::Normal, Priority::High][self.draw(3) as usize];
        let attempts = 1 + self.draw(4) as u32;
        let later = |ms: u64| self.now.after(Duration::from_millis(ms));
        let (delayed, late) = (later(200), later(800));
        NewTask {
            id,
            priority: class,
            retry: retries(attempts),
            not_before: (self.draw(5) == 0).then_some(delayed),
            deadline: (self.draw(5) == 0).then_some(late),
            created: self.now,
            // Nothing is forgotten while a world lives, however wrong a clock is.
            keep_for: Duration::from_secs(24 * 3600),
            ..new_task()
        }
    }

    async fn claim(&mut self) {
        let (at, limit) = (self.any_server(), 1 + self.draw(3) as usize);
        let server = &mut self.servers[at];
        let (clock, lease) = (server.clock(self.now), server.lease(self.now));
        let claimed = server.store.claim(&model(), limit, lease, clock).await.unwrap();
        for record in claimed {
            self.servers[at].runs.extend(record.fence());
            self.ledger.claimed(&record);
            self.note(format!("server {at} claims {} {}", record.id, record.standing.attempt));
        }
    }

    /// An attempt ends, and its server may have to say so twice.
    async fn finish(&mut self) {
        let at = self.any_server();
        let Some(fence) = self.take_run(at) else { return };
        let outcome = self.outcome(&fence);
        let first = self.end(at, fence, &outcome).await;
        // The answer was lost. A second try may tell either, but it must change nothing.
        if self.draw(4) == 0 {
            let clock = self.servers[at].clock(self.now);
            let store = self.servers[at].store.clone();
            let again = store.finish(fence, outcome.clone(), clock).await.unwrap();
            assert!(again == Finished::Fenced || again == first, "{again:?} after {first:?}");
        }
        self.read(fence.id).await;
    }

    async fn end(&mut self, at: usize, fence: Fence, outcome: &Outcome) -> Finished {
        let clock = self.servers[at].clock(self.now);
        let store = self.servers[at].store.clone();
        let how = store.finish(fence, outcome.clone(), clock).await.unwrap();
        self.note(format!("server {at} ends {} {}: {how:?}", fence.id, fence.attempt));
        self.ledger.finished(fence.id, fence.attempt, outcome, how);
        how
    }

    fn outcome(&mut self, fence: &Fence) -> Outcome {
        match self.draw(8) {
            0 => Outcome::Failed(raised()),
            1 | 2 => Outcome::Retry(raised()),
            3 => Outcome::NotBegun { error: raised(), not_before: self.now },
            // No two attempts answer the same.
            _ => answer(fence),
        }
    }

    async fn renew(&mut self) {
        let at = self.any_server();
        let Some(fence) = self.take_run(at) else { return };
        let server = &mut self.servers[at];
        let (clock, lease) = (server.clock(self.now), server.lease(self.now));
        let held = server.store.renew(fence, lease, None, clock).await.unwrap();
        if held == Lease::Held {
            server.runs.push(fence);
        }
        self.note(format!("server {at} renews {} {}: {held:?}", fence.id, fence.attempt));
    }

    async fn sweep(&mut self) {
        let at = self.any_server();
        let server = &self.servers[at];
        let swept = server.store.sweep(server.clock(self.now), 8).await.unwrap();
        assert_eq!(swept.removed, 0, "nothing is old enough");
        for change in &swept.changed {
            self.read(change.id).await;
        }
        self.note(format!("server {at} sweeps {}", swept.changed.len()));
    }

    async fn cancel(&mut self) {
        let (at, Some(id)) = (self.any_server(), self.any_task()) else { return };
        let server = &self.servers[at];
        let how = server.store.cancel(id, server.clock(self.now)).await.unwrap();
        assert_ne!(how, Cancelled::Unknown, "{id} was acknowledged");
        self.note(format!("server {at} cancels {id}: {how:?}"));
        self.read(id).await;
    }

    async fn replay(&mut self) {
        let (at, Some(id)) = (self.any_server(), self.any_task()) else { return };
        let server = &self.servers[at];
        let how = server.store.replay(id, server.clock(self.now)).await.unwrap();
        if how == Replayed::Queued {
            self.ledger.replayed(id);
        }
        self.note(format!("server {at} replays {id}: {how:?}"));
    }

    fn wait(&mut self) {
        let ms = if self.draw(10) == 0 { 2000 } else { 1 + self.draw(100) };
        self.now = self.now.after(Duration::from_millis(ms));
        self.note(format!("{ms} ms pass"));
    }

    fn set_clock(&mut self) {
        let at = self.any_server();
        self.servers[at].set_clock(|bound| self.chance.below(bound));
        self.note(format!("the clock of server {at} jumps"));
    }

    /// A server dies; another takes its place, and what it ran goes on without it or not at all.
    async fn crash(&mut self) {
        let at = self.any_server();
        let store = self.database.open(Some(self.servers[at].store.clone())).await;
        let dead = std::mem::replace(&mut self.servers[at], Server::new(store));
        if self.size == 1 {
            self.servers[at].store.recover(self.now).await.unwrap();
        }
        if self.database.lets_ghosts_in() && self.draw(2) == 0 {
            self.ghosts.push(dead);
        }
        self.note(format!("server {at} dies"));
    }

    /// A server that was given up says how its attempts ended.
    async fn haunt(&mut self) {
        let Some(mut ghost) = self.ghosts.pop() else { return };
        for fence in std::mem::take(&mut ghost.runs) {
            let outcome = answer(&fence);
            let clock = ghost.clock(self.now);
            let how = ghost.store.finish(fence, outcome.clone(), clock).await.unwrap();
            self.note(format!("a ghost ends {} {}: {how:?}", fence.id, fence.attempt));
            self.ledger.finished(fence.id, fence.attempt, &outcome, how);
            self.read(fence.id).await;
        }
    }

    /// No faults any more: everything comes to its end.
    async fn heal(&mut self) {
        let store = self.database.open(self.servers.pop().map(|server| server.store)).await;
        self.servers = vec![Server::new(store.clone())];
        self.note("the world is healed".into());
        // Leases that a clock ahead of time has given end too.
        self.now = self.now.after(Duration::from_secs(10));
        store.recover(self.now).await.unwrap();
        for _ in 0..10_000 {
            for record in store.claim(&model(), 1000, self.later(), self.now).await.unwrap() {
                self.ledger.claimed(&record);
                let fence = record.fence().unwrap();
                self.end(0, fence, &answer(&fence)).await;
            }
            let swept = store.sweep(self.now, 100).await.unwrap();
            if swept.changed.is_empty() && self.waiting(&*store).await == 0 {
                break;
            }
            self.now = self.later();
        }
        self.read_all().await;
        self.ledger.check_all_ended();
    }

    async fn waiting(&self, store: &dyn TaskStore) -> u64 {
        let stats = store.stats().await.unwrap();
        let all: u64 = stats.iter().flat_map(|of| of.counts).sum();
        assert_eq!(all, self.ledger.ids().len() as u64, "every task is counted once");
        stats.iter().map(|of| of.counts[0] + of.counts[1]).sum()
    }

    fn later(&self) -> Timestamp {
        self.now.after(Duration::from_millis(500))
    }

    async fn read_all(&mut self) {
        for id in self.ledger.ids().collect::<Vec<_>>() {
            self.read(id).await;
        }
    }

    async fn read(&mut self, id: TaskId) {
        let found = self.servers[0].store.get(id).await.unwrap();
        self.ledger.read(id, found);
    }

    fn take_run(&mut self, at: usize) -> Option<Fence> {
        let runs = self.servers[at].runs.len();
        let taken = self.draw(runs as u64) as usize;
        (runs > 0).then(|| self.servers[at].runs.swap_remove(taken))
    }

    fn any_server(&mut self) -> usize {
        self.draw(self.size as u64) as usize
    }

    fn any_task(&mut self) -> Option<TaskId> {
        let known = self.ledger.ids().len() as u64;
        let place = self.draw(known) as usize;
        self.ledger.ids().nth(place)
    }

    fn draw(&mut self, bound: u64) -> u64 {
        self.chance.below(bound)
    }

    fn note(&mut self, line: String) {
        self.history.push(line);
    }
}

fn answer(fence: &Fence) -> Outcome {
    let body = format!("[{},{}]", fence.owner.0, fence.attempt);
    Outcome::Completed(StoredAnswer { content_type: None, body: Bytes::from(body) })
}
