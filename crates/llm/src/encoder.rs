//! The thread that owns an encoder: requests that wait together are embedded together.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::Instant,
};

use api::worker::EngineStats;
use engine::TokenId;
use tokio::sync::oneshot;
use worker::Running;

use crate::{
    metrics::Meter,
    service::{Ending, words_of},
};

/// Requests that may wait for the thread; the worker's capacity is the bound that callers meet.
const REQUESTS_MAX: usize = 1_024;

/// Turns texts into vectors.
pub trait TextEncoder: Send + 'static {
    /// One vector for each text, which is given as tokens.
    ///
    /// # Errors
    /// A sentence that names the first text that cannot be embedded; then none is.
    fn embed(&mut self, texts: &[Vec<TokenId>]) -> Result<Vec<Vec<f32>>, String>;
}

impl TextEncoder for models::Encoder {
    fn embed(&mut self, texts: &[Vec<TokenId>]) -> Result<Vec<Vec<f32>>, String> {
        Self::embed(self, texts).map_err(|error| types::chain(&error))
    }
}

/// Why texts were not embedded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedRefused {
    /// More requests arrive than the encoder can look at.
    #[error("the encoder has more requests than it can look at; try again later")]
    Busy,
    /// The thread has ended.
    #[error("the encoder has stopped; its worker is about to be replaced")]
    Stopped,
    /// The encoder does not take them.
    #[error("{0}")]
    Failed(String),
}

/// What one request wants.
struct Wanted {
    texts: Vec<Vec<TokenId>>,
    arrived: Instant,
    call: Option<Running>,
    done: oneshot::Sender<Result<Vec<Vec<f32>>, String>>,
}

/// Asks the encoder. Cheap to clone; when the last one is gone, the thread ends.
#[derive(Debug, Clone)]
pub struct EmbedHandle {
    wanted: SyncSender<Wanted>,
    meter: Arc<Meter>,
}

/// Starts the thread.
///
/// - `batch_tokens_max`: texts are put together up to so many tokens.
///
/// # Errors
/// If the system refuses the thread.
pub fn start(
    encoder: impl TextEncoder,
    batch_tokens_max: usize,
) -> Result<(EmbedHandle, Ending), io::Error> {
    let (sender, wanted) = mpsc::sync_channel(REQUESTS_MAX);
    let (ended, ending) = oneshot::channel();
    let meter = Arc::new(Meter::default());
    let owner = Owner { encoder, wanted, kept: None, batch_tokens_max, meter: Arc::clone(&meter) };
    thread::Builder::new().name("encoder".into()).spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| owner.run()));
        // Nobody may be waiting any more.
        let _ = ended.send(outcome.map_err(|panic| words_of(&*panic)));
    })?;
    Ok((EmbedHandle { wanted: sender, meter }, Ending::new(ending)))
}

impl EmbedHandle {
    /// One vector for each text. `call` keeps its place until the work is done.
    ///
    /// # Errors
    /// [`EmbedRefused`].
    ///
    /// # Cancel safety
    /// Dropping it takes the request back, unless its batch is being computed.
    pub async fn embed(
        &self,
        texts: Vec<Vec<TokenId>>,
        call: Option<Running>,
    ) -> Result<Vec<Vec<f32>>, EmbedRefused> {
        let (done, answer) = oneshot::channel();
        match self.wanted.try_send(Wanted { texts, arrived: Instant::now(), call, done }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(EmbedRefused::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(EmbedRefused::Stopped),
        }
        let answer = answer.await.map_err(|_| EmbedRefused::Stopped)?;
        answer.map_err(EmbedRefused::Failed)
    }

    /// What the encoder has done so far.
    pub fn stats(&self) -> EngineStats {
        self.meter.stats()
    }
}

/// The thread's own.
struct Owner<E> {
    encoder: E,
    wanted: Receiver<Wanted>,
    /// What did not fit into the last batch.
    kept: Option<Wanted>,
    batch_tokens_max: usize,
    meter: Arc<Meter>,
}

impl<E: TextEncoder> Owner<E> {
    fn run(mut self) {
        while let Some(batch) = self.next_batch() {
            self.embed(batch);
        }
    }

    /// Waits for a request, and takes what waits behind it as long as it fits. `None`: nobody can
    /// ask any more.
    fn next_batch(&mut self) -> Option<Vec<Wanted>> {
        let first = match self.kept.take() {
            Some(kept) => kept,
            None => self.wanted.recv().ok()?,
        };
        let mut tokens = first.tokens();
        let mut batch = vec![first];
        while let Ok(next) = self.wanted.try_recv() {
            tokens += next.tokens();
            if tokens > self.batch_tokens_max {
                self.kept = Some(next);
                break;
            }
            batch.push(next);
        }
        // Those whose caller left while they waited.
        batch.retain(|wanted| !wanted.done.is_closed());
        Some(batch)
    }

    fn embed(&mut self, batch: Vec<Wanted>) {
        let texts: Vec<_> = batch.iter().flat_map(|wanted| wanted.texts.iter().cloned()).collect();
        match self.encoder.embed(&texts) {
            Ok(vectors) => {
                let mut vectors = vectors.into_iter();
                for wanted in batch {
                    let own = vectors.by_ref().take(wanted.texts.len()).collect();
                    wanted.finish(Ok(own), &self.meter);
                }
            }
            // One of them is at fault, and only that one is to hear of it.
            Err(_) if batch.len() > 1 => {
                batch.into_iter().for_each(|wanted| self.embed(vec![wanted]));
            }
            Err(words) => {
                batch.into_iter().for_each(|wanted| wanted.finish(Err(words.clone()), &self.meter));
            }
        }
    }
}

impl Wanted {
    fn tokens(&self) -> usize {
        self.texts.iter().map(Vec::len).sum()
    }

    fn finish(self, vectors: Result<Vec<Vec<f32>>, String>, meter: &Meter) {
        let tokens = self.tokens();
        if vectors.is_ok() {
            meter.embedded(self.texts.len(), tokens, self.arrived.elapsed());
            if let Some(call) = &self.call {
                call.usage("prompt_tokens", tokens as u64);
            }
        }
        // Given back before the answer can end.
        drop(self.call);
        // Whoever left does not want to know.
        let _ = self.done.send(vectors);
    }
}
