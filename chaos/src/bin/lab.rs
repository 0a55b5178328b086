//! `lab`: the tool that holds the repository to its promises.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use doorbuster_chaos::servers::{Cache, Choice, Layout, Standing};
use doorbuster_chaos::{burst, ci, drill, licences, pages, repository_root, sale, storm, tidy};

#[derive(Parser)]
#[command(name = "lab", about = "Holds the repository to its promises")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gate: every step, one after the other, until one fails
    Ci {
        /// Begin with this step
        #[arg(long, value_name = "STEP", conflicts_with = "only")]
        from: Option<String>,
        /// Run only this step; may be given several times
        #[arg(long, value_name = "STEP")]
        only: Vec<String>,
        /// Name the steps, their bounds and their commands, and run none
        #[arg(long)]
        list: bool,
    },
    /// Hold the repository's text to its rules
    Tidy,
    /// Hold the lock file to the licences and sources of deny.toml
    Licences,
    /// Sell out a sale of a platform of its own, again and again, and ask the oracle each time
    Burst {
        /// How many times, each over a new directory
        #[arg(long, default_value_t = 1)]
        rounds: u32,
        /// Kill the platform in mid-burst, each time at another moment, and restart it on the same data
        #[arg(long)]
        kill: bool,
        /// Kills are spread over so many milliseconds from the first acceptance on
        #[arg(long, default_value_t = 2_500)]
        spread_ms: u64,
        /// The load tool's command and flags
        #[arg(last = true)]
        load: Vec<String>,
    },
    /// Get and start the real servers on this machine, and print the variables by which tests find them
    Up {
        #[command(flatten)]
        chosen: Chosen,
        /// How Redis is laid out
        #[arg(long, value_name = "LAYOUT", value_enum, default_value_t)]
        redis: Layout,
        /// The first port of a server, such as kafka=19500; may be given several times
        #[arg(long, value_name = "SERVER=PORT", value_parser = port_of)]
        port: Vec<(String, u16)>,
    },
    /// Tell which of the servers are up
    Status {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// End the servers that `up` has started, and nothing else
    Down {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Break real processes on real servers under buyers, as a seed says, and ask the oracle
    Chaos {
        /// The first seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many seeds, one after the other
        #[arg(long, default_value_t = 1)]
        seeds: u64,
        /// How long each seed strikes, 0.2 to 60
        #[arg(long, default_value_t = 5.0, value_parser = minutes)]
        minutes: f64,
        /// How Redis is laid out, instead of as the seed says
        #[arg(long, value_name = "LAYOUT", value_enum)]
        redis: Option<Layout>,
        /// For reports and timelines, a directory for each seed
        #[arg(long, default_value = "target/chaos", value_name = "DIRECTORY")]
        output: PathBuf,
    },
    /// A whole sale through real servers, each role in a process of its own
    Sale {
        /// How Redis is laid out
        #[arg(long, value_name = "LAYOUT", value_enum, default_value_t)]
        redis: Layout,
        /// Slices of users
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
        shards: u32,
        /// Units for sale
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        units: u64,
        /// Buyers; each clicks once
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        buyers: u64,
        /// Clicks a second
        #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=50_000))]
        rate: u64,
        /// For the report
        #[arg(long, default_value = "target/sale", value_name = "DIRECTORY")]
        output: PathBuf,
    },
    /// Lose a server's data in the middle of a sale, and see how the sale goes on
    Drill {
        #[command(subcommand)]
        drill: Drill,
    },
    /// Try the console of a running platform in a headless Chromium
    Pages {
        /// Start a platform for it, with tokens of its own, instead of trying a running one
        #[arg(long, conflicts_with_all = ["url", "token", "admin"])]
        own: bool,
        /// Where the platform is
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
        /// Token of a buyer who has bought nothing yet; without it nothing is bought
        #[arg(long)]
        token: Option<String>,
        /// Token of an operator; without it nothing is stopped and resumed
        #[arg(long)]
        admin: Option<String>,
        /// Write pictures of the page, small and wide, light and dark
        #[arg(long, value_name = "DIRECTORY")]
        screenshots: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Drill {
    /// Redis loses everything
    RedisLoss {
        /// Only when reservations are acknowledged like this; else at each level in turn
        #[arg(long, value_name = "LEVEL", value_enum)]
        ack: Option<drill::Ack>,
        /// Units for sale; twice as many buyers come
        #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(10..=200_000))]
        units: u64,
        /// Clicks a second
        #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=20_000))]
        rate: u64,
        /// For reports, a directory for each level
        #[arg(long, default_value = "target/drill", value_name = "DIRECTORY")]
        output: PathBuf,
    },
}

#[derive(clap::Args)]
struct Chosen {
    /// Only these servers: kafka, elasticsearch, spanner, redis
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    only: Vec<String>,
}

fn main() -> ExitCode {
    let good = match Arguments::parse().command {
        Command::Ci { list: true, .. } => {
            print!("{}", ci::list(ci::STEPS));
            Ok(true)
        }
        Command::Ci { from, only, list: false } => ci::run(&repository_root(), ci::STEPS, &selection(from, only)),
        Command::Tidy => check_tidiness(),
        Command::Licences => check_licences(),
        Command::Burst { rounds, kill, spread_ms, load } => {
            burst::run(&burst::Options { rounds, kill, load, spread_ms })
        }
        Command::Up { chosen, redis, port } => bring_up(&chosen.only, redis, port),
        Command::Status { chosen } => standing(&chosen.only, Standing::status),
        Command::Down { chosen } => standing(&chosen.only, Standing::down),
        Command::Chaos { seed, seeds, minutes, redis, output } => {
            let seconds = (minutes * 60.0) as u64;
            storm::run::run(&storm::run::Options { seed, seeds, seconds, layout: redis, output })
        }
        Command::Sale { redis, shards, units, buyers, rate, output } => {
            sale::run(&sale::Options { layout: redis, shards, units, buyers, rate, output })
        }
        Command::Drill { drill: Drill::RedisLoss { ack, units, rate, output } } => {
            let acks = ack.map_or(drill::Ack::ALL.to_vec(), |ack| vec![ack]);
            drill::redis_loss(&drill::Options { acks, units, rate, output })
        }
        Command::Pages { own: true, screenshots, .. } => pages::run_own(screenshots),
        Command::Pages { own: false, url, token, admin, screenshots } => {
            pages::run(&pages::Options { url: url.trim_end_matches('/').to_owned(), token, admin, screenshots })
        }
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("lab: {why}");
            ExitCode::from(2)
        }
    }
}

fn selection(from: Option<String>, only: Vec<String>) -> ci::Selection {
    match from {
        Some(step) => ci::Selection::From(step),
        None if only.is_empty() => ci::Selection::All,
        None => ci::Selection::Only(only),
    }
}

fn bring_up(names: &[String], redis: Layout, ports: Vec<(String, u16)>) -> Result<bool, String> {
    let choice = Choice::named(names, redis, ports.into_iter().collect::<BTreeMap<String, u16>>())?;
    Standing::of(Cache::of_user()?).up(&choice)
}

fn standing(
    names: &[String],
    verb: fn(&Standing, &[doorbuster_chaos::servers::Server]) -> Result<bool, String>,
) -> Result<bool, String> {
    let choice = Choice::named(names, Layout::default(), BTreeMap::new())?;
    verb(&Standing::of(Cache::of_user()?), &choice.servers)
}

fn minutes(words: &str) -> Result<f64, String> {
    let number: f64 = words.parse().map_err(|_| "it is a number of minutes".to_owned())?;
    if (0.2..=60.0).contains(&number) { Ok(number) } else { Err("it is between 0.2 and 60 minutes".to_owned()) }
}

/// `kafka=19500` as a name and a number.
fn port_of(words: &str) -> Result<(String, u16), String> {
    let (name, port) = words.split_once('=').ok_or("write it as SERVER=PORT")?;
    Ok((name.to_owned(), port.parse().map_err(|error| format!("`{port}` is no port: {error}"))?))
}

fn check_tidiness() -> Result<bool, String> {
    let tree = tidy::Tree::read(&repository_root())?;
    let findings = tidy::check(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} files, {} rules, {} findings", tree.paths().count(), tidy::RULES.len(), findings.len());
    Ok(findings.is_empty())
}

fn check_licences() -> Result<bool, String> {
    let root = repository_root();
    let text = std::fs::read_to_string(root.join("deny.toml")).map_err(|error| format!("deny.toml: {error}"))?;
    let policy = licences::Policy::parse(&text)?;
    let packages = licences::packages(&root)?;
    let objections = licences::objections(&policy, &packages);
    for objection in &objections {
        println!("{objection}");
    }
    println!("{} packages, {} objections", packages.len(), objections.len());
    Ok(objections.is_empty())
}
