//! The servers, as everything in this crate asks them.

use crate::config::ElasticsearchConfig;
use crate::names::Names;
use doorbuster_runtime::config::ConfigError;
use elasticsearch::Elasticsearch;
use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::transport::{MultiNodeConnectionPool, TransportBuilder};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A cluster and the names of one index in it.
pub struct Cluster {
    /// Keeps connections, and has no time-out of its own: every call names one.
    pub(crate) client: Elasticsearch,
    pub(crate) config: ElasticsearchConfig,
    pub(crate) names: Names,
}

impl Cluster {
    /// The cluster of this section; nothing is dialled before the first call.
    ///
    /// # Errors
    /// Everything that is wrong with the section, a certificate that cannot be read included.
    pub fn new(config: ElasticsearchConfig) -> Result<Arc<Cluster>, Vec<ConfigError>> {
        let parsed = config.validate()?;
        // The nodes are inside: a proxy that the environment names for the world outside is not asked.
        let mut builder =
            TransportBuilder::new(MultiNodeConnectionPool::round_robin(parsed.urls, None)).disable_proxy();
        if let Some(path) = &config.ca_certificate {
            builder = builder.cert_validation(CertificateValidation::Full(certificate(path)?));
        }
        if let Some(credentials) = credentials(&config) {
            builder = builder.auth(credentials);
        }
        let transport = builder.build().map_err(|error| wrong("urls", error.to_string()))?;
        Ok(Arc::new(Cluster { client: Elasticsearch::new(transport), config, names: parsed.names }))
    }

    /// What everything is called.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The time-out of a change of indices or aliases.
    pub(crate) fn change_time(&self) -> Duration {
        Duration::from_millis(self.config.change_ms)
    }

    /// How long the server waits on our behalf for a change to reach every node: then it still has time to say so.
    pub(crate) fn change_wait(&self) -> String {
        format!("{}ms", self.config.change_ms / 2)
    }
}

fn credentials(config: &ElasticsearchConfig) -> Option<Credentials> {
    let key = config.api_key.clone().map(Credentials::EncodedApiKey);
    let user = config.username.clone().zip(config.password.clone());
    key.or(user.map(|(username, password)| Credentials::Basic(username, password)))
}

fn certificate(path: &Path) -> Result<Certificate, Vec<ConfigError>> {
    let told = |error: String| wrong("ca_certificate", format!("{}: {error}", path.display()));
    let pem = std::fs::read(path).map_err(|error| told(error.to_string()))?;
    Certificate::from_pem(&pem).map_err(|error| told(error.to_string()))
}

fn wrong(field: &'static str, problem: String) -> Vec<ConfigError> {
    vec![ConfigError { section: "elasticsearch", field, problem }]
}
