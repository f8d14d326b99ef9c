//! Reads everything about a folder once: cases, labels, what the files hold, parts; and everything that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::cases::{CaseEntry, read_cases};
use super::config::{Fit, FolderConfig};
use super::coverage::check_labels;
use super::depth::few_bits;
use super::existing::check_files;
use super::facts::{MaskFacts, PictureFacts, mask_facts, picture_facts};
use super::mask::MaskCoding;
use super::notes::{Found, counted, listed};
use super::outliers::far_numbers;
use super::parts::{Part, assign, check_copies};
use super::purpose::Purpose;
use super::removal::remove_labels;
use super::sources::Source;
use super::table::{ReadParquet, Table};
use crate::cache::Cache;
use crate::error::Result;
use crate::problems::Problems;
use crate::progress::PhotographProgress;

/// How a folder is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The folder of decoded pictures; all files in it may be deleted at any time.
    pub cache: PathBuf,
    /// Reads tables in Parquet files, which this crate does not read itself.
    pub read_parquet: Option<ReadParquet>,
}

/// Everything that is known of a folder before its pictures are used.
pub(super) struct Survey {
    pub(super) root: PathBuf,
    pub(super) config: FolderConfig,
    pub(super) cache: Cache,
    pub(super) sources: Vec<Source>,
    pub(super) cases: Vec<CaseEntry>,
    /// Of each source and case; `None` where there is no file.
    pub(super) pictures: Vec<Vec<Option<Result<PictureFacts, String>>>>,
    /// Of each task and case; `None` where there is no file.
    pub(super) masks: Vec<Vec<Option<Result<MaskFacts, String>>>>,
    /// Of each case.
    pub(super) parts: Vec<Option<Part>>,
    /// Of each task: labels that were removed from the training part.
    pub(super) removed: Vec<usize>,
    /// What must be mended before training.
    pub(super) problems: Problems,
    /// What is worth knowing.
    pub(super) notes: Vec<String>,
}

impl Survey {
    /// Reads the folder `root`. Mistakes in settings and files are collected; `progress` is told of each file that is examined.
    ///
    /// # Errors
    /// If the cache cannot be written.
    pub(super) fn new(
        root: &Path,
        config: &FolderConfig,
        purpose: Purpose,
        options: &OpenOptions,
        progress: &PhotographProgress<'_>,
    ) -> Result<Self> {
        let mut survey = Self {
            root: root.to_owned(),
            config: config.clone(),
            cache: Cache::new(&options.cache),
            sources: Vec::new(),
            cases: Vec::new(),
            pictures: Vec::new(),
            masks: Vec::new(),
            parts: Vec::new(),
            removed: Vec::new(),
            problems: config.check_for(purpose),
            notes: Vec::new(),
        };
        if !root.is_dir() {
            survey.problems.add(format!("there is no folder `{}`", root.display()), "correct `folder` or `--data`");
        }
        if !survey.problems.is_empty() {
            return Ok(survey);
        }
        survey.read_cases(purpose, options.read_parquet);
        survey.examine_files(progress)?;
        survey.check_pictures();
        survey.check_masks();
        if survey.cases.is_empty() {
            return Ok(survey);
        }
        survey.notes.extend(far_numbers(config, &survey.cases));
        if purpose == Purpose::ExternalTest {
            let is_labelled = |case: &CaseEntry| case.labels.iter().any(Option::is_some);
            survey.parts = survey.cases.iter().map(|case| is_labelled(case).then_some(Part::Test)).collect();
            survey.check_labels_for_test();
            return Ok(survey);
        }
        survey.parts = assign(config, &survey.cases, &mut survey.problems, &mut survey.notes);
        let pixels: Vec<BTreeSet<&str>> = (0..survey.cases.len()).map(|case| digests(&survey.pictures, case)).collect();
        check_copies(&survey.cases, &survey.parts, &pixels, &mut survey.problems, &mut survey.notes);
        survey.remove_labels();
        check_labels(config, &survey.cases, &survey.parts, &survey.masks, &mut survey.problems, &mut survey.notes);
        Ok(survey)
    }

