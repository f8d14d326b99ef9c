//! The cases: what the table and the names of files say about each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::config::FolderConfig;
use super::label::Label;
use super::notes::Found;
use super::pattern::{CASE, Listings, Pattern};
use super::purpose::Purpose;
use super::sources::{Source, SourceFiles, check_places};
use super::spacing::{Spacing, read_spacing};
use super::table::{Row, Table};
use super::task::{TaskConfig, TaskKind};
use crate::problems::Problems;

/// What the table and the names of files say about a case.
#[derive(Clone, Debug)]
pub(super) struct CaseEntry {
    pub(super) name: String,
    /// The row of the table, for messages.
    pub(super) row: Option<usize>,
    pub(super) group: Option<String>,
    /// The cell of the split's column.
    pub(super) part: Option<String>,
    /// The cell of the column by which parts are stratified, if it is a column.
    pub(super) stratum: Option<String>,
    /// Height and width of a pixel of the picture's file, if they are known.
    pub(super) spacing: Option<[f64; 2]>,
    /// The file of each source's picture, whether or not it exists; `None` if its cell is empty.
    pub(super) pictures: Vec<Option<PathBuf>>,
    /// The file of each task's mask, whether or not it exists; `None` if the task has none, or a cell in its name is empty.
    pub(super) masks: Vec<Option<PathBuf>>,
    /// The label of each task, masks left out.
    pub(super) labels: Vec<Option<Label>>,
}

impl CaseEntry {
    /// The case for messages, with its row.
    pub(super) fn place(&self) -> String {
        match self.row {
            Some(row) => format!("row {row} (case `{}`)", self.name),
            None => format!("case `{}`", self.name),
        }
    }

    /// Which of the pictures and masks the case has.
    pub(super) fn has_files(&self) -> Vec<bool> {
        self.pictures.iter().chain(&self.masks).map(Option::is_some).collect()
    }
}

/// Extensions that are left out of a case's name.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "tif", "tiff", "bmp"];

/// The cell without the extension of a picture's file name.
pub(super) fn case_name(cell: &str) -> &str {
    match cell.rsplit_once('.') {
        Some((stem, extension)) if EXTENSIONS.contains(&extension.to_lowercase().as_str()) => stem,
        _ => cell,
    }
}

/// Reads all cases of `config`, whose settings are correct, and adds what is wrong to `found`.
pub(super) fn read_cases(
    root: &Path,
    config: &FolderConfig,
    table: Option<&Table>,
    (sources, purpose): (&[Source], Purpose),
    found: &mut Found<'_>,
) -> Vec<CaseEntry> {
    let Found { problems, notes } = found;
    let (problems, notes) = (&mut **problems, &mut **notes);
    let masks: Vec<Option<Pattern>> = config.tasks.iter().map(mask_pattern).collect();
    for source in sources {
        if let SourceFiles::Pattern(pattern) = &source.files {
            check_places(&source.key(), pattern, table, problems);
        }
    }
    for (task, pattern) in config.tasks.iter().zip(&masks) {
        if let Some(pattern) = pattern {
            check_places(&format!("{}`mask` = \"{}\"", task.place(), pattern.text()), pattern, table, problems);
        }
    }
    let mut reader =
        CaseReader { root, config, sources, masks, columns: Columns::default(), listings: Listings::default() };
    let cases: Vec<CaseEntry> = match table {
        Some(table) => {
            let mut found = Found { problems: &mut *problems, notes: &mut *notes };
            reader.columns = Columns::find(config, (sources, purpose), table, &mut found);
            if !problems.is_empty() {
                return Vec::new();
            }
            table.rows.iter().map(|row| reader.case_of_row(row, problems)).collect()
        }
        None if problems.is_empty() => reader.cases_of_files(problems),
        None => Vec::new(),
    };
    check_names(&cases, table, problems);
    cases
}

fn mask_pattern(task: &TaskConfig) -> Option<Pattern> {
    let TaskKind::Segmentation { mask, .. } = &task.kind else { return None };
    Pattern::parse(mask).ok()
}

