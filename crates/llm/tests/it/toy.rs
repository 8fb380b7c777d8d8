//! A model that counts: after token t comes t + 1, whatever was before. What a test must wait for,
//! it holds back with a gate.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use engine::{
    Batch, EngineConfig, ModelRunner, ModelShape, Output, Request, Row, RunError, RunOutput,
    SamplingParams, TokenId,
};
use llm::{
    generation::{Controls, Finish, Generation, TokenEvent, Tokens},
    service::{Ending, Handle, Refused, ServiceSettings, start},
};

pub(crate) const VOCAB: usize = 1_000;
/// The token at which the toy's steps fail.
pub(crate) const FAILS: TokenId = 666;
/// The token at which the toy's logits are no numbers.
pub(crate) const NO_NUMBERS: TokenId = 888;
/// The token at which the toy panics.
pub(crate) const PANICS: TokenId = 999;

/// Lets a number of steps through, then holds the next one back.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Bars>);

#[derive(Default)]
struct Bars {
    /// Steps that may still pass; `None`: all.
    left: Mutex<Option<usize>>,
    changed: Condvar,
    waited_for: AtomicBool,
}

impl Gate {
    /// One that holds every step back.
    pub(crate) fn closed() -> Self {
        let gate = Self::default();
        *gate.0.left.lock().unwrap() = Some(0);
        gate
    }

    /// Lets so many more steps through.
    pub(crate) fn let_through(&self, steps: usize) {
        if let Some(left) = &mut *self.0.left.lock().unwrap() {
            *left += steps;
        }
        self.0.changed.notify_all();
    }

    /// Holds nothing back any more.
    pub(crate) fn open(&self) {
        *self.0.left.lock().unwrap() = None;
        self.0.changed.notify_all();
    }

    /// Waits until a step has come to it.
    pub(crate) async fn is_waited_for(&self) {
        eventually(|| self.0.waited_for.load(SeqCst)).await;
    }

    /// Waits to be let through.
    pub(crate) fn pass(&self) {
        self.0.waited_for.store(true, SeqCst);
        let left = self.0.left.lock().unwrap();
        let mut left = self.0.changed.wait_while(left, |left| *left == Some(0)).unwrap();
        *left = left.map(|left| left - 1);
    }
}

/// What a toy was given, batch by batch: the number of chunks of each.
pub(crate) type Batches = Arc<Mutex<Vec<usize>>>;

struct Toy {
    shape: ModelShape,
    gate: Gate,
    batches: Batches,
    logits: Vec<Vec<f32>>,
}

impl ModelRunner for Toy {
    fn shape(&self) -> ModelShape {
        self.shape
    }

    fn run(&mut self, batch: &Batch) -> Result<RunOutput<'_>, RunError> {
        self.gate.pass();
        self.batches.lock().unwrap().push(batch.chunks.len());
        let ran = |token| batch.chunks.iter().any(|chunk| chunk.tokens.contains(&token));
        assert!(!ran(PANICS), "the toy broke");
        if ran(FAILS) {
            return Err(RunError("the toy is out of order".into()));
        }
        let vocab = self.shape.vocab as TokenId;
        let next = |tokens: &[TokenId]| (tokens.last().unwrap() + 1) % vocab;
        let rows =
            batch.chunks.iter().zip(&mut self.logits).map(|(chunk, logits)| match chunk.output {
                Output::Nothing => Row::Nothing,
                _ if chunk.tokens.contains(&NO_NUMBERS) => Row::NotANumber,
                Output::Argmax => Row::Argmax(next(&chunk.tokens)),
                Output::Logits => {
                    logits.fill(0.0);
                    logits[next(&chunk.tokens) as usize] = 30.0;
                    Row::Logits(logits)
                }
            });
        Ok(RunOutput { rows: rows.collect() })
    }
}

/// A loop over a toy.
pub(crate) struct Loop {
    pub(crate) handle: Handle,
    pub(crate) ending: Ending,
    pub(crate) gate: Gate,
    pub(crate) batches: Batches,
}

impl Loop {
    pub(crate) fn start() -> Self {
        Self::with(Gate::default(), |_| {})
    }

    pub(crate) fn with(gate: Gate, change: impl FnOnce(&mut EngineConfig)) -> Self {
        let mut shape = ModelShape {
            vocab: VOCAB,
            max_positions: 512,
            kv_blocks: 64,
            max_batch_tokens: 64,
            max_sequences: 8,
        };
        let mut engine = EngineConfig::of(shape, 16);
        change(&mut engine);
        shape.vocab = engine.vocab;
        let batches = Batches::default();
        let toy = Toy {
            shape,
            gate: gate.clone(),
            batches: batches.clone(),
            logits: vec![vec![0.0; shape.vocab]; shape.max_sequences],
        };
        let settings = ServiceSettings { engine, sampling_threads: 2 };
        let (handle, ending) = start(Box::new(toy), &settings).unwrap();
        Self { handle, ending, gate, batches }
    }

    /// Asks while the loop is held in a step of something that goes on: lets one step through, for
    /// the loop looks between two.
    pub(crate) async fn ask_held(&self, generation: Generation) -> Result<Tokens, Refused> {
        let handle = self.handle.clone();
        let asked = tokio::spawn(async move { handle.generate(vec![generation]).await });
        tokio::task::yield_now().await;
        self.gate.let_through(1);
        tokio::time::timeout(PATIENCE, asked).await.expect("the loop did not look").unwrap()
    }

    /// Asks for one generation, which must be taken.
    pub(crate) async fn ask(&self, generation: Generation) -> Tokens {
        self.handle.generate(vec![generation]).await.unwrap()
    }
}

/// Longest wait for what happens within milliseconds; it is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("did not happen in time");
}

/// Counting on from `first`.
pub(crate) fn request(first: TokenId, max_tokens: usize) -> Request {
    let sampling = SamplingParams::greedy();
    Request { prompt: vec![first], max_tokens, sampling, ..Request::default() }
}

/// The same, as a generation with one choice.
pub(crate) fn count_from(first: TokenId, max_tokens: usize) -> Generation {
    Generation::plain(request(first, max_tokens))
}

/// The same with something to decide about it.
pub(crate) fn controlled(request: Request, controls: Controls) -> Generation {
    Generation { request, choices: vec![controls], call: None }
}

/// What came of one sequence.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) reason: Option<Finish>,
    /// Prompt, cached, completion.
    pub(crate) usage: (usize, usize, usize),
}

/// Reads to the end.
pub(crate) async fn read(mut tokens: Tokens, sequences: usize) -> Vec<Told> {
    let told = || Told { tokens: Vec::new(), reason: None, usage: (0, 0, 0) };
    let mut all: Vec<Told> = (0..sequences).map(|_| told()).collect();
    let reading = async {
        while let Some((index, event)) = tokens.next().await {
            assert!(all[index].reason.is_none(), "nothing follows the end");
            match event {
                TokenEvent::Token(sampled) => all[index].tokens.push(sampled.token),
                TokenEvent::Finished { reason, usage } => {
                    all[index].reason = Some(reason);
                    all[index].usage =
                        (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens);
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the stream never ended");
    all
}

/// A flag that says when what holds it is dropped.
#[derive(Clone, Default)]
pub(crate) struct Flag(Arc<AtomicBool>);

impl Flag {
    pub(crate) fn raise(&self) {
        self.0.store(true, SeqCst);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(SeqCst)
    }
}
