//! A configuration to start from, for a folder of which nothing is known but its files.

use std::collections::BTreeMap;
use std::path::Path;

use super::advice::{LARGE, gibibytes};
use super::columns::ColumnGuess;
use super::config::{Fit, FolderConfig, SplitConfig, TestPart};
use super::discover::{Files, Look, PictureKind};
use super::notes::{counted, listed};
use super::parts::Part;
use super::reasons::{Reasons, Suggested};
use super::suggested_cases::Cases;
use super::table::{ReadParquet, Table};
use super::task::{TaskConfig, TaskKind};
use super::task_names::{free_name, mask_name};
use super::value::MaskValue;
use crate::augment::Augmentation;
use crate::error::{Error, Result};

/// A configuration to start from, with the reason of each choice.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// The settings; `root` is left open.
    pub config: FolderConfig,
    /// Samples per batch.
    pub batch_size: usize,
    /// Samples of an epoch, about: cases of the training part, whether or not they have labels, times patches of each.
    pub samples: usize,
    /// The reasons, in the order of the settings.
    pub reasons: Vec<Suggested>,
}

/// The sides of a network's input are multiples of this, so that it can be halved four times.
const MULTIPLE: usize = 16;
/// Pictures up to this side are taken as they are.
const SMALL: usize = 320;
/// The longer side of pictures that are scaled down.
const SCALED: usize = 256;
/// The side of the patches of large pictures with masks.
const PATCH: usize = 512;
/// The largest number of patches per picture and epoch that is suggested.
const MOST_PATCHES: usize = 8;

impl Suggestion {
    /// Looks at the files in `root`.
    ///
    /// # Errors
    /// [`Error::Missing`] if it has no pictures, or nothing that could be predicted.
    pub fn for_folder(root: &Path, read_parquet: Option<ReadParquet>) -> Result<Self> {
        let missing = |missing: &str, remedy| Error::Missing {
            dataset: "folder of pictures",
            folder: root.to_owned(),
            missing: missing.to_owned(),
            remedy,
        };
        let files = Files::below(root);
        if files.pictures.is_empty() {
            return Err(missing("pictures (PNG, JPEG, TIFF, BMP)", "name the folder that holds them, or one above it"));
        }
        let mut reasons = Reasons::default();
        let cases = Cases::find(root, &files, read_parquet, &mut reasons);
        let Some(cases) = cases else {
            return Err(missing("pictures whose names fit each other", "write the configuration by hand"));
        };
        let mut looks: Vec<(PictureKind, Look)> =
            cases.kinds.iter().map(|kind| (kind.clone(), Look::at(root, kind))).collect();
        let main = looks.iter().position(|(_, look)| look.values.is_none()).unwrap_or(0);
        let (pictures, look) = looks.remove(main);
        reasons.add("images", format!("{} of this name fit the cases", counted(pictures.files.len(), "picture")));

        let mut config = FolderConfig {
            root: None,
            images: Some(pictures.pattern),
            image_column: None,
            table: None,
            sheet: None,
            case: "case".into(),
            group: None,
            channels: look.channels.iter().copied().max().unwrap_or(3).min(16),
            size: [SCALED; 2],
            fit: Fit::Resize,
            scale: 1.0,
            patches_per_image: 1,
            tile: None,
            overlap: None,
            margin: None,
            spacing: None,
            augmentation: Augmentation {
                mirror: true,
                rotation: 10.0,
                scale: 0.1,
                contrast: 0.1,
                ..Augmentation::NONE
            },
            balanced: None,
            split: SplitConfig::default(),
            tasks: Vec::new(),
        };
        let channels: Vec<String> = look.channels.iter().map(ToString::to_string).collect();
        reasons.add("channels", format!("the pictures have {}", channels.join(" or ")));
        add_masks(&mut config, &looks, cases.count, &mut reasons);
        if let Some((table, case)) = &cases.table {
            config.table = Some(table.file.strip_prefix(root).unwrap_or(&table.file).to_owned());
            config.case = table.header[*case].clone();
            add_columns(&mut config, table, *case, &mut reasons);
        }
        if config.tasks.is_empty() {
            return Err(missing("masks, and columns with labels", "name them in a configuration written by hand"));
        }
        choose_size(&mut config, &look.sizes, &mut reasons);
        reasons.add(
            "augmentation",
            "small changes that suit most pictures; `mirror = false` if left and right have a meaning".into(),
        );
        let batch_size = choose_batch(&config, cases.count, &mut reasons);
        say_balance(&config, &mut reasons);
        let table = cases.table.as_ref().map(|(table, _)| table);
        let samples = training_cases(&config.split, table, cases.count) * config.patches_per_image;
        Ok(Self { config, batch_size, samples, reasons: reasons.0 })
    }
}

