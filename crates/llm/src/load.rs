//! From a folder with a model to something that answers: checked, fitted into memory, warm.

mod outlook;

use std::{fs, io, path::PathBuf, sync::Arc, thread};

use engine::{EngineConfig, ModelRunner, Request, SamplingParams};
pub use models::{CacheSettings, Progress, Stage};
use models::{Decoder, Encoder, LoadError, Model, ModelKind, Options, Source};
pub use outlook::Outlook;
use types::{EngineSpec, KvFormat, Quantize};

use crate::{
    encoder::{self, EmbedHandle},
    generation::{Finish, Generation, TokenEvent},
    memory::{Available, DoesNotFit, Fit, Needs, fit},
    openai::EmbeddingText,
    service::{self, Ending, Handle, Refused, ServiceSettings},
    text::{TextError, TextFacts, TextSide},
    tokenizer::TokenizerError,
};

/// What the program itself takes besides weights, keys and values, the steps' working space, and the
/// tokenizer: code, requests, grammars.
const PROGRAM_BYTES: u64 = 64 << 20;

/// What a tokenizer is given for each byte of its file. With Qwen's, of 4.8 MB, a worker took 140 MiB
/// beside weights, keys and values, 50 of them working space, and 193 MiB for a moment while it started.
const TOKENIZER_BYTES_PER_BYTE: u64 = 20;

/// Sequences of one request, choices and prompts together: what the OpenAI API allows.
const REQUEST_SEQUENCES_MAX: usize = 128;

/// Sequences that may wait: two of the largest requests, or a few for each place of the batch.
const QUEUE_MIN: usize = 2 * REQUEST_SEQUENCES_MAX;
const QUEUE_PER_SEQUENCE: usize = 4;

/// Texts of one request for vectors: what the OpenAI API allows.
const REQUEST_TEXTS_MAX: usize = 2_048;

