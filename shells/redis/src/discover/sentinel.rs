//! One master, known to Sentinels.

use super::{Discover, Guides, first_of_next};
use crate::dial::Address;
use async_trait::async_trait;
use doorbuster_lua::value::Value;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The master that Sentinels name. Whether it is one, every connection asks it by its role in INFO.
pub struct Sentinel {
    guides: Guides,
    sentinels: Vec<Address>,
    master_name: String,
    master: RwLock<Option<Address>>,
    /// The one that is asked first.
    first: AtomicUsize,
}

impl Sentinel {
    pub(crate) fn new(guides: Guides, sentinels: Vec<Address>, master_name: String) -> Sentinel {
        Sentinel { guides, sentinels, master_name, master: RwLock::default(), first: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Discover for Sentinel {
    fn known(&self, _: &str) -> Option<Address> {
        self.master.read().expect("no holder of this lock panics").clone()
    }

    async fn refresh(&self) -> Result<(), String> {
        let mut errors = Vec::new();
        let first = self.first.load(Ordering::Relaxed);
        for turn in (first..first + self.sentinels.len()).map(|turn| turn % self.sentinels.len()) {
            // Should this be dropped while it waits for a silent one, the next refresh begins behind that.
            self.first.store(turn + 1, Ordering::Relaxed);
            let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.master_name];
            match self.guides.ask(&self.sentinels[turn], &question).await.and_then(|reply| master(&reply)) {
                Ok(master) => {
                    let mut known = self.master.write().expect("no holder of this lock panics");
                    let is_unchanged = known.as_ref() == Some(&master);
                    *known = Some(master);
                    self.first.store(first_of_next(turn, is_unchanged), Ordering::Relaxed);
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
    use crate::connection::Credentials;
    use crate::dial::{ByteStream, Dial};
    use async_trait::async_trait;
    use doorbuster_runtime::drive::spawn;
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn a_master_is_host_and_port() {
        let word = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        let reply = Value::Array(vec![word("10.0.0.1"), word("6380")]);
        assert_eq!(master(&reply), Ok(Address::parse("10.0.0.1:6380").unwrap()));
        assert!(master(&Value::Nil).is_err(), "a Sentinel that does not know the name says nothing");
    }

    /// Sentinels that answer, but for one that is silent.
    #[derive(Default)]
    struct Watch {
        silent: Mutex<&'static str>,
        master: Mutex<&'static str>,
        dialled: Mutex<String>,
    }

    #[async_trait]
    impl Dial for Watch {
        async fn dial(&self, server: &Address) -> io::Result<Box<dyn ByteStream>> {
            self.dialled.lock().unwrap().push_str(server.host());
            if server.host() == *self.silent.lock().unwrap() {
                std::future::pending::<()>().await;
            }
            let master = *self.master.lock().unwrap();
            let (near, mut far) = tokio::io::duplex(1024);
            spawn(async move {
                let mut question = [0; 1024];
                while far.read(&mut question).await.is_ok_and(|count| count > 0) {
                    let reply = format!("*2\r\n$1\r\n{master}\r\n$1\r\n1\r\n");
                    far.write_all(reply.as_bytes()).await.unwrap();
                }
            });
            Ok(Box::new(near))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_sentinel_is_not_asked_first_again_and_one_that_repeats_itself_neither() {
        let watch = Arc::new(Watch::default());
        let guides =
            Guides { dial: watch.clone(), credentials: Credentials::default(), patience: Duration::from_millis(500) };
        let sentinels = ["a:1", "b:1", "c:1"].map(|text| Address::parse(text).unwrap()).to_vec();
        let sentinel = Sentinel::new(guides, sentinels, "main".to_owned());
        let refresh = async |silent, master| {
            (*watch.silent.lock().unwrap(), *watch.master.lock().unwrap()) = (silent, master);
            sentinel.refresh().await.unwrap();
            assert_eq!(sentinel.known("").unwrap().host(), master);
            std::mem::take(&mut *watch.dialled.lock().unwrap())
        };
        assert_eq!(refresh("a", "x").await, "ab");
        assert_eq!(refresh("a", "y").await, "b", "it answered last");
        assert_eq!(refresh("a", "y").await, "b", "and had news");
        assert_eq!(refresh("a", "y").await, "c", "it only repeated itself");
        assert_eq!(refresh("b", "y").await, "a");
        assert_eq!(refresh("b", "z").await, "bc");
        let hasty = tokio::time::timeout(Duration::from_millis(100), refresh("c", "w")).await;
        assert!(hasty.is_err(), "whoever waited went away");
        watch.dialled.lock().unwrap().clear();
        assert_eq!(refresh("c", "w").await, "a", "the silent one had its turn");
    }
}