/// A task for each kind of masks.
fn add_masks(config: &mut FolderConfig, looks: &[(PictureKind, Look)], cases: usize, reasons: &mut Reasons) {
    for (PictureKind { pattern, files }, look) in looks {
        let Some(values) = &look.values else {
            let count = counted(files.len(), "picture");
            reasons.add(
                "images",
                format!("{count} of the name `{pattern}` have too many values for masks and are left out"),
            );
            continue;
        };
        let name = free_name(config, &mask_name(pattern));
        let black = MaskValue::Grey(0);
        let background = if values.contains_key(&black) { Some(black) } else { most_frequent(values) };
        let class = |value: &MaskValue| match value {
            value if Some(*value) == background => "background".to_owned(),
            _ if values.len() == 2 => name.clone(),
            value => format!("class_{}", value.to_string().trim_start_matches('#')),
        };
        let classes: BTreeMap<MaskValue, String> = values.keys().map(|value| (*value, class(value))).collect();
        let found: Vec<String> = values.keys().map(ToString::to_string).collect();
        let reason = format!(
            "{} of {} have masks with the values {}; give the classes their names, and one name to values of one class",
            files.len(),
            counted(cases, "case"),
            listed(&found, 12)
        );
        reasons.add(&format!("tasks.{name}"), reason);
        let kind = TaskKind::Segmentation {
            mask: pattern.clone(),
            classes,
            order: Vec::new(),
            ignored: Vec::new(),
            tolerance: 0,
            regions: BTreeMap::new(),
        };
        config.tasks.push(TaskConfig { name, images: None, image_column: None, kept: None, kind });
    }
}

fn most_frequent(values: &BTreeMap<MaskValue, u64>) -> Option<MaskValue> {
    values.iter().max_by_key(|(_, count)| **count).map(|(value, _)| *value)
}

/// A task for each column with labels; split and groups.
fn add_columns(config: &mut FolderConfig, table: &Table, case: usize, reasons: &mut Reasons) {
    for (index, column) in table.header.iter().enumerate().filter(|(index, name)| *index != case && !name.is_empty()) {
        let empty = table.cells(index).filter(|cell| cell.is_empty()).count();
        let empty = if empty == 0 { String::new() } else { format!("; {} empty", counted(empty, "cell")) };
        let kind = match ColumnGuess::of(table, index) {
            ColumnGuess::Split if config.split.column.is_none() => {
                config.split.column = Some(column.clone());
                let has_validation = table.cells(index).any(|cell| Part::read(cell) == Some(Part::Validation));
                let drawn = if has_validation {
                    ""
                } else {
                    "; a validation part is drawn from the training part (`validation = 0.15`)"
                };
                reasons.add("split.column", format!("column `{column}` names the parts{drawn}"));
                continue;
            }
            ColumnGuess::Group if config.group.is_none() => {
                config.group = Some(column.clone());
                reasons.add("group", format!("column `{column}` returns in several rows: its cases stay in one part"));
                continue;
            }
            ColumnGuess::Classes(classes) => {
                let counts: Vec<String> = classes.iter().map(|(class, count)| format!("{class}: {count}")).collect();
                let name = free_name(config, column);
                reasons.add(
                    &format!("tasks.{name}"),
                    format!("column `{column}` has few contents ({}){empty}", counts.join(", ")),
                );
                let (all, rarest) = (
                    classes.iter().map(|(_, count)| count).sum::<usize>(),
                    classes.iter().min_by_key(|(_, count)| *count),
                );
                if let (Some((rare, count)), None) = (rarest, &config.balanced)
                    && 2 * count * classes.len() < all
                {
                    reasons.add(
                        "balanced",
                        format!("only {count} of {all} cases are `{rare}`, so that most batches would have few"),
                    );
                    config.balanced = Some(name.clone());
                }
                let classes = classes.iter().map(|(class, _)| class.as_str().into()).collect();
                TaskKind::Classification { column: column.clone(), classes, names: Vec::new() }
            }
            ColumnGuess::Numbers([least, most]) => {
                let name = free_name(config, column);
                reasons.add(
                    &format!("tasks.{name}"),
                    format!("column `{column}` has numbers from {least} to {most}{empty}"),
                );
                TaskKind::Regression { column: column.clone(), unit: None, range: None }
            }
            ColumnGuess::Other(reason) => {
                reasons.add("tasks", format!("column `{column}` is left out: {reason}"));
                continue;
            }
            ColumnGuess::Split | ColumnGuess::Group => {
                reasons.add("tasks", format!("column `{column}` is left out: another one has its purpose"));
                continue;
            }
        };
        let name = free_name(config, column);
        config.tasks.push(TaskConfig { name, images: None, image_column: None, kept: None, kind });
    }
}

