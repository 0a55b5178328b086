//! The demo sale: from a catalogue file, so that a first start has something to sell.

use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{AckLevel, Currency, SaleState};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::SaleId;
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::{NewSale, SaleCommand};
use doorbuster_runtime::roles::Ports;
use doorbuster_web::admin::rows::from_csv;
use std::error::Error;

/// What is sold.
const CATALOGUE: &str = include_str!("../demo/catalogue.csv");
/// How long a demo sale lasts.
const LASTS_MS: u64 = 24 * 3_600_000;
/// Short, so that a visitor sees units come back.
const HOLD_MS: u64 = 30_000;
/// Most live units of one user.
const LIMIT: u32 = 2;
/// Demo sales that may have ended in one data directory before a person should look at it.
const DEMOS_MAX: u32 = 10_000;

/// Makes and opens a demo sale, unless one is running.
pub async fn seed(ports: &Ports) -> Result<(), Box<dyn Error>> {
    let now = ports.env.now().wall;
    for number in 1..=DEMOS_MAX {
        let name = if number == 1 { "demo".to_owned() } else { format!("demo-{number}") };
        let sale = SaleId::parse(&name)?;
        let mut reads = Reads::default();
        reads.sales.insert(sale);
        let rows = ports.store.read(reads).await?;
        match rows.sales.get(&sale) {
            Some(row) if row.state == SaleState::Closed || row.window.ends_at <= now => {}
            Some(row) if row.state != SaleState::Draft => return Ok(()),
            // Also one whose seeding was interrupted: every step can be repeated.
            Some(row) => return fill(ports, sale, row.window).await,
            None => return fill(ports, sale, Window { starts_at: now, ends_at: now.after_ms(LASTS_MS) }).await,
        }
    }
    Err("too many ended demo sales in this data directory: name another one with --data".into())
}

async fn fill(ports: &Ports, sale: SaleId, window: Window) -> Result<(), Box<dyn Error>> {
    let currency = Currency::parse("EUR").expect("three capital letters");
    let catalogue = from_csv(CATALOGUE.as_bytes(), currency).map_err(|problem| format!("{problem:?}"))?;
    let new = NewSale {
        id: sale,
        title: "Demo sale".to_owned(),
        window,
        limit: LIMIT,
        hold_ms: HOLD_MS,
        shards: 1,
        ack: AckLevel::Log,
        currency,
    };
    apply(ports, SaleCommand::Create(new)).await?;
    apply(ports, SaleCommand::PutProducts(catalogue.products.into_values().collect())).await?;
    apply(ports, SaleCommand::AddSkus { sale, skus: catalogue.skus.into_values().collect() }).await?;
    apply(ports, SaleCommand::Enter { sale, state: SaleState::Open }).await?;
    Ok(())
}

async fn apply(ports: &Ports, command: SaleCommand) -> Result<Reply, Box<dyn Error>> {
    match ports.store.apply(Command::Sale(command)).await {
        Outcome::Done(reply) => Ok(reply),
        Outcome::Refused(Refusal::Invalid(what)) => Err(what.into()),
        Outcome::Refused(refusal) => Err(format!("the demo sale was refused: {refusal:?}").into()),
        Outcome::Unknown => Err("the rows did not answer".into()),
    }
}
