//! Which photographs the run has seen, by the content of their files: a prediction for one of them says little about new photographs.

use std::collections::BTreeMap;

use crate::suite::DataRecord;

/// A photograph of the run's data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownPhotograph {
    /// The case's name, such as `T0012`.
    pub(super) case: String,
    /// The part that it belongs to: `train`, `validation` or `test`.
    pub(super) part: &'static str,
}

/// The photographs of a run's data set by the SHA-256 of their files.
#[derive(Debug, Default)]
pub(super) struct KnownPhotographs(BTreeMap<String, KnownPhotograph>);

impl KnownPhotographs {
    /// The photographs in the record of a run's data; none if the record has no checksums of photographs.
    pub(super) fn of(record: &DataRecord) -> Self {
        let parts = [("train", &record.train), ("validation", &record.validation), ("test", &record.test)];
        let cases = parts.into_iter().flat_map(|(part, cases)| cases.iter().map(move |case| (part, case)));
        let known = cases.filter_map(|(part, case)| {
            let sha256 = record.files.get(case)?.strip_prefix("sha256:")?;
            Some((sha256.to_owned(), KnownPhotograph { case: case.clone(), part }))
        });
        Self(known.collect())
    }

    /// The photograph whose file has this content, given by its SHA-256 in hexadecimal.
    pub(super) fn get(&self, sha256: &str) -> Option<&KnownPhotograph> {
        self.0.get(sha256)
    }
}

impl KnownPhotograph {
    /// The warning about a prediction for this photograph, if network or settings depend on it.
    pub(super) fn notice(&self) -> Option<String> {
        let dependence = match self.part {
            "train" => "the network was trained on it",
            "validation" => "settings are selected on it",
            _ => return None,
        };
        Some(format!(
            "this photograph is `{}` of the run's data and {dependence}, so the prediction says little about new photographs",
            self.case
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photograph_is_known_by_its_content() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let files = [("a", "sha256:1"), ("b", "sha256:2"), ("c", "sha256:3"), ("d", "md5:4")];
        let record = DataRecord {
            files: files.map(|(case, sum)| (case.to_owned(), sum.to_owned())).into(),
            train: names(&["a", "d", "e"]),
            validation: names(&["b"]),
            test: names(&["c"]),
            ..DataRecord::default()
        };
        let known = KnownPhotographs::of(&record);
        let part = |sha256: &str| known.get(sha256).map(|known| known.part);
        assert_eq!(
            (part("1"), part("2"), part("3"), part("4")),
            (Some("train"), Some("validation"), Some("test"), None)
        );
        assert!(
            known
                .get("1")
                .unwrap()
                .notice()
                .unwrap()
                .contains("`a` of the run's data and the network was trained on it")
        );
        assert!(known.get("2").unwrap().notice().is_some() && known.get("3").unwrap().notice().is_none());
    }
}