/// Size and fit by the sizes of the pictures.
fn choose_size(config: &mut FolderConfig, sizes: &[[usize; 2]], reasons: &mut Reasons) {
    let middle = |axis: usize| {
        let mut sides: Vec<usize> = sizes.iter().map(|size| size[axis]).collect();
        sides.sort_unstable();
        sides.get(sides.len() / 2).copied().unwrap_or(SCALED)
    };
    let (usual, is_one) = ([middle(0), middle(1)], sizes.windows(2).all(|pair| pair[0] == pair[1]));
    let [height, width] = usual;
    let spread = if is_one { "all measured pictures have" } else { "the pictures differ; usual are" };
    let found = format!("{spread} {height} rows and {width} columns");
    let rounded = |side: f64| ((side / MULTIPLE as f64).round() as usize).max(1) * MULTIPLE;
    let has_masks = config.tasks.iter().any(|task| matches!(task.kind, TaskKind::Segmentation { .. }));
    if height.max(width) <= SMALL {
        config.size = usual.map(|side| rounded(side as f64));
        reasons.add("size", format!("{found}: as they are, in multiples of {MULTIPLE}"));
    } else if has_masks && height * width > LARGE && height.min(width) >= PATCH {
        (config.size, config.fit) = ([PATCH; 2], Fit::Patches);
        config.patches_per_image = (height * width / (PATCH * PATCH)).clamp(1, MOST_PATCHES);
        let reason = format!(
            "{found}: training on whole ones would need about {:.1} GiB for each, and fine structures vanish when they are scaled down",
            gibibytes(usual)
        );
        reasons.add("size", reason);
        let whole = "tiles that overlap cover whole pictures (`tile`, `overlap`, `margin`)";
        let labels = "tasks with one answer per picture see it whole and scaled to `size`";
        reasons.add("fit", format!("patches at random places for training; {whole}; {labels}"));
        let count = format!("an epoch sees about as much as the pictures show, at most {MOST_PATCHES} patches of each");
        reasons.add("patches_per_image", count);
    } else {
        let scale = SCALED as f64 / height.max(width) as f64;
        config.size = usual.map(|side| rounded(scale * side as f64));
        reasons.add(
            "size",
            format!("{found}: scaled so that the longer side is about {SCALED}; larger is slower and finer"),
        );
    }
}

/// Larger batches for smaller pictures, at least eight in an epoch.
fn choose_batch(config: &FolderConfig, cases: usize, reasons: &mut Reasons) -> usize {
    let pixels = config.size[0] * config.size[1];
    let by_size = [(64 * 64, 32), (128 * 128, 16), (256 * 256, 8)].iter().find(|(most, _)| pixels <= *most);
    let batch = by_size.map_or(4, |(_, batch)| *batch).min(cases * config.patches_per_image / 8).max(1);
    let size = format!("{}x{}", config.size[0], config.size[1]);
    reasons.add("batch_size", format!("for {} of {size} pixels", counted(cases, "case")));
    batch
}

/// Says by which of several classification tasks drawn parts are balanced.
fn say_balance(config: &FolderConfig, reasons: &mut Reasons) {
    let classes = config.tasks.iter().filter(|task| matches!(task.kind, TaskKind::Classification { .. }));
    let names: Vec<&str> = classes.map(|task| task.name.as_str()).collect();
    if let ([first, second, ..], None) = (&names[..], &config.split.column) {
        let reason = format!(
            "drawn parts have the same share of every class of `{first}` alone; `stratify = \"{second}\"` would balance `{second}`"
        );
        reasons.add("split.stratify", reason);
    }
}

