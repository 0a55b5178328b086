//! What every command of the tool needs to know about its target and its bounds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

/// Where the platform is, how the tool reaches it, and when it gives up.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Address of the platform; only a loopback address is accepted.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = parse_loopback_url)]
    pub url: SocketAddr,
    /// The platform's data directory: its `dev.key` signs the buyers' tokens.
    #[arg(long, default_value = ".doorbuster")]
    pub data: PathBuf,
    /// Connections of the generator. 4096 keeps the tool below the usual limit of open files.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub connections: u16,
    /// Directory for report.json, report.html and history.jsonl.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// The whole run ends after this many minutes, whatever is still open.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub max_minutes: u64,
    /// A request without an answer for this long is Unknown, in milliseconds.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=120_000))]
    pub timeout_ms: u64,
    /// An Unknown is retried under its key until this long after the last arrival, in seconds; then it is looked up.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub unknown_bound_seconds: u64,
    /// Acknowledged reservations may be lost, because Redis is; each must be told to the buyer who shows its receipt.
    #[arg(long)]
    pub may_lose: bool,
    /// Judges by the tool's own counts and does not ask the oracle.
    #[arg(long, hide = true)]
    pub counts_only: bool,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub workers: u8,
}

impl Settings {
    /// How long one request may take before it is Unknown.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// The end of the run that begins now.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.max_minutes * 60)
    }
}

/// Reads `http://HOST[:PORT]` where HOST is `localhost` or a loopback address; the port defaults to 80.
///
/// # Errors
/// Anything else is refused with a sentence for the user: load is never aimed at another machine.
pub fn parse_loopback_url(text: &str) -> Result<SocketAddr, String> {
    let authority = text.strip_prefix("http://").ok_or("the address must begin with http://")?.trim_end_matches('/');
    let address =
        parse_authority(authority).ok_or_else(|| format!("'{authority}' is not HOST:PORT with a loopback address"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("{} is not a loopback address; load is sent to this machine only", address.ip()))
    }
}

fn parse_authority(authority: &str) -> Option<SocketAddr> {
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return Some(address);
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse().ok()?),
        Some(_) | None => (authority, 80),
    };
    // The name is taken for what it should mean; asking a resolver could lead off this machine.
    let ip = if host == "localhost" {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        host.trim_matches(['[', ']']).parse().ok()?
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_accepted() {
        for (text, expected) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.8.0.1:1/", "127.8.0.1:1"),
            ("http://localhost:9", "127.0.0.1:9"),
            ("http://localhost", "127.0.0.1:80"),
            ("http://[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(parse_loopback_url(text).expect(text).to_string(), expected);
        }
    }

    #[test]
    fn every_other_host_is_refused() {
        for text in
            ["http://10.0.0.1:8080", "http://example.com:80", "https://127.0.0.1", "http://0.0.0.0:80", "127.0.0.1:80"]
        {
            assert!(parse_loopback_url(text).is_err(), "{text}");
        }
    }
}
