use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::source::Source;

/// Every file that git tracks or would track, with the text of those that are text.
#[derive(Default)]
pub struct Tree {
    paths: BTreeSet<String>,
    texts: BTreeMap<String, String>,
    sources: Vec<Source>,
}

impl Tree {
    /// Reads the checkout at `root`. Fails, in words, when git or a file cannot be read.
    pub fn read(root: &Path) -> Result<Tree, String> {
        let mut files = Vec::new();
        for path in listed_by_git(root)? {
            let full = root.join(&path);
            // A tracked file that was deleted but not yet committed is still listed.
            if !full.is_file() {
                continue;
            }
            let bytes = std::fs::read(&full).map_err(|error| format!("{path} cannot be read: {error}"))?;
            files.push((path, String::from_utf8(bytes).ok()));
        }
        if files.is_empty() {
            return Err(format!("git lists no file below {}", root.display()));
        }
        Ok(Tree::of(files))
    }

    /// A tree from memory: path and text, or none for a file that is not text.
    pub fn of(files: impl IntoIterator<Item = (String, Option<String>)>) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.paths.insert(path.clone());
            let Some(text) = text else { continue };
            if path.ends_with(".rs") {
                tree.sources.push(Source::lex(&path, &text));
            }
            tree.texts.insert(path, text);
        }
        tree
    }

    /// A tree from memory, of text files only.
    #[cfg(test)]
    pub fn of_texts(files: &[(&str, &str)]) -> Tree {
        Tree::of(files.iter().map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned()))))
    }

    /// Every path, text or not, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// Whether a file lies at this path.
    pub fn has_file(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Whether any file lies below this path. The empty path is the top of the tree.
    pub fn has_directory(&self, path: &str) -> bool {
        path.is_empty() || self.paths.range(format!("{path}/")..).next().is_some_and(|next| below(next, path))
    }

    /// The text files, as path and text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// The Rust files.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}

fn below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

fn listed_by_git(root: &Path) -> Result<Vec<String>, String> {
    // A checkout made by one user and checked by another is refused by git unless it is told that this is meant.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git cannot be run ({error}): install it"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("git cannot list the files of {}: {}", root.display(), words.trim()));
    }
    let listed = String::from_utf8(output.stdout).map_err(|_| "a path is not UTF-8: rename it".to_owned())?;
    let paths: BTreeSet<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
    Ok(paths.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_there_when_a_file_lies_below_it() {
        let tree = Tree::of_texts(&[("docs/a.md", ""), ("docs-old/b.md", "")]);
        assert!(tree.has_directory("docs"));
        assert!(tree.has_directory(""));
        assert!(!tree.has_directory("doc"));
        assert!(!tree.has_directory("docs/a.md"));
    }

    #[test]
    fn the_checkout_itself_can_be_read() {
        let tree = Tree::read(&crate::repository_root()).unwrap();
        assert!(tree.has_file("Cargo.toml"));
        assert!(!tree.has_directory("target"));
    }
}
