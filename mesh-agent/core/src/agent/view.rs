//! What the agent knows, for people: it changes nothing.

use super::Agent;
use crate::matrix::{EndpointView, MemberView, View};
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::id::AgentId;
use everypath_protocol::mesh_config::plan::endpoint_id;
use everypath_protocol::sign::Verified;
use everypath_protocol::time::Now;
use everypath_protocol::trust::Certificate;

impl Agent {
    /// What the agent knows of itself and others, for the loopback page and the terminal.
    pub fn view(&self, now: Now) -> View {
        let config = self.config.as_deref().map(Verified::document);
        let place = |agent: &AgentId, certificate: &Certificate| match config {
            Some(config) => String::from(config.subject(*agent, &certificate.name, &certificate.site).site),
            None => certificate.site.clone(),
        };
        let mut members: Vec<MemberView> = self
            .membership
            .members()
            .iter()
            .map(|(agent, member)| {
                let (row_at, cells) = self.rows.shown(agent, now);
                MemberView {
                    agent: *agent,
                    name: member.certificate.name.clone(),
                    site: place(agent, &member.certificate),
                    program: member.record.document().program.clone(),
                    is_connected: member.is_connected,
                    row_at,
                    cells,
                }
            })
            .collect();
        members.push(MemberView {
            agent: self.params.agent,
            name: self.own.name.clone(),
            site: place(&self.params.agent, &self.own),
            program: self.params.program.clone(),
            is_connected: true,
            row_at: Some(now.wall),
            cells: self.schedule.cells(),
        });
        members.sort_by(|one, other| (&one.site, &one.name).cmp(&(&other.site, &other.name)));
        let (probes, not_measured) = self.schedule.counts();
        View {
            agent: self.params.agent,
            members,
            endpoints: self.endpoint_views(),
            config_version: config.map_or(0, |config| config.version),
            config_made: config.map(|config| config.made),
            pace: self.pace,
            epochs: self.outbox.view(),
            buffered_bytes: self.outbox.bytes(),
            dropped_records: self.outbox.dropped(),
            dropped_by_reason: self.outbox.dropped_by_reason(),
            unpersisted_blocks: self.outbox.unpersisted(),
            unpersisted_bytes: self.outbox.unpersisted_bytes(),
            not_measured,
            probes,
            acked_at: self.uploader.acked_at().map(|(_, wall)| wall),
        }
    }

    fn endpoint_views(&self) -> Vec<EndpointView> {
        let config = self.config.as_deref().map(Verified::document);
        let mesh = &self.params.certificate.mesh;
        let shown = config.into_iter().flat_map(|config| &config.endpoints).map(|endpoint| {
            let id = endpoint_id(mesh, &endpoint.name);
            let (name, address) = (endpoint.name.clone(), endpoint.address.clone());
            EndpointView { endpoint: id, name, address, found: self.endpoints.address(&id) }
        });
        shown.collect()
    }

    /// What a member or an endpoint is called, if it is known here.
    pub fn name_of(&self, target: &AgentId) -> Option<&str> {
        if *target == self.params.agent {
            return Some(&self.own.name);
        }
        let member = self.membership.members().get(target).map(|member| member.certificate.name.as_str());
        let endpoints = self.config.as_deref().into_iter().flat_map(|config| &config.document().endpoints);
        let named = endpoints.map(|endpoint| &endpoint.name);
        member.or_else(|| {
            named
                .into_iter()
                .find(|name| endpoint_id(&self.params.certificate.mesh, name) == *target)
                .map(String::as_str)
        })
    }
}
