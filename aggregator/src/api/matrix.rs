//! The matrix of now, for programs that ask once.

use super::agents::ENDPOINT_SITE;
use super::{ApiError, Problem};
use crate::app::Shared;
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::AgentRow;
use aggregator_core::live;
use aggregator_core::matrix::{ShownCell, state_name};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An agent as the matrix names it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "index": 0, "id": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", "name": "alpha-1", "site": "alpha",
}))]
pub struct MatrixAgent {
    /// Row and column.
    pub index: u32,
    /// Public key.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub site: String,
}

/// One ordered pair.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "source": 0, "target": 1, "state": "ok", "loss_permille": 0, "rtt_us": 412, "measured_at": "2026-11-23T00:00:00Z",
}))]
pub struct Cell {
    /// Index of the agent that measures.
    pub source: u32,
    /// Index of the agent that is measured.
    pub target: u32,
    /// How the pair is.
    pub state: StateName,
    /// Lost probes of the last minute, in thousandths; rounded up to a multiple of 4.
    #[schema(required)]
    pub loss_permille: Option<u16>,
    /// Median round-trip time of the last minute, in microseconds.
    #[schema(required)]
    pub rtt_us: Option<u32>,
    /// End of the newest evidence.
    #[schema(required)]
    pub measured_at: Option<String>,
}

/// The word for a state.
#[derive(Clone, Copy, Debug)]
pub struct StateName(u8);

impl Serialize for StateName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(state_name(self.0))
    }
}

impl utoipa::PartialSchema for StateName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .enum_values(Some((0..=6).map(state_name)))
            .examples([state_name(0)])
            .into()
    }
}

impl ToSchema for StateName {}

/// The whole matrix; only pairs that were ever measured.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "generation": 7, "sequence": 3_120, "at": "2026-11-23T00:00:01Z",
    "agents": [
        {"index": 0, "id": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", "name": "alpha-1", "site": "alpha"},
        {"index": 1, "id": "43a72e714401762df66b68c26dfbdf2682aaec9f2474eca4613e424a0fbafd3c", "name": "beta-1", "site": "beta"},
    ],
    "cells": [{
        "source": 0, "target": 1, "state": "ok", "loss_permille": 0, "rtt_us": 412, "measured_at": "2026-11-23T00:00:00Z",
    }],
}))]
pub struct Matrix {
    /// Changes when the list of agents does.
    pub generation: u64,
    /// Of the last live frame that this contains.
    pub sequence: u64,
    /// When this was so.
    pub at: String,
    /// In order of their index.
    pub agents: Vec<MatrixAgent>,
    /// Row by row.
    pub cells: Vec<Cell>,
}

/// The matrix of now: as packed bytes for `Accept: application/vnd.everypath.matrix`, else as JSON.
///
/// # Errors
/// 401 without a session or an API token, 403 for a token without the scope `read`.
#[utoipa::path(
    get, path = "/api/v1/matrix", operation_id = "matrix_now", tag = "mesh",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The matrix. docs/reference/live-protocol.md describes the bytes.", content(
            (Matrix = "application/json"),
            (Vec<u8> = "application/vnd.everypath.matrix"),
        )),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn now(State(app): State<Shared>, actor: Actor, headers: HeaderMap) -> Result<Response, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepts.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with(live::CONTENT_TYPE)) {
        let snapshot = app.hub.snapshot().await?;
        return Ok(([(header::CONTENT_TYPE, live::CONTENT_TYPE)], snapshot).into_response());
    }
    let picture = app.hub.picture().await?;
    let current = app.configs.current();
    let config = &current.document;
    let place = |row: &AgentRow| config.subject(row.id, &row.name, &row.site).site.to_owned();
    let members = app.store.agents().await?.into_iter().map(|row| (row.id, (row.name.clone(), place(&row))));
    let endpoints = current.endpoints(app.mesh.id());
    let endpoints = endpoints.map(|(id, endpoint)| (id, (endpoint.name.clone(), ENDPOINT_SITE.to_owned())));
    let mut names: BTreeMap<_, _> = members.chain(endpoints).collect();
    let agents = (0..).zip(picture.agents).map(|(index, id)| {
        let (name, site) = names.remove(&id).unwrap_or_default();
        MatrixAgent { index, id: id.to_string(), name, site }
    });
    let matrix = Matrix {
        generation: picture.moment.generation,
        sequence: picture.moment.sequence,
        at: rfc3339(picture.moment.at),
        agents: agents.collect(),
        cells: picture.cells.into_iter().map(cell).collect(),
    };
    Ok(Json(matrix).into_response())
}

fn cell(shown: ShownCell) -> Cell {
    Cell {
        source: shown.source,
        target: shown.target,
        state: StateName(shown.packed.state),
        loss_permille: shown.packed.loss_permille(),
        rtt_us: shown.packed.rtt_us(),
        measured_at: shown.ended.map(rfc3339),
    }
}