/// The positions of the columns that the settings name.
#[derive(Default)]
struct Columns {
    by_name: BTreeMap<String, usize>,
    case: usize,
    group: Option<usize>,
    part: Option<usize>,
    stratum: Option<usize>,
    spacing: Option<[usize; 2]>,
    /// Of each source that is a column.
    sources: Vec<Option<usize>>,
    /// Of each task, in the order of [`TaskKind::columns`].
    labels: Vec<Vec<usize>>,
}

impl Columns {
    /// For [`Purpose::ExternalTest`], a task whose columns are not there has no labels.
    fn find(
        config: &FolderConfig,
        (sources, purpose): (&[Source], Purpose),
        table: &Table,
        found: &mut Found<'_>,
    ) -> Self {
        let mut labelled = vec![true; config.tasks.len()];
        if purpose == Purpose::ExternalTest {
            for (task, labelled) in config.tasks.iter().zip(&mut labelled) {
                let missing = task.kind.columns().into_iter().find_map(|name| table.column(name).err());
                *labelled = missing.is_none();
                found.notes.extend(missing.map(|reason| format!("{}{reason}", task.place())));
            }
        }
        let problems = &mut *found.problems;
        let mut find = |key: String, name: &str| match table.column(name) {
            Ok(index) => index,
            Err(reason) => {
                problems.add(format!("{key}: {reason}"), "correct the name, or the table's header");
                0
            }
        };
        let stratify = config.split.stratify.as_deref();
        let is_column = |name: &&str| *name != "none" && !config.tasks.iter().any(|task| task.name == *name);
        let labels = config.tasks.iter().zip(labelled).map(|(task, is_labelled)| {
            let columns = task.kind.columns().into_iter().filter(|_| is_labelled);
            columns.map(|name| find(format!("{}column", task.place()), name)).collect()
        });
        Self {
            labels: labels.collect(),
            by_name: table.header.iter().cloned().zip(0..).collect(),
            case: find("`case`".into(), &config.case),
            group: config.group.as_deref().map(|name| find("`group`".into(), name)),
            part: config.split.column.as_deref().map(|name| find("`split.column`".into(), name)),
            stratum: stratify.filter(is_column).map(|name| find("`split.stratify`".into(), name)),
            spacing: config
                .spacing
                .as_ref()
                .and_then(Spacing::columns)
                .map(|names| names.each_ref().map(|name| find("`spacing`".into(), name))),
            sources: sources
                .iter()
                .map(|source| match &source.files {
                    SourceFiles::Column(name) => Some(find("`image_column`".into(), name)),
                    SourceFiles::Pattern(_) => None,
                })
                .collect(),
        }
    }
}

struct CaseReader<'a> {
    root: &'a Path,
    config: &'a FolderConfig,
    sources: &'a [Source],
    masks: Vec<Option<Pattern>>,
    columns: Columns,
    listings: Listings,
}

