use doorbuster_core::time::{Mono, Now, Wall};
use doorbuster_sim::hosts::redis::resp::{ReplyDecoder, encode_request};
use doorbuster_sim::hosts::redis::{ConnectionId, Identity, Output, RedisHost, Reply, SyncPolicy};

/// The simulated server with one client that waits for each answer.
pub struct Client {
    pub host: RedisHost,
    pub connection: ConnectionId,
    pub now: Now,
    decoder: ReplyDecoder,
}

/// An identity that depends on `seed` alone.
pub fn identity(seed: u64) -> Identity {
    Identity::from_entropy([seed, 1, 2], [seed, 3, 4])
}

/// The time so many milliseconds after the first.
pub fn at(ms: u64) -> Now {
    Now { mono: Mono(ms * 1000), wall: Wall(1_800_000_000_000 + ms) }
}

impl Client {
    pub fn new(policy: SyncPolicy) -> Client {
        Client::of(RedisHost::new(identity(1), policy))
    }

    pub fn of(mut host: RedisHost) -> Client {
        let connection = host.connect();
        Client { host, connection, now: at(0), decoder: ReplyDecoder::default() }
    }

    /// Sends a command and takes its answer.
    pub fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Reply {
        self.tell(words).expect("the command is answered at once")
    }

    /// Sends a command; the answer may come later.
    pub fn tell<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Option<Reply> {
        let outputs = self.host.receive(self.connection, &encode_request(words), self.now);
        self.take(&outputs)
    }

    /// The first of these answers that is for this client.
    pub fn take(&mut self, outputs: &[Output]) -> Option<Reply> {
        for output in outputs.iter().filter(|output| output.connection == self.connection) {
            self.decoder.push(&output.bytes);
        }
        self.decoder.decode().expect("the host speaks the protocol")
    }
}

/// The only answer to `connection` among these.
pub fn answer(outputs: &[Output], connection: ConnectionId) -> Option<Reply> {
    let mut decoder = ReplyDecoder::default();
    for output in outputs.iter().filter(|output| output.connection == connection) {
        decoder.push(&output.bytes);
    }
    decoder.decode().expect("the host speaks the protocol")
}
