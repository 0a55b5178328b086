//! The compose file: every role once, on servers that are there, with nothing that compose would not understand.

mod support;

use doorbuster_deploy::compose::{Compose, Condition, Service};
use doorbuster_deploy::{files, roles, tool};
use std::collections::BTreeMap;
use std::process::Command;
use support::{EDGE, complaints, http_port, image};

const PATH: &str = "compose.yaml";
/// Roles of which there are two from the beginning: what one of them does not do, the other must.
const PAIRS: [&str; 4] = [EDGE, "forwarder", "intake", "relay"];
/// An edge drains for so long at most: see docs/operations.md.
const DRAIN_S: u64 = 10;

fn compose() -> Compose {
    files::yaml(PATH)
}

fn platform(compose: &Compose) -> impl Iterator<Item = (&String, &Service)> {
    compose.services.iter().filter(|(_, service)| service.image == image())
}

fn with_roles(compose: &Compose) -> impl Iterator<Item = (&Service, &[String])> {
    platform(compose).filter_map(|(_, service)| Some((service, roles::served(&service.command)?)))
}

#[test]
fn every_role_stands_in_one_service() {
    let compose = compose();
    let mut found: Vec<&str> = with_roles(&compose).flat_map(|(_, roles)| roles).map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, support::roles());
    let idle = platform(&compose).filter(|(name, service)| {
        name.as_str() != "migrate" && roles::served(&service.command).is_none_or(<[String]>::is_empty)
    });
    assert_eq!(idle.map(|(name, _)| name).collect::<Vec<_>>(), [""; 0], "services without roles");
}

#[test]
fn what_buyers_wait_for_is_there_twice() {
    let compose = compose();
    for role in PAIRS {
        let found = with_roles(&compose).find(|(_, roles)| roles.iter().any(|named| named == role));
        let (service, roles) = found.unwrap_or_else(|| panic!("no {role}"));
        assert_eq!((roles.len(), service.replicas()), (1, 2), "{role}");
    }
}

#[test]
fn nothing_starts_before_what_it_stands_on() {
    let compose = compose();
    for (name, service) in &compose.services {
        for (other, dependency) in &service.depends_on {
            let other_service = compose.services.get(other).unwrap_or_else(|| panic!("{name}: no service {other}"));
            if dependency.condition == Condition::ServiceHealthy {
                assert!(other_service.healthcheck.is_some(), "{name}: {other} cannot tell that it is well");
            }
        }
    }
    for (service, roles) in with_roles(&compose) {
        let migrate = &service.depends_on["migrate"];
        assert_eq!(migrate.condition, Condition::ServiceCompletedSuccessfully, "{roles:?}");
    }
    let migrate = &compose.services["migrate"];
    assert_eq!(migrate.command, ["migrate", "--config", roles::CONFIG, "--create-database"]);
    assert_eq!(migrate.depends_on.keys().collect::<Vec<_>>(), ["elasticsearch", "kafka", "spanner"]);
}

#[test]
fn a_process_is_asked_where_it_answers_and_ended_after_it_has_drained() {
    let compose = compose();
    let port = http_port("watch");
    for (service, roles) in with_roles(&compose) {
        let health = service.healthcheck.as_ref().unwrap_or_else(|| panic!("{roles:?} is not asked"));
        let script = health.test.last().expect("a program has arguments");
        assert!(script.contains(&format!("/dev/tcp/127.0.0.1/{port} ")), "{roles:?}: {script}");
        assert!(script.contains("GET /readyz HTTP/1.0"), "{roles:?}: {script}");
        let grace = service.stop_grace_period.as_deref().and_then(|text| text.strip_suffix('s')?.parse::<u64>().ok());
        assert!(grace.is_some_and(|grace| grace > DRAIN_S), "{roles:?}: {grace:?}");
        assert!(service.read_only, "{roles:?}");
        assert!(service.volumes.contains(&format!("./production.toml:{}:ro", roles::CONFIG)), "{roles:?}");
    }
}

#[test]
fn only_edges_are_reached_from_outside() {
    let compose = compose();
    let open = compose.services.iter().filter(|(_, service)| !service.ports.is_empty());
    let open: Vec<_> = open.map(|(name, service)| (name.as_str(), service.ports.clone())).collect();
    let port = http_port("listen");
    assert_eq!(open, [(EDGE, vec![format!("{port}-{}:{port}", port + 1)])]);
}

#[test]
fn the_environment_makes_a_configuration_that_the_platform_takes() {
    for (name, service) in platform(&compose()) {
        assert_eq!(complaints(&service.environment), [""; 0], "{name}");
        assert!(service.environment["DOORBUSTER_SPANNER__EMULATOR"].starts_with("spanner:"), "{name}");
    }
    let misspelt = BTreeMap::from([("DOORBUSTER_REDIS__ADRESSES".to_owned(), "['a:1']".to_owned())]);
    assert_eq!(complaints(&misspelt).len(), 1, "a name that nobody reads is found");
}

#[test]
fn named_volumes_are_declared() {
    let compose = compose();
    let used = compose.services.values().flat_map(|service| &service.volumes).filter(|volume| !volume.starts_with('.'));
    let mut used: Vec<&str> = used.filter_map(|volume| Some(volume.split_once(':')?.0)).collect();
    used.sort_unstable();
    assert_eq!(used, compose.volumes.keys().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn docker_compose_understands_the_file() {
    const TEST: &str = "docker_compose_understands_the_file";
    let Some(docker) = tool::find("docker") else { return tool::skip(TEST, "there is no docker") };
    if !tool::run(Command::new(&docker).args(["compose", "version"])).status.success() {
        return tool::skip(TEST, "docker has no plugin compose");
    }
    let mut command = Command::new(docker);
    command.args(["compose", "--file", PATH, "config", "--quiet"]).current_dir(files::here());
    let without = tool::run(command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()));
    assert!(!without.status.success(), "it must not start without secrets");
    for secret in ["TOKENS", "RECEIPTS", "WEBHOOKS"] {
        command.env(format!("DOORBUSTER_SECRETS__{secret}"), "of this test");
    }
    let output = tool::run(&mut command);
    assert!(output.status.success(), "{}", tool::words(&output));
}
