//! The bodies that leave: whole ones, which need no box, and streams.

use crate::connections::Busy;
use bytes::Bytes;
use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// An answer of this server.
pub type Reply = Response<ReplyBody>;

/// A body: the hot route's is whole, so that it costs no box and no virtual call.
#[derive(Debug)]
pub enum ReplyBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// Whatever the router made, with the request that is in flight until it is sent.
    Routed(axum::body::Body, Option<Busy>),
}

impl ReplyBody {
    /// Whatever the router made.
    pub fn routed(body: axum::body::Body) -> ReplyBody {
        ReplyBody::Routed(body, None)
    }

    /// Keeps the request in flight until this body is gone.
    pub(crate) fn while_busy(self, busy: Busy) -> ReplyBody {
        match self {
            // Small and whole: in flight only until it is handed over.
            ReplyBody::Whole(bytes) => ReplyBody::Whole(bytes),
            ReplyBody::Routed(body, _) => ReplyBody::Routed(body, Some(busy)),
        }
    }
}

/// A body that is all there.
pub fn whole(bytes: Bytes) -> ReplyBody {
    ReplyBody::Whole(Some(bytes))
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut *self {
            ReplyBody::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            ReplyBody::Routed(body, _) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Whole(bytes) => bytes.is_none(),
            ReplyBody::Routed(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            ReplyBody::Routed(body, _) => body.size_hint(),
        }
    }
}

/// Pieces of a stream that wait for a slow reader; then its producer waits. Two hide the hand-over, more only hold memory.
const PIECES_MAX: usize = 2;

/// A body whose pieces a task makes; it ends when the task drops the sender, or breaks off when the task sends `None`.
#[derive(Debug)]
pub struct StreamBody(mpsc::Receiver<Option<Bytes>>);

/// Where a stream's task puts its pieces. `None` breaks the connection off, so that half a stream never looks whole.
pub type Pieces = mpsc::Sender<Option<Bytes>>;

/// An empty stream and its inlet.
pub fn stream() -> (Pieces, StreamBody) {
    let (pieces, receiver) = mpsc::channel(PIECES_MAX);
    (pieces, StreamBody(receiver))
}

/// The stream could not be finished.
#[derive(Debug)]
pub struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the stream could not be finished")
    }
}

impl std::error::Error for BrokenOff {}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data).ok_or(BrokenOff)))
    }
}

/// A handler cannot fail: every problem is an answer.
pub type Infallibly<T> = Result<T, Infallible>;
