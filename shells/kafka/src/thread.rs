//! Threads for what blocks: librdkafka's calls wait for brokers, and the executor's threads must not.

use tokio::sync::oneshot;

/// Runs this on a thread of its own. The answer is absent when the thread could not begin, or panicked.
pub(crate) async fn on_thread<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    // Nobody may wait any more: then the answer has nobody to go to.
    start(name, move || drop(answer.send(work()))).ok()?;
    answered.await.ok()
}

/// Starts a thread that ends by itself.
///
/// # Errors
/// Those of the operating system, when it gives no thread.
#[allow(clippy::disallowed_methods, reason = "this adapter is never simulated, and its library's calls block")]
pub(crate) fn start(name: &'static str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Something whose end blocks, as that of every client of librdkafka: it ends on a thread of its own.
pub(crate) struct Ended<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Ended<T> {
    /// To be ended elsewhere.
    pub(crate) fn new(value: T) -> Ended<T> {
        Ended(Some(value))
    }
}

impl<T: Send + 'static> std::ops::Deref for Ended<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Ended<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        // Without a thread the closure is dropped here, and blocks here.
        drop(start("kafka-end", move || drop(value)));
    }
}
