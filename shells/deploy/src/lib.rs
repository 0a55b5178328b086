//! What is deployed beside the binary, as typed things, so that tests can hold it to the code: compose and Kubernetes
//! manifests, alert rules, the board, and the document of topics and events.

pub mod alerts;
pub mod asyncapi;
pub mod board;
pub mod compose;
pub mod files;
pub mod headings;
pub mod prometheus;
pub mod promql;
pub mod roles;
pub mod tool;
