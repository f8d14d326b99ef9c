//! Finds circles of files, and of the rooms of a crate, that use each other's items.
//!
//! A file uses another if its code outside tests names an item that the other defines, by a `use` line or by a path. A name that
//! is re-exported on the way counts for the file that defines it. `mod x;` is no use, nor is a re-export of what lies below.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::Modules;

/// One crate's sources: path relative to `src` -> text.
pub(super) type Sources = BTreeMap<String, String>;

/// Every circle in a crate, in words: first those between files, then those between rooms (folders and files directly in `src`).
///
/// # Errors
/// If the file of a declared module is missing.
pub(super) fn circles(sources: &Sources) -> Result<Vec<String>, String> {
    let mut uses = BTreeMap::new();
    for root in ["lib.rs", "main.rs"].into_iter().filter(|root| sources.contains_key(*root)) {
        collect_uses(&Modules::read(sources, root)?, &mut uses);
    }
    let mut found =
        described("files", &uses.iter().map(|(files, reasons)| (files.clone(), in_words(reasons))).collect());
    let mut between_rooms = Graph::new();
    for (user, used) in uses.keys() {
        let rooms = (room(user).to_owned(), room(used).to_owned());
        if rooms.0 != rooms.1 {
            between_rooms.entry(rooms).or_default().push(format!("{user} uses {used}"));
        }
    }
    found.extend(described("rooms", &between_rooms));
    Ok(found)
}

/// (user, used) -> why.
type Uses = BTreeMap<(String, String), Vec<Reason>>;

/// The same with reasons in words.
type Graph = BTreeMap<(String, String), Vec<String>>;

/// A place that names an item of another file.
struct Reason {
    line: usize,
    path: Vec<String>,
}

/// Each name once, where it stands first.
fn in_words(reasons: &[Reason]) -> Vec<String> {
    let mut told: Vec<&Reason> = Vec::new();
    for reason in reasons {
        // What a `use` line brings in is mentioned by its last name.
        let is_told = told.iter().any(|other| other.path == reason.path || other.path.last() == reason.path.first());
        if !is_told {
            told.push(reason);
        }
    }
    told.into_iter().map(|reason| format!("line {} `{}`", reason.line, reason.path.join("::"))).collect()
}

/// The folder directly in `src`, or the file without its extension.
fn room(file: &str) -> &str {
    match file.split_once('/') {
        Some((folder, _)) => folder,
        None => file.strip_suffix(".rs").unwrap_or(file),
    }
}

fn collect_uses(modules: &Modules, uses: &mut Uses) {
    for (index, module) in modules.0.iter().enumerate() {
        let mut add = |used: usize, line: usize, path: &[String]| {
            let used = &modules.0[used].file;
            if *used != module.file {
                uses.entry((module.file.clone(), used.clone())).or_default().push(Reason { line, path: path.to_vec() });
            }
        };
        for import in &module.imports {
            let wanted = if import.name.is_some() { Wanted::Item } else { Wanted::Module };
            let found = resolve(modules, index, &import.path, wanted, &mut Vec::new());
            match (found, import.is_public) {
                (Some(Place::Item(used)), false) => add(used, import.line, &import.path),
                (Some(Place::Item(used)), true) if !modules.is_within(used, index) => {
                    add(used, import.line, &import.path)
                }
                // Names of a private `*` are looked up where they are mentioned.
                (Some(Place::Module(used)), true) if import.name.is_none() && !modules.is_within(used, index) => {
                    add(used, import.line, &import.path);
                }
                _ => {}
            }
        }
        for mention in &module.mentions {
            if let Some(Place::Item(used)) = resolve(modules, index, &mention.path, Wanted::Item, &mut Vec::new()) {
                add(used, mention.line, &mention.path);
            }
        }
    }
}

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A module itself.
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

/// What a name is taken for where a module and an item share it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Module,
    Item,
}

/// Names being looked up, so that re-exports in a circle end.
type Trail = Vec<(usize, String, bool)>;