    fn read_cases(&mut self, purpose: Purpose, read_parquet: Option<ReadParquet>) {
        let Self { root, config, problems, notes, .. } = self;
        let table = config.table.as_ref().map(|name| {
            let file = root.join(name);
            if !file.is_file() {
                return Err(format!("`table` = \"{}\" does not exist in `{}`", name.display(), root.display()));
            }
            Table::read(&file, config.sheet.as_deref(), read_parquet).map_err(|error| error.to_string())
        });
        let table = match table.transpose() {
            Ok(table) => table,
            Err(reason) => {
                problems.add(reason, "name a table in the folder");
                return;
            }
        };
        self.sources = Source::all(config);
        let mut found = Found { problems, notes };
        self.cases = read_cases(root, config, table.as_ref(), (&self.sources, purpose), &mut found);
        if !self.cases.is_empty() {
            check_files(root, config, (&self.sources, purpose), &mut self.cases, &mut found);
        }
    }

    /// Removes labels as the settings say, and notes how many.
    fn remove_labels(&mut self) {
        let Self { config, cases, parts, notes, .. } = self;
        self.removed = remove_labels(config, cases, parts);
        for (index, (task, &removed)) in
            config.tasks.iter().zip(&self.removed).enumerate().filter(|(_, (_, n))| **n > 0)
        {
            let has_label = |(case, part): &(&CaseEntry, &Option<Part>)| {
                **part == Some(Part::Train) && case.labels[index].is_some()
            };
            let left = cases.iter().zip(&*parts).filter(has_label).count();
            let labels = counted(removed + left, "label");
            notes
                .push(format!("{}{removed} of {labels} of the training part removed at random (`kept`)", task.place()));
        }
    }

    /// Notes which tasks have no label in any case; all of them are a problem.
    fn check_labels_for_test(&mut self) {
        let Self { config, cases, problems, notes, .. } = self;
        let has_label = |task: usize| cases.iter().any(|case| case.labels[task].is_some());
        let without = config.tasks.iter().enumerate().filter(|(task, _)| !has_label(*task));
        let without: Vec<&str> = without.map(|(_, task)| task.name.as_str()).collect();
        if without.len() == config.tasks.len() {
            let reasons = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
            let what = format!("no case of `{}` has a label of any task{reasons}", self.root.display());
            problems.add(what, "say where its labels are");
        } else if !without.is_empty() {
            notes.push(format!("no label of {}: not measured", listed(&without, 12)));
        }
    }

    /// Decodes what is not in the cache.
    fn examine_files(&mut self, progress: &PhotographProgress<'_>) -> Result<()> {
        let Self { cases, cache, config, .. } = self;
        for source in 0..self.sources.len() {
            let files = existing(cases.iter().map(|case| case.pictures[source].as_deref()));
            let paths: Vec<&Path> = files.iter().map(|(_, file)| *file).collect();
            let facts = picture_facts(cache, &paths, config.channels, progress)?;
            self.pictures.push(in_places(cases.len(), &files, facts));
        }
        for task in 0..config.tasks.len() {
            let files = existing(cases.iter().map(|case| case.masks[task].as_deref()));
            let paths: Vec<&Path> = files.iter().map(|(_, file)| *file).collect();
            let facts = if paths.is_empty() { Vec::new() } else { mask_facts(cache, &paths, progress)? };
            self.masks.push(in_places(cases.len(), &files, facts));
        }
        Ok(())
    }

    fn check_pictures(&mut self) {
        let Self { config, sources, problems, .. } = self;
        let mut small = BTreeSet::new();
        for (index, facts) in self.pictures.iter().enumerate() {
            let (is_told, is_scaled) = (Source::is_known(sources, index), sources[index].fit == Fit::Resize);
            for (case, facts) in self.cases.iter().zip(facts) {
                let Some(file) = &case.pictures[index] else { continue };
                match facts {
                    Some(Err(_)) if is_told => {}
                    Some(Err(reason)) => problems.add_place(
                        "pictures that cannot be used",
                        "replace them, remove their rows, or correct `channels`",
                        format!("`{}` of {}: {reason}", file.display(), case.place()),
                    ),
                    Some(Ok(_)) if is_scaled => {}
                    Some(Ok(facts)) if facts.height < config.size[0] || facts.width < config.size[1] => {
                        small.insert(file);
                    }
                    _ => {}
                }
            }
        }
        for facts in &self.pictures {
            let note = few_bits(facts.iter().flatten().flatten());
            if let Some(note) = note.filter(|note| !self.notes.contains(note)) {
                self.notes.push(note);
            }
        }
        if !small.is_empty() {
            let [height, width] = config.size;
            let pictures = counted(small.len(), "picture");
            self.notes.push(format!(
                "{pictures} smaller than `size` = [{height}, {width}]: black and without labels beyond its edges"
            ));
        }
    }

