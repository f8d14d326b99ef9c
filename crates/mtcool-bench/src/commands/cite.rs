//! `mtcool cite`: the papers to cite, as BibTeX or plain text.
//!
//! Of most papers the program knows title, year and the surnames by which its registry names them; nothing else is made up.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cli::Cite;
use crate::output::print;
use crate::plan::{Overrides, Plan, PlannedMethod, StoredSettings};
use crate::record::read;
use crate::suite::{MethodEntry, Registry};

/// The paper of MT-COOL, as in README.md.
const MTCOOL: &str = "@misc{wu2023mtcool,
  title  = {Multi-Task Cooperative Learning via Searching for Flat Minima},
  author = {Wu, Fuping and Zhang, Le and Sun, Yang and Mo, Yuanhan and Nichols, Thomas and Papie{\\.z}, Bart{\\l}omiej W.},
  year   = {2023},
  eprint = {2309.12090},
  archivePrefix = {arXiv}
}
";
/// The same as plain text.
const MTCOOL_PLAIN: &str = "Fuping Wu, Le Zhang, Yang Sun, Yuanhan Mo, Thomas Nichols, Bartłomiej W. Papież: Multi-Task Cooperative Learning via \
                            Searching for Flat Minima. 2023. arXiv 2309.12090.\n";
/// Its title in the registry.
const MTCOOL_TITLE: &str = "Multi-Task Cooperative Learning via Searching for Flat Minima";

/// A paper, as far as the registry knows it, and the methods that come from it.
#[derive(Debug, PartialEq, Eq)]
struct Paper {
    /// Surnames as in the registry, such as `Sener and Koltun` or `Yu et al.`; empty if they are not known.
    authors: String,
    year: String,
    title: Option<String>,
    methods: Vec<String>,
}

/// Prints the papers that the arguments ask for.
///
/// # Errors
/// If there is no such experiment, run or method.
pub(super) fn cite(registry: &Registry, arguments: &Cite) -> Result<()> {
    let papers = papers(&methods(registry, arguments)?);
    let (own, mtcool) = (program(registry, arguments.plain), if arguments.plain { MTCOOL_PLAIN } else { MTCOOL });
    let of_methods: Vec<String> =
        papers.iter().map(|paper| if arguments.plain { paper.plain() } else { paper.bibtex() }).collect();
    let mut text = [vec![mtcool.to_owned(), own], of_methods].concat().join(if arguments.plain { "" } else { "\n" });
    if !papers.is_empty() {
        // BibTeX skips what stands outside of entries, and people read a comment as one.
        let comment = if arguments.plain { "" } else { "% " };
        text += &format!(
            "\n{comment}Of the methods' papers, the program knows titles, years and surnames: complete these entries before you print \
             them.\n"
        );
    }
    print(&text)
}

/// The methods that the arguments name, those that they are applied to included.
fn methods<'a>(registry: &'a Registry, arguments: &Cite) -> Result<Vec<&'a MethodEntry>> {
    let mut named: Vec<(String, Value)> = Vec::new();
    match &arguments.target {
        Some(target) if Path::new(target).join("config.toml").is_file() => {
            let path = Path::new(target).join("config.toml");
            let text = String::from_utf8_lossy(&read(&path)?).into_owned();
            let stored = StoredSettings::parse(&text).with_context(|| format!("`{}`", path.display()))?;
            let settings = stored.table.get("settings").map(serde_json::to_value).transpose()?;
            named.push((stored.method, settings.unwrap_or_default()));
        }
        Some(experiment) => {
            let overrides = Overrides { profile: arguments.profile.clone(), assignments: Vec::new() };
            let plan = Plan::load(registry, experiment, &overrides)?;
            let settings = |method: &PlannedMethod| (method.like.clone(), method.settings.describe());
            named.extend(plan.methods.iter().map(settings));
        }
        None if arguments.methods[..] == ["all"] => {
            named.extend(registry.methods().iter().map(|entry| (entry.name.to_string(), Value::Null)));
        }
        None => named.extend(arguments.methods.iter().map(|name| (name.trim().to_owned(), Value::Null))),
    }
    let mut found: Vec<&MethodEntry> = Vec::new();
    for (name, settings) in &named {
        // A wrapper modifies another method.
        for name in [Some(name.as_str()), settings["around"].as_str()].into_iter().flatten() {
            let entry = registry.method(name)?;
            if !found.iter().any(|known| known.name == entry.name) {
                found.push(entry);
            }
        }
    }
    Ok(found)
}

/// The papers of `methods` but for MT-COOL's, each once, in the order of the methods.
fn papers(methods: &[&MethodEntry]) -> Vec<Paper> {
    let mut papers: Vec<Paper> = Vec::new();
    for method in methods {
        let Some(mut paper) = Paper::of(method) else { continue };
        let is_same = |known: &&mut Paper| {
            let same_title = known.title.is_some() && known.title == paper.title;
            same_title && (&known.authors, &known.year) == (&paper.authors, &paper.year)
        };
        match papers.iter_mut().find(is_same) {
            Some(known) => known.methods.append(&mut paper.methods),
            None => papers.push(paper),
        }
    }
    papers
}

