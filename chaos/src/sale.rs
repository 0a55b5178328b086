//! `cargo lab sale`: a whole sale through real servers, each role in a process of its own, and what is left of it in each of
//! them: orders by the oracle's verdict, events by a consumer that knows nothing of us, products in search and caches.

mod catalogue;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::fleet::{Fleet, Programs, Tool};
use crate::servers::{Cache, Lab, Layout, Server, on_path};

/// A burst, the ends of its pay windows on an emulator that lets one transaction at a time write, and the audit.
const SALE_MAX: Duration = Duration::from_secs(15 * 60);
const HOLD_SECONDS: u64 = 15;
/// The consumer of others.
const KCAT: &str = "kcat";

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    pub layout: Layout,
    pub shards: u32,
    pub units: u64,
    pub buyers: u64,
    /// Clicks a second.
    pub rate: u64,
    /// For the load tool's report.
    pub output: PathBuf,
}

/// Runs the sale; `false` if something is not as it should be.
pub fn run(options: &Options) -> Result<bool, String> {
    let programs = Programs::build()?;
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let lab = Lab::start(&Cache::of_user()?, &Server::all(options.layout))?;
    let fleet = Fleet::start(&programs.doorbuster, &lab, place.path())?;
    let changed = catalogue::change(&fleet, &lab)?;
    println!("{changed}");
    let sold = sell(options, &fleet, &programs)?;
    let read = read_by_others(options, &lab)?;
    let wrong = fleet.stop();
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    Ok(changed.is_in_time() && sold && read && wrong.is_empty())
}

fn sell(options: &Options, fleet: &Fleet, programs: &Programs) -> Result<bool, String> {
    let mut command = Command::new(&programs.load);
    command
        .args(["burst", "--stock", &options.units.to_string(), "--buyers", &options.buyers.to_string()])
        .args(["--rate", &options.rate.to_string(), "--shards", &options.shards.to_string()])
        .args(["--hold", &HOLD_SECONDS.to_string(), "--url", &fleet.url(), "--max-minutes", "14"])
        .arg("--data")
        .arg(fleet.directory())
        .arg("--output")
        .arg(&options.output);
    Ok(Tool::start(&mut command)?.wait(SALE_MAX)?.success())
}

/// Reads the topic of orders from its beginning with a consumer that is not ours, and compares with what was accepted.
fn read_by_others(options: &Options, lab: &Lab) -> Result<bool, String> {
    if !on_path(KCAT) {
        println!("events read by {KCAT}: skipped, there is no {KCAT} here (Debian: {KCAT})");
        return Ok(true);
    }
    let kafka = lab.server(Server::Kafka).ok_or("there is no Kafka")?.site.address().to_string();
    let output = Command::new(KCAT)
        .args(["-b", &kafka, "-C", "-t", "orders", "-o", "beginning", "-e", "-q", "-f", "%k\t%h\\n"])
        .output()
        .map_err(|error| format!("{KCAT}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let events = text.lines().filter(|line| line.contains("ce_type=doorbuster.order-changed.v1"));
    let (mut count, mut orders) = (0, BTreeSet::new());
    for event in events {
        count += 1;
        orders.extend(event.split('\t').next());
    }
    println!("events read by {KCAT}: {count} changes of {} orders", orders.len());
    // Abandoned clicks and late payments make orders too; every accepted one is among them.
    Ok(output.status.success() && orders.len() as u64 >= options.units)
}
