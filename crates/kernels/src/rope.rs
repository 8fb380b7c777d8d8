//! Rotary position embedding.

/// Rotary position embedding: sines and cosines of every position.
///
/// Dimension `i` is paired with `i + head_dim / 2`.
#[derive(Debug)]
pub struct Rope {
    /// `[position][cosines, sines][head_dim / 2]`.
    table: Vec<f32>,
    frequencies: Vec<f32>,
    scale: f32,
}

impl Rope {
    /// A table of `positions`, with one frequency (radians per token) per pair of dimensions. Sines and
    /// cosines are multiplied with `scale`, which is 1 unless the model says otherwise.
    pub fn new(positions: usize, frequencies: &[f32], scale: f32) -> Self {
        let mut rope = Self { table: Vec::new(), frequencies: frequencies.to_vec(), scale };
        rope.reach(positions);
        rope
    }

    /// Makes the table longer where it knows fewer than `positions`. A model that is made for long
    /// texts starts sooner when the table grows with the texts that come.
    pub fn reach(&mut self, positions: usize) {
        let Self { table, frequencies, scale } = self;
        for position in table.len() / (2 * frequencies.len())..positions {
            // The product is rounded to f32 first, as the models were trained with.
            let angle = |frequency: &f32| f64::from(position as f32 * frequency);
            table.extend(frequencies.iter().map(|f| angle(f).cos() as f32 * *scale));
            table.extend(frequencies.iter().map(|f| angle(f).sin() as f32 * *scale));
        }
    }

    /// Bytes of a table of `positions`, for heads of `head_dim` values.
    pub const fn bytes(positions: usize, head_dim: usize) -> usize {
        positions * head_dim * size_of::<f32>()
    }

    /// How many positions it knows.
    pub fn positions(&self) -> usize {
        self.table.len() / (2 * self.half())
    }

    /// Pairs of dimensions.
    #[inline(always)]
    fn half(&self) -> usize {
        self.frequencies.len()
    }

    /// Rotates one head by the angles of a position.
    #[inline(always)]
    pub(crate) fn rotate(&self, position: usize, values: &mut [f32]) {
        let (cosines, sines) = self.at(position).split_at(self.half());
        let (first, second) = values.split_at_mut(self.half());
        for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
            (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
        }
    }

    #[inline(always)]
    fn at(&self, position: usize) -> &[f32] {
        &self.table[position * 2 * self.half()..][..2 * self.half()]
    }
}
