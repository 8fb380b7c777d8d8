//! The program `modelyard`.

fn main() {}
