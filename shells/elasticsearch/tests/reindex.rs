//! A new generation in the place of the old one, under writes, and when whoever rebuilds dies.

mod support;

use doorbuster_core::outcome::Outcome;
use doorbuster_core::rng::Rng;
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::search::indexer::Written;
use doorbuster_elasticsearch::names::Generation;
use doorbuster_elasticsearch::reindex::{Copied, Next, Reindex, ReindexTrouble};
use doorbuster_elasticsearch::standing::Standing;
use doorbuster_runtime::ports::search::SearchIndex;
use std::cell::Cell;
use std::collections::BTreeMap;
use support::{Index, document, id};

const ALL: SnapshotTime = SnapshotTime(0);
/// Documents of one bulk, and products: several pages of the copying.
const BULK: u64 = 100;
const PRODUCTS: u64 = 300;

fn name(number: u64) -> String {
    format!("product-{number}")
}

async fn standing(index: &Index) -> Standing {
    Standing::read(&index.cluster).await.expect("the server answers")
}

async fn begin(reindex: &Reindex) -> Generation {
    match reindex.begin().await.expect("a rebuild can begin") {
        Next::Fill(generation) => generation,
        Next::Finish(generation) => panic!("generation {generation} is filled already"),
    }
}

async fn fill(reindex: &Reindex, generation: Generation, documents: Vec<Document>) {
    match reindex.write(generation, documents).await {
        Outcome::Done(written) => assert!(written.iter().all(|written| *written != Written::Failed)),
        other => panic!("a server that is well answers, not {other:?}"),
    }
}

/// One generation is left, behind both aliases.
async fn stands_alone(index: &Index, generation: Generation) {
    let expected = Standing { generations: [generation].into(), reads: Some(generation), writes: Some(generation) };
    assert_eq!(standing(index).await, expected);
}

#[tokio::test]
async fn a_rebuild_under_writes_loses_nothing_and_never_goes_back() {
    let Some(index) = Index::make("a_rebuild_under_writes_loses_nothing_and_never_goes_back").await else { return };
    let other = index.again(|_| {});
    for first in (0..PRODUCTS).step_by(BULK as usize) {
        index.write((first..first + BULK).map(|number| document(&name(number), 1)).collect()).await;
    }
    index.comes_to_show(&document(&name(PRODUCTS - 1), 1)).await;
    let finished = Cell::new(false);
    // What each indexer was told to be stored.
    let write = async |index: &Index, seed: u64| {
        let (mut rng, mut newest) = (Rng::seeded(seed), BTreeMap::new());
        while !finished.get() {
            let bulk: BTreeMap<String, u64> =
                (0..20).map(|_| (name(rng.below(PRODUCTS + 50)), 2 + rng.below(1_000_000))).collect();
            let documents: Vec<Document> = bulk.iter().map(|(name, version)| document(name, *version)).collect();
            let Outcome::Done(written) = index.search.write(documents).await else { continue };
            for ((name, version), written) in bulk.into_iter().zip(written) {
                if matches!(written, Written::Stored | Written::Newer) {
                    let known: &mut u64 = newest.entry(name).or_default();
                    *known = version.max(*known);
                }
            }
        }
        newest
    };
    let look = async || {
        let mut last = BTreeMap::new();
        let mut rng = Rng::seeded(3);
        while !finished.get() {
            let product = name(rng.below(PRODUCTS));
            let shown = index.shown.shown(id(&product)).await.expect("it is searched all the time");
            let version = shown.expect("every product is shown all the time").version;
            let before = last.insert(product, version).unwrap_or_default();
            assert!(version >= before, "what is shown never goes back");
        }
    };
    let rebuild = async {
        let reindex = Reindex::new(index.cluster.clone());
        for _ in 0..3 {
            let generation = begin(&reindex).await;
            // Half of it, and of old snapshots: the rest is copied.
            fill(&reindex, generation, (0..BULK).map(|number| document(&name(number), 1)).collect()).await;
            reindex.finish(generation, ALL).await.expect("a rebuild ends");
        }
        finished.set(true);
    };
    let (first, second, (), ()) = tokio::join!(write(&index, 1), write(&other, 2), look(), rebuild);
    stands_alone(&index, Generation(4)).await;
    assert!(first.len() > 100 && second.len() > 100, "there were writes: {} and {}", first.len(), second.len());
    for number in 0..PRODUCTS + 50 {
        let name = name(number);
        let told = [&first, &second].into_iter().filter_map(|newest| newest.get(&name)).max();
        let told = told.copied().or((number < PRODUCTS).then_some(1));
        assert_eq!(index.stored(&name).await, told.map(|version| document(&name, version)));
    }
}

