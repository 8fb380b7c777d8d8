//! The thread that owns engine, model, samplers and grammars; everybody else holds a [`Handle`].

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{self as std_mpsc, SyncSender, TrySendError},
    },
    thread,
    time::Instant,
};

use api::worker::EngineStats;
use engine::{Engine, EngineConfig, ModelRunner};
use tokio::sync::{mpsc, oneshot};

use crate::{
    generation::{Generation, Item, Tokens},
    metrics::Meter,
    sample::Samplers,
    step::StepLoop,
};

/// Commands that may wait for the loop, which looks between two steps. One is sent per request, and
/// the worker's capacity bounds those long before; this bound is for everybody else.
const COMMANDS_MAX: usize = 1_024;

/// How the loop is to run.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// The limits of the engine.
    pub engine: EngineConfig,
    /// Threads that may choose tokens at once where that takes long: as many as compute.
    pub sampling_threads: usize,
}

/// What the loop is asked.
pub(crate) struct Command {
    pub(crate) generations: Vec<Generation>,
    pub(crate) arrived: Instant,
    pub(crate) events: mpsc::Sender<Item>,
    pub(crate) admitted: oneshot::Sender<Result<(), engine::Refused>>,
}

/// Why nothing was generated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The engine cannot take the request, now or ever.
    #[error(transparent)]
    Engine(#[from] engine::Refused),
    /// More requests arrive than the loop can look at.
    #[error("the engine has more requests than it can look at; try again later")]
    Busy,
    /// The loop has ended.
    #[error("the engine has stopped; its worker is about to be replaced")]
    Stopped,
}

/// Asks the loop. Cheap to clone; when the last one is gone, the loop finishes what runs and ends.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: SyncSender<Command>,
    max_model_len: usize,
    meter: Arc<Meter>,
}

/// The end of a thread that owns a model.
#[derive(Debug)]
pub struct Ending(oneshot::Receiver<Result<(), String>>);

/// Starts the loop on a thread of its own.
///
/// # Errors
/// If the system refuses a thread.
pub fn start(
    runner: Box<dyn ModelRunner>,
    settings: &ServiceSettings,
) -> Result<(Handle, Ending), io::Error> {
    let (commands, inbox) = std_mpsc::sync_channel(COMMANDS_MAX);
    let (ended, ending) = oneshot::channel();
    let meter = Arc::new(Meter::default());
    let engine = Engine::new(settings.engine);
    let samplers = Samplers::new(settings.sampling_threads)?;
    let step_loop = StepLoop::new(engine, runner, inbox, meter.clone(), samplers);
    thread::Builder::new().name("engine".into()).spawn(move || {
        // A panic takes its sequences with it: their readers see their channels close.
        let outcome = catch_unwind(AssertUnwindSafe(|| step_loop.run()));
        // Nobody may be waiting any more.
        let _ = ended.send(outcome.map_err(|panic| words_of(&*panic)));
    })?;
    let handle = Handle { commands, max_model_len: settings.engine.max_model_len, meter };
    Ok((handle, Ending::new(ending)))
}

/// What a panic said.
pub(crate) fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the engine panicked without a word").to_owned()
}

impl Handle {
    /// Asks for generations, all of them or none. They are answered in one stream.
    ///
    /// # Errors
    /// [`Refused`]; nothing of the request is kept then.
    ///
    /// # Cancel safety
    /// Dropping it takes the request back.
    pub async fn generate(&self, generations: Vec<Generation>) -> Result<Tokens, Refused> {
        let (tokens, admission) = self.send(generations)?;
        admission.await.map_err(|_| Refused::Stopped)??;
        Ok(tokens)
    }

    /// As [`Self::generate`], for a thread that may block; not for asynchronous code.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub fn blocking_generate(&self, generations: Vec<Generation>) -> Result<Tokens, Refused> {
        let (tokens, admission) = self.send(generations)?;
        admission.blocking_recv().map_err(|_| Refused::Stopped)??;
        Ok(tokens)
    }

    fn send(
        &self,
        generations: Vec<Generation>,
    ) -> Result<(Tokens, oneshot::Receiver<Result<(), engine::Refused>>), Refused> {
        let room = generations.iter().map(|generation| self.events_max(generation)).sum();
        let (events, tokens) = mpsc::channel(usize::max(room, 1));
        let (admitted, admission) = oneshot::channel();
        let command = Command { generations, arrived: Instant::now(), events, admitted };
        match self.commands.try_send(command) {
            Ok(()) => Ok((Tokens::new(tokens), admission)),
            Err(TrySendError::Full(_)) => Err(Refused::Busy),
            Err(TrySendError::Disconnected(_)) => Err(Refused::Stopped),
        }
    }

    /// Every token of every choice, and the end of each.
    fn events_max(&self, generation: &Generation) -> usize {
        let tokens_max = generation.request.max_tokens.min(self.max_model_len);
        generation.choices.len() * (tokens_max + 1)
    }

    /// Tokens of one sequence at most, prompt and answer together.
    pub const fn max_model_len(&self) -> usize {
        self.max_model_len
    }

    /// Counts from here on: what was tried before is nobody's.
    pub(crate) fn clear_stats(&self) {
        self.meter.clear();
    }

    /// What the engine has done so far.
    pub fn stats(&self) -> EngineStats {
        self.meter.stats()
    }
}

impl Ending {
    pub(crate) const fn new(ended: oneshot::Receiver<Result<(), String>>) -> Self {
        Self(ended)
    }

    /// Waits until the thread has ended, and says why if it should not have.
    ///
    /// # Errors
    /// The words of the panic.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing; the thread goes on.
    pub async fn wait(&mut self) -> Result<(), String> {
        (&mut self.0).await.unwrap_or_else(|_| Err("the engine ended without a word".into()))
    }
}