/// A model could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its configuration or its weights.
    #[error("cannot load the model")]
    Load(#[from] LoadError),
    /// Its tokenizer, its template or its defaults.
    #[error("cannot load the model")]
    Text(#[from] TextError),
    /// Its tokenizer.
    #[error("cannot load the model")]
    Tokenizer(#[from] TokenizerError),
    /// There is too little memory.
    #[error(transparent)]
    Memory(#[from] DoesNotFit),
    /// The system refused a thread.
    #[error("cannot start the threads of the engine")]
    Thread(#[from] io::Error),
    /// It did not answer a first prompt.
    #[error("the model was loaded, but failed when it was tried: {0}")]
    WarmUp(String),
}

/// What to load, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// The model's folder.
    pub folder: PathBuf,
    /// The name that answers tell.
    pub name: String,
    /// How it is to run.
    pub spec: EngineSpec,
    /// Where packed weights are kept for the next start; `None`: nowhere.
    pub cache: Option<CacheSettings>,
}

/// A model that is ready.
pub struct Loaded {
    /// What answers.
    pub model: LoadedModel,
    /// Says when the thread that owns the model has ended.
    pub ending: Ending,
}

/// What a loaded model is for.
pub enum LoadedModel {
    /// It writes text.
    Decoder(LoadedDecoder),
    /// It makes vectors.
    Encoder(LoadedEncoder),
}

/// A model that writes text.
pub struct LoadedDecoder {
    /// Reads requests and writes answers.
    pub text: Arc<TextSide>,
    /// Generates.
    pub handle: Handle,
    /// Sequences that run at once.
    pub max_sequences: usize,
}

/// A model that makes vectors.
pub struct LoadedEncoder {
    /// Reads requests.
    pub text: Arc<EmbeddingText>,
    /// Embeds.
    pub handle: EmbedHandle,
}

/// Opens, checks, fits, loads and tries a model. Nothing large is read before it is known to fit.
///
/// # Errors
/// [`StartError`] names the file and the field, or shows the arithmetic.
pub fn load(
    order: &Order,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Loaded, StartError> {
    let source = Source::open(&order.folder)?;
    let mut options = options(order);
    let fit = fitted(&source, &options, &order.spec)?;
    options.kv_blocks = fit.kv_blocks;
    tracing::info!(
        kv_blocks = fit.kv_blocks,
        max_model_len = fit.max_model_len,
        threads = options.threads,
        "the model fits"
    );
    match source.kind() {
        ModelKind::Decoder => load_decoder(order, &source, &options, fit, progress),
        ModelKind::Encoder => load_encoder(order, &source, &options, progress),
    }
}

/// How a model is loaded by the words of the operator.
pub(crate) fn options(order: &Order) -> Options {
    let spec = &order.spec;
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    Options {
        format: match spec.quantize {
            Quantize::Bf16 => kernels::WeightFormat::Bf16,
            Quantize::Int8 => kernels::WeightFormat::Int8,
            Quantize::W8a8 => kernels::WeightFormat::W8a8,
            Quantize::Int4 => kernels::WeightFormat::Int4,
        },
        kv_format: match spec.kv {
            KvFormat::Bf16 => kernels::KvFormat::Bf16,
            KvFormat::Int8 => kernels::KvFormat::Int8,
        },
        kv_blocks: 0,
        max_batch_tokens: spec.max_batch_tokens.max(spec.max_sequences) as usize,
        max_sequences: spec.max_sequences as usize,
        threads: spec.threads.map_or_else(processors, |threads| threads as usize),
        isa: None,
        cache: order.cache.clone(),
    }
}

fn fitted(source: &Source, options: &Options, spec: &EngineSpec) -> Result<Fit, DoesNotFit> {
    let asked = spec.max_model_len.map_or(usize::MAX, |tokens| tokens as usize);
    // No longer sequence can come, so that no more angles of positions are computed than for these.
    let longest = engine::blocks_for(asked.min(source.max_positions()));
    let plan = source.plan(&Options { kv_blocks: longest, ..options.clone() });
    let tokenizer = fs::metadata(source.directory().join("tokenizer.json"));
    // Whether there is one is said when it is read.
    let tokenizer = tokenizer.map_or(0, |file| file.len() * TOKENIZER_BYTES_PER_BYTE);
    let needs = Needs {
        weights_bytes: plan.weights_bytes as u64,
        scratch_bytes: plan.scratch_bytes as u64 + PROGRAM_BYTES + tokenizer,
        kv_bytes_per_token: plan.kv_bytes_per_token as u64,
        max_positions: source.max_positions(),
    };
    // Where the system does not tell, it is asked when the memory is taken.
    let unknown = || Available { bytes: u64::MAX, bound: String::new() };
    fit(needs, spec, &Available::now().unwrap_or_else(unknown))
}

fn load_decoder(
    order: &Order,
    source: &Source,
    options: &Options,
    fit: Fit,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Loaded, StartError> {
    let facts = facts(order, source, fit.max_model_len, REQUEST_SEQUENCES_MAX);
    // A large vocabulary takes as long to read as packed weights do, so both are read at once.
    let (text, model) = thread::scope(|scope| {
        let weights = scope.spawn(|| source.load(options, progress));
        let text = TextSide::open(&order.folder, facts);
        (text, weights.join())
    });
    let text = text?;
    let decoder = match model.unwrap_or_else(|panic| std::panic::resume_unwind(panic))? {
        Model::Decoder(decoder) => decoder,
        Model::Encoder(_) => return Err(StartError::WarmUp("it makes vectors, not text".into())),
    };
    start_decoder(Arc::new(text), decoder, order, options, fit)
}

fn start_decoder(
    text: Arc<TextSide>,
    decoder: Box<Decoder>,
    order: &Order,
    options: &Options,
    fit: Fit,
) -> Result<Loaded, StartError> {
    let max_sequences = options.max_sequences;
    let max_queue = (max_sequences * QUEUE_PER_SEQUENCE).max(QUEUE_MIN);
    let engine = EngineConfig {
        max_model_len: fit.max_model_len,
        prefix_cache: order.spec.prefix_cache,
        ..EngineConfig::of(decoder.shape(), max_queue)
    };
    let settings = ServiceSettings { engine, sampling_threads: options.threads };
    let (handle, ending) = service::start(decoder, &settings)?;
    warm_up(&handle)?;
    let model = LoadedModel::Decoder(LoadedDecoder { text, handle, max_sequences });
    Ok(Loaded { model, ending })
}

fn load_encoder(
    order: &Order,
    source: &Source,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Loaded, StartError> {
    let mut encoder: Box<Encoder> = match source.load(options, progress)? {
        Model::Encoder(encoder) => encoder,
        Model::Decoder(_) => return Err(StartError::WarmUp("it writes text, not vectors".into())),
    };
    let facts = facts(order, source, encoder.max_tokens(), REQUEST_TEXTS_MAX);
    let text = EmbeddingText::open(&order.folder, facts, encoder.width())?;
    encoder.embed(&[vec![0]]).map_err(|error| StartError::WarmUp(error.to_string()))?;
    let (handle, ending) = encoder::start(*encoder, options.max_batch_tokens)?;
    let model = LoadedModel::Encoder(LoadedEncoder { text: Arc::new(text), handle });
    Ok(Loaded { model, ending })
}

fn facts(order: &Order, source: &Source, max_model_len: usize, max_sequences: usize) -> TextFacts {
    TextFacts {
        name: order.name.clone(),
        vocab_size: source.vocab_size(),
        max_model_len,
        max_sequences,
    }
}

/// Has the engine answer a prompt, once as the likeliest tokens and once drawn, so that every page
/// and every path was used before the first caller waits for it.
fn warm_up(handle: &Handle) -> Result<(), StartError> {
    let failed = |refused: Refused| StartError::WarmUp(refused.to_string());
    for sampling in [SamplingParams::greedy(), SamplingParams::default()] {
        let request = Request { prompt: vec![0], max_tokens: 2, sampling, ..Request::default() };
        let mut tokens =
            handle.blocking_generate(vec![Generation::plain(request)]).map_err(failed)?;
        loop {
            match tokens.blocking_next() {
                Some((_, TokenEvent::Token(_))) => {}
                Some((_, TokenEvent::Finished { reason: Finish::Failed(words), .. })) => {
                    return Err(StartError::WarmUp(words));
                }
                Some((_, TokenEvent::Finished { .. })) => break,
                None => return Err(StartError::WarmUp("the engine stopped".into())),
            }
        }
    }
    handle.clear_stats();
    Ok(())
}
