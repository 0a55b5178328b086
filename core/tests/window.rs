//! Sales of seven days against a plain recount: the ring, the decisions, and the worker in a hostile small world.

mod common;

mod window {
    pub mod decisions;
    pub mod flow;
    pub mod orders;
    pub mod ring;
    pub mod world;
}
