//! The instruments of the benchmarks: generators of load and of streams, an upstream that answers at
//! once, and meters of the disk and of the memory. `bench/run.sh` puts them together; `docs/benchmarks.md` has the results.

pub mod bandwidth;
pub mod disk;
pub mod framing;
pub mod load;
pub mod mock;
pub mod print;
pub mod streams;
