//! Parts of messages: names that are similar to a mistyped one, numbers of things, short lists.

use crate::problems::Problems;

/// Where mistakes and notes are collected.
pub(super) struct Found<'a> {
    /// What must be mended.
    pub(super) problems: &'a mut Problems,
    /// What is worth knowing, one sentence each.
    pub(super) notes: &'a mut Vec<String>,
}

/// Which of `names` the writer of `wrong` may have meant, or the names that there are.
pub(super) fn near_names(wrong: &str, names: &[&str], what: &str) -> String {
    let lower = wrong.to_lowercase();
    let distance = |name: &&&str| strsim::damerau_levenshtein(&lower, &name.to_lowercase());
    match names.iter().min_by_key(distance) {
        Some(near) if distance(&near) <= 1 + wrong.chars().count() / 4 => format!("did you mean `{near}`?"),
        _ => format!("its {what} are {}", listed(names, 12)),
    }
}

/// The first `most` of `items`, separated by commas, and the number of the others.
pub(super) fn listed(items: &[impl AsRef<str>], most: usize) -> String {
    let mut text = items.iter().take(most).map(|item| format!("`{}`", item.as_ref())).collect::<Vec<_>>().join(", ");
    if items.len() > most {
        text += &format!(" and {} more", items.len() - most);
    }
    text
}

/// `count` of a thing, in the plural where there is not exactly one.
pub(super) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_is_offered_and_otherwise_all_are_listed() {
        let names = ["case", "vertical_cdr", "eye"];
        assert_eq!(near_names("vertical_crd", &names, "columns"), "did you mean `vertical_cdr`?");
        assert_eq!(near_names("hospital", &names, "columns"), "its columns are `case`, `vertical_cdr`, `eye`");
        assert_eq!(listed(&["a", "b", "c"], 2), "`a`, `b` and 1 more");
        assert_eq!((counted(1, "case"), counted(0, "case")), ("1 case".into(), "0 cases".into()));
    }
}
