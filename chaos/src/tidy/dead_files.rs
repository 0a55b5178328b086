use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::source::{Source, group_at, identifier_at, is_punctuation};
use super::{Finding, Tree, links};

/// Rust files that no target of their crate reaches, and documents that nobody is led to.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = unreachable_sources(tree);
    findings.extend(unlinked_documents(tree));
    findings
}

fn unreachable_sources(tree: &Tree) -> Vec<Finding> {
    let sources: BTreeMap<&str, &Source> = tree.sources().iter().map(|source| (source.path.as_str(), source)).collect();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut waiting: Vec<String> =
        sources.keys().filter(|path| is_root(tree, path)).map(|path| (*path).to_owned()).collect();
    while let Some(path) = waiting.pop() {
        let Some(source) = sources.get(path.as_str()) else { continue };
        let root = is_root(tree, &path);
        if reached.insert(path) {
            waiting.extend(declared_files(source, root));
        }
    }
    let dead = sources.keys().filter(|path| !reached.contains(**path));
    let message = "no `mod` declaration leads here: declare it in its parent, or delete it";
    dead.map(|path| Finding::new(path, 1, message)).collect()
}

/// Whether cargo compiles this file by itself: by its place in the crate, or because the manifest names it.
fn is_root(tree: &Tree, path: &str) -> bool {
    let Some((crate_directory, inner)) = crate_of(tree, path) else { return false };
    let parts: Vec<&str> = inner.split('/').collect();
    let by_place = match parts.as_slice() {
        ["build.rs"] | ["src", "lib.rs" | "main.rs"] => true,
        ["src", "bin", _] | ["tests" | "benches" | "examples", _] => true,
        ["src", "bin", _, "main.rs"] | ["tests" | "benches" | "examples", _, "main.rs"] => true,
        _other_place => false,
    };
    by_place || manifest_names(tree, crate_directory, inner)
}

fn crate_of<'path>(tree: &Tree, path: &'path str) -> Option<(&'path str, &'path str)> {
    let mut ends = path.match_indices('/').map(|(at, _)| at);
    let manifest = |at: &usize| tree.has_file(&format!("{}/Cargo.toml", &path[..*at]));
    ends.rfind(manifest).map(|at| (&path[..at], &path[at + 1..]))
}

fn manifest_names(tree: &Tree, crate_directory: &str, inner: &str) -> bool {
    let text = tree.text(&format!("{crate_directory}/Cargo.toml")).unwrap_or_default();
    text.lines().any(|line| line.trim_start().starts_with("path") && line.contains(&format!("\"{inner}\"")))
}

