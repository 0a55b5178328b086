use std::fmt;
use std::time::Duration;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// Passed, but without these: what each is, and why it was not there.
    PassedWithout(Vec<String>),
    /// Why, in words.
    Failed(String),
    /// Why, in words.
    Skipped(String),
    /// A step before it failed.
    NotReached,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passed => write!(formatter, "passed"),
            Verdict::PassedWithout(missing) => write!(formatter, "passed without {}", missing.join(", without ")),
            Verdict::Failed(why) => write!(formatter, "FAILED: {why}"),
            Verdict::Skipped(why) => write!(formatter, "skipped: {why}"),
            Verdict::NotReached => write!(formatter, "not reached"),
        }
    }
}

/// What became of every selected step, and how long each took.
#[derive(Default)]
pub struct Report {
    rows: Vec<(&'static str, Verdict, Option<Duration>)>,
}

impl Report {
    /// Appends a step; one that was not reached has no duration.
    pub fn add(&mut self, name: &'static str, verdict: Verdict, took: Option<Duration>) {
        self.rows.push((name, verdict, took));
    }

    fn count(&self, like: fn(&Verdict) -> bool) -> usize {
        self.rows.iter().filter(|(_, verdict, _)| like(verdict)).count()
    }

    fn missing(&self) -> usize {
        let missing = |verdict: &Verdict| match verdict {
            Verdict::PassedWithout(missing) => missing.len(),
            Verdict::Passed | Verdict::Failed(_) | Verdict::Skipped(_) | Verdict::NotReached => 0,
        };
        self.rows.iter().map(|(_, verdict, _)| missing(verdict)).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _, _)| name.len()).max().unwrap_or(0);
        writeln!(formatter, "\n=== all steps")?;
        for (name, verdict, took) in &self.rows {
            let took = took.map_or_else(|| "-".to_owned(), seconds);
            writeln!(formatter, "{name:width$}  {took:>12}  {verdict}")?;
        }
        let failed = self.rows.iter().find(|(_, verdict, _)| matches!(verdict, Verdict::Failed(_)));
        if let Some((name, verdict, _)) = failed {
            writeln!(formatter, "\nstep `{name}` {verdict}\nto run it alone: cargo ci --only {name}")?;
        }
        let passed = self.count(|verdict| matches!(verdict, Verdict::Passed | Verdict::PassedWithout(_)));
        let failed = self.count(|verdict| matches!(verdict, Verdict::Failed(_)));
        // A step that was not reached proved as little as one that was skipped, and is counted with them; so is what a step
        // that passed had to do without.
        let skipped = self.rows.len() - passed - failed + self.missing();
        writeln!(formatter, "\n{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// A duration as people read it in a table.
pub fn seconds(took: Duration) -> String {
    let whole = took.as_secs();
    if whole < 60 {
        return format!("{:.1} s", took.as_secs_f64());
    }
    format!("{} min {:02} s", whole / 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_the_steps_and_stands_alone() {
        let mut report = Report::default();
        report.add("fmt", Verdict::Passed, Some(Duration::from_millis(1_500)));
        report.add("deny", Verdict::Skipped("not here".to_owned()), Some(Duration::ZERO));
        report.add("test", Verdict::Failed("it broke".to_owned()), Some(Duration::from_secs(61)));
        report.add("pages", Verdict::NotReached, None);
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed, 2 skipped"));
        assert!(text.contains("test     1 min 01 s  FAILED: it broke"));
        assert!(text.contains("cargo ci --only test"));
        assert!(text.contains("pages             -  not reached"));
    }

    #[test]
    fn what_a_step_had_to_do_without_is_named_and_counted_as_skipped() {
        let mut report = Report::default();
        report.add("fmt", Verdict::Passed, Some(Duration::ZERO));
        let missing = vec!["kafka (no Java)".to_owned(), "spanner (nowhere)".to_owned()];
        report.add("contracts", Verdict::PassedWithout(missing), Some(Duration::ZERO));
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some("2 passed, 0 failed, 2 skipped"));
        assert!(text.contains("passed without kafka (no Java), without spanner (nowhere)"));
    }
}