/// Where `path`, written in the module `from`, leads; `None` out of the crate.
fn resolve(modules: &Modules, from: usize, path: &[String], wanted: Wanted, trail: &mut Trail) -> Option<Place> {
    let wanted_at = |at: usize| if at + 1 == path.len() { wanted } else { Wanted::Module };
    let mut place = match path.first()?.as_str() {
        "crate" => Place::Module(0),
        "self" => Place::Module(from),
        "super" => Place::Module(modules.0[from].parent?),
        name => look_up(modules, from, name, wanted_at(0), trail)?,
    };
    for (at, segment) in path.iter().enumerate().skip(1) {
        let Place::Module(module) = place else { break };
        place = match segment.as_str() {
            "super" => Place::Module(modules.0[module].parent?),
            // What is not found is taken for the product of a macro of that module.
            name => look_up(modules, module, name, wanted_at(at), trail).unwrap_or(Place::Item(module)),
        };
    }
    Some(place)
}

/// What `name` means in `module`.
fn look_up(modules: &Modules, module: usize, name: &str, wanted: Wanted, trail: &mut Trail) -> Option<Place> {
    let step = (module, name.to_owned(), wanted == Wanted::Module);
    if trail.contains(&step) {
        return None;
    }
    trail.push(step);
    let own = &modules.0[module];
    let child = own.children.get(name).map(|&child| Place::Module(child));
    let item = own.items.contains(name).then_some(Place::Item(module));
    let mut imported = || {
        let named = own.imports.iter().filter(|import| import.name.as_deref() == Some(name));
        named.into_iter().find_map(|import| resolve(modules, module, &import.path, wanted, trail))
    };
    let found = match wanted {
        Wanted::Item => item.or_else(&mut imported).or(child),
        Wanted::Module => child.or_else(&mut imported).or(item),
    };
    let found = found.or_else(|| {
        let globs = own.imports.iter().filter(|import| import.name.is_none());
        globs.into_iter().find_map(|glob| match resolve(modules, module, &glob.path, Wanted::Module, trail)? {
            Place::Module(source) => look_up(modules, source, name, wanted, trail),
            Place::Item(_) => None,
        })
    });
    trail.pop();
    found
}

/// The circles of a graph, each with its edges.
fn described(what: &str, graph: &Graph) -> Vec<String> {
    let describe = |circle: BTreeSet<String>| {
        let members: Vec<&str> = circle.iter().map(String::as_str).collect();
        let mut text = format!("circle of {} {what}: {}", circle.len(), members.join(", "));
        for ((user, used), reasons) in graph.iter().filter(|((a, b), _)| circle.contains(a) && circle.contains(b)) {
            text += &format!("\n    {user} -> {used}: {}", reasons.join(", "));
        }
        text
    };
    strongly_connected(graph).into_iter().map(describe).collect()
}

/// Sets of more than one node that reach each other.
fn strongly_connected(graph: &Graph) -> Vec<BTreeSet<String>> {
    let nodes: BTreeSet<&String> = graph.keys().flat_map(|(user, used)| [user, used]).collect();
    let reached: BTreeMap<&String, BTreeSet<&String>> = nodes.iter().map(|&node| (node, reach(node, graph))).collect();
    let mut circles = Vec::new();
    let mut done = BTreeSet::new();
    for node in nodes {
        let circle: BTreeSet<String> =
            reached[node].iter().filter(|other| reached[**other].contains(node)).map(|&other| other.clone()).collect();
        if circle.len() > 1 && !done.contains(node) {
            done.extend(circle.iter().cloned());
            circles.push(circle);
        }
    }
    circles
}

