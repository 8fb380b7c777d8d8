//! Choosing the tokens of one step, on several threads where that takes long.

use std::thread;

use engine::{Engine, Sampled, Sampler, SequenceId};

use crate::generation::Guidance;

/// Logits that one more thread is worth: to look at as many takes some tenths of a millisecond, to
/// start a thread less than one.
const LOGITS_PER_THREAD: usize = 128 * 1024;

/// One token to be chosen.
pub(crate) struct Choosing<'a> {
    pub(crate) sequence: SequenceId,
    pub(crate) logits: &'a mut [f32],
    pub(crate) guidance: Option<Box<dyn Guidance>>,
    /// The token, or why there is none.
    pub(crate) chosen: Result<Sampled, String>,
}

/// Chooses tokens. Each thread has a sampler with working space of its own.
pub(crate) struct Samplers(Vec<Sampler>);

impl Samplers {
    pub(crate) fn new(threads: usize) -> Self {
        Self((0..threads.max(1)).map(|_| Sampler::new()).collect())
    }

    /// Chooses all of them.
    pub(crate) fn choose(&mut self, engine: &Engine, rows: &mut [Choosing<'_>]) {
        let logits: usize = rows.iter().map(|row| row.logits.len()).sum();
        let threads = (logits / LOGITS_PER_THREAD).clamp(1, self.0.len().min(rows.len()).max(1));
        let share = rows.len().div_ceil(threads).max(1);
        let mut shares = self.0.iter_mut().zip(rows.chunks_mut(share));
        let mine = shares.next();
        thread::scope(|scope| {
            for (sampler, rows) in shares {
                scope.spawn(move || rows.iter_mut().for_each(|row| row.choose(engine, sampler)));
            }
            if let Some((sampler, rows)) = mine {
                rows.iter_mut().for_each(|row| row.choose(engine, sampler));
            }
        });
    }
}

impl Choosing<'_> {
    fn choose(&mut self, engine: &Engine, sampler: &mut Sampler) {
        self.chosen = self.sampled(engine, sampler);
    }

    fn sampled(&mut self, engine: &Engine, sampler: &mut Sampler) -> Result<Sampled, String> {
        let mask = match &mut self.guidance {
            Some(guidance) => guidance.mask()?,
            None => None,
        };
        let context = engine.context(self.sequence, mask).ok_or("the sequence is gone")?;
        sampler.sample(self.logits, &context).map_err(|none| none.to_string())
    }
}
