//! ICMP echo by surge-ping: the portable backend. One socket per address family, datagram first, raw second.

use crate::clock::Clock;
use crate::probe::privilege::{Mode, Privileges};
use crate::probe::{Prober, duration};
use everypath_protocol::time::{MonoTime, Span};
use everypath_protocol::window::{NotMeasured, ProbeOutcome};
use mesh_agent_core::effect::ProbeRequest;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};
use tokio::sync::watch;

/// As ping sends it: 8 bytes of header and 56 of data.
const PAYLOAD: [u8; 56] = [0; 56];
/// A forbidden socket is tried again this often, so that an operator who allows it need not restart the agent.
const RETRY_AFTER: Span = Span::seconds(10);
/// The same complaint is logged this often.
const COMPLAIN_AFTER: Span = Span::seconds(60);

/// Sends ICMP echo requests.
#[derive(Debug)]
pub struct IcmpProber {
    v4: Family,
    v6: Family,
    privileges: watch::Sender<Privileges>,
    sequence: Cell<u16>,
    identifier: PingIdentifier,
    complained: Cell<Option<MonoTime>>,
    clock: Clock,
}

#[derive(Default)]
struct Family {
    client: RefCell<Option<Client>>,
    tried: Cell<Option<MonoTime>>,
    mode: RefCell<Mode>,
}

impl std::fmt::Debug for Family {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Family({:?})", self.mode.borrow())
    }
}

impl IcmpProber {
    /// Opens both sockets and tells what was allowed.
    pub fn new(clock: Clock, privileges: watch::Sender<Privileges>) -> Self {
        // Raw sockets see the replies to every ping of the host; a random number tells ours.
        let identifier = crate::identity::random::<2>().map_or(0x4550, u16::from_be_bytes);
        let prober = Self {
            v4: Family::default(),
            v6: Family::default(),
            privileges,
            sequence: Cell::new(0),
            identifier: PingIdentifier(identifier),
            complained: Cell::new(None),
            clock,
        };
        prober.open(ICMP::V4);
        prober.open(ICMP::V6);
        if let Some(advice) = prober.privileges.borrow().advice() {
            tracing::error!("{advice}");
        }
        prober
    }

    const fn family(&self, kind: ICMP) -> &Family {
        match kind {
            ICMP::V4 => &self.v4,
            ICMP::V6 => &self.v6,
        }
    }

    fn open(&self, kind: ICMP) {
        let family = self.family(kind);
        family.tried.set(Some(self.clock.mono()));
        let mode = match Client::new(&Config::builder().kind(kind).build()) {
            Ok(client) => {
                let is_raw = client.get_socket().get_type() == socket2::Type::RAW;
                *family.client.borrow_mut() = Some(client);
                if is_raw { Mode::Raw } else { Mode::Datagram }
            }
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => Mode::NotPermitted,
            Err(why) => Mode::Unavailable(why.to_string()),
        };
        *family.mode.borrow_mut() = mode;
        let now = Privileges { icmp_v4: self.v4.mode.borrow().clone(), icmp_v6: self.v6.mode.borrow().clone() };
        self.privileges.send_if_modified(|before| std::mem::replace(before, now.clone()) != now);
    }

    /// The socket for an address, opened again now and then if it was refused before.
    fn client(&self, kind: ICMP) -> Result<Client, NotMeasured> {
        let family = self.family(kind);
        if family.client.borrow().is_none() && self.is_over(family.tried.get(), RETRY_AFTER) {
            self.open(kind);
        }
        let reason = match *family.mode.borrow() {
            Mode::Unavailable(_) => NotMeasured::SendFailed,
            Mode::NotTried | Mode::Datagram | Mode::Raw | Mode::NotPermitted => NotMeasured::NotPermitted,
        };
        family.client.borrow().clone().ok_or(reason)
    }

    fn is_over(&self, since: Option<MonoTime>, pause: Span) -> bool {
        since.is_none_or(|since| self.clock.mono().since(since) >= pause)
    }

    fn next_sequence(&self) -> PingSequence {
        let next = self.sequence.get().wrapping_add(1);
        self.sequence.set(next);
        PingSequence(next)
    }

    /// The host refused to send. That says nothing about the path, but somebody should know.
    fn send_failed(&self, address: IpAddr, why: &io::Error) -> ProbeOutcome {
        if self.is_over(self.complained.get(), COMPLAIN_AFTER) {
            self.complained.set(Some(self.clock.mono()));
            let reasons = [
                (io::ErrorKind::NetworkUnreachable, "this host has no route to the target"),
                (io::ErrorKind::HostUnreachable, "the target's last hop does not answer to this host"),
                (io::ErrorKind::NetworkDown, "the interface towards the target is down"),
            ];
            let known = reasons.iter().find(|(kind, _)| *kind == why.kind());
            let what = known.map_or("this host refused to send a probe", |(_, what)| what);
            tracing::warn!(pair.target = %address, %why, "{what}; the probe counts as not measured");
        }
        ProbeOutcome::NotMeasured(NotMeasured::SendFailed)
    }
}

impl Prober for IcmpProber {
    async fn probe(&self, request: ProbeRequest) -> ProbeOutcome {
        let kind = match request.address {
            IpAddr::V4(_) => ICMP::V4,
            IpAddr::V6(_) => ICMP::V6,
        };
        let client = match self.client(kind) {
            Ok(client) => client,
            Err(why) => return ProbeOutcome::NotMeasured(why),
        };
        let mut pinger = client.pinger(request.address, self.identifier).await;
        pinger.timeout(duration(request.timeout));
        match pinger.ping(self.next_sequence(), &PAYLOAD).await {
            Ok((packet, rtt)) if is_reply(&packet) => {
                // surge-ping takes the sending time after sending, so a reply on loopback can seem to come before it.
                let rtt_us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).max(1);
                ProbeOutcome::Replied { rtt_us }
            }
            // A router said that the request cannot arrive.
            Ok(_) | Err(SurgeError::Timeout { .. }) => ProbeOutcome::Lost,
            Err(SurgeError::IOError(why)) => self.send_failed(request.address, &why),
            // Two probes of one target with one sequence number: 65,536 would have to be under way.
            Err(SurgeError::IdenticalRequests { .. }) => ProbeOutcome::NotMeasured(NotMeasured::Overload),
            Err(
                SurgeError::IncorrectBufferSize
                | SurgeError::MalformedPacket(_)
                | SurgeError::EchoRequestPacket
                | SurgeError::NetworkError
                | SurgeError::ClientDestroyed,
            ) => ProbeOutcome::NotMeasured(NotMeasured::Stalled),
        }
    }
}

fn is_reply(packet: &IcmpPacket) -> bool {
    // RFC 792 and RFC 4443: the types of an echo reply.
    match packet {
        IcmpPacket::V4(packet) => packet.get_icmp_type().0 == 0,
        IcmpPacket::V6(packet) => packet.get_icmpv6_type().0 == 129,
    }
}
