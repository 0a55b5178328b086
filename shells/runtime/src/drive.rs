//! The one loop: event in, step, effects started without waiting for them.
//!
//! Architecture invariant: nothing else in the platform steps a machine or starts a task beside it.

use crate::env::SharedEnv;
use doorbuster_core::machine::Machine;
use doorbuster_core::time::{Mono, Now};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// An effect under way: at most one event for the machine that asked.
pub type Performed<E> = Pin<Box<dyn Future<Output = Option<E>> + Send>>;

/// Turns effects into calls of ports.
pub trait Perform<M: Machine>: Send + Sync + 'static {
    /// Starts the effect; the future's event goes back to the machine. `None`: it was done on the spot, without waiting.
    fn perform(&self, now: Now, effect: M::Effect) -> Option<Performed<M::Event>>;
}

/// Events that wait for one machine: its own effects' answers (bounded by its tables) and what its role feeds it.
pub const INBOX_MAX: usize = 4096;

/// Events that are taken between two looks at the stop and the timer: some tens of microseconds.
const BATCH_MAX: usize = 64;

/// Where events for a machine are dropped in.
pub type Inbox<E> = mpsc::Sender<E>;

/// Turned to true once; everything that is driven ends at its next step.
pub type Stop = watch::Receiver<bool>;

/// An inbox before its machine runs.
pub fn inbox<E>() -> (Inbox<E>, mpsc::Receiver<E>) {
    mpsc::channel(INBOX_MAX)
}

/// Runs a machine until it is told to stop; returns it, so that its owner can look at what it still owed.
///
/// Biased: a stop is seen before a timer, a timer before an event, so that a flood of events starves neither.
pub async fn drive<M: Machine, P: Perform<M>>(
    mut machine: M,
    performer: Arc<P>,
    env: SharedEnv,
    mut stop: Stop,
    (answers, mut events): (Inbox<M::Event>, mpsc::Receiver<M::Event>),
    woken: fn(&'static str) -> M::Event,
) -> M
where
    M::Event: Send + 'static,
{
    let mut effects = Vec::new();
    loop {
        let wake = machine.wake_at();
        let event = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => return machine,
            () = sleep_until(&env, wake) => woken(wake.map_or("", |(_, why)| why)),
            event = events.recv() => match event {
                Some(event) => event,
                None => return machine,
            },
        };
        if let Some(gate) = env.gate() {
            gate.await;
        }
        take(&mut machine, performer.as_ref(), &env, event, &mut effects, &answers);
        // What waits already is taken at once: a timer per event would cost more than the event.
        for _ in 1..BATCH_MAX {
            let Ok(event) = events.try_recv() else { break };
            take(&mut machine, performer.as_ref(), &env, event, &mut effects, &answers);
        }
    }
}

fn take<M: Machine, P: Perform<M>>(
    machine: &mut M,
    performer: &P,
    env: &SharedEnv,
    event: M::Event,
    effects: &mut Vec<M::Effect>,
    answers: &Inbox<M::Event>,
) where
    M::Event: Send + 'static,
{
    let now = env.now();
    machine.step(now, event, effects);
    machine.check();
    for effect in effects.drain(..) {
        if let Some(performed) = performer.perform(now, effect) {
            start(performed, answers.clone());
        }
    }
}

/// Starts a future beside its caller: the only place of the product that spawns.
#[allow(clippy::disallowed_methods, reason = "this is the driver that everything else is told to use")]
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// Starts a future on another runtime than the caller's.
#[allow(clippy::disallowed_methods, reason = "as above")]
pub fn spawn_on<T: Send + 'static>(
    runtime: &Handle,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    runtime.spawn(future)
}

fn start<E: Send + 'static>(effect: Performed<E>, answers: Inbox<E>) {
    spawn(async move {
        if let Some(event) = effect.await {
            // The machine is gone only when the process stops; its answer has nobody to go to.
            let _ = answers.send(event).await;
        }
    });
}

async fn sleep_until(env: &SharedEnv, wake: Option<(Mono, &'static str)>) {
    match wake {
        None => std::future::pending().await,
        Some((at, _)) => {
            let wait = at.0.saturating_sub(env.now().mono.0);
            if wait > 0 {
                tokio::time::sleep(Duration::from_micros(wait)).await;
            }
        }
    }
}
