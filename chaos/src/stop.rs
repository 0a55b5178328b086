//! Whether this program was told to stop: what waits asks here, so that it can end what it started.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// From now on a signal that asks this program to stop is noted instead of ending it at once.
pub fn heed() {
    let _ = noted();
}

/// The number of the signal that asked this program to stop, if one did since the first call of this or of [`heed`].
pub fn asked() -> Option<usize> {
    Some(noted().load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

fn noted() -> &'static AtomicUsize {
    static NOTED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();
    let register = || {
        let noted = Arc::new(AtomicUsize::new(0));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // Without the handler a stop ends this program at once and leaves its children to run: no reason not to run.
            let _ = signal_hook::flag::register_usize(signal, Arc::clone(&noted), signal.unsigned_abs() as usize);
        }
        noted
    };
    NOTED.get_or_init(register)
}
