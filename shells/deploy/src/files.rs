//! The files of this directory and of the docs, read as they stand in the checkout.

use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Where the crate lies.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file beside this crate's manifest, or elsewhere in the repository by `../..`.
///
/// # Panics
/// With its path, when it cannot be read: every caller is a test.
pub fn text(path: &str) -> String {
    let path = here().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The same, as YAML of one document.
///
/// # Panics
/// With path, line and column, when it is no such thing.
pub fn yaml<T: DeserializeOwned>(path: &str) -> T {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The same, as YAML of several documents.
///
/// # Panics
/// With path, line and column, when it is no such thing.
pub fn yamls<T: DeserializeOwned>(path: &str) -> Vec<T> {
    serde_saphyr::from_multiple(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of the manifests, from this directory.
///
/// # Panics
/// When the directory cannot be listed.
pub fn kubernetes() -> Vec<String> {
    paths_below(&here().join("kubernetes"))
}

/// The paths of everything that is deployed: no sources of this crate, and the document of topics.
///
/// # Panics
/// When a directory cannot be listed.
pub fn deployed() -> Vec<String> {
    let mut paths = paths_below(here());
    paths.retain(|path| !path.ends_with(".rs") && path != "Cargo.toml");
    paths.push("../../docs/asyncapi.yaml".to_owned());
    paths
}

fn paths_below(directory: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory of the checkout") {
            let path: PathBuf = entry.expect("an entry of the checkout").path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let path = path.strip_prefix(here()).expect("it lies below the crate");
                paths.push(path.to_str().expect("names of ours are ASCII").to_owned());
            }
        }
    }
    paths.sort_unstable();
    paths
}
