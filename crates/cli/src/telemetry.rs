//! Logs: lines on standard error, for people or for programs.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::Log;
use crate::config::types::{LogFormat, LogLevel};
use crate::console::{Console, TARGET};

/// Our crates: everything else is logged only when something is odd, or at the finest level.
const OURS: &str = "belvedere";

/// Starts logging, for the rest of the process.
///
/// # Errors
///
/// When logging was started before.
pub fn start(settings: &Log, verbosity: i8, console: Console) -> Result<(), TryInitError> {
    let color = console.color;
    let registry = tracing_subscriber::registry().with(targets(level(settings.level, verbosity)));
    match settings.format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(console).with_ansi(color)).try_init(),
        LogFormat::Json => registry.with(fmt::layer().json().flatten_event(true).with_writer(console)).try_init(),
    }
}

/// The level after `--verbose` (1 and more) and `--quiet` (less than 0).
fn level(configured: LogLevel, verbosity: i8) -> LogLevel {
    match verbosity {
        i8::MIN..=-1 => LogLevel::Error,
        0 => configured,
        1 => LogLevel::Debug,
        2.. => LogLevel::Trace,
    }
}

fn targets(level: LogLevel) -> Targets {
    let (ours, others) = match level {
        LogLevel::Off => (LevelFilter::OFF, LevelFilter::OFF),
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warning => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    // What is told to people comes here only if the log is all there is, and whatever its level.
    Targets::new().with_default(others).with_target(OURS, ours).with_target(TARGET, LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn flags_take_precedence_over_the_level() {
        assert_eq!(level(LogLevel::Info, 0), LogLevel::Info);
        assert_eq!(level(LogLevel::Off, 1), LogLevel::Debug);
        assert_eq!(level(LogLevel::Info, 5), LogLevel::Trace);
        assert_eq!(level(LogLevel::Debug, -1), LogLevel::Error);
    }

    #[test]
    fn other_libraries_are_quieter_than_we_are() {
        let info = targets(LogLevel::Info);
        assert!(info.would_enable("belvedere_store::queue", &Level::INFO));
        assert!(!info.would_enable("belvedere_store::queue", &Level::DEBUG));
        assert!(info.would_enable("hyper", &Level::WARN));
        assert!(!info.would_enable("hyper", &Level::INFO));
    }
}
