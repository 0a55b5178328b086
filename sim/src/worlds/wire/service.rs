//! Hosts of the outside services, and the provider's word to the platform.

use super::http::{Question, ask};
use super::process::Process;
use super::roles::secrets;
use super::rpc::host::{serve_connection, wake};
use super::rpc::mount::Mount;
use super::rpc::service::Service;
use crate::services::ServiceEvent;
use crate::services::provider::{Notice, Provider, Request};
use doorbuster_core::machine::Machine;
use doorbuster_core::payment::command::Verdict;
use doorbuster_redis::dial::Address;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::env::Env;
use doorbuster_web::payments::{SIGNATURE, sign};
use http::{HeaderName, Method};
use std::sync::Arc;

/// Where every service listens.
const PORT: u16 = 9000;

/// Where a service is found.
pub fn address_of<S: Service>() -> Address {
    Address::parse(&format!("{}:{PORT}", S::NAME)).expect("a name and a port")
}

/// What the host of a service runs.
///
/// # Errors
/// Never: the port is its own.
pub async fn run<S: Service>(process: Arc<Process>, mount: Arc<Mount<S>>) -> turmoil::Result {
    process.begin_life();
    let listener = process.listen(PORT).await?;
    spawn(wake(mount.clone(), process.env()));
    loop {
        let (stream, _) = listener.accept().await?;
        spawn(serve_connection(mount.clone(), stream, process.env()));
    }
}

/// What the provider's host runs: the service, and its notices to the edges.
///
/// # Errors
/// Never.
pub async fn run_provider(
    process: Arc<Process>,
    mount: Arc<Mount<Provider>>,
    edges: Arc<Vec<String>>,
) -> turmoil::Result {
    spawn(notify(process.clone(), mount.clone(), edges));
    run(process, mount).await
}

async fn notify(process: Arc<Process>, mount: Arc<Mount<Provider>>, edges: Arc<Vec<String>>) {
    let mut steps = mount.steps();
    while steps.changed().await.is_ok() {
        if mount.look(|provider| provider.due.is_empty()) {
            continue;
        }
        for notice in mount.act(process.now(), |provider, _| std::mem::take(&mut provider.due)) {
            spawn(deliver(process.clone(), mount.clone(), edges.clone(), notice));
        }
    }
}

/// One try of one notice: the provider tries again by itself until somebody has taken it.
async fn deliver(process: Arc<Process>, mount: Arc<Mount<Provider>>, edges: Arc<Vec<String>>, notice: Notice) {
    let edge = process.scene.one_of(&edges, process.entropy());
    let verdict = match notice.verdict {
        Verdict::Succeeded => "succeeded",
        Verdict::Declined => "declined",
    };
    let body = serde_json::json!({ "payment_id": notice.payment, "verdict": verdict }).to_string();
    let signature = sign(&secrets().webhooks, process.now().wall, body.as_bytes());
    let headers = vec![(HeaderName::from_static(SIGNATURE), signature)];
    let path = "/v1/webhooks/payments/simulated".to_owned();
    let told = ask(&process, edge, Question { method: Method::POST, path, headers, body: Some(body) }).await;
    // A platform that says no has heard it; one that cannot tell hears it again.
    if told.is_some_and(|told| told.status < 500) {
        let now = process.now();
        let request = Request::Confirm(notice.number);
        mount.act(now, |provider, out| provider.step(now, ServiceEvent::Asked { call: 0, request }, out));
    }
}
