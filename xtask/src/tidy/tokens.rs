//! Rust source as words and signs: comments, strings and characters hold no names, so they are left out of the search.

/// A word, a lifetime, `::`, or a single sign; a literal is the text `"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// As it stands in the source.
    pub(super) text: &'a str,
    /// Line, from 1.
    pub(super) line: usize,
}

/// Splits `source` into tokens.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (length, text) = next_token(rest, first);
        if let Some(text) = text {
            tokens.push(Token { text, line });
        }
        let (passed, behind) = rest.split_at(length);
        line += passed.matches('\n').count();
        rest = behind;
    }
    tokens
}

/// Bytes of what `rest` begins with, and its token if it is one.
fn next_token(rest: &str, first: char) -> (usize, Option<&str>) {
    const LITERAL: Option<&str> = Some("\"");
    if let Some(length) = comment(rest) {
        return (length, None);
    }
    if let Some(length) = string(rest) {
        return (length, LITERAL);
    }
    if first == '\'' {
        return match character(rest) {
            Some(length) => (length, LITERAL),
            None => {
                let length = 1 + word_length(&rest[1..]);
                (length, Some(&rest[..length]))
            }
        };
    }
    if first.is_ascii_digit() {
        return (number_length(rest), LITERAL);
    }
    let length = word_length(rest);
    if length > 0 {
        return (length, Some(&rest[..length]));
    }
    let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
    (length, (!first.is_whitespace()).then(|| &rest[..length]))
}

/// Bytes of a comment; block comments nest.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0usize, 0);
    loop {
        let behind = &rest[at..];
        if behind.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if behind.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Some(at);
            }
        } else {
            match behind.chars().next() {
                Some(sign) => at += sign.len_utf8(),
                None => return Some(at),
            }
        }
    }
}

/// Bytes of a string: plain, of bytes, of C, or raw.
fn string(rest: &str) -> Option<usize> {
    let prefix = rest.find(|sign: char| !matches!(sign, 'b' | 'c' | 'r')).filter(|&length| length <= 2)?;
    let behind = &rest[prefix..];
    let is_raw = rest[..prefix].ends_with('r');
    let hashes = if is_raw { behind.len() - behind.trim_start_matches('#').len() } else { 0 };
    let body = behind[hashes..].strip_prefix('"')?;
    let opened = prefix + hashes + 1;
    if is_raw {
        let closing = format!("\"{}", "#".repeat(hashes));
        return Some(body.find(&closing).map_or(rest.len(), |at| opened + at + closing.len()));
    }
    let mut is_escaped = false;
    for (at, sign) in body.char_indices() {
        match sign {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(opened + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Bytes of a character literal; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut signs = rest.char_indices().skip(1);
    let (_, first) = signs.next()?;
    if first == '\\' {
        // The escaped sign may itself be a quote.
        let from = 3.min(rest.len());
        return rest[from..].find('\'').map(|at| from + at + 1);
    }
    let (at, second) = signs.next()?;
    (second == '\'').then_some(at + 1)
}

/// Bytes of a number with its suffix. The dots of `1..2` and `pair.0.1` are signs, that of `1.5` is not.
fn number_length(rest: &str) -> usize {
    let whole = word_length(rest);
    let is_decimal = rest[whole..].strip_prefix('.').is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    if is_decimal { whole + 1 + word_length(&rest[whole + 1..]) } else { whole }
}

fn word_length(rest: &str) -> usize {
    rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_').unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_strings_and_characters_hold_no_names() {
        let source = "a // b\n/* c /* d */ e */ f \"g \\\" h\" r#\"i \" j\"# b\"k\" '\\'' 'l' '\\u{1F600}' 'm: n";
        assert_eq!(texts(source), ["a", "f", "\"", "\"", "\"", "\"", "\"", "\"", "'m", ":", "n"]);
    }

    #[test]
    fn a_path_is_words_and_double_colons() {
        assert_eq!(
            texts("crate::a::B(1.5e3, x.0, 1..2)"),
            ["crate", "::", "a", "::", "B", "(", "\"", ",", "x", ".", "\"", ",", "\"", ".", ".", "\"", ")"]
        );
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let lines: Vec<_> = tokens("a\n/*\n*/ b \"\n\n\" c").iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 3, 3, 5]);
    }
}
