//! The wire protocol, versions 2 and 3, for both ends and for frames that arrive in pieces.
//!
//! Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

mod encode;
mod number;
mod replies;
mod requests;

pub use encode::{encode_reply, encode_request};
pub use number::c_float;
pub use replies::ReplyDecoder;
pub use requests::{ProtocolError, RequestDecoder};

/// Which version of the protocol a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Every connection begins with it.
    #[default]
    Two,
    /// After `HELLO 3`.
    Three,
}
