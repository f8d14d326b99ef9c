//! How a folder departs from the published set: what a reader of the table must know.

use std::sync::Arc;

use mtcool_data::HrfAv;
use mtcool_data::hrf_av::{CLASS, Class, Photograph};

use crate::suite::Caveat;

/// What was left out of the `expected` photographs of the set, and which files are not the published ones.
pub(super) fn departures(set: &HrfAv, expected: usize) -> Vec<Caveat> {
    let mut texts = Vec::new();
    let (kept, left_out) = (set.all().len(), set.left_out());
    if let Some(first) = left_out.first() {
        texts.push(format!(
            "{} of {expected} photographs were left out, since their files are damaged, such as {first}",
            expected - kept
        ));
    }
    let unpublished = set.unpublished();
    if let Some(first) = unpublished.first() {
        let name = first.file_name().unwrap_or_default().to_string_lossy();
        texts.push(format!(
            "{} files are not the published ones, although they have their names, such as {name}",
            unpublished.len()
        ));
    }
    if let Some(first) = set.copies().first() {
        texts.push(format!("{} photographs are there twice, which was allowed: {first}", set.copies().len()));
    }
    texts.into_iter().map(|text| Caveat { text, is_comparable: false }).collect()
}

/// What a part lacks that should have `planned` photographs: all of them, or the arteries or veins of all of them.
pub(super) fn lacks(part: &str, planned: usize, photographs: &[Arc<Photograph>]) -> Option<Caveat> {
    let caveat = |text: String| Some(Caveat { text, is_comparable: false });
    if photographs.is_empty() {
        // Without held-out photographs there is nothing to miss.
        return (planned > 0)
            .then(|| {
                caveat(format!(
                    "None of the {planned} photographs of the {part} part is there, so that it has no metrics"
                ))
            })
            .flatten();
    }
    let shows = |class: Class| {
        photographs.iter().any(|photograph| photograph.marks().bytes.iter().any(|mark| mark & CLASS == class as u8))
    };
    let absent: Vec<&str> = [(Class::Artery, "arteries"), (Class::Vein, "veins")]
        .into_iter()
        .filter(|(class, _)| !shows(*class))
        .map(|(_, name)| name)
        .collect();
    match absent.is_empty() {
        true => None,
        false => caveat(format!(
            "The {part} part shows no {}, so that their metrics have no value there",
            absent.join(" and no ")
        )),
    }
}
