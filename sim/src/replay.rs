//! A run told to people: one line per transition in fixed columns, the verdict, the hash, the faults.

use crate::coverage;
use crate::plan::Plan;
use crate::report::Report;
use crate::trace::{Kind, Line};
use std::fmt::Write as _;
use std::path::Path;

/// The columns of [`line`].
pub const HEADER: &str = "     time ms  ordinal  host          kind       what";

impl Kind {
    /// The word of the fourth column.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Step => "step",
            Kind::Sent => "sent",
            Kind::Delivered => "delivered",
            Kind::Lost => "lost",
            Kind::Client => "client",
            Kind::Committed => "committed",
            Kind::Struck => "struck",
            Kind::Healed => "healed",
            Kind::Violated => "VIOLATED",
        }
    }
}

/// One transition: simulated milliseconds, its place among all events, host, kind, what happened.
pub fn line(line: &Line) -> String {
    let message = line.message.map(|id| format!("m{id} ")).unwrap_or_default();
    format!(
        "{:>8}.{:03}  {:>7}  {:<12}  {:<9}  {message}{}",
        line.at_us / 1_000,
        line.at_us % 1_000,
        line.ordinal,
        line.host,
        line.kind.word(),
        line.text
    )
}

/// What stands below the lines: the verdict, the hash, what buyers got, and the faults.
pub fn ending(report: &Report) -> String {
    let mut text = format!("\n{}\n", verdict(report));
    let hash = report.trace.hash();
    let seconds = report.ended_at_us as f64 / 1e6;
    let _written = writeln!(text, "hash {hash:016x} over {} events, {seconds:.3} s simulated", report.trace.events());
    for (name, count) in &report.counts {
        let _written = writeln!(text, "  {name:<24} {count:>8}");
    }
    text + "\n" + &coverage::kinds_table(&report.faults, None)
}

/// One line: what was broken, or that nothing was.
pub fn verdict(report: &Report) -> String {
    match &report.violation {
        None => format!("seed {}: nothing is violated", report.plan.seed),
        Some(found) => {
            let ms = found.at_us as f64 / 1e3;
            format!("seed {}: {} VIOLATED at {ms:.3} ms: {}", report.plan.seed, found.id, found.what)
        }
    }
}

/// A plan from its file.
///
/// # Errors
/// When the file cannot be read or is no plan; says where.
pub fn read(path: &Path) -> Result<Plan, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// A plan as a file: [`read`] gives the same plan back.
pub fn write(plan: &Plan) -> String {
    // Every field of a plan is a number, a text or a list of them: nothing that TOML cannot say.
    toml::to_string(plan).expect("a plan is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Runner;
    use crate::worlds::fast::Keep;

    #[test]
    fn a_plan_survives_its_file() {
        let plan = Runner::toy().draw(7);
        assert_eq!(toml::from_str::<Plan>(&write(&plan)).expect("it was written as TOML"), plan);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let runner = Runner::toy();
        let report = runner.run(&runner.draw(3), Keep::Lines);
        let kind_at = HEADER.find("kind").expect("the header names it");
        for found in report.trace.lines.as_deref().expect("lines were kept") {
            assert_eq!(&line(found)[kind_at..kind_at + found.kind.word().len()], found.kind.word());
        }
    }
}
