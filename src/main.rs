//! The `inferlog` program: a thin user of the library.

fn main() {}
