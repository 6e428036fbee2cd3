//! Who may do what. Every route names its [`Guard`]; every handler asks [`authorize`] once.

use crate::api::ApiError;
use everypath_protocol::id::AgentId;

/// What a caller must show to reach a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    /// Nothing.
    Public,
    /// A proof of a join token, inside the request; the handler checks it.
    JoinToken,
    /// A signature of a member, inside the request; the handler checks it.
    Agent,
    /// A session or an API token.
    User,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// See whether the program runs, its API's description, the pages.
    ReadPublic,
    /// Begin, look at or end a session.
    UseSession,
    /// Look at agents and the matrix.
    ReadMatrix,
    /// Make join tokens.
    CreateJoinToken,
    /// Change what holds for everybody.
    ChangeSettings,
    /// Become a member.
    Join,
    /// Send results and learn of others.
    Report,
}

/// To what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource<'a> {
    /// The program itself.
    Program,
    /// The caller's own session.
    OwnSession,
    /// The whole mesh.
    Mesh,
    /// What one agent says of itself.
    Agent(&'a AgentId),
}

/// What an account may do; each includes the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Also changes what is measured and answers alerts.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// The word in JSON and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin].into_iter().find(|role| role.name() == name)
    }
}

/// Who asks, as far as the guard or the handler has checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Actor {
    /// Nobody in particular.
    Anonymous,
    /// Somebody who holds a join token.
    Joiner,
    /// A member.
    Agent(AgentId),
    /// Somebody with an account, or a program with an API token.
    User {
        /// Of the account or the token.
        name: String,
        /// What it may do.
        role: Role,
    },
}

/// The one decision. Whoever is not allowed is told why, without a word about whether the thing exists.
///
/// # Errors
/// 401 if the caller might be allowed after logging in, 403 if it is known and not allowed.
pub fn authorize(actor: &Actor, action: Action, resource: Resource<'_>) -> Result<(), ApiError> {
    let allowed = match (action, actor) {
        (Action::ReadPublic | Action::UseSession, _) => true,
        (Action::ReadMatrix, Actor::User { role, .. }) => *role >= Role::Viewer,
        (Action::CreateJoinToken | Action::ChangeSettings, Actor::User { role, .. }) => *role >= Role::Admin,
        (Action::Join, Actor::Joiner) => true,
        // An agent speaks for itself alone.
        (Action::Report, Actor::Agent(agent)) => resource == Resource::Agent(agent),
        (
            Action::ReadMatrix | Action::CreateJoinToken | Action::ChangeSettings,
            Actor::Anonymous | Actor::Joiner | Actor::Agent(_),
        )
        | (Action::Join, Actor::Anonymous | Actor::Agent(_) | Actor::User { .. })
        | (Action::Report, Actor::Anonymous | Actor::Joiner | Actor::User { .. }) => false,
    };
    match actor {
        _ if allowed => Ok(()),
        Actor::Anonymous => Err(ApiError::not_signed_in()),
        Actor::Joiner | Actor::Agent(_) | Actor::User { .. } => Err(ApiError::not_allowed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: AgentId = AgentId([1; 32]);

    fn user(role: Role) -> Actor {
        Actor::User { name: "u".into(), role }
    }

    #[test]
    fn who_may_do_what_is_written_down_once() {
        let actors = [
            Actor::Anonymous,
            Actor::Joiner,
            Actor::Agent(AGENT),
            user(Role::Viewer),
            user(Role::Operator),
            user(Role::Admin),
        ];
        let table = [
            (Action::ReadPublic, Resource::Program, [true; 6]),
            (Action::UseSession, Resource::OwnSession, [true; 6]),
            (Action::ReadMatrix, Resource::Mesh, [false, false, false, true, true, true]),
            (Action::CreateJoinToken, Resource::Mesh, [false, false, false, false, false, true]),
            (Action::ChangeSettings, Resource::Mesh, [false, false, false, false, false, true]),
            (Action::Join, Resource::Mesh, [false, true, false, false, false, false]),
            (Action::Report, Resource::Agent(&AGENT), [false, false, true, false, false, false]),
        ];
        for (action, resource, expected) in table {
            for (actor, allowed) in actors.iter().zip(expected) {
                assert_eq!(authorize(actor, action, resource).is_ok(), allowed, "{actor:?} {action:?}");
            }
        }
    }

    #[test]
    fn an_agent_cannot_report_for_another() {
        let other = AgentId([2; 32]);
        assert!(authorize(&Actor::Agent(AGENT), Action::Report, Resource::Agent(&other)).is_err());
    }

    #[test]
    fn roles_have_names_that_come_back() {
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("root"), None);
    }
}
