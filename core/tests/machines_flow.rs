//! The machines of the flow in a hostile small world: lost, doubled and late effects, crashes, then peace.

mod machines_flow {
    pub mod forwarder;
    pub mod intake;
    pub mod queue;
    pub mod reaper;
    pub mod relay;
    pub mod world;
}
