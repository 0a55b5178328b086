use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::source::{Source, each_level, group_at, identifier_at, is_punctuation, line_of};
use super::{Finding, Tree};

/// All that the core may depend on.
const DEPENDENCIES: &[&str] = &["serde", "sha2", "hmac"];

/// Names that neither the core nor the simulator may speak: the same seed must give the same run.
const UNORDERED: &[(&str, &str)] = &[
    ("HashMap", "its order differs from run to run: use BTreeMap"),
    ("HashSet", "its order differs from run to run: use BTreeSet"),
];

/// Names that the core may not speak, and what it does instead.
const WAITING: &[(&str, &str)] = &[("tokio", "the core does not wait: return an effect")];

/// Modules of `std` that reach out of the process or ask it for something.
const MODULES: &[(&str, &str)] = &[
    ("time", "time comes in as `Now`"),
    ("fs", "results of I/O come in as events"),
    ("net", "results of I/O come in as events"),
    ("io", "results of I/O come in as events"),
    ("thread", "the core is single-threaded"),
    ("env", "settings come in as arguments"),
    ("process", "results of I/O come in as events"),
];

/// Everything in the core that is not a pure function of its arguments, and hash order in the simulator.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources() {
        let of_core = source.path.starts_with("core/src/");
        if of_core || source.path.starts_with("sim/src/") {
            findings.extend(names_in(source, UNORDERED));
        }
        if of_core {
            findings.extend(names_in(source, WAITING));
            findings.extend(modules_in(source));
        }
    }
    findings.extend(in_manifest(tree.text("core/Cargo.toml").unwrap_or_default()));
    findings
}

fn names_in(source: &Source, banned: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    each_level(&source.tokens, &mut |level| {
        for (index, token) in level.iter().enumerate() {
            let Some(name) = identifier_at(level, index) else { continue };
            if let Some((_, advice)) = banned.iter().find(|(banned, _)| *banned == name) {
                findings.push(Finding::new(&source.path, line_of(token), format!("`{name}` is banned here: {advice}")));
            }
        }
    });
    findings
}

fn modules_in(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    each_level(&source.tokens, &mut |level| {
        for index in 0..level.len() {
            let begins_path = identifier_at(level, index).is_some_and(|name| name == "std")
                && is_punctuation(level, index + 1, ':')
                && is_punctuation(level, index + 2, ':');
            if begins_path {
                findings.extend(banned_modules(level, index + 3).into_iter().map(|(module, line, advice)| {
                    Finding::new(&source.path, line, format!("`std::{module}` is banned in core: {advice}"))
                }));
            }
        }
    });
    findings
}

/// The banned modules named right behind `std::`, be it one or a braced list.
fn banned_modules(level: &[TokenTree], at: usize) -> Vec<(String, usize, &'static str)> {
    let named = match group_at(level, at, Delimiter::Brace) {
        Some(list) => heads_of(list.stream()),
        None => level.get(at).cloned().into_iter().collect(),
    };
    let banned = |token: TokenTree| {
        let name = token.to_string();
        let (_, advice) = MODULES.iter().find(|(banned, _)| *banned == name)?;
        Some((name, line_of(&token), *advice))
    };
    named.into_iter().filter_map(banned).collect()
}

/// The first token of each item of a list.
fn heads_of(list: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<TokenTree> = list.into_iter().collect();
    let head = |index: &usize| *index == 0 || is_punctuation(&tokens, *index - 1, ',');
    (0..tokens.len()).filter(head).map(|index| tokens[index].clone()).collect()
}

fn in_manifest(text: &str) -> Vec<Finding> {
    const PATH: &str = "core/Cargo.toml";
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::new(PATH, 1, format!("cannot be read as TOML: {error}"))],
    };
    let mut tables = vec![&manifest];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(targets.into_iter().flat_map(|targets| targets.values().filter_map(toml::Value::as_table)));
    let lists = tables.iter().flat_map(|table| ["dependencies", "build-dependencies"].map(|kind| table.get(kind)));
    let names = lists.flatten().filter_map(toml::Value::as_table).flat_map(toml::Table::keys);
    let refused = names.filter(|name| !DEPENDENCIES.contains(&name.as_str()));
    let found = |name: &String| {
        let line = text.lines().position(|line| line.starts_with(name.as_str())).map_or(1, |index| index + 1);
        let message = format!("core may not depend on `{name}`: do it in a shell, or by hand if it is small");
        Finding::new(PATH, line, message)
    };
    refused.map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_of(text: &str) -> Vec<Finding> {
        check(&Tree::of_texts(&[("core/src/lib.rs", text), ("core/Cargo.toml", "")]))
    }

    #[test]
    fn each_way_out_of_the_core_is_found() {
        for reach in [
            "use std::collections::HashMap;",
            "use std::time::Duration;",
            "use std::{fmt, fs::File};",
            "fn f() { ::std::thread::yield_now() }",
            "use tokio::sync::mpsc;",
            "use std::{collections::{BTreeMap, HashSet}};",
        ] {
            assert_eq!(findings_of(&format!("\n{reach}"))[0].line, 2, "{reach}");
        }
    }

    #[test]
    fn a_pure_core_is_left_alone() {
        let text = "use std::{collections::BTreeMap, fmt}; // HashMap, std::time\nfn time(fs: u8) -> u8 { fs }";
        assert!(findings_of(text).is_empty());
    }

    #[test]
    fn the_simulator_may_wait_but_knows_no_hash_order() {
        let findings_in = |text| check(&Tree::of_texts(&[("sim/src/lib.rs", text)]));
        assert!(findings_in("use tokio::sync; use std::fs;").is_empty());
        assert_eq!(findings_in("use std::collections::HashSet;").len(), 1);
    }

    #[test]
    fn a_dependency_too_many_is_found() {
        let manifest = "[dependencies]\nserde = \"1\"\nrand = \"1\"\n[target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n\
                        [dev-dependencies]\nproptest = \"1\"\n";
        let findings = check(&Tree::of_texts(&[("core/Cargo.toml", manifest)]));
        let places: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(places, [3, 5]);
    }
}
