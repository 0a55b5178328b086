//! What is explored, as data: stock, wishes, and how often each kind of trouble may strike.

/// How often each thing may still happen on one path; part of the state, so that every path is finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budgets {
    /// Reservations that a server accepts.
    pub accepts: u8,
    /// Cancels and expiries.
    pub endings: u8,
    /// Rule 10.
    pub abandons: u8,
    /// Payments that succeed.
    pub pays: u8,
    /// Refunds, with and without restock.
    pub refunds: u8,
    /// Grants of one unit.
    pub top_ups: u8,
    /// Withdrawals of one unit.
    pub withdrawals: u8,
    /// Changes of the sale between open and stopped, and as many calls that carry either to a server.
    pub stops: u8,
    /// The sale is closed.
    pub closes: u8,
    /// Second deliveries of what goes down.
    pub duplicates: u8,
    /// Redeliveries of the whole partition of intents.
    pub resets: u8,
    /// Forwarders that are replaced.
    pub forwarder_crashes: u8,
    /// Keepers that lose their memory.
    pub keeper_crashes: u8,
    /// Copies of A's memory that are promoted while A goes on.
    pub failovers: u8,
    /// Servers that come back empty.
    pub losses: u8,
    /// Ends of an epoch that a keeper begins without being forced to.
    pub seals: u8,
}

impl Budgets {
    /// Nothing at all: scopes name only what they have.
    pub const NONE: Budgets = Budgets {
        accepts: 0,
        endings: 0,
        abandons: 0,
        pays: 0,
        refunds: 0,
        top_ups: 0,
        withdrawals: 0,
        stops: 0,
        closes: 0,
        duplicates: 0,
        resets: 0,
        forwarder_crashes: 0,
        keeper_crashes: 0,
        failovers: 0,
        losses: 0,
        seals: 0,
    };
    /// For healing, which must not run out of anything.
    pub const PLENTY: Budgets = Budgets {
        accepts: 200,
        endings: 200,
        abandons: 0,
        pays: 0,
        refunds: 0,
        top_ups: 0,
        withdrawals: 0,
        stops: 200,
        closes: 0,
        duplicates: 0,
        resets: 0,
        forwarder_crashes: 200,
        keeper_crashes: 0,
        failovers: 0,
        losses: 0,
        seals: 200,
    };
}

/// One click that may happen: whose, and how many units of each SKU.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Which user, from 0.
    pub user: usize,
    /// Units per SKU of the scope; zeros are left out of the basket.
    pub quantities: &'static [u32],
}

/// One bounded space to be searched.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is after.
    pub about: &'static str,
    /// Units of each SKU.
    pub stock: &'static [u64],
    /// Most live units of one user.
    pub limit: u32,
    /// What may be clicked. Wishes are clicked for the first time in this order where `ordered` says that they are alike.
    pub wishes: &'static [Wish],
    /// Whether the wishes differ in nothing but their names, so that one order of first clicks stands for all.
    pub alike: bool,
    /// Records of the first user that have ended before the search begins: seven make a page full with one key more.
    pub prefilled: usize,
    /// Keepers at work; two make zombies possible.
    pub keepers: usize,
    /// Whether a keeper may also load the server that a failover has left behind.
    pub any_target: bool,
    /// Whether intake may also take two records in one transaction.
    pub batches: bool,
    /// What may happen.
    pub budgets: Budgets,
    /// One of so many states is healed and checked at rest; 1 means all.
    pub quiet_every: u64,
}

const ONE: &[u32] = &[1];

/// Two users with one wish each, and a third wish of the second user for what is left.
const TWO_USERS: &[Wish] =
    &[Wish { user: 0, quantities: ONE }, Wish { user: 1, quantities: ONE }, Wish { user: 1, quantities: ONE }];
const THREE_USERS: &[Wish] =
    &[Wish { user: 0, quantities: ONE }, Wish { user: 1, quantities: ONE }, Wish { user: 2, quantities: ONE }];
const ONE_EACH: &[Wish] = &[Wish { user: 0, quantities: ONE }, Wish { user: 1, quantities: ONE }];

const PLAIN: Scope = Scope {
    name: "",
    about: "",
    stock: &[2],
    limit: 2,
    wishes: ONE_EACH,
    alike: true,
    prefilled: 0,
    keepers: 1,
    any_target: false,
    batches: false,
    budgets: Budgets::NONE,
    quiet_every: 1,
};

