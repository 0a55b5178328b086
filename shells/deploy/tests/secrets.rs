//! No file that is deployed holds a secret, and none has a default.

use doorbuster_deploy::compose::Compose;
use doorbuster_deploy::files;
use serde_json::Value;

/// Fields whose values are nobody's business.
const NAMES: [&str; 6] = ["password", "secret", "passphrase", "api_key", "apikey", "private_key"];
/// Bytes of a secret of the platform: shorter texts are words.
const BYTES_MIN: usize = 32;

/// Runs of characters of base64 that are as long as a secret and as mixed as only chance makes them.
fn random_texts(text: &str) -> Vec<&str> {
    let is_base64 = |character: char| character.is_ascii_alphanumeric() || "+/=".contains(character);
    let is_random = |run: &&str| {
        let has = |class: fn(&u8) -> bool| run.as_bytes().iter().any(class);
        run.len() >= BYTES_MIN && has(u8::is_ascii_digit) && (has(u8::is_ascii_alphabetic))
    };
    text.split(|character| !is_base64(character)).filter(is_random).collect()
}

/// Fields with a telling name and a value that is not asked for from outside.
fn named_values(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_telling = NAMES.iter().any(|telling| name.to_ascii_lowercase().contains(telling));
                let is_given = value.as_str().is_some_and(|text| !text.is_empty() && !text.starts_with("${"));
                if is_telling && is_given {
                    found.push(format!("{path}/{name}"));
                }
                named_values(&format!("{path}/{name}"), value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| named_values(path, value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn values(path: &str) -> Vec<Value> {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("yaml") => files::yamls(path),
        Some("json") => {
            vec![serde_json::from_str(&files::text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))]
        }
        Some("toml") => vec![toml::from_str(&files::text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))],
        _no_data => Vec::new(),
    }
}

#[test]
fn no_file_holds_a_secret() {
    let paths = files::deployed();
    assert!(paths.len() >= 15, "{paths:?}");
    for path in paths {
        assert_eq!(random_texts(&files::text(&path)), [""; 0], "{path}");
        let mut found = Vec::new();
        values(&path).iter().for_each(|value| named_values("", value, &mut found));
        assert_eq!(found, [""; 0], "{path}");
    }
}

#[test]
fn compose_asks_for_every_secret_and_knows_none() {
    let compose: Compose = files::yaml("compose.yaml");
    let services = compose.services.values().filter(|service| service.environment.keys().any(|name| is_secret(name)));
    let mut asked = 0;
    for service in services {
        let secrets: Vec<_> = service.environment.iter().filter(|(name, _)| is_secret(name)).collect();
        assert_eq!(secrets.len(), 3, "{:?}", service.command);
        for (name, value) in secrets {
            // `:?` stops with a text where the variable is missing or empty; `:-` would be a default.
            assert!(value.starts_with(&format!("${{{name}:?")) && value.ends_with('}'), "{name}: {value}");
        }
        asked += 1;
    }
    assert_eq!(asked, 8, "the roles' services and migrate");
}

fn is_secret(name: &str) -> bool {
    name.starts_with("DOORBUSTER_SECRETS__")
}

#[test]
fn kubernetes_has_no_secret_and_no_variable_with_a_value() {
    for path in files::kubernetes() {
        for document in values(&path) {
            assert_ne!(document["kind"], "Secret", "{path}: whoever deploys makes it");
            let containers = document["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
            for variable in
                containers.iter().flat_map(|container| container["env"].as_array().cloned().unwrap_or_default())
            {
                assert!(variable["value"].is_null(), "{path}: {variable}");
                assert_eq!(variable["valueFrom"]["secretKeyRef"]["name"], "doorbuster-secrets", "{path}: {variable}");
            }
        }
    }
}

#[test]
fn a_secret_would_be_found() {
    assert_eq!(random_texts("key: dGhpcyBpcyBub3QgYSBzZWNyZXQgYXQgYWxsIQ==").len(), 1);
    assert_eq!(random_texts("cat /usr/local/cargo/registry and 1234"), [""; 0]);
    let mut found = Vec::new();
    let value = serde_json::json!({"redis": [{"password": "x", "requirepass": "${PASSWORD:?}"}], "api_key": "y"});
    named_values("", &value, &mut found);
    found.sort_unstable();
    assert_eq!(found, ["/api_key", "/redis/password"]);
}