/// The files that a source declares, each at every place where Rust would look for it.
fn declared_files(source: &Source, root: bool) -> Vec<String> {
    let (directory, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let own =
        if root || name == "mod.rs" { directory.to_owned() } else { joined(directory, name.trim_end_matches(".rs")) };
    let mut files = Vec::new();
    declared_in(&source.tokens, directory, &own, &mut files);
    files
}

fn declared_in(tokens: &TokenStream, beside: &str, directory: &str, files: &mut Vec<String>) {
    let level: Vec<TokenTree> = tokens.clone().into_iter().collect();
    for index in 0..level.len() {
        let module =
            identifier_at(&level, index + 1).filter(|_| identifier_at(&level, index).as_deref() == Some("mod"));
        if let Some(name) = &module
            && is_punctuation(&level, index + 2, ';')
        {
            match path_attribute(&level[..index]) {
                Some(path) => files.push(joined(beside, &path)),
                None => files
                    .extend([joined(directory, &format!("{name}.rs")), joined(directory, &format!("{name}/mod.rs"))]),
            }
        }
        if let Some(included) = included_file(&level, index) {
            files.push(joined(beside, &included));
        }
        if let TokenTree::Group(group) = &level[index] {
            // The body of `mod name { ... }` stands two places behind `mod`.
            let inline = index.checked_sub(2).filter(|at| identifier_at(&level, *at).as_deref() == Some("mod"));
            let inner = inline.and_then(|at| identifier_at(&level, at + 1)).map(|name| joined(directory, &name));
            declared_in(&group.stream(), beside, inner.as_deref().unwrap_or(directory), files);
        }
    }
}

/// The `#[path = "..."]` among the attributes that end this stretch of tokens.
fn path_attribute(before: &[TokenTree]) -> Option<String> {
    let mut end = before.len();
    while end > 0 {
        let attribute =
            group_at(before, end - 1, Delimiter::Bracket).filter(|_| end >= 2 && is_punctuation(before, end - 2, '#'));
        let visibility = identifier_at(before, end - 1).is_some_and(|word| word == "pub")
            || group_at(before, end - 1, Delimiter::Parenthesis).is_some();
        match attribute {
            Some(attribute) => {
                let words: Vec<TokenTree> = attribute.stream().into_iter().collect();
                if identifier_at(&words, 0).as_deref() == Some("path") {
                    return words.get(2).map(|literal| literal.to_string().trim_matches('"').to_owned());
                }
                end -= 2;
            }
            None if visibility => end -= 1,
            None => return None,
        }
    }
    None
}

fn included_file(level: &[TokenTree], index: usize) -> Option<String> {
    let called = identifier_at(level, index)? == "include" && is_punctuation(level, index + 1, '!');
    let arguments = group_at(level, index + 2, Delimiter::Parenthesis).filter(|_| called)?;
    let literal = arguments.stream().into_iter().next()?.to_string();
    Some(literal.trim_matches('"').to_owned()).filter(|path| path.ends_with(".rs"))
}

fn joined(directory: &str, path: &str) -> String {
    links::resolved(directory, path).unwrap_or_default()
}

fn unlinked_documents(tree: &Tree) -> Vec<Finding> {
    let linked: BTreeSet<String> = links::targets(tree).filter(|(from, to)| from != to).map(|(_, to)| to).collect();
    let documents = tree.paths().filter(|path| path.starts_with("docs/") && !linked.contains(*path));
    let message = "no link leads here: link it from README.md or another document, or delete it";
    documents.map(|path| Finding::new(path, 1, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: (&str, &str) = ("core/Cargo.toml", "[package]\n[[test]]\npath = \"probe/odd.rs\"\n");

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(&str, &str)> = files.iter().copied().chain([MANIFEST]).collect();
        check(&Tree::of_texts(&files)).into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn a_source_without_a_declaration_is_dead() {
        let files = [("core/src/lib.rs", "mod a;\n// mod b;"), ("core/src/a.rs", ""), ("core/src/b.rs", "")];
        assert_eq!(dead(&files), ["core/src/b.rs"]);
    }

    #[test]
    fn what_only_a_dead_source_declares_is_dead_too() {
        let files = [("core/src/lib.rs", ""), ("core/src/a.rs", "mod b;"), ("core/src/a/b.rs", "")];
        assert_eq!(dead(&files), ["core/src/a.rs", "core/src/a/b.rs"]);
    }

    #[test]
    fn every_way_to_reach_a_source_is_known() {
        let files = [
            (
                "core/src/lib.rs",
                "pub mod a; pub mod c { mod d; } include!(\"e.rs\"); #[path = \"z.rs\"] pub(crate) mod y;",
            ),
            ("core/src/a/mod.rs", "mod b;"),
            ("core/src/a/b.rs", "#[cfg(test)]\nmod tests;"),
            ("core/src/a/b/tests.rs", ""),
            ("core/src/c/d.rs", ""),
            ("core/src/e.rs", ""),
            ("core/src/z.rs", ""),
            ("core/src/bin/tool.rs", ""),
            ("core/tests/whole.rs", "mod common;"),
            ("core/tests/common/mod.rs", ""),
            ("core/probe/odd.rs", ""),
        ];
        assert_eq!(dead(&files), Vec::<String>::new());
    }

    #[test]
    fn a_document_that_only_links_to_itself_is_dead() {
        let files = [
            ("README.md", "[a](docs/a.md)"),
            ("docs/a.md", "![p](p.png)"),
            ("docs/p.png", ""),
            ("docs/b.md", "[me](b.md)"),
        ];
        assert_eq!(dead(&files), ["docs/b.md"]);
    }
}