/// What `from` uses, and what that uses, and so on.
fn reach<'a>(from: &'a String, graph: &'a Graph) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        for (_, used) in graph.keys().filter(|(user, _)| user == node) {
            if reached.insert(used) {
                open.push(used);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles' first lines.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources = files.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect();
        let first_line = |circle: String| circle.lines().next().unwrap_or_default().to_owned();
        circles(&sources).expect("all declared files are there").into_iter().map(first_line).collect()
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn files_that_use_each_other_are_a_circle() {
        let lib = ("lib.rs", "mod a; mod b; mod c;");
        let a = ("a.rs", "use crate::b::B; pub struct A;");
        let [back, by_path] = ["use super::a::A; pub struct B;", "pub struct B; fn f() -> u8 { crate::a::A::g(1) }"];
        for b in [back, by_path] {
            assert_eq!(
                found(&[lib, a, ("b.rs", b), ("c.rs", "")]),
                ["circle of 2 files: a.rs, b.rs", "circle of 2 rooms: a, b"]
            );
        }
        assert_eq!(found(&[lib, a, ("b.rs", "pub struct B;"), ("c.rs", "use crate::{a::A, b::B};")]), NONE);
        let around =
            [lib, a, ("b.rs", "pub struct B(super::c::C);"), ("c.rs", "pub struct C; use crate::a::{self, A as _};")];
        assert_eq!(found(&around)[0], "circle of 3 files: a.rs, b.rs, c.rs");
    }

    #[test]
    fn a_circle_is_told_with_its_lines() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "\nuse crate::b::B;\npub fn a(_: B) {}"),
            ("b.rs", "pub struct B;\nfn b() { crate::a::a(B) }"),
        ];
        let sources = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let circle = &circles(&sources).unwrap()[0];
        assert_eq!(circle.lines().nth(1), Some("    a.rs -> b.rs: line 2 `crate::b::B`"));
        assert_eq!(circle.lines().nth(2), Some("    b.rs -> a.rs: line 2 `crate::a::a`"));
    }

    #[test]
    fn a_name_that_is_re_exported_counts_for_the_file_that_defines_it() {
        let lib = ("lib.rs", "pub mod room; mod other; pub use room::Thing;");
        let room = ("room/mod.rs", "mod thing; mod user; pub use thing::Thing; pub(crate) use user::User;");
        let user = ("room/user.rs", "use super::Thing; pub(crate) struct User;");
        let other = ("other.rs", "use crate::Thing; fn f(_: crate::room::User) {}");
        assert_eq!(found(&[lib, room, user, other, ("room/thing.rs", "pub struct Thing;")]), NONE);
        let thing = ("room/thing.rs", "pub struct Thing(super::User);");
        assert_eq!(found(&[lib, room, user, other, thing]), ["circle of 2 files: room/thing.rs, room/user.rs"]);
    }

    #[test]
    fn what_a_parent_defines_counts_for_its_own_file() {
        let lib = ("lib.rs", "mod room;");
        let child = ("room/child.rs", "use super::Thing; pub(super) fn make() -> Thing { Thing }");
        let re_exports = ("room/mod.rs", "mod child; pub use child::make; pub struct Thing;");
        assert_eq!(found(&[lib, child, re_exports]), NONE);
        for uses in ["fn f() -> Thing { child::make() }", "fn f() -> Thing { make() }", "use child::make as other;"] {
            let parent = format!("{} {uses}", re_exports.1);
            assert_eq!(
                found(&[lib, child, ("room/mod.rs", &parent)]),
                ["circle of 2 files: room/child.rs, room/mod.rs"]
            );
        }
        // The variable of that name is no use of the function.
        let parent = format!("{} fn f(make: u8) -> u8 {{ make + Self::make() + x.make() }}", re_exports.1);
        assert_eq!(found(&[lib, child, ("room/mod.rs", &parent)]), NONE);
    }

    #[test]
    fn tests_comments_and_strings_are_no_use() {
        let lib = ("lib.rs", "mod a; mod b; #[cfg(test)] mod only_in_tests;");
        let b = ("b.rs", "use crate::a::A; pub struct B;");
        for code in [
            "#[cfg(test)]\nmod tests { use crate::b::B; #[test] fn t() { super::super::b::f(); } }",
            "#[cfg(test)] use crate::b::{B, C};",
            "#[cfg(all(test, unix))] #[allow(unused)] pub(crate) const X: [u8; 2] = { crate::b::B };",
            "struct S { #[cfg(test)] x: crate::b::B, y: u8 }",
            "// use crate::b::B;\n/* crate::b::B */ const S: &str = \"crate::b::B\"; const R: &str = r#\"\"crate::b::B\"#;",
            "#[test] fn t() { crate::b::f(); }",
        ] {
            let a = format!("pub struct A; {code}");
            assert_eq!(found(&[lib, b, ("a.rs", &a)]), NONE, "{code}");
            let behind = format!("{a} fn f() {{ crate::b::g() }}");
            assert_eq!(found(&[lib, b, ("a.rs", &behind)])[0], "circle of 2 files: a.rs, b.rs", "{code}");
        }
        assert_eq!(found(&[lib, b, ("a.rs", "pub struct A; #[cfg(not(test))] use crate::b::B;")]).len(), 2);
    }

    #[test]
    fn names_are_found_through_stars_macros_and_modules_within_a_file() {
        let lib = ("lib.rs", "mod a; mod b;");
        let b = ("b.rs", "use crate::a::A; pub struct B; macro_rules! make { () => { B } } pub(crate) use make;");
        for code in [
            "use super::b::*; type C = B;",
            "use crate::b::make; const C: B = make!();",
            "mod within { use super::super::b; fn f() -> b::B {} }",
            "mod within { pub use crate::b; } fn f() -> within::b::B {}",
            "pub use crate::b::B;",
            "macro_rules! m { () => { $crate::b::B } }",
        ] {
            let a = format!("pub struct A; {code}");
            assert_eq!(found(&[lib, b, ("a.rs", &a)])[0], "circle of 2 files: a.rs, b.rs", "{code}");
        }
        // A module's name alone, another crate of the same name, and stars whose names nobody mentions are no use.
        for code in [
            "use super::b; use super::b::*;",
            "use ::b::B;",
            "fn f<'b>(x: &'b u8) -> impl Sized + use<'b> { x.b::<u8>() }",
        ] {
            assert_eq!(found(&[lib, b, ("a.rs", &format!("pub struct A; {code}"))]), NONE, "{code}");
        }
        // Re-exports in a circle end.
        let (a, b) =
            (("a.rs", "pub use crate::b::*; use crate::nothing::X;"), ("b.rs", "pub use crate::a::*; fn f() -> X {}"));
        assert_eq!(found(&[lib, a, b])[0], "circle of 2 files: a.rs, b.rs");
    }

    #[test]
    fn rooms_can_be_in_a_circle_where_no_files_are() {
        let files = [
            ("main.rs", "mod a; mod b;"),
            ("a.rs", "mod x; mod y;"),
            ("a/x.rs", "use crate::b::x::X;"),
            ("a/y.rs", "pub struct Y;"),
            ("b/mod.rs", "pub mod x; mod y;"),
            ("b/x.rs", "pub struct X;"),
            ("b/y.rs", "use crate::a::y::Y;"),
        ];
        assert_eq!(found(&files), ["circle of 2 rooms: a, b"]);
    }

    #[test]
    fn a_module_without_a_file_is_an_error() {
        let sources = [("lib.rs".to_owned(), "mod a;".to_owned())].into();
        assert_eq!(circles(&sources), Err("lib.rs: module `a` has neither a.rs nor a/mod.rs".into()));
    }

    /// All graphs of four nodes against the closure by squaring of Warshall.
    #[test]
    fn circles_are_the_classes_of_mutual_reach() {
        let pairs: Vec<(usize, usize)> =
            (0..4).flat_map(|a| (0..4).map(move |b| (a, b))).filter(|(a, b)| a != b).collect();
        for chosen in 0u32..1 << pairs.len() {
            let edges: Vec<_> =
                pairs.iter().enumerate().filter(|(bit, _)| chosen >> bit & 1 == 1).map(|(_, &pair)| pair).collect();
            let mut reaches = [[false; 4]; 4];
            edges.iter().for_each(|&(a, b)| reaches[a][b] = true);
            for via in 0..4 {
                for (a, b) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
                    reaches[a][b] |= reaches[a][via] && reaches[via][b];
                }
            }
            let class = |a: usize| {
                (0..4).filter(|&b| a == b || (reaches[a][b] && reaches[b][a])).map(|b| b.to_string()).collect()
            };
            let want: BTreeSet<BTreeSet<String>> =
                (0..4).map(class).filter(|class: &BTreeSet<String>| class.len() > 1).collect();
            let graph = edges.iter().map(|(a, b)| ((a.to_string(), b.to_string()), Vec::new())).collect();
            let got = strongly_connected(&graph);
            assert_eq!(got.len(), want.len());
            assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), want);
        }
    }
}
