//! The section `[elasticsearch]` of the configuration.

use crate::names::Names;
use doorbuster_core::limits::ANSWER_MS_MAX;
use doorbuster_runtime::config::ConfigError;
use elasticsearch::http::Url;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;

/// Where the index is, and how long anything may take. All times in milliseconds.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ElasticsearchConfig {
    /// `http://host:port` or `https://host:port` of one or more nodes; calls go to each in turn.
    pub urls: Vec<String>,
    /// A user of the cluster.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Instead of a user: an API key as Elasticsearch hands it out, encoded.
    pub api_key: Option<String>,
    /// A file with the certificate of whoever signed the nodes' own, in PEM. Without it, the public authorities.
    pub ca_certificate: Option<PathBuf>,
    /// Under which name products are searched; indices and the alias that is written begin with it.
    pub alias: String,
    /// Primary shards of a new index: one holds some tens of millions of products.
    pub shards: u32,
    /// Copies of each shard beside the primary. With 0 the index is gone with its node, and must be built anew.
    pub replicas: u32,
    /// What was stored is shown after at most so long. Named, so that an index nobody searched for a while is still
    /// refreshed: by default Elasticsearch then waits for the next search.
    pub refresh_ms: u64,
    /// A bulk without an answer for this long is `Unknown`.
    pub bulk_ms: u64,
    /// A bulk waits on the server for a shard without a primary at most this long, so that its other documents are answered.
    pub primary_ms: u64,
    /// A search without an answer for this long has failed: nobody looks at a page longer.
    pub search_ms: u64,
    /// A change of indices or aliases without an answer for this long is asked for again: it waits for every node.
    pub change_ms: u64,
    /// An index that was replaced is kept this long: searches that began on it end on it.
    pub retire_ms: u64,
}

impl Default for ElasticsearchConfig {
    fn default() -> ElasticsearchConfig {
        ElasticsearchConfig {
            urls: vec!["http://127.0.0.1:9200".to_owned()],
            username: None,
            password: None,
            api_key: None,
            ca_certificate: None,
            alias: "products".to_owned(),
            shards: 1,
            replicas: 1,
            refresh_ms: 1_000,
            bulk_ms: 10_000,
            primary_ms: 5_000,
            search_ms: 2_000,
            change_ms: 30_000,
            retire_ms: 5_000,
        }
    }
}

/// Passwords and keys stay out of logs.
impl fmt::Debug for ElasticsearchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticsearchConfig")
            .field("urls", &self.urls)
            .field("alias", &self.alias)
            .finish_non_exhaustive()
    }
}

/// What a valid section says.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// At least one.
    pub urls: Vec<Url>,
    /// From the alias.
    pub names: Names,
}

impl ElasticsearchConfig {
    /// The nodes and the names, parsed.
    ///
    /// # Errors
    /// Everything that is wrong with the section, not only the first thing.
    pub fn validate(&self) -> Result<Parsed, Vec<ConfigError>> {
        let mut errors = self.wrong_credentials();
        let mut wrong = |field, problem: String| errors.push(ConfigError { section: "elasticsearch", field, problem });
        if self.urls.is_empty() {
            wrong("urls", "is empty: name at least one node".to_owned());
        }
        let mut urls = Vec::new();
        for text in &self.urls {
            match parse(text) {
                Ok(url) => urls.push(url),
                Err(problem) => wrong("urls", problem),
            }
        }
        let names = Names::of(&self.alias);
        if names.is_none() {
            let problem = "takes 1 to 64 small letters, digits and underscores, a letter first";
            wrong("alias", format!("is {:?}, but {problem}", self.alias));
        }
        for (field, value, least, most, why) in self.bounds() {
            if !(least..=most).contains(&value) {
                wrong(field, format!("is {value}, but must be {least} to {most}: {why}"));
            }
        }
        match names {
            Some(names) if errors.is_empty() => Ok(Parsed { urls, names }),
            Some(_) | None => Err(errors),
        }
    }

    fn wrong_credentials(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut wrong = |field, problem: &'static str| {
            errors.push(ConfigError { section: "elasticsearch", field, problem: problem.to_owned() })
        };
        match (&self.username, &self.password) {
            (Some(_), None) => wrong("password", "is missing for the username"),
            (None, Some(_)) => wrong("username", "is missing for the password"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let Some(key) = &self.api_key {
            if self.username.is_some() {
                wrong("api_key", "stands beside a username: one of them says who we are");
            }
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                wrong("api_key", "is not the encoded form of a key: base64, without spaces");
            }
        }
        errors
    }

    /// Each number with the least and the most it may be, and why.
    fn bounds(&self) -> [(&'static str, u64, u64, u64, &'static str); 8] {
        let machine = "a machine counts a question without an answer as lost after 15 s";
        let server = "the server's own wait ends before ours, or nothing is known of any document";
        let shown = "what changed is to be found within 2 s";
        let person = "a person waits for it";
        [
            ("shards", u64::from(self.shards), 1, 1_024, "the most that Elasticsearch takes"),
            ("replicas", u64::from(self.replicas), 0, 10, "every copy indexes every document"),
            ("refresh_ms", self.refresh_ms, 100, 2_000, shown),
            ("bulk_ms", self.bulk_ms, 100, ANSWER_MS_MAX - 1, machine),
            ("primary_ms", self.primary_ms, 1, self.bulk_ms.saturating_sub(1).max(1), server),
            ("search_ms", self.search_ms, 10, 30_000, person),
            ("change_ms", self.change_ms, 1_000, 600_000, "it waits for every node, and for bulks that have begun"),
            ("retire_ms", self.retire_ms, self.search_ms, 3_600_000, "searches that began on it must end on it"),
        ]
    }
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => {}
        other => return Err(format!("{text:?} begins with {other}, but must begin with http or https")),
    }
    // A URL is written to logs.
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(url),
        false => Err("a URL names a user: say it in username and password".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<&'static str> {
        let config: ElasticsearchConfig = toml::from_str(text).unwrap();
        config.validate().err().unwrap_or_default().into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        let parsed = ElasticsearchConfig::default().validate().unwrap();
        assert_eq!((parsed.urls.len(), parsed.names.writes()), (1, "products-write"));
    }

    #[test]
    fn every_error_is_told_at_once() {
        let text =
            "urls = ['host:9200', 'ftp://host', 'http://u:p@host']\nalias = 'a-b'\nusername = 'u'\nbulk_ms = 15000";
        assert_eq!(fields(text), ["password", "urls", "urls", "urls", "alias", "bulk_ms"]);
        assert_eq!(fields("urls = []\nshards = 0\nprimary_ms = 10000"), ["urls", "shards", "primary_ms"]);
    }

    #[test]
    fn one_kind_of_credentials_says_who_we_are() {
        assert_eq!(fields("username = 'u'\npassword = 'p'"), [""; 0]);
        assert_eq!(fields("api_key = 'a2V5'"), [""; 0]);
        assert_eq!(fields("username = 'u'\npassword = 'p'\napi_key = 'a2V5'"), ["api_key"]);
        assert_eq!(fields("api_key = \"a\\nb\""), ["api_key"]);
    }

    #[test]
    fn a_field_that_nobody_knows_is_refused_and_secrets_are_not_shown() {
        assert!(toml::from_str::<ElasticsearchConfig>("nobody = 1").is_err());
        let config: ElasticsearchConfig = toml::from_str("password = 'hidden'\napi_key = 'hidden'").unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
