//! Bursts against a platform of their own, with and without kills; the load tool asks the oracle and says what holds.

use crate::platform::{Platform, built};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A burst and what follows it: arrivals, holds that run out, probes, audit.
const BURST_MAX: Duration = Duration::from_secs(240);

/// How a burst is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bursts, each over a new directory.
    pub rounds: u32,
    /// Whether the platform is killed in mid-burst, each round at another moment, and restarted on the same data.
    pub kill: bool,
    /// The load tool's command and its flags.
    pub load: Vec<String>,
    /// Milliseconds from the start of the burst within which kills are spread.
    pub spread_ms: u64,
}

/// Runs all rounds; `false` at the first that does not hold.
pub fn run(options: &Options) -> Result<bool, String> {
    let directory = std::env::temp_dir().join(format!("doorbuster-burst-{}", std::process::id()));
    for round in 0..options.rounds {
        let place = directory.join(round.to_string());
        let held = one(options, round, &place)?;
        if !held {
            println!("round {round} does not hold; what it left is in {}", place.display());
            return Ok(false);
        }
        std::fs::remove_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    }
    // Only empty by now; whatever else is in it is not ours to remove.
    let _ = std::fs::remove_dir(&directory);
    println!("{} bursts hold", options.rounds);
    Ok(true)
}

fn one(options: &Options, round: u32, place: &Path) -> Result<bool, String> {
    let mut platform = Platform::start(place)?;
    let mut load = start_load(options, &platform, place)?;
    let mut killed_at = None;
    if options.kill {
        // Evenly over the burst, so that each run of all rounds meets its beginning, its middle and its end.
        let after = options.spread_ms * u64::from(2 * round + 1) / u64::from(2 * options.rounds);
        wait_for_clicks(&platform)?;
        std::thread::sleep(Duration::from_millis(after));
        platform.kill_and_restart()?;
        killed_at = Some(after);
    }
    let status = wait(&mut load)?;
    platform.stop()?;
    let told = killed_at.map_or(String::new(), |after| format!(", killed {after} ms after its first answers"));
    println!("round {round}: {}{told}", if status.success() { "holds" } else { "DOES NOT HOLD" });
    Ok(status.success())
}

fn start_load(options: &Options, platform: &Platform, place: &Path) -> Result<Child, String> {
    let binary: PathBuf = built("load")?;
    let report = place.join("report");
    std::fs::create_dir_all(&report).map_err(|error| format!("{}: {error}", report.display()))?;
    Command::new(binary)
        .args(&options.load)
        .args(["--url", &platform.url()])
        .arg("--data")
        .arg(platform.data())
        .arg("--output")
        .arg(report)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("the load tool did not start: {error}"))
}

/// The burst has begun when the platform counts its first acceptance.
fn wait_for_clicks(platform: &Platform) -> Result<(), String> {
    let began = Instant::now();
    while began.elapsed() < BURST_MAX {
        if platform.metric("doorbuster_reservations_accepted_total")? > 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err("no click was accepted in time".to_owned())
}

fn wait(load: &mut Child) -> Result<ExitStatus, String> {
    let began = Instant::now();
    while began.elapsed() < BURST_MAX {
        if let Some(status) = load.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // It has not said anything, so nothing holds.
    let _ = load.kill();
    load.wait().map_err(|error| error.to_string())
}
