//! The server's thread: takes what waits, decides it, syncs once, and only then answers.

use super::call::Call;
use super::shards::{GROUP_CALLS_MAX, Shards};
use crate::log::{LogError, Partition};
use crate::panic::ProcessEnds;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::telemetry::{Metric, Telemetry};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// All shards share one partition: one process has one intake, and one partition is one order of everything.
pub const PARTITION: Partition = Partition(0);

/// The shards of this process, and who hears of them.
pub struct ServerThread {
    pub shards: Shards,
    pub env: SharedEnv,
    pub telemetry: Arc<Telemetry>,
    /// The last position that readers may see.
    pub synced: watch::Sender<u64>,
}

impl ServerThread {
    /// Runs until every caller is gone. A failed write or sync ends the process: what is on the disk is unknown then,
    /// and no answer that depends on it may leave.
    #[allow(clippy::disallowed_methods, reason = "the log blocks: its one writer owns its one thread")]
    pub fn start(mut self, mut calls: mpsc::Receiver<Call>) -> std::thread::JoinHandle<()> {
        let body = move || {
            let _panics = ProcessEnds;
            let mut group = Vec::with_capacity(GROUP_CALLS_MAX);
            while calls.blocking_recv_many(&mut group, GROUP_CALLS_MAX) > 0 {
                if let Err(error) = self.run(&mut group) {
                    eprintln!("doorbuster: the log cannot be written, ending: {error}");
                    std::process::exit(crate::EXIT_STORAGE);
                }
            }
            // The next start then notices even a lost last record.
            if let Err(error) = self.shards.close() {
                eprintln!("doorbuster: the log could not be closed: {error}");
            }
        };
        let thread = std::thread::Builder::new().name("shards".to_owned()).spawn(body);
        thread.expect("the system has a thread for the shards")
    }

    fn run(&mut self, group: &mut Vec<Call>) -> Result<(), LogError> {
        let ran = self.shards.run(self.env.now().wall, group)?;
        if let Some(last) = ran.synced {
            self.telemetry.add(Metric::Syncs, 1);
            self.synced.send_replace(last.0);
        }
        if ran.settled > 0 {
            self.telemetry.add(Metric::Settled, ran.settled);
        }
        ran.release();
        Ok(())
    }
}
