use std::cell::RefCell;
use std::collections::BTreeMap;

use doorbuster_core::time::Now;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::host::{ConnectionId, Output, RedisHost};

/// Outputs that wait for a client which does not read. One that lets more come is cut off, as the server does with
/// clients beyond its output limit.
const OUTBOX_MAX: usize = 4_096;

/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;

/// A server behind real or simulated streams. All of its connections run on one thread and share it by a `RefCell`,
/// which nobody holds across an await.
#[derive(Debug)]
pub struct Mounted {
    host: RedisHost,
    outboxes: BTreeMap<ConnectionId, Sender<Output>>,
}

impl Mounted {
    /// Mounts a server.
    pub fn new(host: RedisHost) -> Mounted {
        Mounted { host, outboxes: BTreeMap::new() }
    }

    /// The server, for what is done to it from outside of any connection: hand what it gives to [`Mounted::route`].
    pub fn host(&mut self) -> &mut RedisHost {
        &mut self.host
    }

    /// Lets time pass. Due at [`RedisHost::wake_at`] at the latest.
    pub fn tick(&mut self, now: Now) {
        let outputs = self.host.tick(now);
        self.route(outputs);
    }

    /// Passes outputs on to the connections. Those of connections that the server no longer knows are closed, which
    /// is how a restart looks from outside.
    pub fn route(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            let id = output.connection;
            let refused = self.outboxes.get(&id).is_some_and(|outbox| outbox.try_send(output).is_err());
            if refused {
                self.host.disconnect(id);
                self.outboxes.remove(&id);
            }
        }
        let open: Vec<ConnectionId> = self.host.connections().collect();
        self.outboxes.retain(|id, _| open.binary_search(id).is_ok());
    }

    fn open(&mut self) -> (ConnectionId, Receiver<Output>) {
        let id = self.host.connect();
        let (sender, receiver) = channel(OUTBOX_MAX);
        self.outboxes.insert(id, sender);
        (id, receiver)
    }

    fn close(&mut self, id: ConnectionId) {
        self.host.disconnect(id);
        self.outboxes.remove(&id);
    }
}

/// Serves one connection until either end closes it. `now` reads the clocks of the host that the server runs on.
pub async fn serve<S>(server: &RefCell<Mounted>, mut stream: S, now: impl Fn() -> Now)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (id, mut outbox) = server.borrow_mut().open();
    let mut bytes = vec![0; READ_BYTES];
    loop {
        tokio::select! {
            // What was answered goes out before anything new is read: the order is the same in every run.
            biased;
            output = outbox.recv() => {
                let Some(output) = output else { break };
                if stream.write_all(&output.bytes).await.is_err() || output.close {
                    break;
                }
            }
            read = stream.read(&mut bytes) => match read {
                Ok(count) if count > 0 => {
                    let mut server = server.borrow_mut();
                    let outputs = server.host.receive(id, &bytes[..count], now());
                    server.route(outputs);
                }
                Ok(_) | Err(_) => break,
            },
        }
    }
    server.borrow_mut().close(id);
}
