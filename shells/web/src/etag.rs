//! The version of a row as an entity tag (RFC 9110 section 8.8.3), and the requests that depend on it.

use crate::problem::{Problem, Slug};
use doorbuster_core::ids::Version;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

/// What a row's version is called in headers: a strong tag, because one version has one document.
pub fn etag(version: Version) -> HeaderValue {
    HeaderValue::try_from(quoted(version)).expect("digits in quotes are a header's value")
}

fn quoted(version: Version) -> String {
    format!("\"{}\"", version.0)
}

/// Whether the caller has this version already.
pub fn is_known(headers: &HeaderMap, version: Version) -> bool {
    let own = quoted(version);
    // Compared weakly, as the RFC asks for here: a cache on the way may have weakened the tag.
    tags(headers, IF_NONE_MATCH).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own)
}

/// Refuses a change that was made for another version than this one; version 0 where there is no row yet.
pub fn check_match(headers: &HeaderMap, version: Version) -> Result<(), Problem> {
    let own = quoted(version);
    let fits = version > Version(0) && tags(headers, IF_MATCH).any(|tag| tag == "*" || tag == own);
    if fits { Ok(()) } else { Err(stale(version)) }
}

/// The change was made for another version than this one.
pub fn stale(version: Version) -> Problem {
    match version {
        Version(0) => Slug::StaleVersion.because("There is no version yet."),
        Version(number) => Slug::StaleVersion.because(format!("The version is {number}.")).with("version", number),
    }
}

/// The tags of a list. A comma may stand within a foreign tag: its halves have one quote each, and are nobody's version.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_version_is_known_by_any_tag_of_any_list() {
        let known = |values: &[&str]| is_known(&headers(IF_NONE_MATCH, values), Version(7));
        for values in [&["\"7\""] as &[&str], &["W/\"7\""], &["\"6\", \"7\""], &["\"6\"", "\"7\""], &["*"]] {
            assert!(known(values), "{values:?}");
        }
        for values in [&[] as &[&str], &["7"], &["\"77\""], &["\"a,7\""], &["\"\""]] {
            assert!(!known(values), "{values:?}");
        }
    }

    #[test]
    fn a_change_for_another_version_is_refused_with_the_one_that_stands() {
        let check = |values: &[&str], version| check_match(&headers(IF_MATCH, values), version);
        for values in [&["\"7\""] as &[&str], &["\"6\", \"7\""], &["*"]] {
            assert_eq!(check(values, Version(7)), Ok(()), "{values:?}");
        }
        // A weak tag promises too little to overwrite by.
        for values in [&["\"6\""], &["W/\"7\""], &["7"], &[""]] {
            assert_eq!(check(values, Version(7)).map_err(|problem| problem.slug), Err(Slug::StaleVersion));
        }
        assert!(check(&["*"], Version(0)).is_err(), "there must be one");
    }
}
