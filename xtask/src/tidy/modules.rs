//! A crate's modules as far as names need: what each defines, imports and mentions. Code of tests is left out.
//!
//! This is no compiler: a name that a macro generates is taken for one of the module that a path leads to.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{Token, tokens};

/// The modules of one crate; the first is its root.
pub(super) struct Modules(pub(super) Vec<Module>);

/// A module, a file's own or one inside a file.
#[derive(Default)]
pub(super) struct Module {
    /// Its file, relative to `src`.
    pub(super) file: String,
    /// The module above; the root has none.
    pub(super) parent: Option<usize>,
    /// The modules declared in it.
    pub(super) children: BTreeMap<String, usize>,
    /// Names of what it defines itself.
    pub(super) items: BTreeSet<String>,
    /// What its `use` lines bring in.
    pub(super) imports: Vec<Import>,
    /// Paths in its code, and single names that may stand for an import.
    pub(super) mentions: Vec<Mention>,
    /// The folder its children's files lie in, relative to `src`, with a slash at its end unless it is `src` itself.
    folder: String,
}

/// One name of a `use` line.
pub(super) struct Import {
    /// What it is called here; `None` for `*`.
    pub(super) name: Option<String>,
    /// Where it comes from, as written.
    pub(super) path: Vec<String>,
    /// Whether it is a re-export, to whatever distance.
    pub(super) is_public: bool,
    /// Line, from 1.
    pub(super) line: usize,
}

/// A path in code.
pub(super) struct Mention {
    /// As written.
    pub(super) path: Vec<String>,
    /// Line, from 1.
    pub(super) line: usize,
}

impl Modules {
    /// The crate whose root is the file `root`, from the files of `src`, (relative path, text).
    ///
    /// # Errors
    /// If the file of a declared module is missing.
    pub(super) fn read(files: &BTreeMap<String, String>, root: &str) -> Result<Self, String> {
        let mut reader = Reader { files, modules: Vec::new() };
        reader.file(root, String::new(), None)?;
        Ok(Self(reader.modules))
    }

    /// Whether `module` is `ancestor` or lies below it.
    pub(super) fn is_within(&self, module: usize, ancestor: usize) -> bool {
        let mut at = Some(module);
        while let Some(index) = at {
            if index == ancestor {
                return true;
            }
            at = self.0[index].parent;
        }
        false
    }
}

struct Reader<'a> {
    files: &'a BTreeMap<String, String>,
    modules: Vec<Module>,
}

