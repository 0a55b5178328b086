//! `doorbuster up`: the whole platform in one process, durable in one directory.

use crate::demo;
use crate::platform::{self, Embedded, Running};
use crate::token::issue;
use clap::Args;
use doorbuster_embedded::data::DataDirectory;
use doorbuster_runtime::drive::Stop;
use doorbuster_runtime::env::{SharedEnv, SystemEnv};
use doorbuster_runtime::roles::auditor::LiveCheck;
use doorbuster_runtime::roles::settler::ClearLatch;
use doorbuster_web::api::{Api, Light, LiveVerdict, Secrets, Settings, Shared};
use doorbuster_web::token::Role;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// After the last request, roles finish what they are at; more than this is not waited for, and the next start
/// continues from what is durable.
const ROLES_END: Duration = Duration::from_secs(5);

/// Where, and over which data.
#[derive(Args)]
pub struct UpArguments {
    /// The data directory; made where there is none.
    #[arg(long, default_value = ".doorbuster")]
    data: PathBuf,
    /// The address of the API and the console.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Start without the demo sale.
    #[arg(long)]
    no_demo: bool,
}

impl Default for UpArguments {
    fn default() -> UpArguments {
        UpArguments { data: PathBuf::from(".doorbuster"), listen: ([127, 0, 0, 1], 8080).into(), no_demo: false }
    }
}

/// Runs until a signal; returns when everything is drained and closed.
pub fn run(arguments: UpArguments) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(up(arguments))
}

async fn up(arguments: UpArguments) -> Result<(), Box<dyn Error>> {
    let env = SystemEnv::shared();
    let listener = bind(arguments.listen, "--listen").await?;
    let address = listener.local_addr()?;
    let data = DataDirectory::open(&arguments.data, &env)?;
    let secrets = secrets(&data.dev_key);
    let embedded = platform::embed(data, env.clone(), address, secrets.webhooks.clone());
    let (stop_roles, roles_stopped) = watch::channel(false);
    let latches = Latches::default();
    let running = platform::start(&embedded, clear_latch(&latches), &roles_stopped).await?;
    if !arguments.no_demo {
        demo::seed(&embedded.ports).await?;
    }
    let api = edge(&embedded, running, secrets, &env, &roles_stopped);
    // Set once, before the first request.
    let _ = latches.set(api.clone());
    greet(&api, address)?;
    doorbuster_web::serve(listener, api, stopped_by_signal()?).await?;
    end(embedded, latches, stop_roles).await;
    Ok(())
}

/// The edge of this process, whose sold-out latches the settler clears; roles work before it is there.
pub type Latches = Arc<OnceLock<Shared>>;

/// Clears a latch of this process's edge, where there is one; edges of other processes let theirs age.
pub fn clear_latch(latches: &Latches) -> ClearLatch {
    let latches = latches.clone();
    Arc::new(move |shard, _| {
        if let Some(api) = latches.get() {
            api.units_came_back(shard);
        }
    })
}

/// A process that was killed a moment ago may still hold the address: a restart waits a second for it.
pub async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, String> {
    const TRIES: u32 = 10;
    for _ in 1..TRIES {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(_) => break,
        }
    }
    let named = |error| format!("{address}: {error}; name another address with {setting}");
    TcpListener::bind(address).await.map_err(named)
}

/// Receipts and webhooks have keys of their own, so that one signature is never another's.
fn secrets(dev_key: &[u8]) -> Secrets {
    let derive = |purpose: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(dev_key).expect("HMAC takes keys of every length");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    Secrets { tokens: dev_key.to_vec(), receipts: derive("receipts"), webhooks: derive("webhooks") }
}

fn edge(embedded: &Embedded, running: Running, secrets: Secrets, env: &SharedEnv, stop: &Stop) -> Shared {
    let ports = doorbuster_web::api::Ports {
        store: embedded.ports.store.clone(),
        ledger: embedded.ports.ledger.clone(),
        admit: running.admit,
        provider: embedded.ports.provider.clone(),
        products: running.products,
        env: env.clone(),
        telemetry: embedded.ports.telemetry.clone(),
        verdicts: Some(translate(running.verdicts, stop.clone())),
        depths: Some(embedded.depths.clone()),
    };
    Api::shared(ports, secrets, Settings { dev: true, ..Settings::default() })
}

/// The live oracle's judgements as the console shows them.
fn translate(mut checks: watch::Receiver<Vec<LiveCheck>>, mut stop: Stop) -> watch::Receiver<Vec<LiveVerdict>> {
    let (said, heard) = watch::channel(Vec::new());
    doorbuster_runtime::drive::spawn(async move {
        loop {
            let verdicts = checks.borrow_and_update().iter().map(verdict).collect();
            said.send_replace(verdicts);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped) => return,
                changed = checks.changed() => if changed.is_err() { return },
            }
        }
    });
    heard
}

fn verdict(check: &LiveCheck) -> LiveVerdict {
    let (state, detail) = match &check.judged {
        Ok(judgement) if judgement.is_red() => (Light::Red, format!("{judgement:?}")),
        Ok(_) => (Light::Green, check.check.title().to_owned()),
        Err(missing) => (Light::NotChecked, format!("waits for {}", missing.0)),
    };
    LiveVerdict { id: check.check.id(), state, detail, checked_at: check.at }
}

fn greet(api: &Shared, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let buyer = issue(api.tokens(), "buyer-1", Role::Buyer)?;
    let admin = issue(api.tokens(), "admin", Role::Admin)?;
    println!("doorbuster is up.");
    println!("console   http://{address}/#token={buyer}&admin={admin}");
    println!("API       http://{address}/openapi.json");
    println!("buyer     {buyer}");
    println!("admin     {admin}");
    Ok(())
}

pub fn stopped_by_signal() -> std::io::Result<Stop> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    doorbuster_runtime::drive::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        eprintln!("doorbuster: stopping; requests in flight are answered first");
        stop.send_replace(true);
    });
    Ok(stopped)
}

/// The server's thread ends when the last port is dropped; it closes the log then.
async fn end(embedded: Embedded, latches: Latches, stop_roles: watch::Sender<bool>) {
    stop_roles.send_replace(true);
    let Embedded { ports, intents, feed, depths, server } = embedded;
    drop((ports, intents, feed, depths, latches));
    let ended = async {
        while !server.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(ROLES_END, ended).await.is_err() {
        eprintln!("doorbuster: a role did not end in time; what is durable is kept, the next start goes on from there");
    }
}
