//! Choosing the tokens of one step, on several threads where that takes long.

use std::io;

use engine::{Engine, Sampled, Sampler, SequenceId};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::generation::Guidance;

/// Logits that one more thread is worth: to look at as many takes some tenths of a millisecond, to
/// wake a thread and to wait for it less than one.
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
pub(crate) struct Samplers {
    samplers: Vec<Sampler>,
    /// Threads beside the one that asks; they live as long as this, for starting one at each step
    /// would cost more than many a step has to choose. `None` if that one does it alone.
    pool: Option<ThreadPool>,
}

impl Samplers {
    /// With so many threads, the one that asks included.
    pub(crate) fn new(threads: usize) -> Result<Self, io::Error> {
        let samplers = (0..threads.max(1)).map(|_| Sampler::new()).collect();
        let pool = || {
            ThreadPoolBuilder::new()
                .num_threads(threads - 1)
                .thread_name(|number| format!("sampler-{number}"))
                .build()
                .map_err(io::Error::other)
        };
        let pool = (threads > 1).then(pool).transpose()?;
        Ok(Self { samplers, pool })
    }

    /// Chooses all of them.
    pub(crate) fn choose(&mut self, engine: &Engine, rows: &mut [Choosing<'_>]) {
        let logits: usize = rows.iter().map(|row| row.logits.len()).sum();
        let most = self.samplers.len().min(rows.len()).max(1);
        let threads = (logits / LOGITS_PER_THREAD).clamp(1, most);
        let share = rows.len().div_ceil(threads).max(1);
        let mut shares = self.samplers.iter_mut().zip(rows.chunks_mut(share));
        let Some((sampler, mine)) = shares.next() else { return };
        let work = |sampler: &mut Sampler, rows: &mut [Choosing<'_>]| {
            rows.iter_mut().for_each(|row| row.choose(engine, sampler));
        };
        match &self.pool {
            Some(pool) if threads > 1 => pool.in_place_scope(|scope| {
                for (sampler, rows) in shares {
                    scope.spawn(move |_| work(sampler, rows));
                }
                work(sampler, mine);
            }),
            _ => work(sampler, mine),
        }
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
