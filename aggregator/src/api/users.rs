//! Accounts of people.

use super::{ApiError, JsonBody, Problem, ROLE_RULE};
use crate::app::{App, Shared};
use crate::auth::{self, Caller, Invited};
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, Role, authorize};
use crate::store::{Changed, UserChange, UserRow};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use everypath_protocol::fault::Fault;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// What a token with scopes is told that would manage somebody who may do more.
const MORE_THAN_ITSELF: &str = "An API token with scopes may not manage administrators; use an account, or a token of the role `admin` without scopes.";

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "ada", "role": "operator", "disabled": false, "has_password": true, "invited_until": null,
    "created_at": "2026-11-22T08:00:00Z", "last_login_at": "2026-11-23T00:00:00Z",
}))]
pub struct User {
    /// What one logs in with.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// Nobody gets in with it.
    pub disabled: bool,
    /// Somebody has chosen a password.
    pub has_password: bool,
    /// Until when a link is good by which somebody chooses a password.
    #[schema(required)]
    pub invited_until: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When somebody last logged in.
    #[schema(required)]
    pub last_login_at: Option<String>,
}

/// All accounts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"users": [{
    "name": "ada", "role": "operator", "disabled": false, "has_password": true, "invited_until": null,
    "created_at": "2026-11-22T08:00:00Z", "last_login_at": "2026-11-23T00:00:00Z",
}]}))]
pub struct Users {
    /// By name.
    pub users: Vec<User>,
}

/// An account that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "ada", "role": "operator"}))]
pub struct NewUser {
    /// 1 to 64 letters, digits, `-`, `_`, `.`, `@` or `+`.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
}

/// What of an account is to be changed; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "viewer", "disabled": false}))]
pub struct UserPatch {
    /// `viewer`, `operator` or `admin`.
    #[serde(default)]
    pub role: Option<String>,
    /// Whether nobody gets in with it.
    #[serde(default)]
    pub disabled: Option<bool>,
}

/// A link by which somebody chooses a password, once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "ada", "secret": "Zm9vYmFy…", "link": "/welcome#Zm9vYmFy…", "expires_at": "2026-11-24T00:00:00Z",
}))]
pub struct InvitationLink {
    /// Of the account.
    pub name: String,
    /// It is shown once; nobody can read it later.
    pub secret: String,
    /// The same as a link, behind the address of the page.
    pub link: String,
    /// Until when.
    pub expires_at: String,
}

/// All accounts. Needs the role `admin`, and of a token the scope `people`.
///
/// # Errors
/// 401 and 403 for whoever may not.
#[utoipa::path(
    get, path = "/api/v1/users", operation_id = "users_list", tag = "people",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "All accounts.", body = Users),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<Shared>, actor: Actor) -> Result<Json<Users>, ApiError> {
    authorize(&actor, Action::ManageUsers, Resource::Mesh)?;
    let users = app.store.users(app.now()).await?.into_iter().map(user).collect();
    Ok(Json(Users { users }))
}

/// Make an account. The answer holds the link by which its owner chooses a password.
///
/// # Errors
/// 400 for a name that no account may have, 401 and 403 for whoever may not, 409 if there is one of that name.
#[utoipa::path(
    post, path = "/api/v1/users", operation_id = "user_create", tag = "people", request_body = NewUser,
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 201, description = "The link, shown this once.", body = InvitationLink),
        (status = 400, description = "`invalid_user` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Shared>,
    caller: Caller,
    body: Result<JsonBody<NewUser>, ApiError>,
) -> Result<(StatusCode, Json<InvitationLink>), ApiError> {
    authorize(&caller.actor, Action::ManageUsers, Resource::Mesh)?;
    let JsonBody(NewUser { name, role }) = body?;
    let mut faults = Vec::new();
    if !auth::is_valid_name(&name) {
        faults.push(Fault::new("name", auth::NAME_RULE));
    }
    let role = Role::from_name(&role);
    if role.is_none() {
        faults.push(Fault::new("role", ROLE_RULE));
    }
    let Some(role) = role.filter(|_| faults.is_empty()) else {
        return Err(ApiError::faulty("invalid_user", &faults));
    };
    may_manage(&caller, role)?;
    let (kept, given) = auth::invitation(app.now());
    let event = caller.event(&app, "user.create", &name).detail(&json!({"role": role.name()}));
    if !app.store.create_user(UserRow::new(name.clone(), role, app.now()), kept, event).await? {
        let detail = "There is an account of this name. Choose another, or make a new link for this one.";
        return Err(ApiError::conflict("name_taken", detail));
    }
    Ok((StatusCode::CREATED, Json(link(name, given))))
}

