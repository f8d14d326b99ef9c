//! [`DataRecord`]: the files and the samples that a run was made of, as its folder names them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The files and the samples of an opened data set. It is written beside a run's results and is not part of its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// A digest of the content of all files, in hexadecimal; `None` if the data set gives none.
    pub digest: Option<String>,
    /// Checksums of single files, by name, where the data set has them: `md5:...` or `sha256:...`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Names of the samples that networks are trained on, or ranges of them.
    pub train: Vec<String>,
    /// Names of the samples of the validation split, on which settings are selected.
    pub validation: Vec<String>,
    /// Names of the samples of the test split.
    pub test: Vec<String>,
}

impl DataRecord {
    /// How many of the files with the checksums `others` are pictures of the training part, and of the validation part.
    pub fn seen<'a>(&self, others: impl IntoIterator<Item = &'a String>) -> [usize; 2] {
        let of = |part: &[String]| part.iter().filter_map(|case| self.files.get(case)).collect::<BTreeSet<_>>();
        let parts = [of(&self.train), of(&self.validation)];
        let mut counts = [0; 2];
        for other in others {
            parts.iter().zip(&mut counts).for_each(|(part, count)| *count += usize::from(part.contains(other)));
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_their_checksums() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let files = [("a", "sha256:1"), ("b", "sha256:2"), ("c", "sha256:3")];
        let record = DataRecord {
            files: files.map(|(case, sum)| (case.to_owned(), sum.to_owned())).into(),
            train: names(&["a"]),
            validation: names(&["b"]),
            test: names(&["c"]),
            ..DataRecord::default()
        };
        assert_eq!(record.seen(&names(&["sha256:1", "sha256:2", "sha256:3", "sha256:4", "sha256:2"])), [1, 2]);
        assert_eq!(DataRecord::default().seen(&names(&["sha256:1"])), [0, 0]);
    }
}
