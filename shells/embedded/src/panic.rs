//! A thread that owns state does not die alone.

/// Ends the process when its thread panics: a broken invariant in a writer leaves nobody who could answer, and a
/// process that only seems to be alive is worse than one that is started again.
pub struct ProcessEnds;

impl Drop for ProcessEnds {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("doorbuster: a thread that owns state has panicked, ending");
            std::process::exit(crate::EXIT_BROKEN);
        }
    }
}
