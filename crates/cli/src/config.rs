//! Defaults of the options, from a TOML file.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use foreshadow_engine::Network;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::budget::{self, BudgetPart};
use crate::failure::Failure;

/// What the file may hold; each option of the command line wins over it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// As `--budget`.
    #[serde(deserialize_with = "read_budget")]
    pub(crate) budget: Option<BudgetPart>,
    /// As `--net`.
    #[serde(deserialize_with = "read_network")]
    pub(crate) net: Option<Network>,
    /// False as `--no-history`.
    pub(crate) history: Option<bool>,
    /// Defaults of `run`.
    pub(crate) run: RunConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunConfig {
    /// As `--strict`.
    pub(crate) strict: bool,
    /// False as `--no-predict`.
    pub(crate) predict: Option<bool>,
    /// As `--quiet`.
    pub(crate) quiet: bool,
}

impl Config {
    /// From the named file, which must exist, or from the usual place, which need not.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let (path, required) = match named {
            Some(path) => (path.to_owned(), true),
            None => match usual_place(|name| env::var_os(name).map(PathBuf::from)) {
                Some(path) => (path, false),
                None => return Ok(Config::default()),
            },
        };
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map_err(|detail| Failure::Config { path, detail }),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !required => Ok(Config::default()),
            Err(e) => Err(Failure::Config {
                path,
                detail: format!("cannot be read: {e}"),
            }),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())
    }
}

fn usual_place(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    variable("XDG_CONFIG_HOME")
        .filter(|p| p.is_absolute())
        .or_else(|| {
            variable("HOME")
                .filter(|p| p.is_absolute())
                .map(|home| home.join(".config"))
        })
        .map(|base| base.join("foreshadow/config.toml"))
}

fn read_budget<'de, D: Deserializer<'de>>(d: D) -> Result<Option<BudgetPart>, D::Error> {
    let text = String::deserialize(d)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

fn read_network<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Network>, D::Error> {
    let text = String::deserialize(d)?;
    budget::network(&text).map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_help_shows_is_read() {
        let config = Config::parse(
            "budget = \"5%,10s\"\nnet = \"limited\"\nhistory = false\n[run]\nstrict = true\n\
             predict = false\nquiet = true\n",
        )
        .unwrap();
        assert!(config.budget.is_some() && config.net.is_some());
        assert_eq!(config.history, Some(false));
        assert!(config.run.strict && config.run.quiet);
        assert_eq!(config.run.predict, Some(false));
        assert!(Config::parse("").unwrap().budget.is_none());
    }

    #[test]
    fn mistakes_are_shown_with_their_line() {
        for (text, line, word) in [
            ("history = true\nstrict = true\n", "line 2", "strict"),
            ("[run]\n\nfast = 1\n", "line 3", "fast"),
            ("budget = \"soon\"\n", "line 1", "soon"),
            ("net = 5\n", "line 1", "net"),
            ("history = \n", "line 1", "history"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(
                error.contains(line) && error.contains(word),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_named_file_must_exist() {
        let error = Config::load(Some(Path::new("/no/such.toml"))).unwrap_err();
        assert!(error.to_string().contains("/no/such.toml"), "{error}");
        assert_eq!(error.exit_code(), 125);
    }

    #[test]
    fn the_usual_place() {
        let at = |variables: &'static [(&str, &str)]| {
            usual_place(move |name| {
                variables
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, v)| PathBuf::from(v))
            })
        };
        assert_eq!(
            at(&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]).unwrap(),
            Path::new("/c/foreshadow/config.toml")
        );
        assert_eq!(
            at(&[("XDG_CONFIG_HOME", "c"), ("HOME", "/h")]).unwrap(),
            Path::new("/h/.config/foreshadow/config.toml")
        );
        assert_eq!(at(&[]), None);
    }
}
