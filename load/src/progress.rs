//! A progress bar on a terminal; silence elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::recorder::Class;

/// Ended clicks by class, shared with whoever draws them.
#[derive(Debug, Default)]
pub struct Tally([AtomicU64; 4]);

impl Tally {
    /// One more click ended.
    pub fn add(&self, class: Class) {
        self.0[class as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> [u64; 4] {
        std::array::from_fn(|class| self.0[class].load(Ordering::Relaxed))
    }
}

/// A bar over `length` clicks; indicatif hides it when stderr is not a terminal.
#[must_use]
pub fn bar(length: u64, title: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>9} [{bar:32}] {pos}/{len} {per_sec} {msg}")
        .expect("the template is valid");
    ProgressBar::new(length).with_style(style.progress_chars("=> ")).with_prefix(title)
}

/// Draws the tally ten times a second until the task is aborted.
pub async fn draw(bar: ProgressBar, tally: Arc<Tally>) {
    loop {
        let [accepted, refused, unavailable, unknown] = tally.counts();
        bar.set_position(accepted + refused + unavailable + unknown);
        bar.set_message(format!("accepted {accepted} refused {refused} unavailable {unavailable} unknown {unknown}"));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
