//! One master, known to Sentinels.

use super::{Discover, Guides};
use crate::dial::Address;
use async_trait::async_trait;
use doorbuster_lua::value::Value;
use std::sync::RwLock;

/// The master that Sentinels name. Whether it is one, every connection asks it by its role in INFO.
pub struct Sentinel {
    guides: Guides,
    sentinels: Vec<Address>,
    master_name: String,
    master: RwLock<Option<Address>>,
}

impl Sentinel {
    pub(crate) fn new(guides: Guides, sentinels: Vec<Address>, master_name: String) -> Sentinel {
        Sentinel { guides, sentinels, master_name, master: RwLock::default() }
    }
}

#[async_trait]
impl Discover for Sentinel {
    fn known(&self, _: &str) -> Option<Address> {
        self.master.read().expect("no holder of this lock panics").clone()
    }

    async fn refresh(&self) -> Result<(), String> {
        let mut errors = Vec::new();
        for sentinel in &self.sentinels {
            let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.master_name];
            let named = self.guides.ask(sentinel, &question).await.and_then(|reply| master(&reply));
            match named {
                Ok(master) => {
                    *self.master.write().expect("no holder of this lock panics") = Some(master);
                    return Ok(());
                }
                Err(error) => errors.push(error),
            }
        }
        Err(format!("no Sentinel names the master {}: {}", self.master_name, errors.join("; ")))
    }
}

fn master(reply: &Value) -> Result<Address, String> {
    let [host, port] = reply.array().map_err(|error| error.to_string())? else {
        return Err("an address has two parts".to_owned());
    };
    let text = |part: &Value| part.text().map(str::to_owned).map_err(|error| error.to_string());
    Address::parse(&format!("{}:{}", text(host)?, text(port)?)).ok_or_else(|| "no address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_host_and_port() {
        let word = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        let reply = Value::Array(vec![word("10.0.0.1"), word("6380")]);
        assert_eq!(master(&reply), Ok(Address::parse("10.0.0.1:6380").unwrap()));
        assert!(master(&Value::Nil).is_err(), "a Sentinel that does not know the name says nothing");
    }
}
