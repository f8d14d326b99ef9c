//! The seeds of an experiment's runs: a number of runs, or a list of seeds.

use serde::Deserialize;

use crate::suite::ConfigError;

/// The largest number of runs per method; a larger number was meant as a seed.
const MOST: u64 = 1000;
/// The largest seed, so that every format can store it.
const LARGEST: u64 = i64::MAX as u64;

/// The seeds of each method's runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a number of runs such as 3, or a list of seeds such as [0, 3, 7]")]
pub enum Seeds {
    /// This number of runs, with seeds 0, 1, ...
    Count(u64),
    /// One run with each of these seeds.
    List(Vec<u64>),
}

impl Seeds {
    /// Checks that there is a seed, and each seed once.
    ///
    /// # Errors
    /// If the number or the list is out of range.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let twice = |seeds: &[u64]| (0..seeds.len()).find(|&at| seeds[..at].contains(&seeds[at])).map(|at| seeds[at]);
        let (value, expected) = match self {
            Self::Count(count) if *count > MOST => (
                count.to_string(),
                format!(
                    "a number of runs of each method, at most {MOST}; if a seed was meant, write `--seeds {count},`"
                ),
            ),
            Self::Count(0) => ("0".into(), "at least 1".into()),
            Self::List(seeds) if seeds.iter().any(|seed| *seed > LARGEST) => {
                (format!("{seeds:?}"), format!("seeds up to {LARGEST}"))
            }
            Self::List(seeds) if seeds.is_empty() => ("[]".into(), "at least one seed".into()),
            Self::List(seeds) => match twice(seeds) {
                Some(seed) => (format!("{seeds:?}"), format!("each seed once, not {seed} twice")),
                None => return Ok(()),
            },
            Self::Count(_) => return Ok(()),
        };
        Err(ConfigError::new(format!("`seeds` is {value}: expected {expected}")))
    }

    /// All seeds, in the order in which they are run.
    pub fn all(&self) -> Vec<u64> {
        match self {
            Self::Count(count) => (0..*count).collect(),
            Self::List(seeds) => seeds.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_counted_or_listed() {
        #[derive(Deserialize)]
        struct Table {
            seeds: Seeds,
        }
        let read = |text: &str| toml::from_str::<Table>(&format!("seeds = {text}")).map(|table| table.seeds);
        assert_eq!(read("3").unwrap().all(), [0, 1, 2]);
        assert_eq!(read("[7, 0]").unwrap().all(), [7, 0]);
        assert!(read("\"many\"").unwrap_err().to_string().contains("a list of seeds such as [0, 3, 7]"));
        for (wrong, part) in [
            ("0", "`seeds` is 0: expected at least 1"),
            ("[]", "`seeds` is []"),
            ("[1, 2, 1]", "not 1 twice"),
            ("20240101", "write `--seeds 20240101,`"),
        ] {
            let message = read(wrong).unwrap().check().unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        assert!(read("[1, 2]").unwrap().check().is_ok() && read("1").unwrap().check().is_ok());
    }
}
