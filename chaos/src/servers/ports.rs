//! Ports of the loopback for servers that live as long as a value.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};

use super::cache::Cache;

/// Below the range from which Linux gives ports to those that connect: a virtual machine takes seconds until it listens, and a
/// port of that range may be gone by then.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;
/// As many servers as one machine ever runs fit side by side.
const STRIDE: u16 = 16;

/// Ports that no other lab of this user takes while the value lives.
#[derive(Debug)]
pub struct Ports {
    pub numbers: Vec<u16>,
    /// Held until the value is dropped, or this program ends in whatever way.
    _locks: Vec<File>,
}

impl Ports {
    /// Free ports at these distances from their first.
    pub fn free(offsets: &[u16]) -> Result<Ports, String> {
        // Ports are the machine's, whatever cache a lab has its servers from.
        let user = rustix::process::getuid().as_raw();
        let locks_of_user = Cache::at(&std::env::temp_dir().join(format!("doorbuster-ports-{user}")));
        for first in (FIRST..LAST).step_by(STRIDE.into()) {
            let numbers: Vec<u16> = offsets.iter().map(|offset| first + offset).collect();
            let mut locks = Vec::new();
            for number in &numbers {
                locks.extend(locks_of_user.try_lock(&number.to_string())?);
            }
            if locks.len() == numbers.len() && taken(&numbers).is_none() {
                return Ok(Ports { numbers, _locks: locks });
            }
        }
        Err(format!("no ports are free between {FIRST} and {LAST}"))
    }
}

/// The first of these ports on which somebody listens.
pub fn taken(numbers: &[u16]) -> Option<u16> {
    numbers.iter().copied().find(|number| TcpListener::bind((Ipv4Addr::LOCALHOST, *number)).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_at_once_get_different_ports_and_the_distances_hold() {
        let one = Ports::free(&[0, 10]).unwrap();
        let other = Ports::free(&[0, 10]).unwrap();
        assert_eq!(one.numbers[1] - one.numbers[0], 10);
        assert!(one.numbers.iter().all(|number| !other.numbers.contains(number)));
    }

    #[test]
    fn a_port_on_which_somebody_listens_is_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(taken(&[port]), Some(port));
        drop(listener);
        assert_eq!(taken(&[port]), None);
    }
}
