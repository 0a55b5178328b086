//! One end of a connection: bytes over the simulated network, and what befalls them at this end.

use super::carriers::Carrier;
use super::link::Treatment;
use super::process::Process;
use super::scene::Ends;
use super::stage::stage_of;
use crate::fault::FaultKind;
use doorbuster_runtime::env::{Env, Gate};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use turmoil::net::TcpStream;

/// A slow reader takes so many bytes at a time,
const TRICKLE_BYTES: usize = 64;
/// and pauses for this long between two of them.
const TRICKLE_PAUSE: Duration = Duration::from_millis(30);

/// See the module.
pub struct Stream {
    process: Arc<Process>,
    peer: Arc<str>,
    own: SocketAddr,
    other: SocketAddr,
    /// Whether this end opened it.
    is_client: bool,
    /// Its number among the connections of its process.
    number: u64,
    carrier: Carrier,
    /// A segment was lost: what is written behind it will never be read.
    has_hole: bool,
    gate: Option<Gate>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// A connection that this host opened.
    pub fn opened(process: Arc<Process>, peer: &str, carrier: TcpStream) -> Stream {
        Stream::new(process, peer, true, carrier)
    }

    /// A connection that came to this host.
    pub fn accepted(process: Arc<Process>, peer: &str, carrier: TcpStream) -> Stream {
        Stream::new(process, peer, false, carrier)
    }

    fn new(process: Arc<Process>, peer: &str, is_client: bool, carrier: TcpStream) -> Stream {
        let own = carrier.local_addr().expect("a connection has two ends");
        let other = carrier.peer_addr().expect("a connection has two ends");
        let (peer, (number, carrier)) = (Arc::from(peer), process.carriers.open(carrier));
        Stream { process, peer, own, other, is_client, number, carrier, has_hole: false, gate: None, pause: None }
    }

    fn ends(&self) -> Ends<'_> {
        Ends { own: self.own, other: self.other, peer: &self.peer, is_client: self.is_client }
    }

    fn treatments(&self) -> Vec<(FaultKind, Treatment)> {
        let (client, server) = match self.is_client {
            true => (&self.process.name, &self.peer),
            false => (&self.peer, &self.process.name),
        };
        self.process.scene.state().treatments(client, server).collect()
    }

    /// A process that stands still neither reads nor writes.
    fn poll_gate(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.gate.is_none() {
            self.gate = self.process.gate();
        }
        if let Some(gate) = &mut self.gate {
            ready!(gate.as_mut().poll(context));
            self.gate = None;
        }
        Poll::Ready(())
    }

    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(())
    }

    fn carry<T>(&self, poll: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.carrier.lock().expect("no holder of this lock panics").as_mut() {
            Some(carrier) => poll(Pin::new(carrier)),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn is_broken(&self) -> bool {
        self.carrier.lock().expect("no holder of this lock panics").is_none()
    }

    fn tear(&self) {
        drop(self.carrier.lock().expect("no holder of this lock panics").take());
    }

    /// How many of these bytes leave, and what becomes of the connection then.
    fn befall(&mut self, bytes: &[u8]) -> Fate {
        let treatments = self.treatments();
        if treatments.is_empty() {
            return Fate::Sent;
        }
        let stage = stage_of(&self.process.name, &self.peer, self.is_client, bytes);
        let mut state = self.process.scene.state();
        let mut fate = Fate::Sent;
        for (fault, treatment) in treatments {
            let struck = match treatment {
                Treatment::Slow(_) | Treatment::Hold | Treatment::Refuse => true,
                Treatment::SwallowRequests => self.is_client,
                Treatment::Lose(permille) => state.happens(permille),
                Treatment::Break(permille) => state.happens(permille),
                Treatment::LoseReply(_) | Treatment::Trickle => false,
            };
            if struck {
                state.faults.take_effect(fault, stage);
                match treatment {
                    Treatment::Lose(_) => fate = Fate::Lost,
                    Treatment::Break(_) => fate = Fate::Torn,
                    Treatment::Slow(_)
                    | Treatment::Hold
                    | Treatment::Refuse
                    | Treatment::SwallowRequests
                    | Treatment::LoseReply(_)
                    | Treatment::Trickle => {}
                }
            }
        }
        fate
    }

    /// Whether this answer is lost on its last millimetre.
    fn is_reply_lost(&self, bytes: &[u8]) -> bool {
        if !self.is_client {
            return false;
        }
        self.treatments().into_iter().any(|(fault, treatment)| {
            let Treatment::LoseReply(permille) = treatment else { return false };
            let mut state = self.process.scene.state();
            let lost = state.happens(permille);
            if lost {
                state.faults.take_effect(fault, stage_of(&self.peer, &self.process.name, false, bytes));
            }
            lost
        })
    }

    fn trickles(&self) -> Option<FaultKind> {
        let slow = |(fault, treatment)| (treatment == Treatment::Trickle).then_some(fault);
        self.treatments().into_iter().find_map(slow)
    }
}

/// What becomes of written bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Sent,
    Lost,
    Torn,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.process.carriers.close(self.number);
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_gate(context));
        if self.has_hole {
            return Poll::Ready(Ok(bytes.len()));
        }
        if self.process.dies_now() {
            // Nobody wakes the dead.
            return Poll::Pending;
        }
        let fate = if self.is_broken() { Fate::Sent } else { self.befall(bytes) };
        let bytes = match fate {
            Fate::Sent => bytes,
            Fate::Lost => {
                self.has_hole = true;
                return Poll::Ready(Ok(bytes.len()));
            }
            Fate::Torn => &bytes[..bytes.len() / 2],
        };
        let written = match ready!(self.carry(|carrier| carrier.poll_write(context, bytes))) {
            Ok(written) => written,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let at_us = self.process.scene.now_us();
        let who = (&self.process.name, self.process.number);
        self.process.scene.state().note_sent(at_us, who, self.ends(), &bytes[..written]);
        if fate == Fate::Torn {
            self.tear();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.carry(|carrier| carrier.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A broken one has ended already.
        if self.is_broken() { Poll::Ready(Ok(())) } else { self.carry(|carrier| carrier.poll_shutdown(context)) }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_gate(context));
        ready!(self.poll_pause(context));
        let before = buffer.filled().len();
        let slow = self.trickles();
        let outcome = match slow {
            None => ready!(self.carry(|carrier| carrier.poll_read(context, buffer))),
            Some(_) => {
                let mut few = [0; TRICKLE_BYTES];
                let mut part = ReadBuf::new(&mut few[..TRICKLE_BYTES.min(buffer.remaining())]);
                let outcome = ready!(self.carry(|carrier| carrier.poll_read(context, &mut part)));
                buffer.put_slice(part.filled());
                outcome
            }
        };
        outcome?;
        let count = buffer.filled().len() - before;
        if count == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(fault) = slow {
            self.pause = Some(Box::pin(tokio::time::sleep(TRICKLE_PAUSE)));
            self.process.scene.take_effect(fault, "bytes not read");
        }
        if self.is_reply_lost(&buffer.filled()[before..]) {
            buffer.set_filled(before);
            self.tear();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let at_us = self.process.scene.now_us();
        let mut state = self.process.scene.state();
        state.trace.feed(at_us, self.process.number, count as u64);
        state.note_delivered(at_us, &self.process.name, self.ends(), count);
        Poll::Ready(Ok(()))
    }
}
