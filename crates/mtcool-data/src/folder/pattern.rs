//! Patterns of file names, such as `images/{case}.jpg`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files::is_transient;
use crate::picture::is_picture;

/// A file name with places for the case's name and the cells of its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    pieces: Vec<Piece>,
    /// Whether any extension fits.
    any_extension: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(String),
}

/// The place of a case's name.
pub(super) const CASE: &str = "case";

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (body, any_extension) = match text.strip_suffix(".*") {
            Some(body) => (body, true),
            None => (text, false),
        };
        if body.contains('*') {
            return Err("`*` stands only for the extension at the end, as in `images/{case}.*`".into());
        }
        let mut pieces = Vec::new();
        let mut rest = body;
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}').ok_or("a `{` has no `}`")?;
            pieces.extend([Piece::Text(before.into()), Piece::Place(place.trim().into())]);
            rest = after;
        }
        if body.matches('}').count() != body.matches('{').count() {
            return Err("a `}` has no `{`".into());
        }
        pieces.push(Piece::Text(rest.into()));
        if !pieces.iter().any(|piece| matches!(piece, Piece::Place(_))) {
            return Err("it names the same file for every case; write `{case}` where the case's name belongs".into());
        }
        Ok(Self { text: text.to_owned(), pieces, any_extension })
    }

    /// The pattern as it is written in the settings.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The names in braces.
    pub(super) fn places(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Place(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The file name for one case; `cell` gives what belongs into each place. Without the extension if any fits.
    fn fill(&self, cell: impl Fn(&str) -> Option<String>) -> Option<String> {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name += text,
                Piece::Place(place) => name += &cell(place).filter(|cell| !cell.is_empty())?,
            }
        }
        Some(name)
    }

    /// The file below `root` for one case, whether or not it exists; `None` if a cell that belongs into it is empty.
    ///
    /// # Errors
    /// If several files fit.
    pub(super) fn find(
        &self,
        root: &Path,
        folders: &mut Listings,
        cell: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<PathBuf>, String> {
        let Some(name) = self.fill(cell) else { return Ok(None) };
        let path = root.join(name);
        if !self.any_extension {
            return Ok(Some(path));
        }
        let found = folders.with_any_extension(&path);
        match &found[..] {
            [] => Ok(Some(path.with_added_extension("*"))),
            [one] => Ok(Some(one.clone())),
            [first, second, ..] => {
                Err(format!("`{}` and `{}` both fit `{}`", first.display(), second.display(), self.text))
            }
        }
    }

    /// The cases of all files below `root` that fit, if `{case}` is the only place, by name.
    pub(super) fn cases(&self, root: &Path) -> BTreeMap<String, PathBuf> {
        let [Piece::Text(before), Piece::Place(_), Piece::Text(after)] = &self.pieces[..] else {
            return BTreeMap::new();
        };
        let (folder, prefix) = before.rsplit_once('/').map_or(("", before.as_str()), |(folder, name)| (folder, name));
        let names = files_in(&root.join(folder));
        let named = names.into_iter().filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let stem = if self.any_extension { name.rsplit_once('.')?.0 } else { name };
            let case = stem.strip_prefix(prefix)?.strip_suffix(after.as_str())?;
            (!case.is_empty()).then(|| (case.to_owned(), path.clone()))
        });
        named.collect()
    }
}

/// The files of the folders that were looked into, so that each is listed once.
#[derive(Default)]
pub(super) struct Listings(BTreeMap<PathBuf, Vec<PathBuf>>);

impl Listings {
    /// The files in `folder`, sorted.
    pub(super) fn of(&mut self, folder: &Path) -> &[PathBuf] {
        self.0.entry(folder.to_owned()).or_insert_with(|| files_in(folder))
    }

    /// The files whose path is `path` with an extension. If some of them are pictures, only these: notes of other programs often lie
    /// beside a picture under its name, such as `a.txt` and `a.json` beside `a.png`.
    fn with_any_extension(&mut self, path: &Path) -> Vec<PathBuf> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
        let fits = |file: &&PathBuf| file.file_stem() == Some(name) && file.extension().is_some();
        let found: Vec<PathBuf> = self.of(folder).iter().filter(fits).cloned().collect();
        let pictures: Vec<PathBuf> = found.iter().filter(|file| is_picture(file)).cloned().collect();
        if pictures.is_empty() { found } else { pictures }
    }
}

/// The files in `folder`, sorted, without those that programs write for themselves; none if there is no such folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok);
    let is_data = |entry: &std::fs::DirEntry| !is_transient(&entry.file_name().to_string_lossy());
    let mut files: Vec<PathBuf> =
        entries.filter(is_data).map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(root: &Path, pattern: &str) -> Result<Option<PathBuf>, String> {
        let cells = |name: &str| match name {
            "case" => Some("a".to_owned()),
            "eye" => Some("left".to_owned()),
            _ => Some(String::new()),
        };
        Pattern::parse(pattern).unwrap().find(root, &mut Listings::default(), cells)
    }

    #[test]
    fn places_are_filled_with_the_case_and_its_cells() {
        let root = Path::new("root");
        assert_eq!(find(root, "x/{case}-{eye}.png"), Ok(Some(root.join("x/a-left.png"))));
        assert_eq!(find(root, "{case}{hospital}.png"), Ok(None), "an empty cell");
        let places = Pattern::parse("{case}/{ eye }.png").unwrap();
        assert_eq!(places.places().collect::<Vec<_>>(), ["case", "eye"]);
    }

    #[test]
    fn any_extension_fits_where_a_star_stands_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        assert_eq!(find(folder.path(), "{case}.*"), Ok(Some(file("a.*"))), "as it is missed");
        std::fs::write(file("a.png"), "").unwrap();
        std::fs::write(file("ab.jpg"), "").unwrap();
        // Files of programs are no cases.
        for name in ["~$c.png", ".d.png", "e.jpg.part"] {
            std::fs::write(file(name), "").unwrap();
        }
        assert_eq!(find(folder.path(), "{case}.*"), Ok(Some(file("a.png"))));
        assert_eq!(
            Pattern::parse("{case}.*").unwrap().cases(folder.path()).into_keys().collect::<Vec<_>>(),
            ["a", "ab"]
        );
        std::fs::write(file("a.txt"), "").unwrap();
        assert_eq!(find(folder.path(), "{case}.*"), Ok(Some(file("a.png"))), "notes beside the picture");
        std::fs::write(file("a.JPG"), "").unwrap();
        assert!(find(folder.path(), "{case}.*").unwrap_err().contains("both fit"));
    }

    #[test]
    fn files_that_fit_are_cases() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        for name in ["im_1.png", "im_2.png", "im_3.jpg", "other.png", "im_.png"] {
            std::fs::write(folder.path().join("images").join(name), "").unwrap();
        }
        let cases = Pattern::parse("images/im_{case}.png").unwrap().cases(folder.path());
        assert_eq!(cases.into_keys().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn patterns_that_cannot_work_are_refused() {
        for (pattern, reason) in
            [("images/a.png", "same file"), ("{case.png", "no `}`"), ("case}.png", "no `{`"), ("*/{case}.png", "`*`")]
        {
            assert!(Pattern::parse(pattern).unwrap_err().contains(reason), "{pattern}");
        }
    }
}
