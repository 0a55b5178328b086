//! The headings of a document, as links name them.

use std::collections::BTreeSet;

/// The anchors of all headings: lower case, a hyphen for each space, punctuation left out.
pub fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let mut anchors = BTreeSet::new();
    for line in markdown.lines() {
        in_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if !in_code && heading.len() < line.len() && heading.starts_with(' ') {
            anchors.insert(anchor(heading.trim()));
        }
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.flat_map(char::to_lowercase).map(|character| if character == ' ' { '-' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_named_as_links_name_them() {
        let text = "# Alert: roles missing\n```\n# no heading\n```\ntext # none\n### The `up` page\n#none\n";
        assert_eq!(anchors(text), ["alert-roles-missing", "the-up-page"].map(str::to_owned).into());
    }
}
