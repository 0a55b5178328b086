//! What the tests of manifests share.

#![allow(dead_code, reason = "each test uses a part")]

pub mod metrics;

use doorbuster_runtime::roles::role::Role;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The role of the web server, which is none of the runtime's.
pub const EDGE: &str = "edge";

/// What every image of the platform is called here.
pub fn image() -> String {
    format!("doorbuster:{}", env!("CARGO_PKG_VERSION"))
}

/// Every role that `serve` takes, each of which must stand in a deployment once.
pub fn roles() -> Vec<&'static str> {
    let mut roles: Vec<&str> = Role::ALL.iter().map(|role| role.name()).chain([EDGE]).collect();
    roles.sort_unstable();
    roles
}

/// The configuration that is deployed.
pub fn production() -> Table {
    doorbuster_deploy::files::text("production.toml").parse().expect("production.toml is TOML")
}

/// The port of an address in `[http]` of the configuration that is deployed.
pub fn http_port(field: &str) -> u16 {
    let address = production()["http"][field].as_str().expect("an address is a text").to_owned();
    address.rsplit_once(':').expect("an address has a port").1.parse().expect("a port is a number")
}

/// What is wrong with the configuration once the environment stands over it, by the checks of the adapters themselves.
/// Secrets have fields and no adapter: their names are looked at alone.
pub fn complaints(environment: &BTreeMap<String, String>) -> Vec<String> {
    let mut file = production();
    let mut complaints = Vec::new();
    for (name, text) in environment {
        let named = name.strip_prefix("DOORBUSTER_").and_then(|rest| rest.split_once("__"));
        let Some((section, field)) = named else {
            complaints.push(format!("{name} is no variable of the platform"));
            continue;
        };
        let fields = file.entry(section.to_ascii_lowercase()).or_insert_with(|| Value::Table(Table::new()));
        let fields = fields.as_table_mut().expect("a section is a table");
        fields.insert(field.to_ascii_lowercase(), value(text));
    }
    complaints.extend(of_sections(&mut file));
    complaints
}

/// As the platform reads a variable: a value of TOML, else a text.
fn value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn of_sections(file: &mut Table) -> Vec<String> {
    use doorbuster_elasticsearch::config::ElasticsearchConfig;
    use doorbuster_kafka::config::KafkaConfig;
    use doorbuster_redis::config::RedisConfig;
    use doorbuster_spanner::config::SpannerConfig;
    let mut complaints = Vec::new();
    let mut take = |name: &str| file.remove(name).unwrap_or_else(|| Value::Table(Table::new()));
    complaints.extend(wrong(take("redis"), |config: RedisConfig| config.validate().map(drop)));
    complaints.extend(wrong(take("kafka"), |config: KafkaConfig| config.validate()));
    complaints.extend(wrong(take("spanner"), |config: SpannerConfig| config.validate()));
    complaints.extend(wrong(take("elasticsearch"), |config: ElasticsearchConfig| config.validate().map(drop)));
    for name in take("secrets").as_table().expect("a section is a table").keys() {
        if !["tokens", "receipts", "webhooks"].contains(&name.as_str()) {
            complaints.push(format!("[secrets] has no {name}"));
        }
    }
    drop(take("http"));
    complaints.extend(file.keys().map(|name| format!("[{name}] is no section")));
    complaints
}

fn wrong<T: DeserializeOwned>(
    section: Value,
    check: impl Fn(T) -> Result<(), Vec<doorbuster_runtime::config::ConfigError>>,
) -> Vec<String> {
    match section.try_into::<T>() {
        Ok(config) => check(config).err().unwrap_or_default().iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    }
}
