//! The processor: tiles, packed weights, the paged KV cache, matrix and attention kernels, the thread pool.