/// Every scope there is.
pub const SCOPES: &[Scope] = &[
    Scope {
        name: "base",
        about: "a failover with the old server still serving, stock 2, cancels, duplicates",
        wishes: TWO_USERS,
        alike: false,
        budgets: Budgets { accepts: 3, endings: 1, failovers: 1, seals: 1, duplicates: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "three-users",
        about: "three users, stock 2, a stale failover, redelivery of the partition",
        wishes: THREE_USERS,
        limit: 1,
        budgets: Budgets { accepts: 4, endings: 1, seals: 1, failovers: 1, resets: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "ladder-crash",
        about: "a crash at each step of the ladder, a second keeper, a zombie that goes on",
        keepers: 2,
        budgets: Budgets { accepts: 2, endings: 1, seals: 3, keeper_crashes: 2, duplicates: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "grant",
        about: "top-ups at any moment of a stale failover, duplicated and late",
        stock: &[1],
        budgets: Budgets { accepts: 2, endings: 1, top_ups: 2, seals: 1, failovers: 1, duplicates: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "withdraw",
        about: "withdrawals and a top-up around a stale failover",
        budgets: Budgets {
            accepts: 2,
            endings: 1,
            withdrawals: 2,
            top_ups: 1,
            failovers: 1,
            seals: 1,
            ..Budgets::NONE
        },
        ..PLAIN
    },
    Scope {
        name: "basket",
        about: "two SKUs, a basket of two lines against single lines",
        stock: &[1, 1],
        wishes: &[
            Wish { user: 0, quantities: &[1, 1] },
            Wish { user: 1, quantities: &[1, 0] },
            Wish { user: 1, quantities: &[0, 1] },
        ],
        alike: false,
        batches: true,
        budgets: Budgets { accepts: 3, endings: 1, abandons: 1, seals: 1, failovers: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "stop-resume",
        about: "stop and resume at any moment, carried to servers late",
        budgets: Budgets { accepts: 2, endings: 1, stops: 3, seals: 1, failovers: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "close",
        about: "close with reservations in flight, withdrawals, a paid order that is refunded, two keepers",
        keepers: 2,
        budgets: Budgets {
            accepts: 2,
            endings: 1,
            closes: 1,
            withdrawals: 1,
            pays: 1,
            refunds: 1,
            seals: 2,
            ..Budgets::NONE
        },
        ..PLAIN
    },
    Scope {
        name: "full-page",
        about: "a page with seven ended records, two further keys, an end of the epoch",
        wishes: &[Wish { user: 0, quantities: ONE }, Wish { user: 0, quantities: ONE }],
        prefilled: 7,
        budgets: Budgets { accepts: 3, endings: 1, abandons: 1, seals: 1, failovers: 1, resets: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "abandon",
        about: "rule 10 before, while and after the reservation travels, over two ends of an epoch",
        limit: 1,
        budgets: Budgets { accepts: 3, abandons: 2, seals: 2, duplicates: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "two-epochs",
        about: "two ends of an epoch, back to the server that was left, duplicates and redelivery",
        any_target: true,
        budgets: Budgets { accepts: 3, endings: 1, seals: 2, failovers: 1, duplicates: 1, resets: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "loss",
        about: "a server that comes back empty, twice, and forwarders that start again from the beginning",
        budgets: Budgets { accepts: 3, endings: 1, losses: 2, seals: 2, forwarder_crashes: 2, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "refund",
        about: "payment against cancel, refunds with and without restock across an end of the epoch",
        limit: 1,
        budgets: Budgets { accepts: 3, endings: 2, pays: 2, refunds: 2, seals: 2, duplicates: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "failover-ladder",
        about: "a failover at each step of the ladder, a second keeper, a zombie that goes on",
        keepers: 2,
        any_target: true,
        budgets: Budgets { accepts: 2, seals: 2, failovers: 1, keeper_crashes: 1, ..Budgets::NONE },
        ..PLAIN
    },
    Scope {
        name: "forwarders",
        about: "forwarders replaced at any moment around a stale failover, with the promise of the log",
        budgets: Budgets { accepts: 3, seals: 2, failovers: 1, forwarder_crashes: 2, resets: 1, ..Budgets::NONE },
        ..PLAIN
    },
];