/// Change the role of an account, disable it or enable it again. Ends its sessions, live connections and links, unless it is so
/// already.
///
/// # Errors
/// 400, 401 and 403 as for making one, 404 if there is none, 409 for the last administrator.
#[utoipa::path(
    patch, path = "/api/v1/users/{name}", operation_id = "user_change", tag = "people", request_body = UserPatch,
    params(("name" = String, Path, description = "Name of the account.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The account from now on.", body = User),
        (status = 400, description = "`invalid_user` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_user`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`last_admin` or `changed_meanwhile`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    body: Result<JsonBody<UserPatch>, ApiError>,
) -> Result<Json<User>, ApiError> {
    authorize(&caller.actor, Action::ManageUsers, Resource::Mesh)?;
    let JsonBody(patch) = body?;
    let role = patch.role.as_deref().map(role_of).transpose()?;
    if role.is_none() && patch.disabled.is_none() {
        return Err(ApiError::fault("invalid_user", "", "send `role`, `disabled` or both"));
    }
    let was = role_of_account(&app, &name).await?;
    may_manage(&caller, was.max(role.unwrap_or(Role::Viewer)))?;
    let detail = json!({"role": role.map(Role::name), "disabled": patch.disabled});
    let event = caller.event(&app, "user.change", &name).detail(&detail);
    let change = UserChange { role, disabled: patch.disabled };
    done(&app, app.store.change_user(&name, Some(was), change, event).await?)?;
    let changed = app.store.users(app.now()).await?.into_iter().find(|user| user.name == name);
    changed.map(|row| Json(user(row))).ok_or_else(unknown)
}

/// Delete an account with its sessions. API tokens that its owner made open nothing from then on.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is none, 409 for the last administrator.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}", operation_id = "user_delete", tag = "people",
    params(("name" = String, Path, description = "Name of the account.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 204, description = "Deleted."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_user`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`last_admin` or `changed_meanwhile`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    authorize(&caller.actor, Action::ManageUsers, Resource::Mesh)?;
    let was = role_of_account(&app, &name).await?;
    may_manage(&caller, was)?;
    let event = caller.event(&app, "user.delete", &name);
    done(&app, app.store.delete_user(&name, Some(was), event).await?)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a link by which the owner of an account chooses a password, for one who lost it. An older link is no longer good; the old
/// password and open sessions are until the new one is used.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is no such account, 409 if it is disabled.
#[utoipa::path(
    post, path = "/api/v1/users/{name}/invitation", operation_id = "user_invite", tag = "people",
    params(("name" = String, Path, description = "Name of the account.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 201, description = "The link, shown this once.", body = InvitationLink),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_user`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`user_disabled` or `changed_meanwhile`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn invite(
    State(app): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<InvitationLink>), ApiError> {
    authorize(&caller.actor, Action::ManageUsers, Resource::Mesh)?;
    let was = role_of_account(&app, &name).await?;
    may_manage(&caller, was)?;
    let (kept, given) = auth::invitation(app.now());
    let event = caller.event(&app, "user.invite", &name);
    done(&app, app.store.invite(&name, Some(was), kept, event).await?)?;
    Ok((StatusCode::CREATED, Json(link(name, given))))
}

/// The role of an account that is to be changed.
async fn role_of_account(app: &App, name: &str) -> Result<Role, ApiError> {
    // What no account can be called is not asked for: a server takes not every text.
    let user = if auth::is_valid_name(name) { app.store.user(name).await? } else { None };
    user.map(|user| user.role).ok_or_else(unknown)
}

/// Whoever gets here may do everything, but a token with scopes only what it is for.
fn may_manage(caller: &Caller, role: Role) -> Result<(), ApiError> {
    if caller.actor.may_manage(role) { Ok(()) } else { Err(ApiError::not_allowed(MORE_THAN_ITSELF)) }
}

fn role_of(word: &str) -> Result<Role, ApiError> {
    Role::from_name(word).ok_or_else(|| ApiError::fault("invalid_user", "role", ROLE_RULE))
}

fn done(app: &App, changed: Changed) -> Result<(), ApiError> {
    match changed {
        Changed::Done => {
            app.rights.send_replace(());
            Ok(())
        }
        Changed::Unknown => Err(unknown()),
        Changed::LastAdmin => {
            let detail = "Nobody would be left who may do everything. Make another account an administrator first.";
            Err(ApiError::conflict("last_admin", detail))
        }
        Changed::Meanwhile => {
            let detail =
                "Somebody else gave the account another role meanwhile; nothing was done. Look at it and try again.";
            Err(ApiError::conflict("changed_meanwhile", detail))
        }
        Changed::Disabled => Err(ApiError::conflict("user_disabled", "The account is disabled; enable it first.")),
    }
}

fn unknown() -> ApiError {
    ApiError::unknown("unknown_user", "There is no account of this name.")
}

fn link(name: String, given: Invited) -> InvitationLink {
    InvitationLink { name, link: given.path(), secret: given.secret, expires_at: rfc3339(given.expires_at) }
}

fn user(row: UserRow) -> User {
    User {
        name: row.name,
        role: row.role.name().to_owned(),
        disabled: row.disabled_at.is_some(),
        has_password: row.password.is_some(),
        invited_until: row.invited_until.map(rfc3339),
        created_at: rfc3339(row.created_at),
        last_login_at: row.last_login_at.map(rfc3339),
    }
}
