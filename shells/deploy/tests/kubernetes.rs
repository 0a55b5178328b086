//! The manifests: known to Kubernetes field by field, every role once, alike where they should be.

mod support;

use doorbuster_deploy::{files, roles};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Namespace, PodSpec, Probe, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use support::{EDGE, http_port, image};

/// An edge drains for so long at most: see docs/operations.md.
const DRAIN_S: i64 = 10;

/// Everything that is applied.
#[derive(Default)]
struct Manifests {
    deployments: Vec<Deployment>,
    budgets: Vec<PodDisruptionBudget>,
    services: Vec<Service>,
    jobs: Vec<Job>,
    config_maps: Vec<ConfigMap>,
    others: Vec<Value>,
}

impl Manifests {
    fn read() -> Manifests {
        let mut manifests = Manifests::default();
        for path in files::kubernetes() {
            for document in files::yamls::<Value>(&path) {
                manifests.add(&path, document);
            }
        }
        manifests
    }

    fn add(&mut self, path: &str, document: Value) {
        let version = document["apiVersion"].as_str().unwrap_or_default();
        match (version, document["kind"].as_str().unwrap_or_default()) {
            ("apps/v1", "Deployment") => self.deployments.push(typed(path, &document)),
            ("policy/v1", "PodDisruptionBudget") => self.budgets.push(typed(path, &document)),
            ("v1", "Service") => self.services.push(typed(path, &document)),
            ("batch/v1", "Job") => self.jobs.push(typed(path, &document)),
            ("v1", "ConfigMap") => self.config_maps.push(typed(path, &document)),
            ("v1", "Namespace") => drop(typed::<Namespace>(path, &document)),
            ("v1", "ServiceAccount") => drop(typed::<ServiceAccount>(path, &document)),
            (version, kind) => panic!("{path}: a {kind} of {version} is not looked at"),
        }
        self.others.push(document);
    }

    fn served(&self) -> impl Iterator<Item = (&Deployment, Vec<String>)> {
        self.deployments.iter().map(|deployment| {
            let arguments = container(pod(deployment)).args.clone().unwrap_or_default();
            let roles = roles::served(&arguments).unwrap_or_else(|| panic!("{arguments:?} serve no role"));
            (deployment, roles.to_vec())
        })
    }
}

/// The library passes over fields that it does not know: what it writes must be what it has read.
fn typed<T: DeserializeOwned + Serialize>(path: &str, document: &Value) -> T {
    let typed: T = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{path}: {error}"));
    let known = serde_json::to_value(&typed).expect("it was JSON before");
    assert_eq!(&known, document, "{path}: a field is not known to Kubernetes, or is misspelt");
    typed
}

fn pod(deployment: &Deployment) -> &PodSpec {
    pod_of(deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()))
}

fn pod_of(pod: Option<&PodSpec>) -> &PodSpec {
    pod.expect("a workload has a pod")
}

fn container(pod: &PodSpec) -> &Container {
    let [container] = pod.containers.as_slice() else { panic!("one container a pod") };
    container
}

fn labels(deployment: &Deployment) -> BTreeMap<String, String> {
    let spec = deployment.spec.as_ref().expect("a deployment has a specification");
    spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).expect("a pod has labels")
}

fn name(deployment: &Deployment) -> &str {
    deployment.metadata.name.as_deref().expect("it has a name")
}

fn port_number(container: &Container, name: &IntOrString) -> Option<i32> {
    let IntOrString::String(name) = name else { return None };
    let ports = container.ports.as_ref()?;
    ports.iter().find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port)
}

#[test]
fn every_role_stands_in_one_deployment() {
    let manifests = Manifests::read();
    let mut found: Vec<String> = manifests.served().flat_map(|(_, roles)| roles).collect();
    found.sort_unstable();
    assert_eq!(found, support::roles());
}

#[test]
fn roles_are_grouped_as_in_compose() {
    let manifests = Manifests::read();
    let compose: doorbuster_deploy::compose::Compose = files::yaml("compose.yaml");
    for (deployment, roles) in manifests.served() {
        let component = &labels(deployment)["app.kubernetes.io/component"];
        assert_eq!(name(deployment), format!("doorbuster-{component}"));
        assert_eq!(roles::served(&compose.services[component].command), Some(&roles[..]), "{component}");
    }
}

#[test]
fn a_rolling_restart_takes_nobody_away_before_another_is_there() {
    for deployment in &Manifests::read().deployments {
        let spec = deployment.spec.as_ref().expect("a deployment has a specification");
        assert!(spec.replicas.is_some_and(|replicas| replicas >= 2), "{}", name(deployment));
        let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.clone());
        assert_eq!(unavailable, Some(IntOrString::Int(0)), "{}", name(deployment));
        let pod = pod(deployment);
        let stop = container(pod).lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        let waits = stop.and_then(|stop| stop.sleep.as_ref()).map(|sleep| sleep.seconds);
        let is_edge = name(deployment) == "doorbuster-edge";
        assert_eq!(waits.is_some(), is_edge, "{}: routes lead to edges alone", name(deployment));
        let grace = pod.termination_grace_period_seconds.unwrap_or_default();
        assert!(grace > waits.unwrap_or_default() + DRAIN_S, "{}: {grace}", name(deployment));
    }
}

