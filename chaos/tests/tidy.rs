//! The repository keeps its own rules.

use doorbuster_chaos::{repository_root, tidy};

#[test]
fn the_repository_is_tidy() {
    let tree = tidy::Tree::read(&repository_root()).expect("the checkout can be read");
    let findings = tidy::check(&tree);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}
