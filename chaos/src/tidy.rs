//! What the repository's text must look like, checked by a machine.
//!
//! A rule is a pure function from a [`Tree`] to its [`Finding`]s, so that each rule's tests can feed it bad
//! input from memory and see it object.

mod core_purity;
mod dead_files;
mod finding;
mod functions;
mod layout;
mod links;
mod lua;
mod names;
mod source;
mod tree;
mod words;

pub use finding::Finding;
pub use tree::Tree;

/// One rule.
pub struct Rule {
    /// What the repository is like when the rule holds.
    pub name: &'static str,
    /// What breaks the rule; empty when it holds.
    pub check: fn(&Tree) -> Vec<Finding>,
}

/// Every rule there is.
pub const RULES: &[Rule] = &[
    Rule { name: "source files can be read as Rust", check: source::check },
    Rule { name: "files and functions are short", check: functions::check },
    Rule { name: "names say what a thing is", check: names::check },
    Rule { name: "no banned words", check: words::check },
    Rule { name: "no dead files", check: dead_files::check },
    Rule { name: "core is told and never asks, sim has no hash order", check: core_purity::check },
    Rule { name: "nothing strange at the top level", check: layout::check },
    Rule { name: "Lua has one order", check: lua::check },
    Rule { name: "every relative link leads somewhere", check: links::check },
];

/// Holds the tree to every rule; the findings come in the order of the rules.
pub fn check(tree: &Tree) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| (rule.check)(tree)).collect()
}
