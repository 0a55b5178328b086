//! Servers as their users bring them up and take them down. Redis stands for all of them here: it is up in no time, and what
//! is not its own (the cache, processes, records, ports) is the same for each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use doorbuster_chaos::proxy::Proxy;
use doorbuster_chaos::servers::{Cache, Lab, Layout, Process, Running, Server, Trouble};

fn lab(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(arguments).env("XDG_CACHE_HOME", home).stdin(Stdio::null());
    command.output().expect("the lab can be started")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Says so where there is no Redis, and then the test shows nothing.
fn is_here(test: &str) -> bool {
    let program = std::env::var("REDIS_BIN").unwrap_or_else(|_| "redis-server".to_owned());
    let here = Command::new(&program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !here {
        println!("{test}: skipped, there is no {program}");
    }
    here
}

/// The first of six ports that nobody listens on.
fn free_port() -> u16 {
    let free = |port: u16| (port..port + 6).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    // Each test of this file runs in the same process; another range than the lab's own, and a place of its own in it.
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    // Two runs of these tests at once begin at different places.
    let first = 15_000 + (std::process::id() % 500) as u16 * 6;
    let mut places = std::iter::repeat_with(|| NEXT.fetch_add(6, std::sync::atomic::Ordering::Relaxed) + first);
    places.by_ref().take(100).find(|port| free(*port)).expect("six free ports")
}

/// The answer to an inline command. A second command, whose answer is known, tells where it ends.
fn ask(address: SocketAddr, words: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
    stream.write_all(format!("{words}\r\nPING\r\n").as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"+PONG\r\n") {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).expect("it answers");
        answer.extend(&bytes[..length]);
    }
    String::from_utf8(answer).expect("it answers in text")
}

#[test]
fn up_starts_what_is_not_up_status_tells_it_and_down_ends_it() {
    if !is_here("up_starts_what_is_not_up_status_tells_it_and_down_ends_it") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let up = ["up", "--only", "redis", "--port", &format!("redis={port}")];
    let first = lab(home.path(), &up);
    assert!(first.status.success(), "{}", said(&first));
    // What a shell can read stands alone on the standard output.
    let export = format!("export DOORBUSTER_REDIS=127.0.0.1:{port}\n");
    assert_eq!(String::from_utf8(first.stdout).unwrap(), export);
    let again = lab(home.path(), &["up", "--only", "redis"]);
    assert!(
        again.status.success() && said(&again).contains("was up") && said(&again).contains(&export),
        "{}",
        said(&again)
    );
    assert!(said(&lab(home.path(), &["status", "--only", "redis"])).contains(&format!("127.0.0.1:{port}")));
    let other = lab(home.path(), &["up", "--only", "redis", "--redis", "cluster"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(said(&other).contains("cargo lab down --only redis"), "{}", said(&other));

    let down = lab(home.path(), &["down"]);
    assert!(down.status.success() && said(&down).contains("redis: gone after"), "{}", said(&down));
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    let nothing = lab(home.path(), &["down"]);
    assert!(nothing.status.success() && said(&nothing).contains("nothing"), "{}", said(&nothing));
    assert!(said(&lab(home.path(), &["status"])).contains("not up"));
}

#[test]
fn two_that_bring_the_same_up_at_once_start_it_once() {
    if !is_here("two_that_bring_the_same_up_at_once_start_it_once") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let port = format!("redis={}", free_port());
    let up = || lab(home.path(), &["up", "--only", "redis", "--port", &port]);
    let outputs = std::thread::scope(|scope| {
        let other = scope.spawn(up);
        [up(), other.join().unwrap()]
    });
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    assert_eq!(outputs.iter().filter(|output| said(output).contains("was up")).count(), 1);
    assert!(lab(home.path(), &["down"]).status.success());
}

#[test]
fn a_port_of_somebody_else_is_left_to_them() {
    if !is_here("a_port_of_somebody_else_is_left_to_them") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let somebody = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = somebody.local_addr().unwrap().port();
    let up = lab(home.path(), &["up", "--only", "redis", "--port", &format!("redis={port}")]);
    assert_eq!(up.status.code(), Some(1));
    assert!(said(&up).contains(&format!("port {port} is taken")), "{}", said(&up));
    assert!(said(&lab(home.path(), &["down"])).contains("nothing"));
}

#[test]
fn what_cannot_be_had_is_named_with_what_to_do_and_fails_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(["up", "--only", "redis"]).env("XDG_CACHE_HOME", home.path()).env("REDIS_BIN", "no-such-server");
    let up = command.output().unwrap();
    assert!(up.status.success());
    assert!(said(&up).contains("cannot be had here: there is no `no-such-server`; install Redis"), "{}", said(&up));
    assert!(up.stdout.is_empty());
}

#[test]
fn an_unknown_server_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [["up", "--only", "mysql"], ["down", "--only", "mysql"], ["up", "--port", "mysql=1"]] {
        let output = lab(home.path(), &arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains("there is no server `mysql`; the servers are kafka,"), "{}", said(&output));
    }
}

#[test]
fn a_lab_has_servers_of_its_own_that_end_with_it() {
    if !is_here("a_lab_has_servers_of_its_own_that_end_with_it") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let cache = Cache::at(home.path());
    let redis = Server::Redis(Layout::Single);
    let labs = [Lab::start(&cache, &[redis]).unwrap(), Lab::start(&cache, &[redis]).unwrap()];
    let address = |lab: &Lab| lab.server(redis).unwrap().site.address();
    assert_ne!(address(&labs[0]), address(&labs[1]));
    assert!(ask(address(&labs[0]), "PING").starts_with("+PONG"));
    assert_eq!(labs[0].variables(), [("DOORBUSTER_REDIS", address(&labs[0]).to_string())]);
    let processes: Vec<Process> =
        labs.iter().flat_map(Lab::running).flat_map(Running::processes).map(|(_, process)| process.clone()).collect();
    assert!(processes.len() == 2 && processes.iter().all(Process::is_running));
    drop(labs);
    assert!(!processes.iter().any(Process::is_running));
    assert_eq!(std::fs::read_dir(home.path().join("run/labs")).unwrap().count(), 0);
}

#[test]
fn a_process_that_was_killed_is_started_again_where_it_was() {
    if !is_here("a_process_that_was_killed_is_started_again_where_it_was") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let redis = Server::Redis(Layout::Single);
    let mut lab = Lab::start(&Cache::at(home.path()), &[redis]).unwrap();
    assert!(lab.restart(redis, &["redis"]).unwrap_err().contains("still runs"));
    let running = lab.server(redis).unwrap();
    let (address, process) = (running.site.address(), running.process("redis").unwrap().clone());
    assert!(process.send(doorbuster_chaos::servers::Signal::KILL));
    while process.is_running() {
        std::thread::yield_now();
    }
    lab.restart(redis, &["redis"]).unwrap();
    assert!(ask(address, "PING").starts_with("+PONG"));
    assert_ne!(lab.server(redis).unwrap().process("redis"), Some(&process));
}

#[test]
fn a_sentinel_watches_a_master_and_knows_its_replica() {
    if !is_here("a_sentinel_watches_a_master_and_knows_its_replica") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let redis = Server::Redis(Layout::Sentinel);
    let lab = Lab::start(&Cache::at(home.path()), &[redis]).unwrap();
    let site = &lab.server(redis).unwrap().site;
    let told = ask(site.address_of(2), "SENTINEL get-master-addr-by-name main");
    assert!(told.contains(&site.address().port().to_string()), "{told}");
    assert!(ask(site.address_of(2), "SENTINEL replicas main").contains(&site.address_of(1).port().to_string()));
}

#[test]
fn three_masters_are_a_cluster_that_shares_the_slots() {
    if !is_here("three_masters_are_a_cluster_that_shares_the_slots") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let redis = Server::Redis(Layout::Cluster);
    let lab = Lab::start(&Cache::at(home.path()), &[redis]).unwrap();
    let site = &lab.server(redis).unwrap().site;
    for place in 0..3 {
        assert!(ask(site.address_of(place), "CLUSTER INFO").contains("cluster_state:ok"));
    }
    let mut named = 0;
    for place in 0..3 {
        let nodes = ask(site.address_of(place), "CLUSTER NODES");
        named +=
            (0..3).filter(|other| nodes.contains(&format!("127.0.0.1:{}@", site.address_of(*other).port()))).count();
    }
    assert_eq!(named, 9, "each knows each by the address that clients can dial");
}

#[test]
fn a_server_that_is_missing_is_told_apart_from_one_that_failed() {
    let trouble = Trouble::Missing { reason: "there is none".to_owned(), remedy: "build one".to_owned() };
    assert_eq!(trouble.to_string(), "cannot be had here: there is none; build one");
    assert_eq!(Trouble::Failed("it fell".to_owned()).to_string(), "FAILED: it fell");
}

#[test]
fn a_proxy_stands_between_a_server_and_its_client() {
    if !is_here("a_proxy_stands_between_a_server_and_its_client") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let redis = Server::Redis(Layout::Single);
    let lab = Lab::start(&Cache::at(home.path()), &[redis]).unwrap();
    let proxy = Proxy::start(lab.server(redis).unwrap().site.address()).unwrap();
    assert!(ask(proxy.address(), "PING").starts_with("+PONG"));
    assert_eq!(proxy.counts().links, 1);
}
