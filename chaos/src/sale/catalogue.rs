//! A product is changed: how long until search finds the new one, and until no edge serves the old one.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use doorbuster_load::platform::Platform;
use doorbuster_load::token::{Role, Signer};

use crate::fleet::Fleet;
use crate::platform;
use crate::servers::{Lab, Server};

const PRODUCT: &str = "lamp";
/// What is promised.
const PROMISED: Duration = Duration::from_secs(2);
/// Nobody waits longer, however wrong it goes.
const MOST: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long a change took to be seen, counted from its answer.
#[derive(Clone, Debug)]
pub struct Changed {
    found: Option<Duration>,
    edges: Vec<Option<Duration>>,
}

impl Changed {
    pub fn is_in_time(&self) -> bool {
        let all = self.edges.iter().chain([&self.found]);
        all.into_iter().all(|took| took.is_some_and(|took| took <= PROMISED))
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |took: &Option<Duration>| {
            took.map_or_else(
                || format!("not within {} s", MOST.as_secs()),
                |took| format!("{:.2} s", took.as_secs_f64()),
            )
        };
        let edges: Vec<String> = self.edges.iter().map(told).collect();
        write!(formatter, "a product's change: found by search after {}, ", told(&self.found))?;
        write!(formatter, "gone from the edges' caches after {}", edges.join(" and "))
    }
}

/// Writes a product, lets every edge serve it from its cache, changes it and waits.
pub fn change(fleet: &Fleet, lab: &Lab) -> Result<Changed, String> {
    let lifetime = Duration::from_secs(600);
    let signer = Signer::open(fleet.directory(), lifetime).map_err(|error| error.to_string())?;
    let operator = Platform::new(fleet.address(), &signer.token("catalogue", Role::Admin), Instant::now() + lifetime);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let put = |name: &str| runtime.block_on(operator.put_product(PRODUCT, name)).map_err(|error| error.to_string());
    let search = lab.server(Server::Elasticsearch).ok_or("there is no Elasticsearch")?.site.address();
    let edges = fleet.edges();
    put("before")?;
    let began = Instant::now();
    wait(began, || is_found(search, "before")).ok_or("search never found the product")?;
    for edge in edges {
        wait(began, || serves(edge, "before")).ok_or("an edge never served the product")?;
    }
    put("after")?;
    let began = Instant::now();
    let looks = std::thread::scope(|scope| {
        let look = |edge: SocketAddr| scope.spawn(move || wait(began, || serves(edge, "after")));
        let threads = edges.map(look);
        let found = wait(began, || is_found(search, "after"));
        let edges = threads.map(|thread| thread.join().expect("a look does not panic"));
        Changed { found, edges: edges.to_vec() }
    });
    Ok(looks)
}

fn wait(began: Instant, is_so: impl Fn() -> bool) -> Option<Duration> {
    while !is_so() {
        if began.elapsed() >= MOST {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Some(began.elapsed())
}

fn serves(edge: SocketAddr, name: &str) -> bool {
    let answer = platform::get(edge, &format!("/v1/products/{PRODUCT}"));
    answer.is_ok_and(|answer| answer.contains(&format!("\"{name}\"")))
}

fn is_found(search: SocketAddr, name: &str) -> bool {
    let answer = platform::get(search, &format!("/products/_search?q=name:{name}"));
    answer.is_ok_and(|answer| answer.contains(&format!("\"{PRODUCT}\"")))
}
