//! Which server's memory it is: two ids that Redis draws itself.

use doorbuster_core::ids::{Epoch, Nonce, ServerId};
use doorbuster_core::ledger::shard::Fence;
use sha2::{Digest, Sha256};
use std::fmt;

/// A replication id: 40 hexadecimal digits, drawn anew at a start, a promotion and a demotion. Scripts compare it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicationId([u8; 40]);

/// What a connection learns of its server from INFO: both ids together are the identity that a shard's row names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Drawn at the start of the process; compared when a connection is made.
    pub run_id: String,
    /// Compared in every fenced script.
    pub replication_id: ReplicationId,
}

/// What a fenced script compares before it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScriptFence {
    /// The server's, as the connection learnt it.
    pub replication_id: ReplicationId,
    /// The row's epoch.
    pub epoch: Epoch,
    /// The row's nonce.
    pub nonce: Nonce,
}

impl ReplicationId {
    /// Parses 40 hexadecimal digits.
    pub fn parse(text: &str) -> Option<ReplicationId> {
        let digits: [u8; 40] = text.as_bytes().try_into().ok()?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(ReplicationId(digits))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII is parsed")
    }

    /// The identity of a server of which only this is compared: what the model of a script knows.
    pub fn server_id(&self) -> ServerId {
        server_id(&[self.as_str()])
    }
}

impl Identity {
    /// Reads it from the text of INFO, which must hold the sections `server` and `replication`.
    pub fn parse(info: &str) -> Option<Identity> {
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let replication_id = ReplicationId::parse(field("master_replid")?.trim_end())?;
        Some(Identity { run_id: field("run_id")?.trim_end().to_owned(), replication_id })
    }

    /// The identity as a shard's row names it: a digest of both ids.
    pub fn server_id(&self) -> ServerId {
        server_id(&[&self.run_id, self.replication_id.as_str()])
    }

    /// What a script is to compare for this fence; `None` when the fence names another server than this one.
    pub fn fence(&self, fence: Fence) -> Option<ScriptFence> {
        let same = fence.server == self.server_id();
        let replication_id = self.replication_id;
        same.then_some(ScriptFence { replication_id, epoch: fence.epoch, nonce: fence.nonce })
    }
}

impl ScriptFence {
    /// The fence of a model whose server has this replication id.
    pub fn of_model(&self) -> Fence {
        Fence { server: self.replication_id.server_id(), epoch: self.epoch, nonce: self.nonce }
    }
}

impl fmt::Debug for ReplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn server_id(parts: &[&str]) -> ServerId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    ServerId(u128::from_be_bytes(digest[..16].try_into().expect("a SHA-256 digest has 32 bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_from_info() {
        let replication_id = "0123456789abcdef0123456789abcdef01234567";
        let info = format!(
            "# Server\r\nrun_id:abc\r\n# Replication\r\nrole:master\r\nmaster_replid:{replication_id}\r\nmaster_replid2:ffff\r\n"
        );
        let identity = Identity::parse(&info).unwrap();
        assert_eq!((identity.run_id.as_str(), identity.replication_id.as_str()), ("abc", replication_id));
        assert_eq!(Identity::parse("run_id:abc\r\n"), None);
        let fence = Fence { server: identity.server_id(), epoch: Epoch(1), nonce: Nonce(2) };
        assert_eq!(identity.fence(fence).unwrap().replication_id, identity.replication_id);
        assert_eq!(identity.fence(Fence { server: ServerId(0), ..fence }), None);
    }
}
