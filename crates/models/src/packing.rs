//! Weights from a checkpoint, or from the packed cache, into the kernels' layout.

use std::{
    sync::{Arc, OnceLock},
    thread,
};

use kernels::{Arena, Cpu, Linear, Slab, WeightFormat};

use crate::{
    CacheSettings, LoadError, Progress, Stage,
    cache::{Cache, Key},
    checkpoint::{Checkpoint, Tensor},
};

/// How one linear layer is made from tensors of the checkpoint.
pub(crate) struct Recipe<'a> {
    pub(crate) size: LinearSize,
    pub(crate) rows: RecipeRows<'a>,
}

/// Where the rows of a linear layer come from.
pub(crate) enum RecipeRows<'a> {
    /// One tensor's rows after another's: one product instead of several.
    Stacked(Vec<Tensor<'a>>),
    /// The two halves of a gated layer.
    Gated { gate: Tensor<'a>, up: Tensor<'a> },
}

/// Format and shape of a packed linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinearSize {
    pub(crate) format: WeightFormat,
    /// Outputs, of both halves for a gated layer, and inputs.
    pub(crate) shape: (usize, usize),
}

impl LinearSize {
    pub(crate) fn new(format: WeightFormat, outputs: usize, inputs: usize) -> Self {
        Self { format, shape: (outputs, inputs) }
    }

    /// Of a gated layer whose halves have `outputs` each.
    pub(crate) fn gated(format: WeightFormat, outputs: usize, inputs: usize) -> Self {
        Self::new(format, Linear::gated_outputs(outputs), inputs)
    }

    pub(crate) fn bytes(self) -> usize {
        Linear::packed_bytes(self.format, self.shape.0, self.shape.1)
    }

    /// Bytes that it takes of an arena.
    pub(crate) fn footprint(self) -> usize {
        Arena::footprint(self.bytes())
    }
}

/// All linear layers of a model, in the order of their recipes.
pub(crate) struct Packed {
    pub(crate) linears: Vec<Arc<Linear>>,
    /// Writes the cache meanwhile.
    pub(crate) writer: CacheWriter,
}

/// Writes packed weights to the cache while the model already works. Dropping it waits for the end.
#[derive(Debug, Default)]
pub(crate) struct CacheWriter(Option<thread::JoinHandle<()>>);

impl Drop for CacheWriter {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // It logs its failures; a panic in it concerns nobody else.
            let _ = thread.join();
        }
    }
}

/// Where and under which configuration weights are kept.
pub(crate) struct Packing<'a> {
    pub(crate) cpu: &'a Cpu,
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) cache: Option<&'a CacheSettings>,
    /// What the recipes follow from, besides the checkpoint.
    pub(crate) fingerprint: String,
}

impl Packing<'_> {
    /// Makes all linear layers: by reading them from the cache, or by following the recipes, in
    /// which case the cache is written in the background.
    ///
    /// # Errors
    /// [`LoadError::Kernels`] without memory.
    pub(crate) fn run(
        &self,
        recipes: &[Recipe<'_>],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Packed, LoadError> {
        let footprints = recipes.iter().map(|recipe| recipe.size.footprint());
        let mut arena = Arena::anonymous(footprints.sum())?;
        let mut slabs = recipes
            .iter()
            .map(|recipe| arena.take(recipe.size.bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        let total_bytes = slabs.iter().map(|slab| slab.len()).sum();
        let cache = self.cache(total_bytes);
        let mut tell = |stage, done_bytes| progress(Progress { stage, done_bytes, total_bytes });
        let read = cache.as_ref().is_some_and(|cache| {
            cache.read(&mut slabs, self.cpu.threads(), &mut |done| tell(Stage::Reading, done))
        });
        if read {
            let linears = recipes.iter().zip(slabs).map(|(recipe, slab)| {
                Ok(Arc::new(Linear::load(recipe.size.format, recipe.size.shape, slab)?))
            });
            let linears = linears.collect::<Result<_, LoadError>>()?;
            return Ok(Packed { linears, writer: CacheWriter::default() });
        }
        let linears = self.pack(recipes, slabs, &mut |done| tell(Stage::Packing, done))?;
        let writer = cache.map_or_else(CacheWriter::default, |cache| write(cache, &linears));
        Ok(Packed { linears, writer })
    }

    fn cache(&self, bytes: usize) -> Option<Cache> {
        let settings = self.cache.filter(|settings| bytes as u64 >= settings.bytes_min)?;
        match Key::of(self.checkpoint.files(), &self.fingerprint) {
            Ok(key) => Some(Cache::new(settings.clone(), key)),
            Err(error) => {
                tracing::warn!(%error, "packed weights cannot be kept: the model's files cannot be looked at");
                None
            }
        }
    }

    fn pack(
        &self,
        recipes: &[Recipe<'_>],
        slabs: Vec<Slab>,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<Arc<Linear>>, LoadError> {
        let mut linears = Vec::with_capacity(recipes.len());
        let mut bytes = 0;
        for (recipe, slab) in recipes.iter().zip(slabs) {
            bytes += slab.len();
            linears.push(Arc::new(recipe.pack(self.cpu, slab)?));
            done(bytes);
        }
        Ok(linears)
    }
}

impl Recipe<'_> {
    fn pack(&self, cpu: &Cpu, slab: Slab) -> Result<Linear, LoadError> {
        let LinearSize { format, shape } = self.size;
        // The threads that pack cannot stop for an error; the first one is told when all are done.
        let failure = OnceLock::new();
        let read = |tensor: &Tensor<'_>, row, out: &mut [f32]| {
            if let Err(error) = tensor.read_rows(row, out) {
                // Whoever comes second has most likely met the same.
                let _ = failure.set(error);
            }
        };
        let packed = match &self.rows {
            RecipeRows::Stacked(tensors) => Linear::pack(cpu, format, shape, slab, |row, out| {
                let mut row = row;
                for tensor in tensors {
                    if row < tensor.rows() {
                        return read(tensor, row, out);
                    }
                    row -= tensor.rows();
                }
            }),
            RecipeRows::Gated { gate, up } => {
                let shape = (gate.rows(), shape.1);
                let gate = |row, out: &mut [f32]| read(gate, row, out);
                let up = |row, out: &mut [f32]| read(up, row, out);
                Linear::pack_gated(cpu, format, shape, slab, gate, up)
            }
        };
        match failure.into_inner() {
            Some(error) => Err(error),
            None => Ok(packed?),
        }
    }
}

/// The next of the packed layers.
///
/// # Errors
/// Never, as long as they are taken in the order and number of their recipes.
pub(crate) fn next_linear(
    linears: &mut impl Iterator<Item = Arc<Linear>>,
) -> Result<Arc<Linear>, LoadError> {
    linears.next().ok_or(LoadError::Recipes)
}

fn write(cache: Cache, linears: &[Arc<Linear>]) -> CacheWriter {
    let linears = linears.to_vec();
    let work = move || {
        // The model already answers, or is about to.
        kernels::give_way();
        let pieces: Vec<&[u8]> = linears.iter().map(|linear| linear.bytes()).collect();
        cache.write(&pieces);
    };
    match thread::Builder::new().name("packed-cache".into()).spawn(work) {
        Ok(thread) => CacheWriter(Some(thread)),
        Err(error) => {
            tracing::warn!(%error, "packed weights could not be kept: no thread to write them");
            CacheWriter::default()
        }
    }
}
