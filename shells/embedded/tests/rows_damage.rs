//! Damage to the rows' files: an opening either has everything or refuses by name.

mod support;

use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::database::rows::OrderRow;
use doorbuster_embedded::rows::{OpenRowsError, RowsFeed, RowsStore};
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::ports::store::Store;
use doorbuster_runtime::ports::{Offset, Unavailable};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Orders of the undamaged rows; every second one is cancelled, which is a synced group each.
const ORDERS: usize = 60;
/// Bytes tried over all files of the rows.
const FLIPS: u64 = 160;

/// What a damaged store shows.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Everything,
    Refused,
    /// It opened, and says so when the damaged place is read.
    Unreadable,
    /// The store itself panicked in its opening: no row was shown, and the process ends with a message.
    Panicked,
}

fn made() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    support::sell(directory.path(), ORDERS);
    support::released(directory.path());
    directory
}

/// Every order, and every event of the topics that have some.
type Content = (Vec<OrderRow>, Vec<(Offset, Event)>);

fn content(rows: &RowsStore) -> Result<Content, Unavailable> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let snapshot = rows.snapshot().await?;
        let orders = snapshot.orders(support::world().shard(0), None, usize::MAX).await?;
        let (feed, mut events) = (RowsFeed::new(rows.clone()), Vec::new());
        for topic in [Topic::Orders, Topic::Timeouts, Topic::ShardDown] {
            events.extend(feed.read(topic, Offset(1), usize::MAX)?);
        }
        Ok((orders, events))
    })
}

/// Opens a copy of the rows after a change; panics when something is missing and nobody says so.
fn open_changed(whole: &Path, expected: &Content, change: impl FnOnce(&Path)) -> Shown {
    let copied = tempfile::tempdir().unwrap();
    for part in ["rows", "rows.mark"] {
        support::copy(&whole.join(part), &copied.path().join(part));
    }
    change(copied.path());
    let opened = catch_unwind(AssertUnwindSafe(|| RowsStore::open(&copied.path().join("rows"), SteppedEnv::shared(3))));
    match opened {
        Err(_) => Shown::Panicked,
        Ok(Err(error)) => {
            assert!(error.to_string().contains("rows"), "a refusal names the place: {error}");
            Shown::Refused
        }
        Ok(Ok(rows)) => {
            let Ok(shown) = content(&rows) else { return Shown::Unreadable };
            assert!(shown == *expected, "rows or events are missing, and nobody has said so");
            Shown::Everything
        }
    }
}