impl Reader<'_> {
    fn file(&mut self, file: &str, folder: String, parent: Option<usize>) -> Result<usize, String> {
        let text = self.files.get(file).ok_or_else(|| format!("{file}: there is no such file"))?;
        let module = self.module(file, folder, parent);
        self.body(&tokens(text), module)?;
        Ok(module)
    }

    fn module(&mut self, file: &str, folder: String, parent: Option<usize>) -> usize {
        self.modules.push(Module { file: file.into(), folder, parent, ..Module::default() });
        self.modules.len() - 1
    }

    /// Reads a module's code, braces balanced.
    fn body(&mut self, code: &[Token<'_>], module: usize) -> Result<(), String> {
        let text = |at: usize| code.get(at).map_or("", |token| token.text);
        let (mut at, mut depth) = (0, 0usize);
        while at < code.len() {
            match text(at) {
                "#" => {
                    let end = attribute_end(code, at);
                    at = if is_for_tests(&code[at..end]) { item_end(code, end) } else { end };
                    continue;
                }
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                "mod" if text(at + 2) == ";" => {
                    self.declared(text(at + 1), module)?;
                    at += 3;
                    continue;
                }
                "mod" if text(at + 2) == "{" => {
                    let end = group_end(code, at + 2);
                    self.inline(text(at + 1), &code[at + 3..end.saturating_sub(1)], module)?;
                    at = end;
                    continue;
                }
                "pub" => {
                    at = visibility_end(code, at);
                    if text(at) == "use" {
                        at = self.imports(code, at + 1, &[], true, module);
                    }
                    continue;
                }
                // `use<'a>` in a type is no import.
                "use" if text(at + 1) != "<" => {
                    at = self.imports(code, at + 1, &[], false, module);
                    continue;
                }
                _ => {
                    if let Some(name) = defined_name(code, at) {
                        if depth == 0 {
                            self.modules[module].items.insert(text(name).into());
                        }
                        at = name + 1;
                        continue;
                    }
                    if let Some((path, end)) = mention(code, at) {
                        self.modules[module].mentions.extend(path);
                        at = end;
                        continue;
                    }
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// `mod name { code }`.
    fn inline(&mut self, name: &str, code: &[Token<'_>], parent: usize) -> Result<(), String> {
        let (file, folder) = (self.modules[parent].file.clone(), format!("{}{name}/", self.modules[parent].folder));
        let child = self.module(&file, folder, Some(parent));
        self.modules[parent].children.insert(name.into(), child);
        self.body(code, child)
    }

    /// `mod name;`: the file beside the others of the module, or a folder's `mod.rs`.
    fn declared(&mut self, name: &str, parent: usize) -> Result<(), String> {
        let base = format!("{}{name}", self.modules[parent].folder);
        let candidates = [format!("{base}.rs"), format!("{base}/mod.rs")];
        let Some(file) = candidates.iter().find(|file| self.files.contains_key(*file)) else {
            let by = &self.modules[parent].file;
            return Err(format!("{by}: module `{name}` has neither {} nor {}", candidates[0], candidates[1]));
        };
        let child = self.file(file, format!("{base}/"), Some(parent))?;
        self.modules[parent].children.insert(name.into(), child);
        Ok(())
    }

    /// Reads the tree of a `use` line from `at` on, below `prefix`, and returns where it ends.
    fn imports(
        &mut self,
        code: &[Token<'_>],
        mut at: usize,
        prefix: &[String],
        is_public: bool,
        module: usize,
    ) -> usize {
        let text = |at: usize| code.get(at).map_or("", |token| token.text);
        let mut path = prefix.to_vec();
        while at < code.len() {
            let line = code[at].line;
            let mut import = |name: Option<&str>, path: &[String]| {
                let import = Import { name: name.map(str::to_owned), path: path.to_vec(), is_public, line };
                self.modules[module].imports.push(import);
            };
            match text(at) {
                "{" => {
                    let end = group_end(code, at);
                    at += 1;
                    while at + 1 < end {
                        at = self.imports(code, at, &path, is_public, module);
                        if text(at) == "," {
                            at += 1;
                        }
                    }
                    return end;
                }
                "*" => {
                    import(None, &path);
                    return at + 1;
                }
                "::" => {
                    // A leading `::` names another crate.
                    if path.is_empty() {
                        path.push("::".into());
                    }
                    at += 1;
                }
                word => {
                    // `self` in braces is the path before them.
                    if word != "self" || path.is_empty() {
                        path.push(word.into());
                    }
                    at += 1;
                    match text(at) {
                        "::" => {}
                        "as" => {
                            import(Some(text(at + 1)), &path);
                            return at + 2;
                        }
                        _ => {
                            let name = path.last().cloned().unwrap_or_default();
                            import(Some(&name), &path);
                            return at;
                        }
                    }
                }
            }
        }
        at
    }
}

/// Where the attribute that begins at `at` ends.
fn attribute_end(code: &[Token<'_>], at: usize) -> usize {
    let bracket = if code.get(at + 1).is_some_and(|token| token.text == "!") { at + 2 } else { at + 1 };
    if code.get(bracket).is_some_and(|token| token.text == "[") { group_end(code, bracket) } else { at + 1 }
}

/// Whether an attribute keeps what follows out of everything but tests.
fn is_for_tests(attribute: &[Token<'_>]) -> bool {
    let words: Vec<&str> = attribute.iter().map(|token| token.text).collect();
    match words.as_slice() {
        ["#", "[", "test", "]"] => true,
        ["#", "[", "cfg", rest @ ..] => rest.contains(&"test") && !rest.contains(&"not"),
        _ => false,
    }
}

/// Where the item, field or statement ends that begins at `at`, further attributes included.
fn item_end(code: &[Token<'_>], mut at: usize) -> usize {
    while code.get(at).is_some_and(|token| token.text == "#") {
        at = attribute_end(code, at);
    }
    at = visibility_end(code, at);
    // These end with a semicolon, whatever braces come before it; a field ends with a comma.
    let ends_at_semicolon =
        code.get(at).is_some_and(|token| ["use", "const", "static", "let", "type"].contains(&token.text));
    let is_item = code.get(at).is_some_and(|token| is_keyword(token.text));
    while let Some(token) = code.get(at) {
        match token.text {
            ";" => return at + 1,
            "}" => return at,
            "," if !is_item => return at + 1,
            "{" if !ends_at_semicolon => return group_end(code, at),
            "{" | "(" | "[" => at = group_end(code, at),
            _ => at += 1,
        }
    }
    at
}

/// Where the group ends whose opening bracket stands at `at`.
fn group_end(code: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in code.iter().enumerate().skip(at) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    code.len()
}

/// Behind `pub`, `pub(crate)` and the like.
fn visibility_end(code: &[Token<'_>], at: usize) -> usize {
    let text = |at: usize| code.get(at).map_or("", |token| token.text);
    if text(at) != "pub" {
        return at;
    }
    let is_limited = text(at + 1) == "(" && ["crate", "super", "self", "in"].contains(&text(at + 2));
    if is_limited { group_end(code, at + 1) } else { at + 1 }
}

/// Where the name stands that is defined at `at`, if something is.
fn defined_name(code: &[Token<'_>], at: usize) -> Option<usize> {
    let text = |at: usize| code.get(at).map_or("", |token| token.text);
    let name = match text(at) {
        "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => at + 1,
        "macro_rules" if text(at + 1) == "!" => at + 2,
        _ => return None,
    };
    let name = if text(name) == "mut" { name + 1 } else { name };
    (is_word(text(name)) && !is_keyword(text(name))).then_some(name)
}

/// The path that begins at `at`, if one does, and where it ends. A single lower-case name counts only if it is called: others
/// are variables.
fn mention(code: &[Token<'_>], at: usize) -> Option<(Option<Mention>, usize)> {
    let text = |at: usize| code.get(at).map_or("", |token| token.text);
    let follows = at.checked_sub(1).map_or("", text);
    let first = text(at);
    let is_root = ["crate", "self", "super"].contains(&first);
    let begins = is_word(first) && ![".", "::"].contains(&follows) && (is_root || !is_keyword(first));
    if !begins {
        return None;
    }
    let (mut path, mut end) = (vec![first.to_owned()], at + 1);
    while text(end) == "::" && is_word(text(end + 1)) {
        path.push(text(end + 1).into());
        end += 2;
    }
    let is_called = ["(", "!", "::"].contains(&text(end));
    let counts = if path.len() == 1 { !is_root && (is_called || first.starts_with(char::is_uppercase)) } else { true };
    Some((counts.then(|| Mention { path, line: code[at].line }), end))
}

fn is_word(text: &str) -> bool {
    text.starts_with(|sign: char| sign.is_alphabetic() || sign == '_')
}

fn is_keyword(text: &str) -> bool {
    const KEYWORDS: [&str; 38] = [
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn",
        "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self",
        "Self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while",
    ];
    KEYWORDS.contains(&text)
}