    fn check_masks(&mut self) {
        let Self { config, problems, .. } = self;
        for (index, task) in config.tasks.iter().enumerate() {
            let Some(coding) = MaskCoding::of(&task.kind) else { continue };
            let source = self.sources.iter().position(|source| source.tasks.contains(&index)).unwrap_or(0);
            let mut foreign: BTreeMap<_, (usize, u64, &Path)> = BTreeMap::new();
            for (number, case) in self.cases.iter().enumerate() {
                let (Some(file), Some(facts)) = (&case.masks[index], &self.masks[index][number]) else { continue };
                let facts = match facts {
                    Ok(facts) => facts,
                    Err(reason) => {
                        let place = format!("`{}` of {}: {reason}", file.display(), case.place());
                        let what = format!("{}masks that cannot be used", task.place());
                        problems.add_place(&what, "replace them, or remove them: a missing mask is no mistake", place);
                        continue;
                    }
                };
                if let Some(Ok(picture)) = &self.pictures[source][number]
                    && [picture.height, picture.width] != [facts.height, facts.width]
                {
                    let sizes = format!(
                        "`{}` of {} is {}x{}, its picture {}x{}",
                        file.display(),
                        case.place(),
                        facts.width,
                        facts.height,
                        picture.width,
                        picture.height
                    );
                    let what = format!("{}masks of another size than their pictures", task.place());
                    let remedy = "save them in the size of the pictures, turned as the pictures are shown";
                    problems.add_place(&what, remedy, sizes);
                }
                for (&value, &count) in facts.counts.iter().filter(|(value, _)| coding.class(**value).is_none()) {
                    let entry = foreign.entry(value).or_insert((0, 0, file.as_path()));
                    (entry.0, entry.1) = (entry.0 + 1, entry.1 + count);
                }
            }
            let mut foreign: Vec<_> = foreign.into_iter().collect();
            foreign.sort_by_key(|(_, (_, pixels, _))| std::cmp::Reverse(*pixels));
            for (value, (masks, pixels, file)) in foreign {
                let what = format!("{}values of masks that are neither in `classes` nor in `ignored`", task.place());
                let remedy = "list them, or give `tolerance` if the masks were saved with losses; if the masks were scaled or turned \
                              with smooth edges, do it again without interpolation (nearest neighbour)";
                let place =
                    format!("{value} in {} ({pixels} pixels), first in `{}`", counted(masks, "mask"), file.display());
                problems.add_place(&what, remedy, place);
            }
        }
    }
}

/// The digests of all pictures of `case`.
fn digests(pictures: &[Vec<Option<Result<PictureFacts, String>>>], case: usize) -> BTreeSet<&str> {
    let facts = pictures.iter().filter_map(|facts| facts[case].as_ref()?.as_ref().ok());
    facts.map(|facts| facts.pixels.as_str()).collect()
}

/// The files that exist, with the indices of their cases.
fn existing<'a>(files: impl Iterator<Item = Option<&'a Path>>) -> Vec<(usize, &'a Path)> {
    files.enumerate().filter_map(|(index, file)| Some((index, file.filter(|file| file.is_file())?))).collect()
}

/// The facts of `files` at the indices of their cases.
fn in_places<T>(count: usize, files: &[(usize, &Path)], facts: Vec<T>) -> Vec<Option<T>> {
    let mut places: Vec<Option<T>> = (0..count).map(|_| None).collect();
    files.iter().zip(facts).for_each(|((index, _), facts)| places[*index] = Some(facts));
    places
}
