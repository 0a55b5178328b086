//! What is known of a call that was not answered as it should be.

use std::fmt;

/// Why a call has no answer of its own, and what is known of it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Another server or another memory than the caller believes in; nothing was applied.
    Fenced,
    /// Nothing was applied, for this reason.
    Nothing(String),
    /// Applied or not, for this reason.
    Unknown(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Fenced => f.write_str("another server or another memory"),
            Trouble::Nothing(why) => write!(f, "not applied: {why}"),
            Trouble::Unknown(why) => write!(f, "applied or not: {why}"),
        }
    }
}

/// What a server's error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The error's code.
    pub code: &'static str,
    /// Whether it is certain that nothing was applied.
    pub nothing_applied: bool,
    /// Whether the connection is given up.
    pub hangs_up: bool,
    /// Why.
    pub why: &'static str,
}

const fn meaning(code: &'static str, why: &'static str) -> Meaning {
    Meaning { code, nothing_applied: true, hangs_up: false, why }
}

const fn elsewhere(code: &'static str, why: &'static str) -> Meaning {
    Meaning { hangs_up: true, ..meaning(code, why) }
}

/// Every error that the platform reckons with. Our scripts compute everything before their first write, and a server
/// refuses a script's write for the state it is in only while the script has written nothing.
pub const MEANINGS: &[Meaning] = &[
    meaning("NOSCRIPT", "the server does not know the script and ran nothing"),
    meaning("OOM", "the memory is full, which a script is told at its first write or not at all"),
    meaning("MISCONF", "the disk refuses snapshots, which a script is told at its first write or not at all"),
    meaning("NOREPLICAS", "too few replicas follow, which a script is told at its first write or not at all"),
    meaning("BUSY", "another script runs for too long, and this one was not begun"),
    meaning("TRYAGAIN", "the slot is moving, and the script was not begun"),
    meaning("CROSSSLOT", "keys of several slots are refused before the script begins"),
    meaning("NOAUTH", "the server wants a password before it does anything"),
    meaning("NOPERM", "the access list forbids the script or a command of it before it begins"),
    elsewhere("READONLY", "the server was demoted, which a script is told at its first write or not at all"),
    elsewhere("LOADING", "the server reads its data from the disk and runs nothing yet"),
    elsewhere("MASTERDOWN", "the server is a replica without its master and runs nothing"),
    elsewhere("MOVED", "the slot is served elsewhere, and nothing was begun here"),
    elsewhere("ASK", "the slot is moving, and nothing was begun here"),
    elsewhere("CLUSTERDOWN", "the cluster serves no slot, and nothing was begun"),
    Meaning {
        nothing_applied: false,
        ..elsewhere("UNBLOCKED", "the server was demoted while the call waited in it: what it had done is unknown")
    },
];

/// What an error with this code means; one that is not in the list may have come in the middle of a script's writes,
/// which are not rolled back.
pub fn meaning_of(code: &str) -> Meaning {
    let known = MEANINGS.iter().find(|meaning| meaning.code == code);
    known.copied().unwrap_or(Meaning {
        code: "",
        nothing_applied: false,
        hangs_up: false,
        why: "an error in the middle of a script is not rolled back",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_have_written_is_certain() {
        assert!(meaning_of("OOM").nothing_applied && !meaning_of("OOM").hangs_up);
        assert!(meaning_of("READONLY").nothing_applied && meaning_of("READONLY").hangs_up);
        assert!(!meaning_of("UNBLOCKED").nothing_applied && meaning_of("UNBLOCKED").hangs_up);
        assert!(!meaning_of("ERR").nothing_applied && !meaning_of("WRONGTYPE").nothing_applied);
    }

    #[test]
    fn each_code_stands_there_once() {
        for (index, meaning) in MEANINGS.iter().enumerate() {
            assert!(MEANINGS[..index].iter().all(|earlier| earlier.code != meaning.code), "{}", meaning.code);
        }
    }
}
