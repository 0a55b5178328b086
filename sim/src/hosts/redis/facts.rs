use super::trouble::Trouble;

/// The version that the host behaves like.
pub const VERSION: &str = "7.0.15";

/// Forty zeros: the id of no data set.
pub const NO_REPLICATION_ID: &str = "0000000000000000000000000000000000000000";

/// What names one run of one server: new at every start, from the simulator's entropy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Forty hexadecimal digits: this process. Nothing but a restart changes it.
    pub run_id: String,
    /// Forty hexadecimal digits: this line of the data set's history. Every start and every promotion changes it.
    pub replication_id: String,
}

/// What the server says of itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who it is in this run.
    pub identity: Identity,
    /// The history that it continued when it was promoted, and up to which offset.
    pub previous: Option<(String, u64)>,
    /// How much of the history it has: one unit for each command or script that changed anything.
    pub offset: u64,
    /// What it is to the other servers.
    pub role: Role,
    /// Replicas that are connected, by name, with the offset that each has acknowledged.
    pub replicas: Vec<(String, u64)>,
    /// What it refuses at the moment.
    pub trouble: Trouble,
    /// The answer to `CONFIG GET maxmemory-policy`.
    pub maxmemory_policy: &'static str,
}

/// What a server is to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It copies another server.
    Replica {
        /// The other one's name in the network.
        of: String,
        /// Whether it is connected to it.
        link_up: bool,
    },
}

impl Identity {
    /// An identity out of entropy that the caller draws.
    pub fn from_entropy(run: [u64; 3], replication: [u64; 3]) -> Identity {
        Identity { run_id: forty_digits(run), replication_id: forty_digits(replication) }
    }
}

/// Forty hexadecimal digits out of entropy that the caller draws.
pub fn forty_digits(entropy: [u64; 3]) -> String {
    let mut text = format!("{:016x}{:016x}{:016x}", entropy[0], entropy[1], entropy[2]);
    text.truncate(40);
    text
}

impl Default for Facts {
    fn default() -> Facts {
        Facts {
            // A server is given its identity when it is made; no server ever shows this one.
            identity: Identity { run_id: String::new(), replication_id: String::new() },
            previous: None,
            offset: 0,
            role: Role::Primary,
            replicas: Vec::new(),
            trouble: Trouble::default(),
            maxmemory_policy: "noeviction",
        }
    }
}

impl Facts {
    /// Whether it copies another server.
    pub fn is_replica(&self) -> bool {
        matches!(self.role, Role::Replica { .. })
    }

    /// Whether it is a replica without its primary that is told not to serve what it has.
    pub fn is_stale(&self) -> bool {
        let alone = matches!(self.role, Role::Replica { link_up: false, .. });
        alone && self.trouble.refuses_stale_reads
    }

    /// The text of `INFO server`.
    pub fn server_text(&self) -> String {
        let run_id = &self.identity.run_id;
        format!(
            "# Server\r\nredis_version:{VERSION}\r\nredis_mode:standalone\r\nprocess_id:1\r\nrun_id:{run_id}\r\n\
             tcp_port:6379\r\n"
        )
    }

    /// The text of `INFO replication`.
    pub fn replication_text(&self) -> String {
        let mut text = "# Replication\r\n".to_owned();
        let mut field = |name: &str, value: &str| text.push_str(&format!("{name}:{value}\r\n"));
        match &self.role {
            Role::Primary => field("role", "master"),
            Role::Replica { of, link_up } => {
                field("role", "slave");
                field("master_host", of);
                field("master_port", "6379");
                field("master_link_status", if *link_up { "up" } else { "down" });
            }
        }
        field("connected_slaves", &self.replicas.len().to_string());
        for (index, (name, offset)) in self.replicas.iter().enumerate() {
            let line = format!("ip={name},port=6379,state=online,offset={offset},lag=0");
            field(&format!("slave{index}"), &line);
        }
        field("master_failover_state", "no-failover");
        field("master_replid", &self.identity.replication_id);
        field("master_replid2", self.previous.as_ref().map_or(NO_REPLICATION_ID, |(id, _)| id));
        field("master_repl_offset", &self.offset.to_string());
        let second = self.previous.as_ref().map_or("-1".to_owned(), |(_, offset)| (offset + 1).to_string());
        field("second_repl_offset", &second);
        text
    }
}
