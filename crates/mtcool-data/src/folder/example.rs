//! Cases to look at: pictures with masks and labels, as they are in their files.

use std::fs;

use super::decode::decode;
use super::inspect::{Inspection, label_text};
use super::label::Label;
use super::mask::{MaskCoding, MaskPixels};
use super::parts::Part;
use super::pixels::Pixels;
use super::sources::Source;

/// A case to look at.
#[derive(Clone, Debug)]
pub struct Example {
    /// The case's name.
    pub name: String,
    /// Its row in the table.
    pub row: Option<usize>,
    /// Its part.
    pub part: Option<Part>,
    /// One view for each picture that the case has.
    pub views: Vec<ExampleView>,
    /// The name of each task without a mask, and its label in words, `None` if it is missing.
    pub labels: Vec<(String, Option<String>)>,
}

/// A picture with the masks that belong to it.
#[derive(Clone, Debug)]
pub struct ExampleView {
    /// The picture at its own size.
    pub picture: Pixels,
    /// The name of each task with a mask, and the class of each pixel `[H, W]`; a value without a class is
    /// [`IGNORED`](super::IGNORED).
    pub masks: Vec<(String, Vec<u8>)>,
}

impl Inspection {
    /// Up to `count` cases with labels, spread evenly over all of them. Files that cannot be read are left out.
    pub fn examples(&self, count: usize) -> Vec<Example> {
        let cases = &self.survey.cases;
        let labelled: Vec<usize> =
            (0..cases.len()).filter(|&case| cases[case].labels.iter().any(Option::is_some)).collect();
        let count = count.min(labelled.len());
        (0..count).map(|index| self.example(labelled[index * labelled.len() / count])).collect()
    }

    fn example(&self, index: usize) -> Example {
        let survey = &self.survey;
        let (case, tasks) = (&survey.cases[index], &survey.config.tasks);
        // Where tasks see the same picture as patches and as a whole, it is shown once, with the masks.
        let is_double = |source: &Source| {
            let as_patches = |other: &Source| other.files == source.files && other.fit == survey.config.fit;
            source.fit != survey.config.fit && survey.sources.iter().any(as_patches)
        };
        let sources = survey.sources.iter().enumerate().filter(|(_, source)| !is_double(source));
        let views = sources.filter_map(|(source, of_source)| {
            let file = case.pictures[source].as_ref()?;
            let decoded = decode(&fs::read(file).ok()?).ok()?;
            let picture = decoded.with_channels(survey.config.channels).ok()?;
            let masks = of_source.tasks.iter().filter_map(|&task| {
                let coding = MaskCoding::of(&tasks[task].kind)?;
                let mask = MaskPixels::new(decode(&fs::read(case.masks[task].as_ref()?).ok()?).ok()?).ok()?;
                let fits = [mask.height, mask.width] == [picture.height, picture.width];
                fits.then(|| (tasks[task].name.clone(), mask.classes(&coding)))
            });
            Some(ExampleView { masks: masks.collect(), picture })
        });
        let labels = tasks.iter().zip(&case.labels).filter(|(_, label)| !matches!(label, Some(Label::Mask)));
        let labels = labels
            .filter(|(task, _)| MaskCoding::of(&task.kind).is_none())
            .map(|(task, label)| (task.name.clone(), label.as_ref().map(|label| label_text(&task.kind, label))));
        Example {
            name: case.name.clone(),
            row: case.row,
            part: survey.parts.get(index).copied().flatten(),
            views: views.collect(),
            labels: labels.collect(),
        }
    }
}