impl CaseReader<'_> {
    fn case_of_row(&mut self, row: &Row, problems: &mut Problems) -> CaseEntry {
        let Row { number, cells } = row;
        let optional = |column: Option<usize>| column.map(|column| cells[column].clone());
        let mut entry = CaseEntry {
            name: case_name(&cells[self.columns.case]).to_owned(),
            row: Some(*number),
            group: optional(self.columns.group).filter(|group| !group.is_empty()),
            part: optional(self.columns.part),
            stratum: optional(self.columns.stratum),
            spacing: None,
            pictures: Vec::new(),
            masks: Vec::new(),
            labels: Vec::new(),
        };
        let (place, of_table) = (entry.place(), self.config.table_place());
        entry.spacing = match (&self.config.spacing, self.columns.spacing) {
            (Some(Spacing::Numbers(numbers)), _) => Some(*numbers),
            (Some(Spacing::Columns(names)), Some(columns)) => {
                let texts = columns.map(|column| cells[column].as_str());
                read_spacing(texts).unwrap_or_else(|wrong| {
                    let what = format!("{of_table}`spacing`: column `{}`: no size of a pixel", names[wrong]);
                    let remedy = "write a number above 0 without its unit, or empty the cell";
                    problems.add_place(&what, remedy, format!("`{}` in {place}", texts[wrong]));
                    None
                })
            }
            _ => None,
        };
        for (task, columns) in self.config.tasks.iter().zip(&self.columns.labels) {
            let texts: Vec<&str> = columns.iter().map(|&column| cells[column].as_str()).collect();
            let label = Label::read(&task.kind, &texts).unwrap_or_else(|wrong| {
                let column = task.kind.columns()[wrong.column];
                let what = format!("{of_table}{}column `{column}`: {}", task.place(), wrong.what);
                problems.add_place(&what, wrong.remedy, format!("`{}` in {place}", texts[wrong.column]));
                None
            });
            entry.labels.push(label);
        }
        let (name, by_name) = (entry.name.clone(), &self.columns.by_name);
        let cell = |place: &str| match (place, by_name.get(place)) {
            (CASE, _) => Some(name.clone()),
            (_, index) => index.map(|&index| cells[index].clone()),
        };
        let mut find = |pattern: &Pattern, problems: &mut Problems| {
            let found = pattern.find(self.root, &mut self.listings, cell);
            found.unwrap_or_else(|several| {
                problems.add_place("several files fit", "keep one of them, or give the extension", several);
                None
            })
        };
        for (source, column) in self.sources.iter().zip(&self.columns.sources) {
            let picture = match (&source.files, column) {
                (SourceFiles::Pattern(pattern), _) => find(pattern, problems),
                (SourceFiles::Column(_), Some(column)) => {
                    Some(&cells[*column]).filter(|cell| !cell.is_empty()).map(|cell| self.root.join(cell))
                }
                (SourceFiles::Column(_), None) => None,
            };
            entry.pictures.push(picture);
        }
        for pattern in &self.masks {
            let mask = pattern.as_ref().and_then(|pattern| find(pattern, problems));
            entry.masks.push(mask);
        }
        entry
    }

    /// One case for every picture of the folder; there is no table.
    fn cases_of_files(&mut self, problems: &mut Problems) -> Vec<CaseEntry> {
        let pattern = self.config.images.as_deref().and_then(|text| Pattern::parse(text).ok());
        let names = pattern.map_or_else(BTreeMap::new, |pattern| pattern.cases(self.root));
        if names.is_empty() {
            let text = self.config.images.as_deref().unwrap_or_default();
            let what = format!("`images` = \"{text}\" matches no file in `{}`", self.root.display());
            problems.add(what, "correct the pattern or the folder");
        }
        self.columns.labels = vec![Vec::new(); self.config.tasks.len()];
        self.columns.sources = vec![None; self.sources.len()];
        let cases = names.into_keys().map(|name| {
            let row = Row { number: 0, cells: vec![name] };
            CaseEntry { row: None, ..self.case_of_row(&row, problems) }
        });
        cases.collect()
    }
}

/// Every case has a name of its own.
fn check_names(cases: &[CaseEntry], table: Option<&Table>, problems: &mut Problems) {
    let mut rows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let file = table.map_or_else(String::new, |table| format!("`{}`: ", table.file.display()));
    for case in cases {
        match case.row {
            Some(row) if case.name.is_empty() => {
                problems.add_place(
                    &format!("{file}a row names no case"),
                    "name the case, or empty the row",
                    format!("row {row}"),
                );
            }
            Some(row) => rows.entry(&case.name).or_default().push(row),
            None => {}
        }
    }
    for (name, rows) in rows.into_iter().filter(|(_, rows)| rows.len() > 1) {
        let rows = rows.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let place = format!("case `{name}` in rows {rows}");
        problems.add_place(&format!("{file}two rows of one case"), "keep one row for each case", place);
    }
}
