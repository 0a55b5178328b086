//! The series that an expression of PromQL names, as far as expressions of ours go.

use std::collections::BTreeSet;

/// What Prometheus itself says of every process that it looks at.
pub const UP: &str = "up";

/// The names of the series: every word right before a `{`. Expressions of ours always name the job, so no series stands
/// without braces.
pub fn series(expression: &str) -> BTreeSet<&str> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    let bytes = expression.as_bytes();
    let before = |end: usize| {
        let begin = bytes[..end].iter().rposition(|byte| !is_part(*byte)).map_or(0, |at| at + 1);
        &expression[begin..end]
    };
    expression.match_indices('{').map(|(at, _)| before(at)).collect()
}

/// Every word that begins like a metric of the platform, wherever it stands.
pub fn mentioned(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| word.starts_with("doorbuster_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_what_stands_before_braces() {
        let expression = "sum(rate(doorbuster_a_total{job=\"x\"}[5m])) > 0.05 * up{job=\"doorbuster\"}";
        assert_eq!(series(expression), BTreeSet::from(["doorbuster_a_total", "up"]));
        assert_eq!(mentioned(expression), BTreeSet::from(["doorbuster_a_total"]), "a job's name is no metric");
        assert_eq!(series("doorbuster_a_total"), BTreeSet::new());
        assert_eq!(mentioned("doorbuster_a_total"), BTreeSet::from(["doorbuster_a_total"]));
    }
}