/// Every file of the rows, as far as it holds anything: the store preallocates its journal.
fn files(whole: &Path) -> Vec<(PathBuf, u64)> {
    let (mut found, mut directories) = (Vec::new(), vec![PathBuf::from("rows")]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(whole.join(&directory)).unwrap() {
            let path = directory.join(entry.unwrap().file_name());
            if whole.join(&path).is_dir() {
                directories.push(path);
                continue;
            }
            let bytes = fs::read(whole.join(&path)).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
            found.push((path, used));
        }
    }
    found.sort_unstable();
    found
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 0x55;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_byte_is_refused_or_harmless() {
    let whole = made();
    let expected = expected(&whole);
    let files = files(whole.path());
    let used: u64 = files.iter().map(|(_, used)| used).sum();
    let stride = (used / FLIPS).max(1) | 1;
    let mut counts = [0; 4];
    for (file, used) in &files {
        for offset in (0..*used).step_by(stride as usize) {
            let shown = open_changed(whole.path(), &expected, |copied| {
                flip(&copied.join(file), offset as usize);
            });
            counts[shown as usize] += 1;
        }
    }
    println!("flipped bytes (harmless, refused, unreadable, panics of the store): {counts:?}");
    assert!(counts[1] > 0, "some damage was tried where it hurts");
}

#[test]
fn a_missing_file_is_refused_or_harmless() {
    let whole = made();
    let expected = expected(&whole);
    for (file, _) in files(whole.path()) {
        let shown = open_changed(whole.path(), &expected, |copied| fs::remove_file(copied.join(&file)).unwrap());
        println!("without {}: {shown:?}", file.display());
        let journal = file.extension().is_some_and(|extension| extension == "jnl");
        assert!(!journal || shown == Shown::Refused, "a missing journal opens without a word in the store itself");
    }
}

#[test]
fn a_journal_that_was_cut_is_refused() {
    let whole = made();
    let expected = expected(&whole);
    let files = files(whole.path());
    let (journal, used) = files.iter().find(|(file, _)| file.extension().is_some_and(|own| own == "jnl")).unwrap();
    for cut in [0, used / 2, used - 1] {
        let shown = open_changed(whole.path(), &expected, |copied| {
            fs::OpenOptions::new().write(true).open(copied.join(journal)).unwrap().set_len(cut).unwrap();
        });
        assert_eq!(shown, Shown::Refused, "cut to {cut} of {used} bytes");
    }
}

/// The rows fill a journal, and the store writes them out and goes on in the next one.
#[test]
fn a_journal_that_was_left_behind_is_not_missed() {
    let whole = made();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let rows = RowsStore::open(&whole.path().join("rows"), SteppedEnv::shared(3)).unwrap();
        for number in 0..90 {
            rows.put_dead_letter(number, vec![number as u8 | 1; 1 << 20]).await.unwrap();
        }
    });
    support::sell(whole.path(), 40);
    support::released(whole.path());
    let mut journals =
        files(whole.path()).into_iter().filter(|(file, _)| file.extension().is_some_and(|own| own == "jnl"));
    let newest = journals.next_back().unwrap().0;
    assert_ne!(newest, Path::new("rows/0.jnl"), "the rows have filled a journal");
    let expected = expected(&whole);
    assert_eq!(open_changed(whole.path(), &expected, |_| {}), Shown::Everything);
    let mut counts = [0; 4];
    for (file, used) in files(whole.path()).iter().filter(|(file, _)| file.starts_with("rows/keyspaces")) {
        for third in 0..4 {
            let offset = (used.saturating_sub(1) * third / 3) as usize;
            let shown = open_changed(whole.path(), &expected, |copied| flip(&copied.join(file), offset));
            counts[shown as usize] += 1;
        }
    }
    println!("flipped bytes of tables (harmless, refused, unreadable, panics of the store): {counts:?}");
    let shown = open_changed(whole.path(), &expected, |copied| fs::remove_file(copied.join(&newest)).unwrap());
    assert_eq!(shown, Shown::Refused);
}

#[test]
fn a_damaged_mark_is_refused() {
    let whole = made();
    let expected = expected(&whole);
    let shown = open_changed(whole.path(), &expected, |copied| fs::write(copied.join("rows.mark"), [0; 1024]).unwrap());
    assert_eq!(shown, Shown::Refused);
    let refused = RowsStore::open(&whole.path().join("gone"), SteppedEnv::shared(3));
    assert!(refused.is_ok(), "where there is neither a mark nor rows, new ones are made");
    fs::remove_dir_all(whole.path().join("rows")).unwrap();
    let refused = RowsStore::open(&whole.path().join("rows"), SteppedEnv::shared(3)).map(drop);
    assert!(matches!(refused, Err(OpenRowsError::Missing { .. })), "a mark without its rows: {refused:?}");
}

fn expected(whole: &TempDir) -> Content {
    let copied = tempfile::tempdir().unwrap();
    for part in ["rows", "rows.mark"] {
        support::copy(&whole.path().join(part), &copied.path().join(part));
    }
    let rows = RowsStore::open(&copied.path().join("rows"), SteppedEnv::shared(3)).unwrap();
    let expected = content(&rows).unwrap();
    assert!(expected.0.len() >= ORDERS && expected.1.len() >= ORDERS);
    expected
}
