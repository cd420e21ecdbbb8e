//! The program `belvedere`.

fn main() {}
