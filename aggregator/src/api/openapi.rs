//! The description of the API, for programs that write clients.

use super::{
    ApiError, agents, alert_rules, api_tokens, audit, channels, config, hello, incidents, ingest, join, join_tokens,
    live, matrix, password, report_schedules, reports, retention, series, session, silences, system, users,
};
use crate::guard::{Action, Actor, Resource, authorize};
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi as _;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Ref, RefOr};

/// Everything under `/api/v1`.
#[derive(Debug, utoipa::OpenApi)]
#[openapi(
    info(
        title = "Everypath aggregator",
        version = "1",
        description = "Errors are problem details (RFC 9457) with a `code` that never changes its meaning. Times are RFC 3339 in UTC. \
                       With the cookie, requests that change something need the header `X-Everypath-Request: 1`.",
    ),
    paths(
        session::create, session::show, session::delete, password::redeem, password::change,
        users::list, users::create, users::change, users::delete, users::invite,
        api_tokens::list, api_tokens::create, api_tokens::delete, audit::list, agents::list, matrix::now, live::live,
        join_tokens::list, join_tokens::create, join_tokens::delete, system::show,
        series::series, reports::availability, retention::show, retention::set,
        incidents::list, incidents::show, incidents::acknowledge, incidents::take_back,
        alert_rules::list, alert_rules::create, alert_rules::replace, alert_rules::delete,
        silences::list, silences::create, silences::replace, silences::delete,
        report_schedules::list, report_schedules::create, report_schedules::replace, report_schedules::delete, report_schedules::send,
        channels::list, channels::create, channels::replace, channels::delete, channels::test, channels::deliveries,
        config::show, config::set, config::versions::agents, config::versions::list, config::versions::show,
        config::versions::rollback,
        ingest::ingest, hello::hello, join::join, document,
    ),
    tags(
        (name = "session", description = "Logging in and out."),
        (name = "mesh", description = "What people and their programs ask."),
        (name = "people", description = "Accounts, API tokens, and who did what."),
        (name = "config", description = "What the mesh measures."),
        (name = "settings", description = "What can be changed while the program runs."),
        (name = "system", description = "How the aggregator fares."),
        (name = "reports", description = "Reports that are sent again and again."),
        (name = "alerts", description = "Incidents, and who is told of them."),
        (name = "agents", description = "What agents ask. Requests carry their own signatures."),
        (name = "about", description = "The API itself."),
    ),
    modifiers(&Schemes, &CommonRefusals),
)]
struct Description;

struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(crate::auth::COOKIE)));
        components.add_security_scheme("session", cookie);
        components.add_security_scheme("api_token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// What every route refuses alike, so that no route has to say it: a body in JSON that is none, is too large or too much, a database
/// that is away.
struct CommonRefusals;

impl utoipa::Modify for CommonRefusals {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for item in openapi.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                let takes_json = matches!(&operation.request_body, Some(RefOr::T(body)) if body.content.contains_key("application/json"));
                let of_bodies =
                    [("400", "`unreadable_json`"), ("413", "`body_too_large`"), ("415", "`unsupported_media_type`")];
                let of_all = [("503", "`busy`; Retry-After says how long to wait.")];
                let refusals = of_bodies.into_iter().filter(|_| takes_json);
                let refusals = refusals.chain(of_all.into_iter().filter(|_| operation.security.is_some()));
                for (status, description) in refusals {
                    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(description));
                }
            }
        }
    }
}

fn problem(description: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build().into()
}

/// The document as JSON with line ends, as it is committed.
///
/// # Panics
/// Never: the document is made of strings and numbers.
pub fn text() -> String {
    let mut text = Description::openapi().to_pretty_json().expect("the document is made of strings and numbers");
    text.push('\n');
    text
}

/// This document.
///
/// # Errors
/// None; the type is that of every handler.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", operation_id = "openapi", tag = "about",
    responses((status = 200, description = "An OpenAPI document.", body = Object, content_type = "application/json")),
)]
pub async fn document(actor: Actor) -> Result<impl IntoResponse, ApiError> {
    authorize(&actor, Action::ReadPublic, Resource::Program)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text()))
}
