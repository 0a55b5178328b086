//! S14: what every stream carries, once more, changes nothing.

use crate::oracle::judge::Case;
use crate::oracle::verdict::{Checked, Findings, Missing};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// S14: the snapshot after the replay is the snapshot before it, but for its time.
pub fn changes_nothing(case: &Case<'_>) -> Checked {
    let missing = || Missing("a snapshot taken after every stream was replayed".to_owned());
    let (before, after) = (case.audit(), case.inputs.replayed.ok_or_else(missing)?);
    let mut findings = Findings::default();
    findings.expect(before.sale == after.sale, before.sale.id, || "the sale's row changed".to_owned());
    compare("SKU", &before.skus, &after.skus, &mut findings);
    compare("shard", &before.shards, &after.shards, &mut findings);
    compare("stock", &before.stock, &after.stock, &mut findings);
    compare("order", &before.orders, &after.orders, &mut findings);
    compare("payment", &before.payments, &after.payments, &mut findings);
    compare("quota", &before.quotas, &after.quotas, &mut findings);
    if let (Some(before), Some(after)) = (&before.memories, &after.memories) {
        compare("memory", before, after, &mut findings);
    }
    findings.judge()
}

fn compare<K, V>(what: &str, before: &BTreeMap<K, V>, after: &BTreeMap<K, V>, findings: &mut Findings)
where
    K: Ord + Debug,
    V: PartialEq + Debug,
{
    for (key, row) in before {
        let now = after.get(key);
        findings.expect(now == Some(row), format_args!("{what} {key:?}"), || format!("was {row:?}, is {now:?}"));
    }
    for key in after.keys().filter(|key| !before.contains_key(key)) {
        findings.add(format_args!("{what} {key:?}"), "did not exist before the replay");
    }
}
