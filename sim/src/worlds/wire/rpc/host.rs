//! A mounted service behind whatever brings its connections.

use super::FLIGHTS_MAX;
use super::frame::{Frame, Way, text_of};
use super::mount::{Mount, Outgoing};
use super::service::{Service, weight_of};
use doorbuster_redis::dial::ByteStream;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::env::SharedEnv;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

/// Serves every connection that `accept` brings, and wakes the machine when it wants to be woken, until the host dies. `env`
/// reads the service's clock: one that goes on where it was when the host starts again.
///
/// # Errors
/// Nothing can be accepted any more.
pub async fn serve<S: Service, T: ByteStream>(
    mount: Arc<Mount<S>>,
    env: SharedEnv,
    accept: impl AsyncFn() -> io::Result<T>,
) -> io::Result<()> {
    spawn(wake(mount.clone(), env.clone()));
    loop {
        spawn(serve_connection(mount.clone(), accept().await?, env.clone()));
    }
}

/// Wakes the machine whenever its time has come.
pub async fn wake<S: Service>(mount: Arc<Mount<S>>, env: SharedEnv) {
    let mut steps = mount.steps();
    loop {
        steps.mark_unchanged();
        let due = async {
            match mount.wake_at() {
                // A machine that wants to be woken at once is woken a moment later: time goes on.
                Some(at) => {
                    let wait_us = at.0.saturating_sub(env.now().mono.0).max(1);
                    tokio::time::sleep(Duration::from_micros(wait_us)).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = steps.changed() => if changed.is_err() { return },
            () = due => if mount.wake_at().is_some_and(|at| at <= env.now().mono) { mount.woken(env.now()) },
        }
    }
}

/// Serves one connection until either end closes it. What was asked on it goes on without it.
pub async fn serve_connection<S: Service>(mount: Arc<Mount<S>>, stream: impl ByteStream, env: SharedEnv) {
    let (mut asks, mut answers) = tokio::io::split(stream);
    let (outbox, outgoing) = mpsc::channel(FLIGHTS_MAX);
    let hear = async {
        while let Ok(Frame { way: Way::Ask, call, value, .. }) = Frame::read(&mut asks).await {
            // A number that is nobody's was made up by its sender: nothing that it sends means anything.
            let Some(request) = mount.values().asked.take(value) else { return };
            mount.asked(env.now(), &outbox, call, request);
        }
    };
    tokio::select! {
        biased;
        _ = tell(&mount, &mut answers, outgoing) => {}
        () = hear => {}
    }
}

async fn tell<S: Service>(
    mount: &Mount<S>,
    stream: &mut (impl AsyncWrite + Unpin),
    mut outgoing: mpsc::Receiver<Outgoing<S::Reply>>,
) -> io::Result<()> {
    while let Some(answer) = outgoing.recv().await {
        let frame = |call, text: &[u8], reply: S::Reply| {
            let weight = weight_of(S::items_told(&reply), text);
            Frame { way: Way::Answer, call, value: mount.values().told.put(reply), weight }
        };
        match answer {
            Outgoing::Told(call, reply) => {
                let text = text_of(&reply);
                frame(call, &text, reply).write(stream, &text, None).await?;
            }
            Outgoing::Torn(call, reply) => return frame(call, &[], reply).write_torn(stream).await,
        }
    }
    Ok(())
}
