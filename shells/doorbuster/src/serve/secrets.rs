//! The section `[secrets]` of the configuration.

use doorbuster_runtime::config::ConfigError;
use doorbuster_web::api::Secrets;
use serde::Deserialize;
use std::fmt;

/// Bytes of a secret: those of the hash that it signs with.
const BYTES_MIN: usize = 32;
/// What the secrets begin with where none are given: known to everybody who can read this line.
const DEVELOPMENT: &str = "doorbuster development secret, not for production";

/// What signs tokens, receipts and webhooks; each signs one kind of thing.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    tokens: String,
    receipts: String,
    webhooks: String,
}

impl Default for SecretsConfig {
    fn default() -> SecretsConfig {
        let of = |purpose: &str| format!("{DEVELOPMENT}: {purpose}");
        SecretsConfig { tokens: of("tokens"), receipts: of("receipts"), webhooks: of("webhooks") }
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for SecretsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsConfig").finish_non_exhaustive()
    }
}

impl SecretsConfig {
    /// Everything that is wrong with the section; the defaults are good in development alone.
    pub fn check(&self, dev: bool) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut wrong = |field, problem: String| errors.push(ConfigError { section: "secrets", field, problem });
        let all = [("tokens", &self.tokens), ("receipts", &self.receipts), ("webhooks", &self.webhooks)];
        for (index, (field, secret)) in all.iter().enumerate() {
            if secret.starts_with(DEVELOPMENT) && !dev {
                let make = "make one with `openssl rand -base64 32`, the same for every process";
                wrong(field, format!("is missing, and everybody knows the default: {make}"));
            } else if secret.len() < BYTES_MIN {
                wrong(field, format!("has {} bytes, but must have at least {BYTES_MIN}", secret.len()));
            } else if let Some((other, _)) = all[..index].iter().find(|(_, earlier)| earlier == secret) {
                wrong(field, format!("is the same as {other}: a signature of one would be one of the other"));
            }
        }
        errors
    }

    /// As the web server takes them.
    pub fn secrets(&self) -> Secrets {
        let bytes = |text: &str| text.as_bytes().to_vec();
        Secrets { tokens: bytes(&self.tokens), receipts: bytes(&self.receipts), webhooks: bytes(&self.webhooks) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str, dev: bool) -> Vec<&'static str> {
        let config: SecretsConfig = toml::from_str(text).unwrap();
        config.check(dev).into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn defaults_are_for_development_alone() {
        assert_eq!(wrong("", true), [""; 0]);
        assert_eq!(wrong("", false), ["tokens", "receipts", "webhooks"]);
    }

    #[test]
    fn a_secret_is_long_and_has_one_purpose() {
        let long = "x".repeat(32);
        let text = format!("tokens = '{long}'\nreceipts = '{long}'\nwebhooks = 'short'");
        assert_eq!(wrong(&text, false), ["receipts", "webhooks"]);
        let good = format!("tokens = '{long}a'\nreceipts = '{long}b'\nwebhooks = '{long}c'");
        assert_eq!(wrong(&good, false), [""; 0]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let config: SecretsConfig = toml::from_str("tokens = 'hidden'").unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
