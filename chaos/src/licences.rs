//! Holds the packages of the lock file to the licences and registries that `deny.toml` allows.
//!
//! cargo-deny checks the same and more, but takes minutes to build; this step asks what matters on every
//! machine, and reads the same file, so that there is one list.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use spdx::{Expression, LicenseReq, Licensee};

/// One package of the lock file, as `cargo metadata` tells of it.
#[derive(Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    /// None for a package of this workspace.
    pub source: Option<String>,
}

/// What `deny.toml` allows.
pub struct Policy {
    licences: Vec<Licensee>,
    registries: BTreeSet<String>,
}

impl Policy {
    /// Reads the policy from the text of `deny.toml`. Fails, in words, on a list that is missing or a licence
    /// that SPDX does not know.
    pub fn parse(text: &str) -> Result<Policy, String> {
        let file: DenyFile = toml::from_str(text).map_err(|error| format!("deny.toml: {error}"))?;
        let known = |name: &String| Licensee::parse(name).map_err(|error| format!("deny.toml: `{name}`: {error}"));
        let licences = file.licenses.allow.iter().map(known).collect::<Result<Vec<Licensee>, String>>()?;
        Ok(Policy { licences, registries: file.sources.allow_registry })
    }

    fn allows(&self, requirement: &LicenseReq) -> bool {
        self.licences.iter().any(|licence| licence.satisfies(requirement))
    }
}

#[derive(Deserialize)]
struct DenyFile {
    licenses: LicensesTable,
    sources: SourcesTable,
}

#[derive(Deserialize)]
struct LicensesTable {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct SourcesTable {
    #[serde(rename = "allow-registry")]
    allow_registry: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Every package of the checkout's lock file. Fails, in words, when cargo does.
pub fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata is not as expected: {error}"))?;
    Ok(metadata.packages)
}

/// What the policy does not allow, one sentence each.
pub fn objections(policy: &Policy, packages: &[Package]) -> Vec<String> {
    packages.iter().filter_map(|package| objection(policy, package)).collect()
}

fn objection(policy: &Policy, package: &Package) -> Option<String> {
    let Package { name, version, license, source } = package;
    if let Some(source) = source
        && !source.strip_prefix("registry+").is_some_and(|registry| policy.registries.contains(registry))
    {
        return Some(format!("{name} {version} comes from {source}, which deny.toml does not allow"));
    }
    let Some(license) = license else {
        return Some(format!("{name} {version} names no licence: replace it"));
    };
    // Old packages write `MIT/Apache-2.0`, which lax parsing reads as `OR`, as crates.io does.
    match Expression::parse_mode(license, spdx::ParseMode::LAX) {
        Err(error) => {
            Some(format!("{name} {version} has a licence that cannot be read, `{license}`: {}", error.reason))
        }
        Ok(expression) if expression.evaluate(|requirement| policy.allows(requirement)) => None,
        Ok(_) => Some(format!("{name} {version} is under `{license}`: replace it, or allow its licence in deny.toml")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "[licenses]\nallow = [\"MIT\", \"Apache-2.0 WITH LLVM-exception\"]\n\
                        [sources]\nallow-registry = [\"https://a.example/index\"]\n";

    fn objections_to(license: Option<&str>, source: Option<&str>) -> Vec<String> {
        let package = Package {
            name: "probe".to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
        };
        objections(&Policy::parse(DENY).unwrap(), &[package])
    }

    #[test]
    fn an_allowed_licence_passes_alone_and_as_one_of_a_choice() {
        let source = Some("registry+https://a.example/index");
        for license in ["MIT", "MIT OR GPL-3.0-only", "Unlicense/MIT", "Apache-2.0 WITH LLVM-exception"] {
            assert_eq!(objections_to(Some(license), source), Vec::<String>::new());
        }
    }

    #[test]
    fn a_licence_that_is_not_allowed_is_named() {
        for license in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0", "no such licence"] {
            assert_eq!(objections_to(Some(license), None).len(), 1, "{license}");
        }
        assert_eq!(objections_to(None, None).len(), 1);
    }

    #[test]
    fn a_foreign_source_is_named() {
        for source in ["git+https://a.example/index", "registry+https://b.example/index"] {
            assert_eq!(objections_to(Some("MIT"), Some(source)).len(), 1, "{source}");
        }
    }

    #[test]
    fn a_policy_with_an_unknown_licence_is_refused() {
        assert!(Policy::parse(&DENY.replace("MIT", "MYT")).is_err());
        assert!(Policy::parse("[licenses]\nallow = []").is_err());
    }

    #[test]
    fn the_policy_of_this_repository_can_be_read() {
        let text = std::fs::read_to_string(crate::repository_root().join("deny.toml")).unwrap();
        assert!(Policy::parse(&text).is_ok());
    }
}
