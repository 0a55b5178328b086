//! Bugs planted into scripts: a script that is sent is kept under its own digest, and another text runs for it.
//!
//! A bug in a script needs no build: the real client sends what is shipped, and the simulated server errs.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::sha1_hex;

/// Once per process and before its first run, so that every run of the process is the same.
static PLANTED: OnceLock<BTreeMap<String, String>> = OnceLock::new();

/// From now on each of these scripts (as it is sent, as it runs) runs as its second text.
///
/// # Panics
/// When bugs were planted before.
pub fn plant(scripts: Vec<(String, String)>) {
    let by_digest = scripts.into_iter().map(|(sent, runs)| (sha1_hex(sent.as_bytes()), runs)).collect();
    PLANTED.set(by_digest).expect("bugs are planted once");
}

/// What runs for the script with this digest, if that is not what was sent.
pub fn planted(sha: &str) -> Option<&'static str> {
    PLANTED.get()?.get(sha).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::super::Scripts;
    use super::*;
    use crate::hosts::redis::{Context, Reply};

    #[test]
    fn a_planted_script_keeps_the_name_of_what_was_sent() {
        let sent = "return 'as it was shipped'";
        plant(vec![(sent.to_owned(), "return 'with a bug'".to_owned())]);
        let mut scripts = Scripts::new();
        let sha = scripts.load(sent.as_bytes()).expect("it is Lua");
        assert_eq!(sha, sha1_hex(sent.as_bytes()));
        let said = scripts.run(&mut Context::default(), sha.as_bytes(), &[], &[]);
        assert_eq!(said, Reply::Bulk(b"with a bug".to_vec()));
    }
}
