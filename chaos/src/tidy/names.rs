use super::source::{each_level, identifier_at, line_of};
use super::{Finding, Tree};

/// Words after which a new name stands.
const DECLARING: &[&str] = &["struct", "enum", "trait", "type", "union", "mod", "fn", "const", "static"];

/// Words that say that somebody did not know what the thing is.
const EMPTY_WORDS: &[&str] = &["manager", "managers", "helper", "helpers", "util", "utils"];

/// Declared names that say nothing, or say `get` where the noun is enough.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources() {
        each_level(&source.tokens, &mut |level| {
            for (index, token) in level.iter().enumerate() {
                let (Some(keyword), Some(name)) = (identifier_at(level, index), identifier_at(level, index + 1)) else {
                    continue;
                };
                if !DECLARING.contains(&keyword.as_str()) {
                    continue;
                }
                if let Some(message) = objection(&keyword, &name) {
                    findings.push(Finding::new(&source.path, line_of(token), message));
                }
            }
        });
    }
    findings
}

fn objection(keyword: &str, name: &str) -> Option<String> {
    if keyword == "fn" && name.starts_with("get_") {
        return Some(format!("`{name}`: leave the `get_` out, the noun is enough"));
    }
    let empty = words_of(name).into_iter().find(|word| EMPTY_WORDS.contains(&word.as_str()))?;
    Some(format!("`{name}`: `{empty}` says nothing, name what it is or does"))
}

/// `ShardManager` and `shard_manager` are both made of `shard` and `manager`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    for letter in name.chars() {
        let begins = letter == '_' || (letter.is_uppercase() && !before.is_uppercase());
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter != '_') {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_of(text: &str) -> Vec<Finding> {
        check(&Tree::of_texts(&[("shells/web/src/lib.rs", text)]))
    }

    #[test]
    fn empty_names_are_found_wherever_they_are_declared() {
        for declared in ["struct ShardManager;", "mod utils;", "fn parse_helper() {}", "trait SeedUtil {}"] {
            let findings = findings_of(&format!("\n{declared}"));
            assert_eq!(findings.len(), 1, "{declared}");
            assert_eq!(findings[0].line, 2);
        }
    }

    #[test]
    fn a_getter_is_found_inside_an_impl() {
        let findings = findings_of("impl Sale {\n    fn get_stock(&self) -> u64 { 0 }\n}");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].to_string().contains("lib.rs:2: `get_stock`"));
    }

    #[test]
    fn other_words_uses_and_strings_are_left_alone() {
        let text = "use hyper_util::rt; fn utilization() {} fn forget_it() {} fn get() { log(\"fn get_x\") }";
        assert!(findings_of(text).is_empty());
    }
}
