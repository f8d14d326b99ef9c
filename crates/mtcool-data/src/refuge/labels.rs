//! The diagnoses: from the file's name and folder, or from the spreadsheets, which must not contradict each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::inventory::{FoundFiles, Inventory};
use super::names::{Name, RefugePart};
use super::spreadsheet;
use crate::error::{Result, at};
use crate::finding::{Finding, ProblemKind};

/// What one source says about a photograph.
struct DiagnosisClaim {
    glaucoma: bool,
    source: PathBuf,
}

/// The diagnoses of all `expected` photographs that have one; each of the others becomes a finding.
pub(super) fn find(
    inventory: &mut Inventory,
    files: &FoundFiles,
    expected: &BTreeSet<Name>,
) -> Result<BTreeMap<Name, bool>> {
    let mut findings = Vec::new();
    let (mut claims, seen) = from_spreadsheets(inventory, files, &mut findings)?;
    from_folders(files, &mut claims);
    let mut glaucoma = BTreeMap::new();
    for part in RefugePart::ALL {
        let names = || expected.iter().copied().filter(move |name| name.part() == part);
        if part != RefugePart::Train && !names().any(|name| claims.contains_key(&name)) {
            let detail = format!(
                "no readable spreadsheet says who has glaucoma in this part: looked for a column of image names (`ImgName`) and \
                 one of diagnoses (`Glaucoma Label`), 0 or 1, {seen}; unpack the official archive again, or rename the columns"
            );
            let place = Path::new(part.spreadsheet());
            findings.extend(names().next().map(|_| inventory.finding(place, ProblemKind::Missing, true, detail)));
            continue;
        }
        for name in names() {
            let mut said = claims.remove(&name).unwrap_or_default();
            // In the training part, the name itself tells the diagnosis.
            if part == RefugePart::Train {
                said.insert(0, DiagnosisClaim { glaucoma: matches!(name, Name::Glaucoma(_)), source: name.image() });
            }
            match said.split_first() {
                None => {
                    let detail = format!("no row with a diagnosis of {}", name.text());
                    findings.push(inventory.finding(
                        Path::new(part.spreadsheet()),
                        ProblemKind::Mislabelled,
                        true,
                        detail,
                    ));
                }
                Some((first, others)) => {
                    let contrary = others.iter().find(|other| other.glaucoma != first.glaucoma);
                    findings.extend(contrary.map(|other| contradiction(inventory, name, first, other)));
                    glaucoma.insert(name, first.glaucoma);
                }
            }
        }
    }
    inventory.findings.append(&mut findings);
    Ok(glaucoma)
}

fn contradiction(inventory: &Inventory, name: Name, first: &DiagnosisClaim, other: &DiagnosisClaim) -> Finding {
    let says = |claim: &DiagnosisClaim| if claim.glaucoma { "glaucoma" } else { "no glaucoma" };
    let source = first.source.strip_prefix(&inventory.folder).unwrap_or(&first.source).display().to_string();
    let detail =
        format!("{} is {} here and {} by {source}; correct one of them", name.text(), says(other), says(first));
    inventory.finding(&other.source, ProblemKind::Mislabelled, true, detail)
}

/// What the rows of all spreadsheets say, and a text that lists spreadsheets without diagnoses.
fn from_spreadsheets(
    inventory: &Inventory,
    files: &FoundFiles,
    findings: &mut Vec<Finding>,
) -> Result<(BTreeMap<Name, Vec<DiagnosisClaim>>, String)> {
    let mut others = Vec::new();
    let mut claims: BTreeMap<Name, Vec<DiagnosisClaim>> = BTreeMap::new();
    for source in &files.spreadsheets {
        let bytes = std::fs::read(source).map_err(at(source))?;
        let diagnoses = match spreadsheet::diagnoses(&bytes) {
            Ok(diagnoses) => diagnoses,
            Err(reason) => {
                findings.push(inventory.finding(
                    source,
                    ProblemKind::Unreadable,
                    true,
                    format!("no workbook: {reason}"),
                ));
                continue;
            }
        };
        let inside = source.strip_prefix(&inventory.folder).unwrap_or(source).display();
        others.extend(diagnoses.other_headers.iter().map(|header| format!("`{inside}` has the columns {header}")));
        for diagnosis in diagnoses.rows {
            let Some(name) = Name::parse(&diagnosis.stem) else { continue };
            match diagnosis.glaucoma {
                Ok(glaucoma) => {
                    claims.entry(name).or_default().push(DiagnosisClaim { glaucoma, source: source.clone() })
                }
                Err(text) => {
                    let detail = format!("{}: expected 0 or 1, got `{text}`", name.text());
                    findings.push(inventory.finding(source, ProblemKind::Mislabelled, true, detail));
                }
            }
        }
    }
    let seen = match (&files.spreadsheets[..], &others[..]) {
        ([], _) => "but there is no spreadsheet in the folder".to_owned(),
        (_, []) => "but no spreadsheet has rows of this part".to_owned(),
        _ => format!("but {}", others.join("; ")),
    };
    Ok((claims, seen))
}

/// What the folders say into which photographs and masks are sorted.
fn from_folders(files: &FoundFiles, claims: &mut BTreeMap<Name, Vec<DiagnosisClaim>>) {
    for (&name, paths) in files.images.iter().chain(&files.masks) {
        for path in paths {
            let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            let glaucoma = match (folder.to_ascii_lowercase().as_str(), name.part()) {
                ("glaucoma", _) | ("g", RefugePart::Test) => true,
                ("non-glaucoma", _) | ("n", RefugePart::Test) => false,
                _ => continue,
            };
            claims.entry(name).or_default().push(DiagnosisClaim { glaucoma, source: path.clone() });
        }
    }
}