/// Cases of the training part: as the split's column says, or what drawing leaves of all `cases`.
fn training_cases(split: &SplitConfig, table: Option<&Table>, cases: usize) -> usize {
    let column = split.column.as_deref().zip(table);
    let named = column.and_then(|(name, table)| Some((table, table.column(name).ok()?)));
    let share = |cases: usize, fraction: f64| cases - ((cases as f64 * fraction).round() as usize).min(cases);
    match (named, split.test) {
        (Some((table, column)), _) => {
            let count = |part: Part| table.cells(column).filter(|cell| Part::read(cell) == Some(part)).count();
            let (train, validation) = (count(Part::Train), count(Part::Validation));
            if validation == 0 { share(train, split.validation) } else { train }
        }
        (None, TestPart::Fraction(test)) => share(share(cases, test), split.validation),
        (None, TestPart::None) => share(cases, split.validation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_training_part_is_what_the_table_says_or_what_drawing_leaves() {
        let split = SplitConfig::default();
        assert_eq!(training_cases(&split, None, 100), 68);
        assert_eq!(training_cases(&SplitConfig { test: TestPart::None, ..split.clone() }, None, 100), 85);
        let named = SplitConfig { column: Some("part".into()), ..split };
        let table = |others: &str| {
            let rows = ["part"].into_iter().chain(["train"; 40]).chain([others, "test", "test"]);
            Table::of_rows(Path::new("t.csv"), rows.map(|cell| vec![cell.to_owned()]).collect()).unwrap()
        };
        assert_eq!(training_cases(&named, Some(&table("val")), 43), 40);
        assert_eq!(training_cases(&named, Some(&table("test")), 43), 34);
    }

    #[test]
    fn it_is_said_which_of_several_classifications_is_balanced() {
        let task = |name: &str| {
            format!(r#"{{ "name": "{name}", "kind": "classification", "column": "{name}", "classes": [0, 1] }}"#)
        };
        let said = |split: &str, tasks: &[String]| {
            let text = format!(r#"{{ "size": [8, 8], "split": {split}, "tasks": [{}] }}"#, tasks.join(", "));
            let mut reasons = Reasons::default();
            say_balance(&serde_json::from_str(&text).unwrap(), &mut reasons);
            reasons.0.into_iter().map(|reason| reason.reason).collect::<String>()
        };
        let two = [task("a"), task("b")];
        assert!(said("{}", &two).contains("`a` alone; `stratify = \"b\"`"), "{}", said("{}", &two));
        assert_eq!(said("{}", &two[..1]) + &said(r#"{ "column": "part" }"#, &two), "");
    }

    #[test]
    fn large_pictures_with_masks_are_seen_by_patches() {
        let mask =
            r#"{ "name": "a", "kind": "segmentation", "mask": "{case}.png", "classes": { "0": "b", "1": "c" } }"#;
        let number = r#"{ "name": "n", "kind": "regression", "column": "n" }"#;
        let chosen = |tasks: &[&str], sizes: &[[usize; 2]]| {
            let text = format!(r#"{{ "size": [8, 8], "tasks": [{}] }}"#, tasks.join(", "));
            let (mut config, mut reasons) = (serde_json::from_str::<FolderConfig>(&text).unwrap(), Reasons::default());
            choose_size(&mut config, sizes, &mut reasons);
            let batch = choose_batch(&config, 10, &mut reasons);
            (config.size, config.fit, config.patches_per_image, batch, reasons.0)
        };
        let (size, fit, patches, batch, reasons) = chosen(&[mask, number], &[[2336, 3504]; 3]);
        assert_eq!((size, fit, patches, batch), ([PATCH; 2], Fit::Patches, MOST_PATCHES, 4));
        let told = |key: &str| reasons.iter().any(|reason| reason.key == key);
        assert!(told("fit") && told("patches_per_image") && reasons[0].reason.contains("12.9 GiB"), "{reasons:?}");
        for (tasks, sizes) in
            [(&[mask][..], [[600, 700]]), (&[number][..], [[2336, 3504]]), (&[mask][..], [[400, 4000]])]
        {
            let (_, fit, patches, ..) = chosen(tasks, &sizes);
            assert_eq!((fit, patches), (Fit::Resize, 1), "{sizes:?}");
        }
    }

    #[test]
    fn tasks_of_masks_are_named_by_what_is_particular() {
        for (pattern, name) in [
            ("masks/{case}.png", "segmentation"),
            ("vessels/{case}.png", "vessels"),
            ("gt/{case}_disc.png", "disc"),
            ("{case}_mask.png", "segmentation"),
            ("Annotation/{case}.tif", "segmentation"),
        ] {
            assert_eq!(mask_name(pattern), name, "{pattern}");
        }
    }
}
