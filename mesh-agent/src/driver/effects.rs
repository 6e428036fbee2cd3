//! Doing what the agent asks, each thing by whom it concerns.

use super::Driver;
use crate::net::supervisor::Command;
use crate::uplink::Job;
use everypath_protocol::id::AgentId;
use everypath_protocol::sign;
use everypath_protocol::window::{NotMeasured, ProbeOutcome};
use mesh_agent_core::effect::UploadResult;
use mesh_agent_core::{Anomaly, Effect, Input};

/// What happened, what the agent does about it, and what a person should.
pub(super) const fn story(anomaly: Anomaly) -> &'static str {
    match anomaly {
        Anomaly::UnknownProbe => "a probe ended that was not under way; its outcome is not counted",
        Anomaly::UnknownUpload => "an upload ended that was not under way; its answer is not used",
        Anomaly::AckAhead => {
            "the aggregator has results that this agent does not know to have sent: this disk is a copy, or came back from a \
             backup. What waits here is sent again under new numbers, marked as renumbered, and some of it may be stored twice. \
             If another host runs with a copy of this data directory, stop one of the two and let it join anew"
        }
        Anomaly::AckBehind => {
            "the aggregator forgot what it had acknowledged: its database was restored from a backup, or replaced. What waits \
             here is sent again under new numbers; what was acknowledged and is not in the backup is lost, and the \
             aggregator's audit names it (aggregator audit streams)"
        }
        Anomaly::UselessStatement => "a statement said nothing new",
        Anomaly::ClockStepped => {
            "the clock of this host was set; what is being measured goes under the new time, what is stored keeps the old one"
        }
        Anomaly::OwnRecordFromElsewhere => {
            "somebody else speaks with this agent's key: this disk came back from a backup, or another host runs with a copy \
             of this data directory. This agent goes on and outdoes what the other one said; if there is another one, stop it \
             and let it join anew with an empty data directory"
        }
    }
}

impl Driver {
    pub(super) async fn perform_all(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            self.perform(effect).await;
        }
        // Signing may not add effects by itself, so the emptied vector is the one to use again.
        self.effects = effects;
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Dial { agent, addresses } => {
                self.mesh(Command::Dial { agent, addresses }, Some(Input::DialFailed(agent)));
            }
            Effect::Disconnect(agent) => self.mesh(Command::Disconnect(agent), None),
            Effect::Compare { to, first, last, holdings } => {
                self.mesh(Command::Compare { to, first, last, holdings }, Some(Input::ExchangeFailed(to)));
            }
            Effect::Give { to, documents } => {
                self.mesh(Command::Give { to, documents }, Some(Input::ExchangeFailed(to)));
            }
            Effect::Respond { ticket, newer, wanted } => self.mesh(Command::Respond { ticket, newer, wanted }, None),
            Effect::SignMember(record) => {
                let signed = sign::seal(record, self.mesh, self.key.as_ref());
                self.outlets.own.send_replace(Some(signed.signed().clone()));
                self.answered.push_back(Input::MemberSigned(signed));
            }
            Effect::SignRow(row) => {
                self.answered.push_back(Input::RowSigned(sign::seal(row, self.mesh, self.key.as_ref())));
            }
            Effect::RememberMember(member) => self.outlets.store.remember(member),
            Effect::StartProbe(request) => {
                if self.outlets.probes.try_send(request).is_err() {
                    self.metrics.queue_full.with_label_values(&["probes"]).inc();
                    let outcome = ProbeOutcome::NotMeasured(NotMeasured::Overload);
                    self.metrics.probes.with_label_values(&[NotMeasured::Overload.name()]).inc();
                    self.answered.push_back(Input::ProbeFinished { probe: request.probe, outcome });
                }
            }
            Effect::Persist(op) => self.outlets.store.persist(op).await,
            Effect::Upload { epoch, first, last, is_backlog } => {
                self.upload(Job { epoch, first, last, is_backlog });
            }
            Effect::CheckIn => {
                if self.outlets.settings.check_ins.try_send(()).is_err() {
                    self.metrics.queue_full.with_label_values(&["check_ins"]).inc();
                    self.answered.push_back(Input::CheckedIn(UploadResult::Unreachable));
                }
            }
            Effect::Configured { version } => {
                self.metrics.configs.version.set(i64::try_from(version).unwrap_or(i64::MAX));
                self.outlets.settings.running.send_replace(version);
            }
            Effect::Resolve(wishes) => drop(self.outlets.settings.wishes.send_replace(wishes)),
            Effect::CellChanged { target, from, to } => {
                self.metrics.cell_changes.with_label_values(&[to.name()]).inc();
                let (from, to) = (from.name(), to.name());
                tracing::info!(pair.target = self.called(&target), from, to, "a cell changed");
            }
            Effect::Anomaly(anomaly) => {
                self.metrics.anomalies.with_label_values(&[anomaly.name()]).inc();
                // Hearing the same thing twice is what gossip does; the others are worth a look.
                if anomaly == Anomaly::UselessStatement {
                    tracing::debug!(kind = anomaly.name(), "{}", story(anomaly));
                } else {
                    tracing::warn!(kind = anomaly.name(), "{}", story(anomaly));
                }
            }
        }
    }

    /// How people call it; whom nobody knows by name, by the beginning of its key.
    pub(super) fn called(&self, target: &AgentId) -> String {
        self.agent.name_of(target).map_or_else(|| target.short(), str::to_owned)
    }

    /// Hands an order to the network; if it cannot take it, the agent hears of the failure at once.
    fn mesh(&mut self, command: Command, failure: Option<Input>) {
        if self.outlets.mesh.try_send(command).is_err() {
            self.metrics.queue_full.with_label_values(&["mesh"]).inc();
            self.answered.extend(failure);
        }
    }

    fn upload(&mut self, job: Job) {
        match self.outlets.uploads.try_send(job) {
            Ok(()) => self.uploads_under_way += 1,
            Err(_) => {
                self.metrics.queue_full.with_label_values(&["uploads"]).inc();
                let result = UploadResult::Unreachable;
                self.answered.push_back(Input::UploadFinished { epoch: job.epoch, result });
            }
        }
    }
}
