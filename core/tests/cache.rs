//! The product caches in a hostile small world, judged by the oracle; then what it judges by, sentence by sentence.

mod cache {
    pub mod bounds;
    pub mod flights;
    pub mod random;
    pub mod shared;
    pub mod watch;
    pub mod world;
}
