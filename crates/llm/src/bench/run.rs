//! One run: all sequences begin at once, and each is followed to its end.

use std::{collections::HashMap, time::Instant};

use engine::{
    Engine, EngineConfig, Event, ModelRunner, Request, Row, Sampled, SamplingParams, SequenceId,
    TokenId,
};

use super::{
    BenchError,
    figures::{RunFigures, Timeline},
};

/// Token ids that prompts are made of: common words in every vocabulary, no special ones.
const FIRST_TOKEN: usize = 300;
const LAST_TOKEN: usize = 11_000;

/// What one run does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) sequences: usize,
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) vocab: usize,
}

/// Runs it with greedy answers of exactly the asked length.
pub(super) fn run(
    runner: &mut impl ModelRunner,
    config: EngineConfig,
    work: Work,
) -> Result<RunFigures, BenchError> {
    let mut engine = Engine::new(config);
    let mut timelines: HashMap<SequenceId, Timeline> = HashMap::new();
    let start = Instant::now();
    for number in 0..work.sequences {
        let request = Request {
            prompt: prompt(number, work),
            max_tokens: work.output,
            sampling: SamplingParams::greedy(),
            ..Request::default()
        };
        let sequence =
            engine.add(request).map_err(|refused| BenchError::Engine(refused.to_string()))?;
        timelines.insert(sequence, Timeline::default());
    }
    while let Some(batch) = engine.schedule() {
        let output =
            runner.run(&batch).map_err(|error| BenchError::Engine(types::chain(&error)))?;
        let chosen = |row| match row {
            Row::Argmax(token) => Ok(Some(Sampled::from(token))),
            Row::Nothing | Row::Logits(_) => Ok(None),
            Row::NotANumber => Err(BenchError::Engine("no logit is a number".into())),
        };
        let sampled = output.rows.into_iter().map(chosen).collect::<Result<_, _>>()?;
        let now = start.elapsed();
        for event in engine.settle(&batch, sampled) {
            if let Event::Token { sequence, .. } = event
                && let Some(timeline) = timelines.get_mut(&sequence)
            {
                timeline.token(now);
            }
        }
    }
    let timelines: Vec<Timeline> = timelines.into_values().collect();
    RunFigures::of(&timelines, work.input)
        .ok_or_else(|| BenchError::Engine("a sequence got no token".into()))
}

/// The same tokens in every run, others in every sequence.
fn prompt(sequence: usize, work: Work) -> Vec<TokenId> {
    let last = LAST_TOKEN.min(work.vocab);
    let first = FIRST_TOKEN.min(last / 2);
    let token = |place: usize| first + (place + sequence * 131) * 7919 % (last - first);
    (0..work.input).map(|place| token(place) as TokenId).collect()
}
