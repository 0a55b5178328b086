use std::collections::BTreeMap;

use super::{Finding, Tree};

/// What may lie at the top of the repository, besides names that begin with a dot.
const ALLOWED: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "chaos",
    "clippy.toml",
    "core",
    "deny.toml",
    "docs",
    "load",
    "lua",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "shells",
    "sim",
];

/// Names at the top level that do not belong there.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut strange: BTreeMap<&str, &str> = BTreeMap::new();
    for path in tree.paths() {
        let top = path.split('/').next().unwrap_or(path);
        if !top.starts_with('.') && !ALLOWED.contains(&top) {
            strange.entry(top).or_insert(path);
        }
    }
    let found = |(top, path): (&str, &str)| {
        Finding::new(path, 1, format!("`{top}` does not belong at the top level: move it into the part that it serves"))
    };
    strange.into_iter().map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_name_is_found_once() {
        let tree =
            Tree::of_texts(&[("scripts/a.sh", ""), ("scripts/b.sh", ""), ("notes.md", ""), ("core/src/lib.rs", "")]);
        let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["notes.md", "scripts/a.sh"]);
    }

    #[test]
    fn dotfiles_and_the_parts_are_left_alone() {
        assert!(check(&Tree::of_texts(&[(".ci/run", ""), ("lua/reserve.lua", ""), ("Cargo.lock", "")])).is_empty());
    }
}
