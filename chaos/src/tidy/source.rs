use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::{Finding, Tree};

/// One Rust file as tokens: comments are gone and strings are single literals, so no rule mistakes one for code.
pub struct Source {
    pub path: String,
    pub lines: usize,
    /// Empty when the file cannot be read as Rust, which is a finding of its own.
    pub tokens: TokenStream,
    error: Option<String>,
}

impl Source {
    /// Reads the text as tokens; a text that is not Rust has none.
    pub fn lex(path: &str, text: &str) -> Source {
        let lines = text.lines().count();
        match text.parse() {
            Ok(tokens) => Source { path: path.to_owned(), lines, tokens, error: None },
            Err(error) => {
                let error = Some(format!("cannot be read as Rust: {error}"));
                Source { path: path.to_owned(), lines, tokens: TokenStream::new(), error }
            }
        }
    }
}

/// Each file that is not Rust after all: the other rules see nothing in it.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let failed = |source: &Source| Some(Finding::new(&source.path, 1, source.error.clone()?));
    tree.sources().iter().filter_map(failed).collect()
}

/// Shows `visit` the tokens of every nesting level, the outermost first.
pub fn each_level(tokens: &TokenStream, visit: &mut dyn FnMut(&[TokenTree])) {
    let level: Vec<TokenTree> = tokens.clone().into_iter().collect();
    visit(&level);
    for token in &level {
        if let TokenTree::Group(group) = token {
            each_level(&group.stream(), visit);
        }
    }
}

/// The identifier at this place, if there is one.
pub fn identifier_at(level: &[TokenTree], index: usize) -> Option<String> {
    match level.get(index)? {
        TokenTree::Ident(identifier) => Some(identifier.to_string()),
        TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    }
}

/// Whether this punctuation stands at this place.
pub fn is_punctuation(level: &[TokenTree], index: usize, sign: char) -> bool {
    matches!(level.get(index), Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

/// The group at this place, if there is one with this delimiter.
pub fn group_at(level: &[TokenTree], index: usize, delimiter: Delimiter) -> Option<&Group> {
    match level.get(index)? {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group),
        TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    }
}

/// The line of a token, counted from 1.
pub fn line_of(token: &TokenTree) -> usize {
    token.span().start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_rust_is_a_finding() {
        let findings = check(&Tree::of_texts(&[("core/src/lib.rs", "fn broken( {")]));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("cannot be read as Rust"));
    }

    #[test]
    fn a_file_that_is_rust_is_none() {
        assert!(check(&Tree::of_texts(&[("core/src/lib.rs", "//! A crate.\nfn whole() {}\n")])).is_empty());
    }
}