#[test]
fn probes_ask_where_a_process_answers() {
    for deployment in &Manifests::read().deployments {
        let container = container(pod(deployment));
        let asks = |probe: &Option<Probe>, path: &str| {
            let get = probe.as_ref().and_then(|probe| probe.http_get.as_ref()).expect("a probe asks over HTTP");
            assert_eq!(get.path.as_deref(), Some(path), "{}", name(deployment));
            let port = port_number(container, &get.port);
            assert_eq!(port, Some(http_port("watch").into()), "{}", name(deployment));
        };
        asks(&container.startup_probe, "/healthz");
        asks(&container.liveness_probe, "/healthz");
        asks(&container.readiness_probe, "/readyz");
    }
}

#[test]
fn what_selects_pods_finds_them() {
    let manifests = Manifests::read();
    for deployment in &manifests.deployments {
        let spec = deployment.spec.as_ref().expect("a deployment has a specification");
        let labels = labels(deployment);
        assert_eq!(spec.selector.match_labels.as_ref(), Some(&labels), "{}", name(deployment));
        let budget = manifests.budgets.iter().find(|budget| budget.metadata.name == deployment.metadata.name);
        let budget = budget.and_then(|budget| budget.spec.as_ref()).expect("each deployment has a budget");
        assert_eq!(budget.selector.as_ref().and_then(|selector| selector.match_labels.as_ref()), Some(&labels));
        assert_eq!(budget.max_unavailable, Some(IntOrString::Int(1)));
    }
    assert_eq!(manifests.budgets.len(), manifests.deployments.len());
    let [service] = manifests.services.as_slice() else { panic!("only edges have a service") };
    let service = service.spec.as_ref().expect("a service has a specification");
    let (edge, _) = manifests.served().find(|(_, roles)| roles == &[EDGE]).expect("edges stand alone");
    assert_eq!(service.selector, Some(labels(edge)));
    let target = service.ports.as_ref().and_then(|ports| ports[0].target_port.clone()).expect("a port");
    assert_eq!(port_number(container(pod(edge)), &target), Some(http_port("listen").into()));
}

#[test]
fn pods_differ_in_their_roles_alone() {
    let manifests = Manifests::read();
    let bare = |deployment: &Deployment| {
        let mut pod = pod(deployment).clone();
        pod.topology_spread_constraints = None;
        let container = &mut pod.containers[0];
        (container.args, container.ports, container.lifecycle) = (None, None, None);
        pod
    };
    let first = bare(&manifests.deployments[0]);
    for deployment in &manifests.deployments {
        assert_eq!(bare(deployment), first, "{}", name(deployment));
    }
    let [job] = manifests.jobs.as_slice() else { panic!("one job") };
    let job = pod_of(job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()));
    assert_eq!(container(job).env, first.containers[0].env);
    assert_eq!(container(job).volume_mounts, first.containers[0].volume_mounts);
    assert_eq!((&job.security_context, &job.volumes), (&first.security_context, &first.volumes));
    for pod in [job, &first] {
        assert_eq!(container(pod).image, Some(image()));
        let is_not_root = pod.security_context.as_ref().and_then(|context| context.run_as_non_root);
        assert_eq!(is_not_root, Some(true));
    }
}

#[test]
fn the_job_migrates_for_this_release() {
    let manifests = Manifests::read();
    let [job] = manifests.jobs.as_slice() else { panic!("one job") };
    let release = env!("CARGO_PKG_VERSION").replace('.', "-");
    assert_eq!(
        job.metadata.name,
        Some(format!("doorbuster-migrate-{release}")),
        "a job of an older release is not run again"
    );
    let pod = pod_of(job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()));
    let arguments = container(pod).args.as_deref().unwrap_or_default();
    assert_eq!(arguments, ["migrate", "--config", roles::CONFIG], "who pays for the database makes it");
}

#[test]
fn the_configuration_is_the_one_beside_the_manifests() {
    let manifests = Manifests::read();
    let [map] = manifests.config_maps.as_slice() else { panic!("one configuration") };
    let text = map.data.as_ref().and_then(|data| data.get("production.toml")).expect("the file is in it");
    assert_eq!(text.trim_end(), files::text("production.toml").trim_end());
    assert_eq!(support::complaints(&BTreeMap::new()), [""; 0]);
}

#[test]
fn everything_lies_in_one_namespace() {
    for document in Manifests::read().others {
        let namespace = &document["metadata"]["namespace"];
        assert!(namespace == "doorbuster" || document["kind"] == "Namespace", "{}", document["metadata"]["name"]);
    }
}
