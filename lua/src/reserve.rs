//! Rule 1 as bytes: a batch of wishes, and its answer.
//!
//! ```text
//! wish   length of what follows 2, length of user 1, user, region
//! answer now 8, seq of the entry 8 (0: none), per wish a letter:
//!        A accepted, P replayed + accepted 16, K key reused, N not ready, S stopped, B not started, E ended,
//!        X keys exhausted, L limit reached, U unknown SKU + line 1, O sold out + line 1
//! ```

use crate::bytes::{Reader, Writer};
use crate::record::{decode_acceptance, encode_region};
use crate::value::ReplyError;
use doorbuster_core::ids::{Epoch, Seq, SkuId};
use doorbuster_core::ledger::page::{Acceptance, RecordState};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem, ReserveRefusal};
use doorbuster_core::limits::BATCH_MAX;
use doorbuster_core::time::Wall;

/// The answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAnswer {
    /// The server's clock at the decision.
    pub now: Wall,
    /// The entry that tells what was taken; absent when nothing was.
    pub seq: Option<Seq>,
    /// One per wish, in their order.
    pub replies: Vec<ItemReply>,
}

/// A batch as one argument. At least one wish, at most `BATCH_MAX`.
pub fn encode_batch(items: &[ReserveItem]) -> Vec<u8> {
    assert!((1..=BATCH_MAX).contains(&items.len()), "a lane sends 1 to {BATCH_MAX} wishes");
    let mut out = Writer(Vec::with_capacity(items.len() * 80));
    for item in items {
        let begin = out.0.len();
        out.number(0, 2).text(item.user.as_str());
        encode_region(RecordState::Live, &item.basket, item.id, item.body, &mut out);
        let length = u16::try_from(out.0.len() - begin - 2).expect("eight lines fit");
        out.0[begin..begin + 2].copy_from_slice(&length.to_be_bytes());
    }
    out.0
}

/// The answer to `items`, asked under `epoch`.
pub fn decode_answer(epoch: Epoch, items: &[ReserveItem], bytes: &[u8]) -> Result<BatchAnswer, ReplyError> {
    let mut reader = Reader::new(bytes);
    let now = Wall(reader.number(8)?);
    let seq = Some(Seq(reader.number(8)?)).filter(|seq| seq.0 > 0);
    let taken = seq.map(|seq| Acceptance { epoch, seq, reserved_at: now });
    let mut replies = Vec::with_capacity(items.len());
    for item in items {
        replies.push(decode_item(item, taken, &mut reader)?);
    }
    reader.end()?;
    let accepted = replies.iter().any(|reply| matches!(reply, ItemReply::Accepted(_)));
    if accepted != seq.is_some() {
        return Err(ReplyError::Meaning("an entry without an acceptance".to_owned()));
    }
    Ok(BatchAnswer { now, seq, replies })
}

fn decode_item(
    item: &ReserveItem,
    taken: Option<Acceptance>,
    reader: &mut Reader<'_>,
) -> Result<ItemReply, ReplyError> {
    let refused = |refusal| Ok(ItemReply::Refused(refusal));
    match reader.byte()? {
        b'A' => {
            let acceptance = taken.ok_or_else(|| ReplyError::meaning("an acceptance without an entry"))?;
            Ok(ItemReply::Accepted(acceptance))
        }
        b'P' => Ok(ItemReply::Replayed(decode_acceptance(reader)?)),
        b'K' => refused(ReserveRefusal::KeyReused),
        b'N' => refused(ReserveRefusal::NotReady),
        b'S' => refused(ReserveRefusal::Stopped),
        b'B' => refused(ReserveRefusal::NotStarted),
        b'E' => refused(ReserveRefusal::Ended),
        b'X' => refused(ReserveRefusal::KeysExhausted),
        b'L' => refused(ReserveRefusal::LimitReached),
        b'U' => refused(ReserveRefusal::UnknownSku(line_sku(item, reader.byte()?)?)),
        b'O' => refused(ReserveRefusal::SoldOut(line_sku(item, reader.byte()?)?)),
        letter => Err(ReplyError::meaning(char::from(letter))),
    }
}

fn line_sku(item: &ReserveItem, index: u8) -> Result<SkuId, ReplyError> {
    let line = item.basket.lines().get(usize::from(index));
    line.map(|line| line.sku).ok_or_else(|| ReplyError::meaning(format!("line {index}")))
}