#[tokio::test]
async fn a_rebuild_that_died_anywhere_is_gone_on_with() {
    let Some(index) = Index::make("a_rebuild_that_died_anywhere_is_gone_on_with").await else { return };
    index.write(vec![document("lamp", 7), document("chair", 7)]).await;
    let reindex = || Reindex::new(index.cluster.clone());
    // It died while it filled.
    let generation = begin(&reindex()).await;
    fill(&reindex(), generation, vec![document("lamp", 8)]).await;
    assert_eq!(begin(&reindex()).await, generation, "a repetition fills the same one");
    // It died after the alias that is written had moved, or while it copied: the pause before the deletion is cut off.
    let slow = index.again(|config| config.retire_ms = 3_600_000);
    let dying = Reindex::new(slow.cluster.clone());
    let moved = async {
        while standing(&index).await.writes != Some(generation) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = moved => {}
        ended = dying.finish(generation, ALL) => panic!("it would wait for an hour: {ended:?}"),
    }
    assert_eq!(index.write(vec![document("chair", 9)]).await, [Written::Stored], "indexers do not wait for it");
    let next = match standing(&index).await.reads {
        Some(reads) if reads == generation => generation,
        _ => match reindex().begin().await.expect("the server answers") {
            Next::Finish(next) => next,
            Next::Fill(next) => panic!("{next} is not to be filled: the alias has moved"),
        },
    };
    reindex().finish(next, ALL).await.expect("a rebuild is gone on with");
    stands_alone(&index, generation).await;
    assert_eq!(index.stored("lamp").await, Some(document("lamp", 8)), "the newer one of two generations");
    assert_eq!(index.stored("chair").await, Some(document("chair", 9)));
    assert_eq!(reindex().finish(generation, ALL).await, Ok(Copied::default()), "what is done is done");
}

#[tokio::test]
async fn what_was_replaced_takes_nothing_any_more() {
    let Some(index) = Index::make("what_was_replaced_takes_nothing_any_more").await else { return };
    index.write(vec![document("lamp", 7)]).await;
    let slow = index.again(|config| config.retire_ms = 3_600_000);
    let reindex = Reindex::new(slow.cluster.clone());
    let generation = begin(&reindex).await;
    let moved = async {
        while standing(&index).await.reads != Some(generation) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = moved => {}
        ended = reindex.finish(generation, ALL) => panic!("it would wait for an hour: {ended:?}"),
    }
    // As a bulk that found the alias where it was, and comes now.
    let late = reindex.write(Generation::FIRST, vec![document("lamp", 9)]).await;
    assert_eq!(late, Outcome::Done(vec![Written::Failed]), "whoever is told that it was stored would lose it");
    assert_eq!(index.stored("lamp").await, Some(document("lamp", 7)));
}

#[tokio::test]
async fn only_what_a_filling_cannot_have_is_copied() {
    let Some(index) = Index::make("only_what_a_filling_cannot_have_is_copied").await else { return };
    index.write(vec![document("gone", 5), document("lamp", 5), document("chair", 5)]).await;
    let reindex = Reindex::new(index.cluster.clone());
    let generation = begin(&reindex).await;
    // The snapshots of the filling begin at 10, when one product was gone; others change meanwhile.
    fill(&reindex, generation, vec![document("lamp", 10), document("chair", 12)]).await;
    index.write(vec![document("lamp", 11), document("chair", 11), document("desk", 13)]).await;
    let copied = reindex.finish(generation, SnapshotTime(10)).await;
    assert_eq!(copied, Ok(Copied { stored: 2, newer: 1, rejected: 0 }));
    for (product, version) in [("lamp", 11), ("chair", 12), ("desk", 13)] {
        assert_eq!(index.stored(product).await, Some(document(product, version)));
        index.comes_to_show(&document(product, version)).await;
    }
    assert_eq!(index.stored("gone").await, None, "what the database has no more is left behind");
}

#[tokio::test]
async fn a_rebuild_that_was_overtaken_moves_nothing() {
    let Some(index) = Index::make("a_rebuild_that_was_overtaken_moves_nothing").await else { return };
    let reindex = Reindex::new(index.cluster.clone());
    index.write(vec![document("lamp", 7)]).await;
    let older = begin(&reindex).await;
    // Another release's: it has another mapping.
    let body = "{\"mappings\": {\"_meta\": {\"format\": 0}}}";
    let other = index.cluster.names().index(older.next());
    assert!(index.ask("PUT", &format!("/{other}"), body).contains("\"acknowledged\":true"));
    let newest = begin(&reindex).await;
    assert_eq!(newest, older.next().next(), "what another mapping has is not filled");
    reindex.finish(newest, ALL).await.expect("a rebuild ends");
    assert_eq!(reindex.finish(older, ALL).await, Err(ReindexTrouble::Overtaken(newest)));
    stands_alone(&index, newest).await;
    let late = reindex.write(older, vec![document("lamp", 9)]).await;
    assert_eq!(late, Outcome::Done(vec![Written::Failed]), "a generation that is gone does not come back");
    stands_alone(&index, newest).await;
    assert_eq!(index.stored("lamp").await, Some(document("lamp", 7)));
}

#[tokio::test]
async fn two_who_finish_the_same_rebuild_are_harmless() {
    let Some(index) = Index::make("two_who_finish_the_same_rebuild_are_harmless").await else { return };
    index.write((0..50).map(|number| document(&name(number), 7)).collect()).await;
    let (first, second) = (Reindex::new(index.cluster.clone()), Reindex::new(index.again(|_| {}).cluster));
    let generation = begin(&first).await;
    let both = tokio::join!(first.finish(generation, ALL), second.finish(generation, ALL));
    assert!(both.0.is_ok() || both.1.is_ok(), "one of them ends it: {both:?}");
    for reindex in [first, second] {
        reindex.finish(generation, ALL).await.expect("asked again, each finds it done");
    }
    stands_alone(&index, generation).await;
    assert_eq!(index.stored(&name(49)).await, Some(document(&name(49), 7)));
}
