//! Where every search begins: a sale that is open on server A in epoch 1, made by the product's own commands.

use super::action::Action;
use super::model::{LATER, Model, NOW};
use super::scope::Budgets;
use super::shared::Shared;
use super::state::{A, Forwarder, Keeper, Light, Server, State};
use super::store;
use super::violation::Violation;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::{AckLevel, Currency, SaleState};
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{Epoch, ProductId, Seq, ServerId};
use doorbuster_core::ledger::shard::{Shard, Window};
use doorbuster_core::limits::HOLD_MS_MIN;
use doorbuster_core::sale::command::{NewSale, NewSku, SaleCommand};
use doorbuster_core::time::Wall;

impl Model {
    /// The first state of a search.
    pub fn start(&self) -> Result<State, Violation> {
        let mut state = self.bare();
        for action in FIRST_EPOCH {
            state = self.step(&state, *action)?;
        }
        for wish in self.cast.prefilled_from..self.cast.probes_from {
            let click = Action::Click { wish, fence: 0, server: A };
            for action in [click, Action::Publish, Action::Intake { records: 1 }, Action::Cancel { wish }] {
                state = self.step(&state, action)?;
            }
            state = self.step(&state, Action::Deliver { event: 0, server: A })?;
        }
        state.light.budgets = self.scope.budgets;
        state.light.touched = 0;
        Ok(state)
    }

    /// Rows of an open sale whose shard was never loaded, and two servers without memory.
    fn bare(&self) -> State {
        let server = |number, serves| {
            let shard = Shard::empty(ServerId(number));
            Shared::new(Server { shard, log: Vec::new(), serves, complete: false })
        };
        State {
            rows: Shared::new(self.first_rows()),
            down: Shared::new(Vec::new()),
            servers: [server(1, true), server(0, false)],
            intents: Shared::new(Vec::new()),
            keepers: [Shared::new(Keeper::Idle), Shared::new(Keeper::Idle)],
            fences: Shared::new(Vec::new()),
            promises: Shared::new(Vec::new()),
            light: Light {
                offset: 0,
                forwarder: Forwarder { server: A, position: (Epoch(0), Seq(0)), acks: None },
                fenced: None,
                opened: 0,
                touched: 0,
                budgets: Budgets::PLENTY,
                nonce_next: 1,
                server_next: 2,
                primary: A,
            },
        }
    }

    fn first_rows(&self) -> Rows {
        let sale = self.cast.sale;
        let new = NewSale {
            id: sale,
            title: "explored".to_owned(),
            window: Window { starts_at: Wall(0), ends_at: LATER },
            limit: self.scope.limit,
            hold_ms: HOLD_MS_MIN,
            shards: 1,
            ack: AckLevel::Log,
            currency: Currency::parse("EUR").expect("a valid code"),
        };
        let skus = self.cast.skus.iter().zip(self.scope.stock);
        let new_sku = |(sku, stock): (&doorbuster_core::ids::SkuId, &u64)| NewSku {
            sku: *sku,
            product: ProductId::parse("shirt").expect("a valid name"),
            name: "shirt".to_owned(),
            price_minor: 100,
            stock: *stock,
        };
        let commands = [
            SaleCommand::Create(new),
            SaleCommand::AddSkus { sale, skus: skus.map(new_sku).collect() },
            SaleCommand::Enter { sale, state: SaleState::Open },
        ];
        let mut rows = Rows::default();
        for command in commands {
            let decision = store::decide(&rows, &Command::Sale(command), NOW).expect("a fresh sale can be set up");
            rows.absorb(decision.change.rows);
        }
        rows
    }
}

/// One keeper's climb from SEALED to OPEN, without orders to load.
const FIRST_EPOCH: &[Action] = &[
    Action::BeginOpening { keeper: 0, server: A },
    Action::ReadSnapshot { keeper: 0 },
    Action::LoadChunk { keeper: 0 },
    Action::Open { keeper: 0 },
    Action::FinishOpening { keeper: 0 },
];