impl Paper {
    /// The paper of `method`; `None` if it has none, or MT-COOL's.
    fn of(method: &MethodEntry) -> Option<Self> {
        let title = method.title.as_ref().map(ToString::to_string);
        if title.as_deref() == Some(MTCOOL_TITLE) {
            return None;
        }
        // Such as `Liu et al. 2021 (CAGrad)`; what stands in parentheses tells methods apart.
        let reference = method.reference.split(" (").next().unwrap_or_default();
        let (authors, year) = reference.rsplit_once(' ')?;
        // Where no author is known, the method's name stands there.
        let authors = if authors == &*method.label { "" } else { authors };
        Some(Self { authors: authors.into(), year: year.into(), title, methods: vec![method.label.to_string()] })
    }

    /// What is cited, if the title is not known.
    fn shown_title(&self) -> String {
        self.title.clone().unwrap_or_else(|| format!("The paper of {}", self.methods.join(", ")))
    }

    /// Surname of the first author, year and first method, such as `liu2021cagrad`; without a known author, method and year.
    fn key(&self) -> String {
        let first = self.authors.split(' ').next().unwrap_or_default();
        let method = self.methods.first().map_or("", String::as_str);
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        match plain(first) {
            unknown if unknown.is_empty() => format!("{}{}", plain(method), self.year),
            first => format!("{first}{}{}", self.year, plain(method)),
        }
    }

    fn bibtex(&self) -> String {
        let author = match self.authors.strip_suffix(" et al.") {
            _ if self.authors.is_empty() => String::new(),
            Some(first) => format!("  author = {{{first} and others}},\n"),
            None => format!("  author = {{{}}},\n", self.authors),
        };
        // Braces keep the capital letters of names.
        format!(
            "@misc{{{},\n  title  = {{{{{}}}}},\n{author}  year   = {{{}}},\n  note   = {{{}}}\n}}\n",
            self.key(),
            self.shown_title(),
            self.year,
            self.methods.join(", ")
        )
    }

    fn plain(&self) -> String {
        let by = if self.authors.is_empty() { String::new() } else { format!("{}: ", self.authors) };
        format!("{by}{}. {}. ({})\n", self.shown_title(), self.year, self.methods.join(", "))
    }
}

/// This program.
fn program(registry: &Registry, is_plain: bool) -> String {
    let (version, revision) = (env!("CARGO_PKG_VERSION"), registry.revision().unwrap_or("unknown"));
    let (authors, title) = (env!("CARGO_PKG_AUTHORS"), "mtcool: multi-task cooperative learning in Rust");
    if is_plain {
        return format!("{authors}: {title}. Version {version}, git revision {revision}.\n");
    }
    format!(
        "@misc{{mtcool,\n  title  = {{{{{title}}}}},\n  author = {{{{{authors}}}}},\n  note   = {{Version {version}, git revision \
         {revision}}}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<Paper> {
        let registry = Registry::builtin();
        papers(&names.iter().map(|name| registry.method(name).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn readme_has_the_same_entry_and_every_method_names_its_paper() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
        let readme = std::fs::read_to_string(root).unwrap();
        let block: String = MTCOOL.lines().map(|line| format!("    {line}\n")).collect();
        assert!(readme.contains(&block), "{block}");
        assert!(MTCOOL.contains(MTCOOL_TITLE) && MTCOOL_PLAIN.contains(MTCOOL_TITLE));
        for entry in Registry::builtin().methods() {
            let without = ["independent", "pivrg"].contains(&&*entry.name);
            assert_eq!(entry.title.is_none(), without, "{}", entry.name);
        }
    }

    #[test]
    fn papers_are_cited_once_with_what_is_known() {
        let cited = of(&["mtcool", "vanilla", "independent", "joint", "imtl_g", "imtl_l", "mgda", "pcd", "pivrg"]);
        assert_eq!(cited.len(), 5, "{cited:?}");
        assert_eq!(cited[0].plain(), "Caruana: Multitask learning. 1997. (Joint)\n");
        let imtl = "@misc{liu2021imtlg,\n  title  = {{Towards impartial multi-task learning}},\n  author = {Liu and others},\n  year   \
                    = {2021},\n  note   = {IMTL-G, IMTL-L}\n}\n";
        assert_eq!(cited[1].bibtex(), imtl);
        assert!(cited[2].bibtex().contains("author = {Sener and Koltun},"), "{}", cited[2].bibtex());
        assert!(!cited[3].bibtex().contains("author"), "{}", cited[3].bibtex());
        assert_eq!(cited[4].plain(), "The paper of PIVRG. 2025. (PIVRG)\n");
    }

    #[test]
    fn keys_differ() {
        let all = papers(&Registry::builtin().methods().iter().collect::<Vec<_>>());
        let mut keys: Vec<String> = all.iter().map(Paper::key).collect();
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), keys.iter().any(String::is_empty)), (count, false));
    }
}
