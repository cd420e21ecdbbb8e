//! The command line of Belvedere: configuration, commands, output, logs.

pub mod config;
