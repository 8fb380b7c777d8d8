//! Calls that are given to the code together.

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::OnceLock, time::Instant};

use futures_util::FutureExt;
use parking_lot::Mutex;
use policy::batch::{BatchLimits, Batcher, Waiting};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use types::{ErrorCode, Fault};

use crate::{Answer, Handler, Incoming, Running, call, json};

/// Calls on their way into a batch, in batches. Those beyond wait outside, and cost nothing but
/// their place in the worker.
const BATCHES_WAITING_MAX: usize = 4;

/// A handler that gathers calls and gives their bodies, JSON of the type `T`, to `function`
/// together. The function answers each on its own, in the same order. One batch runs at a time;
/// the next fills up meanwhile. A batch ends when all its callers have left.
pub fn batched<T, R, F, A>(limits: BatchLimits, waiting: Waiting, function: F) -> impl Handler
where
    T: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    F: FnMut(Vec<T>) -> A + Send + 'static,
    A: Future<Output = Vec<Result<R, Fault>>> + Send + 'static,
{
    let queue = limits.size_max.get().saturating_mul(BATCHES_WAITING_MAX);
    let (arrivals, arriving) = mpsc::channel(queue);
    let batcher = Batcher::new(limits, waiting);
    let life = BatchLoop { arriving, batcher, function }.run();
    Batched { arrivals, unborn: Mutex::new(Some(Box::pin(life))), life: OnceLock::new() }
}

/// One call that waits for its batch.
struct Item<T, R> {
    value: T,
    arrived: Instant,
    running: Running,
    reply: oneshot::Sender<Result<R, Fault>>,
}

/// The handler: hands items to the loop.
struct Batched<T, R> {
    arrivals: mpsc::Sender<Item<T, R>>,
    /// The loop before the first call: a handler may be made where no runtime is.
    unborn: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    /// The loop ends with its handler.
    life: OnceLock<AbortOnDropHandle<()>>,
}

impl<T, R> Handler for Batched<T, R>
where
    T: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
{
    fn call(&self, mut incoming: Incoming) -> Answer {
        if let Some(life) = self.unborn.lock().take() {
            let _ = self.life.set(AbortOnDropHandle::new(tokio::spawn(life)));
        }
        let arrivals = self.arrivals.clone();
        Box::pin(async move {
            let value = json::read(&mut incoming).await?;
            let (reply, replied) = oneshot::channel();
            let running = incoming.running;
            let item = Item { value, arrived: Instant::now(), running, reply };
            arrivals.send(item).await.map_err(|_| ended())?;
            json::answer(&replied.await.map_err(|_| ended())??)
        })
    }

    fn queues(&self) -> bool {
        true
    }
}

/// Only seen by a call that is being cancelled.
fn ended() -> Fault {
    Fault::new(ErrorCode::HandlerFailed, "the batch has ended")
}

/// The owner of the batch that fills up.
struct BatchLoop<T, R, F> {
    arriving: mpsc::Receiver<Item<T, R>>,
    batcher: Batcher<Item<T, R>>,
    function: F,
}

impl<T, R, F, A> BatchLoop<T, R, F>
where
    F: FnMut(Vec<T>) -> A,
    A: Future<Output = Vec<Result<R, Fault>>>,
{
    async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            let (values, members) = begin(batch);
            if values.is_empty() {
                continue;
            }
            let function = &mut self.function;
            let work = AssertUnwindSafe(async move { function(values).await }).catch_unwind();
            tokio::select! {
                biased;
                results = work => match results {
                    Ok(results) => reply(members, results),
                    Err(panic) => {
                        let fault = call::panicked(&*panic);
                        fail(members, fault.code, &fault.detail);
                    }
                },
                () = all_left(&members) => {}
            }
        }
    }

    /// The next batch, closed; `None` when the handler is gone. What came during the batch before
    /// has waited since it came.
    async fn next_batch(&mut self) -> Option<Vec<Item<T, R>>> {
        loop {
            let deadline = self.batcher.deadline();
            tokio::select! {
                biased;
                item = self.arriving.recv() => {
                    let item = item?;
                    let arrived = item.arrived;
                    if let Some(full) = self.batcher.push(item, arrived) {
                        return Some(full);
                    }
                }
                () = call::until(deadline) => {
                    if let Some(due) = self.batcher.due(Instant::now()) {
                        return Some(due);
                    }
                }
            }
        }
    }
}

/// A call whose value was given to the code.
struct Member<R> {
    running: Running,
    reply: oneshot::Sender<Result<R, Fault>>,
}

/// Begins every call that still waits.
fn begin<T, R>(batch: Vec<Item<T, R>>) -> (Vec<T>, Vec<Member<R>>) {
    let staying = batch.into_iter().filter(|item| item.running.begin());
    staying.map(|item| (item.value, Member { running: item.running, reply: item.reply })).unzip()
}

async fn all_left<R>(members: &[Member<R>]) {
    for member in members {
        member.running.cancelled().await;
    }
}

fn reply<R>(members: Vec<Member<R>>, results: Vec<Result<R, Fault>>) {
    if results.len() != members.len() {
        let detail = format!("{} calls were given {} answers", members.len(), results.len());
        return fail(members, ErrorCode::HandlerFailed, &detail);
    }
    for (member, result) in members.into_iter().zip(results) {
        member.give(result);
    }
}

fn fail<R>(members: Vec<Member<R>>, code: ErrorCode, detail: &str) {
    for member in members {
        member.give(Err(Fault::new(code, detail.to_owned())));
    }
}

impl<R> Member<R> {
    fn give(self, result: Result<R, Fault>) {
        // The place must be free before the answer goes.
        drop(self.running);
        // A caller that left wants no answer.
        let _ = self.reply.send(result);
    }
}
