//! Which generations there are, and where the two aliases lead.

use crate::answer::{Trouble, heard};
use crate::cluster::Cluster;
use crate::names::{Generation, Names};
use elasticsearch::indices::IndicesGetAliasParts;
use serde_json::Value;
use std::collections::BTreeSet;

/// As one node knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// All that exist.
    pub generations: BTreeSet<Generation>,
    /// The one that is searched; `None` before the first.
    pub reads: Option<Generation>,
    /// The one that is written.
    pub writes: Option<Generation>,
}

impl Standing {
    /// Asks.
    ///
    /// # Errors
    /// The servers cannot be asked now; nothing happened.
    pub async fn read(cluster: &Cluster) -> Result<Standing, Trouble> {
        let answer = heard(
            cluster
                .client
                .indices()
                .get_alias(IndicesGetAliasParts::Index(&[&cluster.names.pattern()]))
                .request_timeout(cluster.change_time())
                .send()
                .await,
        )
        .await;
        Ok(Standing::parse(&cluster.names, &answer?.success()?))
    }

    fn parse(names: &Names, answer: &Value) -> Standing {
        let mut standing = Standing::default();
        for (index, told) in answer.as_object().into_iter().flatten() {
            let Some(generation) = names.generation(index) else { continue };
            standing.generations.insert(generation);
            let has = |alias| told["aliases"].get(alias).is_some();
            // Every alias is a write index of its generation, of which Elasticsearch allows one.
            if has(names.reads()) {
                standing.reads = Some(generation);
            }
            if has(names.writes()) {
                standing.writes = Some(generation);
            }
        }
        standing
    }

    /// A number that no generation has had: the aliases never lead to a lower one than they did, and the highest is kept
    /// until a higher one takes its place.
    pub fn unused(&self) -> Generation {
        self.generations.last().map_or(Generation::FIRST, |last| last.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn aliases_and_generations_are_read_and_strangers_passed_over() {
        let names = Names::of("products").unwrap();
        let answer = json!({
            "products-2": {"aliases": {"products": {}}}, "products-10": {"aliases": {"products-write": {}}},
            "products-x": {"aliases": {"products": {}}}, "products-3": {"aliases": {}},
        });
        let standing = Standing::parse(&names, &answer);
        let generations: Vec<u64> = standing.generations.iter().map(|generation| generation.0).collect();
        assert_eq!(generations, [2, 3, 10]);
        assert_eq!((standing.reads, standing.writes), (Some(Generation(2)), Some(Generation(10))));
        assert_eq!(standing.unused(), Generation(11));
        assert_eq!(Standing::parse(&names, &json!({})).unused(), Generation::FIRST);
    }
}
