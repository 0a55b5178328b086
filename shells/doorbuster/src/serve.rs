//! `doorbuster serve ROLE...`: roles of production, together or apart.

mod config;
mod connect;
pub mod migrate;
mod overrides;
mod secrets;

use crate::up::{Latches, bind, clear_latch, stopped_by_signal};
use clap::Args;
use config::Config;
use doorbuster_runtime::drive::{Stop, spawn};
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::roles::cache::{self, Behind};
use doorbuster_runtime::roles::role::{Platform, Role};
use doorbuster_web::api::{Api, Settings, Shared};
use doorbuster_web::watch::{Watched, attend};
use std::error::Error;
use std::path::PathBuf;
use tokio::sync::watch;

/// The role that waits for buyers.
const EDGE: &str = "edge";

/// Which roles, and by which configuration.
#[derive(Args)]
pub struct ServeArguments {
    /// The roles of this process: edge keeper forwarder intake relay reaper settler payment invalidator sales indexer, or all.
    #[arg(required = true, value_name = "ROLE")]
    roles: Vec<String>,
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Take the secrets of development where none are given, and let buyers tell the simulated provider how to behave.
    #[arg(long)]
    dev: bool,
}

/// What one process does.
struct Duties {
    edge: bool,
    roles: Vec<Role>,
}

impl Duties {
    fn parse(names: &[String]) -> Result<Duties, String> {
        let mut duties = Duties { edge: false, roles: Vec::new() };
        for name in names {
            match (name.as_str(), Role::parse(name)) {
                (EDGE, _) => duties.edge = true,
                ("all", _) => duties = Duties { edge: true, roles: Role::ALL.to_vec() },
                (_, Some(role)) => duties.roles.push(role),
                (_, None) => {
                    let known: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
                    return Err(format!("{name} is no role; there are {EDGE} {} and all", known.join(" ")));
                }
            }
        }
        duties.roles.sort_unstable();
        duties.roles.dedup();
        Ok(duties)
    }
}

/// Runs until a signal.
pub fn run(arguments: &ServeArguments) -> Result<(), Box<dyn Error>> {
    let duties = Duties::parse(&arguments.roles)?;
    let config = Config::read(&arguments.config, arguments.dev).map_err(|errors| errors.join("\n"))?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(&duties, config, arguments.dev))
}

async fn serve(duties: &Duties, config: Config, dev: bool) -> Result<(), Box<dyn Error>> {
    let stop = stopped_by_signal()?;
    // Before anything works: a process that cannot be asked is not to be started.
    let watcher = bind(config.http.watch, "[http] watch").await?;
    let door = if duties.edge { Some(bind(config.http.listen, "[http] listen").await?) } else { None };
    let latches = Latches::default();
    let platform =
        connect::connect(&config, SystemEnv::skewed(config.clock.skew_ms), clear_latch(&latches), &stop).await?;
    for role in &duties.roles {
        platform.start(*role, &stop);
        println!("{} works", role.name());
    }
    let watched = Watched { store: platform.ports.store.clone(), telemetry: platform.ports.telemetry.clone() };
    println!("watch http://{}/metrics", watcher.local_addr()?);
    let watching = spawn(attend(watcher, watched, stop.clone()));
    if let Some(door) = door {
        // The products end behind the requests that wait for them: those are answered first.
        let (end_products, products_ended) = watch::channel(false);
        let api = edge(&platform, &config, dev, &products_ended);
        // Set once, before the first request.
        let _ = latches.set(api.clone());
        println!("edge http://{}/", door.local_addr()?);
        doorbuster_web::serve(door, api, stop).await?;
        end_products.send_replace(true);
    }
    watching.await??;
    Ok(())
}

fn edge(platform: &Platform, config: &Config, dev: bool, products_ended: &Stop) -> Shared {
    let (env, store) = (platform.ports.env.clone(), platform.ports.store.clone());
    let behind = Behind { env, store, shared: platform.shared_cache.clone() };
    let ports = doorbuster_web::api::Ports {
        store: platform.ports.store.clone(),
        ledger: platform.ports.ledger.clone(),
        admit: platform.admit.clone(),
        provider: platform.ports.provider.clone(),
        products: cache::start(behind, products_ended),
        env: platform.ports.env.clone(),
        telemetry: platform.ports.telemetry.clone(),
        verdicts: None,
        depths: None,
    };
    let (clicks_per_second, clicks_burst) = (config.http.clicks_per_second, config.http.clicks_burst);
    Api::shared(ports, config.secrets.secrets(), Settings { dev, clicks_per_second, clicks_burst })
}
