//! What services are asked and what they do: requests arrive, times come, effects are taken.

use super::world::{Address, Answer, Happening, Request, World};
use crate::fault::FaultKind;
use crate::services::{ServiceEffect, ServiceEvent};
use crate::trace::Kind;
use doorbuster_core::machine::Machine;
use doorbuster_core::time::Mono;

impl World {
    pub(super) fn arrived(&mut self, call: u64, request: Request) {
        let now = self.clock();
        let address = request.address();
        if self.trace.keeps_lines() {
            let name = self.service_name(address);
            self.tell(&name, Kind::Delivered, Some(call), || request.describe());
        }
        match request {
            Request::Database(request) => {
                let mut out = Vec::new();
                self.database.step(now, ServiceEvent::Asked { call, request }, &mut out);
                self.serve(address, out, Answer::Database);
            }
            Request::Broker(request) => {
                let mut out = Vec::new();
                self.broker.step(now, ServiceEvent::Asked { call, request }, &mut out);
                self.serve(address, out, Answer::Broker);
            }
            // What a dead process asked itself for died with it.
            Request::Node(..) if self.setup.embedded && !self.waits(call) => {}
            Request::Node(_, request) if self.platform.serves(&request) => {
                super::embedded::step(self, ServiceEvent::Asked { call, request });
            }
            Request::Node(n, request) => {
                let mut out = Vec::new();
                let shard = request.shard().filter(|_| request.writes());
                self.nodes[n].step(now, ServiceEvent::Asked { call, request }, &mut out);
                self.serve(address, out, Answer::Node);
                super::watch::memory(self, n, shard);
            }
            Request::Provider(request) => {
                let mut out = Vec::new();
                self.provider.step(now, ServiceEvent::Asked { call, request }, &mut out);
                self.serve(address, out, Answer::Provider);
            }
            Request::Search(request) => {
                let mut out = Vec::new();
                self.search.step(now, ServiceEvent::Asked { call, request }, &mut out);
                self.serve(address, out, Answer::Search);
            }
            Request::Edge(host, request) => super::edge::arrived(self, host, call, request),
        }
    }

    pub(super) fn service_woken(&mut self, address: Address) {
        if self.service_wakes.get(&address).is_some_and(|planned| *planned > self.now_us) {
            // An earlier plan's: the service waits for something else now, and that is on the heap too.
            return;
        }
        self.service_wakes.remove(&address);
        let now = self.clock();
        match address {
            Address::Database => {
                let mut out = Vec::new();
                self.database.step(now, ServiceEvent::Woken, &mut out);
                self.serve(address, out, Answer::Database);
            }
            Address::Broker => {
                let mut out = Vec::new();
                self.broker.step(now, ServiceEvent::Woken, &mut out);
                self.serve(address, out, Answer::Broker);
            }
            Address::Node(n) => {
                let mut out = Vec::new();
                self.nodes[n].step(now, ServiceEvent::Woken, &mut out);
                self.serve(address, out, Answer::Node);
                super::embedded::step(self, ServiceEvent::Woken);
            }
            Address::Provider => {
                let mut out = Vec::new();
                self.provider.step(now, ServiceEvent::Woken, &mut out);
                self.serve(address, out, Answer::Provider);
            }
            Address::Search => {
                let mut out = Vec::new();
                self.search.step(now, ServiceEvent::Woken, &mut out);
                self.serve(address, out, Answer::Search);
            }
            Address::Host(_) => {}
        }
    }

    /// Takes what a service did, and sees to its next waking.
    pub fn serve<R>(&mut self, address: Address, effects: Vec<ServiceEffect<R>>, wrap: fn(R) -> Answer) {
        for effect in effects {
            match effect {
                ServiceEffect::Answered { call, reply } => self.respond(call, wrap(reply)),
                ServiceEffect::Dropped { call } => self.drop_call(call),
                ServiceEffect::Probed(probe) => super::watch::probe(self, address, probe),
                ServiceEffect::Bitten(kind, stage) => {
                    self.durable_lost |= matches!(kind, FaultKind::K4 | FaultKind::K10);
                    self.faults.take_effect(kind, stage);
                }
                ServiceEffect::Committed(commit) => {
                    super::watch::committed(self, &commit);
                    super::embedded::committed(self, &commit);
                }
            }
        }
        for notice in std::mem::take(&mut self.provider.due) {
            super::edge::notify(self, notice);
        }
        for node in 0..self.nodes.len() {
            for news in std::mem::take(&mut self.nodes[node].news) {
                super::catalog::heard(self, node, news);
            }
        }
        for document in std::mem::take(&mut self.search.news) {
            super::watch::shown(self, &document);
        }
        self.plan_service_wake(address);
    }

    fn plan_service_wake(&mut self, address: Address) {
        let wake = match address {
            Address::Database => self.database.wake_at(),
            Address::Broker => self.broker.wake_at(),
            Address::Node(n) => self.nodes[n].wake_at().into_iter().chain(self.platform.wake_at()).min(),
            Address::Provider => self.provider.wake_at(),
            Address::Search => self.search.wake_at(),
            Address::Host(_) => None,
        };
        let Some((Mono(at_us), _)) = wake else { return };
        let at_us = at_us.max(self.now_us + 1);
        if self.service_wakes.get(&address).is_none_or(|planned| *planned > at_us) {
            self.service_wakes.insert(address, at_us);
            self.at(at_us, Happening::ServiceWake(address));
        }
    }
}
