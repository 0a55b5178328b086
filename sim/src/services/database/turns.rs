//! Whoever hears of a commit finds the rows as that commit left them.

use super::{Database, Waiting};
use crate::services::{ServiceEffect, ServiceEvent};
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::machine::Machine;
use doorbuster_core::rng::Rng;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::{Mono, Now, Wall};

const LOCK_IS_FREE: Mono = Mono(1_000);

fn write(name: &str) -> Waiting {
    let row = ProductRow {
        id: ProductId::parse(name).expect("a short name"),
        name: name.to_owned(),
        category: String::new(),
        image_url: String::new(),
        version: Version(0),
    };
    Waiting { call: None, command: Command::Sale(SaleCommand::PutProducts(vec![row])), aborts: 0 }
}

#[test]
fn transactions_that_wait_for_one_lock_commit_in_steps_of_their_own() {
    let mut database = Database::new(Rng::seeded(1));
    let names = ["first", "second", "third"];
    names.iter().for_each(|name| database.wait(LOCK_IS_FREE, write(name)));
    let now = Now { mono: LOCK_IS_FREE, wall: Wall(1) };
    for done in 1..=names.len() {
        assert_eq!(database.wake_at().map(|(at, _)| at), Some(LOCK_IS_FREE));
        let mut out = Vec::new();
        database.step(now, ServiceEvent::Woken, &mut out);
        let is_commit = |effect: &&ServiceEffect<_>| matches!(effect, ServiceEffect::Committed(_));
        assert_eq!(out.iter().filter(is_commit).count(), 1);
        assert_eq!(database.rows().products.len(), done, "the rows of a commit lack the next one's");
    }
    assert_eq!(database.wake_at(), None);
}
