//! Which lines are worth writing, by module.

use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};

/// A default level and exceptions: `info`, or `warn,gateway=debug,tasks::queue=trace`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevels {
    default: LevelFilter,
    by_target: Vec<(String, LevelFilter)>,
}

impl Default for LogLevels {
    fn default() -> Self {
        Self { default: LevelFilter::INFO, by_target: Vec::new() }
    }
}

impl LogLevels {
    pub(super) fn targets(&self) -> Targets {
        Targets::new().with_targets(self.by_target.iter().cloned()).with_default(self.default)
    }
}

/// A directive that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{directive}` is not a log level; write `off`, `error`, `warn`, `info`, `debug` or `trace`, \
     or `module=level`, several with commas"
)]
pub struct BadLevels {
    directive: String,
}

impl FromStr for LogLevels {
    type Err = BadLevels;

    /// The level names of Python's logging (`WARNING`, `CRITICAL`, in any case) are understood too.
    fn from_str(text: &str) -> Result<Self, BadLevels> {
        let mut levels = Self::default();
        for directive in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (target, word) = match directive.split_once('=') {
                Some((target, word)) => (Some(target.trim()), word.trim()),
                None => (None, directive),
            };
            let bad = || BadLevels { directive: directive.to_owned() };
            let level = level(word).ok_or_else(bad)?;
            match target {
                Some("") => return Err(bad()),
                Some(target) => levels.by_target.push((target.to_owned(), level)),
                None => levels.default = level,
            }
        }
        Ok(levels)
    }
}

fn level(word: &str) -> Option<LevelFilter> {
    Some(match word.to_ascii_lowercase().as_str() {
        "off" => LevelFilter::OFF,
        "error" | "critical" | "fatal" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" | "notset" => LevelFilter::TRACE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_module_may_differ_from_the_rest() {
        let levels: LogLevels = "WARNING, gateway=debug ,tasks=off".parse().unwrap();
        let targets = levels.targets();
        for (target, level, written) in [
            ("fleet", Level::INFO, false),
            ("fleet", Level::WARN, true),
            ("gateway::access", Level::DEBUG, true),
            ("tasks", Level::ERROR, false),
        ] {
            assert_eq!(targets.would_enable(target, &level), written, "{target} {level}");
        }
    }

    #[test]
    fn an_empty_text_means_info() {
        assert_eq!("".parse::<LogLevels>(), Ok(LogLevels::default()));
    }

    #[test]
    fn a_misspelt_level_is_refused_rather_than_taken_for_a_module() {
        for text in ["inof", "gateway=loud", "=info", "info,7"] {
            let error = text.parse::<LogLevels>().unwrap_err().to_string();
            assert!(error.contains("is not a log level; write"), "{error}");
        }
    }
}
