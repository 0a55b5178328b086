use super::command::Specification;
use super::facts::Facts;
use super::reply::texts;

/// States of a server in which it answers with refusals; all off in a healthy one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The memory is full and nothing may be evicted: what could grow is refused.
    pub memory_full: bool,
    /// The disk refuses snapshots: every write is refused.
    pub disk_refuses: bool,
    /// The data set is being read from the disk.
    pub loading: bool,
    /// Some other client's script is running for too long.
    pub busy: bool,
    /// A replica that lost its primary refuses to serve what it has.
    pub refuses_stale_reads: bool,
}

/// Why the server refuses a command from a client before it looks at it; in the server's own order.
pub fn refusal(facts: &Facts, specification: &Specification) -> Option<&'static str> {
    let trouble = &facts.trouble;
    let flags = &specification.flags;
    if trouble.memory_full && flags.may_grow && !facts.is_replica() {
        return Some(texts::OUT_OF_MEMORY);
    }
    if trouble.disk_refuses && flags.writes && !facts.is_replica() {
        return Some(texts::MISCONFIGURED);
    }
    if facts.is_replica() && flags.writes {
        return Some(texts::READ_ONLY);
    }
    if facts.is_stale() && !flags.when_stale {
        return Some(texts::MASTER_DOWN);
    }
    if trouble.loading && !flags.when_loading {
        return Some(texts::LOADING);
    }
    if trouble.busy && !flags.when_busy {
        return Some(texts::BUSY);
    }
    None
}

/// Why the server refuses a command from a script. `began_to_write` is whether it has called a command that may write:
/// a full memory does not stop a script in the middle of its writes.
pub fn refusal_in_script(facts: &Facts, specification: &Specification, began_to_write: bool) -> Option<String> {
    let flags = &specification.flags;
    if !flags.in_script {
        return Some("ERR This Redis command is not allowed from script".to_owned());
    }
    if facts.is_stale() && !flags.when_stale {
        return Some("ERR Can not execute the command on a stale replica".to_owned());
    }
    if flags.writes && facts.is_replica() {
        return Some(texts::READ_ONLY.to_owned());
    }
    if flags.writes && facts.trouble.disk_refuses {
        return Some(texts::MISCONFIGURED.to_owned());
    }
    if facts.trouble.memory_full && flags.may_grow && !began_to_write {
        return Some(texts::OUT_OF_MEMORY.to_owned());
    }
    None
}
