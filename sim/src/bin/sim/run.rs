//! `run SEED` and `replay FILE`: one line per transition, the verdict, the hash, the faults; with `--html` a picture.

use crate::choice::Where;
use doorbuster_sim::plan::{Plan, World};
use doorbuster_sim::runner::Runner;
use doorbuster_sim::worlds::fast::Keep;
use doorbuster_sim::{page, replay};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Run {
    /// The seed.
    seed: u64,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    how: How,
    /// Writes the seed's plan to a file as well.
    #[arg(long)]
    plan: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Replay {
    /// A plan.
    file: PathBuf,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
struct How {
    /// Writes the picture of the run to a file.
    #[arg(long)]
    html: Option<PathBuf>,
    /// No lines: the ending alone.
    #[arg(long)]
    quiet: bool,
    /// Only lines from this event on.
    #[arg(long, default_value_t = 0, hide = true)]
    from: u64,
}

impl Run {
    pub fn run(&self) -> Result<ExitCode, String> {
        let runner = self.place.runner(World::Fast)?;
        let plan = runner.draw(self.seed);
        if let Some(file) = &self.plan {
            write(file, &replay::write(&plan))?;
        }
        self.how.run(&runner, &plan, &again("run", &self.seed.to_string(), &self.place))
    }
}

impl Replay {
    pub fn run(&self) -> Result<ExitCode, String> {
        let plan = replay::read(&self.file)?;
        let again = again("replay", &self.file.display().to_string(), &self.place);
        self.how.run(&self.place.runner(plan.world)?, &plan, &again)
    }
}

impl How {
    fn run(&self, runner: &Runner, plan: &Plan, again: &str) -> Result<ExitCode, String> {
        let report = runner.run(plan, Keep::Lines);
        let lines = report.trace.lines.as_deref().unwrap_or_default();
        let shown = lines.iter().filter(|line| line.ordinal >= self.from && !self.quiet);
        let mut text = format!("{}\n", replay::HEADER);
        shown.for_each(|line| text.extend([replay::line(line).as_str(), "\n"]));
        say(&(text + &replay::ending(&report)))?;
        if let Some(file) = &self.html {
            write(file, &page::render(&report, again))?;
            eprintln!("the picture: {}", file.display());
        }
        Ok(if report.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The command line that runs it again.
fn again(verb: &str, what: &str, place: &Where) -> String {
    let options: String = place.words().iter().map(|word| format!(" {word}")).collect();
    format!("cargo sim {verb} {what}{options}")
}

/// Writes to standard output; a reader who has seen enough is no error.
fn say(text: &str) -> Result<(), String> {
    let mut output = BufWriter::new(std::io::stdout().lock());
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a whole file.
pub fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
