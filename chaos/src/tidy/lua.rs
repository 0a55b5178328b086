use super::{Finding, Tree};

/// The call whose order no two servers share.
const CALL: &str = "pairs(";

/// Scripts that walk a table in an order which differs from one server to the next.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".lua")) {
        for (index, line) in text.lines().enumerate() {
            let code = line.split("--").next().unwrap_or_default();
            if calls_pairs(code) {
                let message = "`pairs` has no order: use `ipairs` over a list, or a numeric `for`";
                findings.push(Finding::new(path, index + 1, message));
            }
        }
    }
    findings
}

fn calls_pairs(code: &str) -> bool {
    let dense: String = code.replace(" (", "(");
    dense.match_indices(CALL).any(|(at, _)| !dense[..at].ends_with(|last: char| last.is_alphanumeric() || last == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_is_found_in_scripts() {
        let text = "local t = {}\nfor k, v in pairs(t) do end\nfor k in pairs (t) do end\n";
        let lines: Vec<usize> =
            check(&Tree::of_texts(&[("lua/reserve.lua", text)])).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn ipairs_comments_and_other_files_are_left_alone() {
        let script = ("lua/reserve.lua", "for _, v in ipairs(t) do end -- not pairs(t)\n");
        assert!(check(&Tree::of_texts(&[script, ("docs/lua.md", "pairs(t)")])).is_empty());
    }
}
