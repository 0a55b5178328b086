//! What the lab needs to know of a server to run it, whichever it is.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// A server that is on this machine and can be started.
pub trait Installed: Send + Sync {
    /// As its makers count.
    fn version(&self) -> &str;

    /// The processes that make it up, to be started in this order. Writes their configuration; data that is there already
    /// stays, so that a server can be started again on what it had.
    fn launches(&self, site: &Site) -> Result<Vec<Launch>, String>;
}

/// Where one server lives on this machine.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its configuration, logs and data.
    pub directory: PathBuf,
    /// Its ports on 127.0.0.1; the first is the one that clients are told.
    pub ports: Vec<u16>,
}

impl Site {
    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address_of(0)
    }

    /// Where its port of this place in the list is.
    pub fn address_of(&self, place: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports[place]))
    }
}

/// One process of a server.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Names it among the processes of its server, and its log.
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}
