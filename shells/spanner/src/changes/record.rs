//! What a change stream says, in core's words.
//!
//! The shape is that of https://docs.cloud.google.com/spanner/docs/change-streams/details, "Change records".

use crate::rows::{OutboxRow, token_of};
use crate::trouble::Trouble;
use crate::value::micros_of;
use doorbuster_core::database::event::Event;
use doorbuster_core::relay::partitions::{Child, CommitTime};
use google_cloud_spanner::result::Row;
use google_cloud_spanner::transaction::Timestamp;
use serde::Deserialize;

/// One thing that a partition says, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// An event was told by a transaction that was committed then.
    Told(CommitTime, Event),
    /// Everything up to here has been said.
    Beat(CommitTime),
    /// What follows the partition, with the stream's own names for it: its end is near.
    Followed(Vec<(Child, String)>),
}

#[derive(Deserialize)]
struct ChangeRecord {
    data_change_record: Vec<DataChange>,
    heartbeat_record: Vec<Heartbeat>,
    child_partitions_record: Vec<ChildPartitions>,
}

#[derive(Deserialize)]
struct DataChange {
    commit_timestamp: String,
    mods: Vec<Mod>,
}

#[derive(Deserialize)]
struct Mod {
    new_values: NewValues,
}

/// The column that is stamped by the commit is not read: an emulator shows the end of the calendar in it.
#[derive(Deserialize)]
struct NewValues {
    events: serde_json::Value,
}

#[derive(Deserialize)]
struct Heartbeat {
    timestamp: String,
}

#[derive(Deserialize)]
struct ChildPartitions {
    start_timestamp: String,
    child_partitions: Vec<ChildPartition>,
}

#[derive(Deserialize)]
struct ChildPartition {
    token: String,
    parent_partition_tokens: Vec<String>,
}

/// Everything that one row of a stream's answer says.
pub fn parse(row: &Row) -> Result<Vec<Said>, Trouble> {
    said(row.get::<serde_json::Value>(0)?)
}

fn said(column: serde_json::Value) -> Result<Vec<Said>, Trouble> {
    let records: Vec<ChangeRecord> = serde_json::from_value(column)
        .map_err(|error| Trouble::Broken(format!("the change stream speaks of something else: {error}")))?;
    let mut said = Vec::new();
    for record in records {
        for change in record.data_change_record {
            let at = commit_time(&change.commit_timestamp)?;
            for told in change.mods {
                let row = OutboxRow::parse(&told.new_values.events)?;
                said.extend(row.events.into_iter().map(|event| Said::Told(at, event)));
            }
        }
        for heartbeat in record.heartbeat_record {
            said.push(Said::Beat(commit_time(&heartbeat.timestamp)?));
        }
        for children in record.child_partitions_record {
            let start = commit_time(&children.start_timestamp)?;
            said.push(Said::Followed(children.child_partitions.into_iter().map(|child| child.at(start)).collect()));
        }
    }
    Ok(said)
}

impl ChildPartition {
    fn at(self, start: CommitTime) -> (Child, String) {
        let parents = self.parent_partition_tokens.iter().map(|parent| token_of(parent)).collect();
        (Child { token: token_of(&self.token), parents, start }, self.token)
    }
}

fn commit_time(text: &str) -> Result<CommitTime, Trouble> {
    let at = Timestamp::try_from(text);
    let at =
        at.map_err(|error| Trouble::Broken(format!("the change stream says {text:?}, which is no time: {error}")))?;
    Ok(CommitTime(micros_of(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::ids::{SaleId, Version};
    use serde_json::json;

    #[test]
    fn events_come_in_their_order_with_the_time_of_their_commit() {
        let changed = |version| Event::SaleChanged { sale: SaleId::parse("demo").unwrap(), version: Version(version) };
        let events = |versions: [u64; 2]| serde_json::to_string(&versions.map(changed)).unwrap();
        let mods = [events([1, 2]), events([3, 4])].map(|events| {
            json!({"keys": {}, "new_values": {"committed_at": "9999-12-31T23:59:59Z", "events": events}, "old_values": {}})
        });
        let data = json!({"commit_timestamp": "1970-01-01T00:00:01.000007Z", "record_sequence": "0", "mods": mods});
        let row = json!([{"data_change_record": [data], "heartbeat_record": [], "child_partitions_record": []}]);
        let expected: Vec<Said> = (1..=4).map(|version| Said::Told(CommitTime(1_000_007), changed(version))).collect();
        assert_eq!(said(row).unwrap(), expected);
    }

    #[test]
    fn a_merge_names_all_parents() {
        let child = json!({"token": "c", "parent_partition_tokens": ["a", "b"]});
        let children =
            json!({"start_timestamp": "1970-01-01T00:00:02Z", "record_sequence": "0", "child_partitions": [child]});
        let beat = json!({"timestamp": "1970-01-01T00:00:01.5Z"});
        let row = json!([
            {"data_change_record": [], "heartbeat_record": [beat], "child_partitions_record": []},
            {"data_change_record": [], "heartbeat_record": [], "child_partitions_record": [children]},
        ]);
        let parents = [token_of("a"), token_of("b")].into();
        let child = Child { token: token_of("c"), parents, start: CommitTime(2_000_000) };
        assert_eq!(
            said(row).unwrap(),
            [Said::Beat(CommitTime(1_500_000)), Said::Followed(vec![(child, "c".to_owned())])]
        );
        assert!(said(json!([{"unheard": []}])).is_err());
    }
}
