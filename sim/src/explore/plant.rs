//! Bugs on purpose: an explorer that cannot find these proves nothing by finding none.

/// Which bugs are planted; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plants {
    /// Intake creates orders without looking at what the shard was granted.
    pub trusts_shard: bool,
    /// A promoted copy goes on under the identity of the server that it was copied from.
    pub promoted_keeps_identity: bool,
    /// A give-back names the epoch of the order instead of the row's.
    pub settled_with_order_epoch: bool,
    /// A forwarder calls entries durable that stand behind the seal of their epoch.
    pub acks_behind_seal: bool,
    /// A forwarder that has lost the partition can still publish to it.
    pub unfenced_forwarder: bool,
    /// A give-back for a page that has ended counts again.
    pub double_give_back: bool,
    /// A rebuild sends counters without the pages of live orders.
    pub load_without_pages: bool,
    /// An abandon tells the shard nothing when the order's row exists, or the reservation arrives later.
    pub silent_abandon: bool,
    /// A seal of any epoch ends the one that is being sealed.
    pub any_seal_seals: bool,
    /// A keeper that takes over a load begins it again under the same epoch.
    pub reopens_epoch: bool,
    /// The settler drops an event that a server cannot take yet.
    pub retry_is_done: bool,
    /// The settler goes on telling a shard that is closed.
    pub tells_closed_shards: bool,
    /// Nobody compares an open shard with its sale: what the snapshot of the load said stays.
    pub pause_by_snapshot: bool,
    /// A cancel forgets the user's quota.
    pub cancel_keeps_quota: bool,
}
