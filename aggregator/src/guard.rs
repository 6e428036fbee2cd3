//! Who may do what. Every route names its [`Guard`]; every handler asks [`authorize`] once.

use crate::api::ApiError;
use crate::scope::{Scope, Scopes};
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
    /// Choose a password with the secret of an invitation.
    RedeemInvitation,
    /// Choose another password for oneself.
    ChangeOwnPassword,
    /// Look at agents, the matrix and settings.
    ReadMatrix,
    /// Make, see and revoke join tokens.
    ManageJoinTokens,
    /// Change what the mesh measures.
    ChangeConfig,
    /// Change what holds for everybody.
    ChangeSettings,
    /// See and change accounts, and invite people.
    ManageUsers,
    /// See and delete API tokens.
    ManageApiTokens,
    /// Make an API token.
    MakeApiToken,
    /// See who did what.
    ReadAuditLog,
    /// Acknowledge incidents, change rules and silences.
    AnswerAlerts,
    /// See channels, without their secrets, what went through them, and who gets reports.
    ReadChannels,
    /// Change and try channels, and say who gets reports.
    ManageChannels,
    /// Become a member.
    Join,
    /// Send results and learn of others.
    Report,
}

/// What somebody must be for an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Need {
    Nothing,
    /// Logged in as oneself: a token has no password.
    Person,
    /// The same, with at least this role.
    PersonOf(Role),
    /// At least this role, and for a token also this scope.
    Rights(Role, Scope),
    Joiner,
    /// The agent that is spoken of.
    ThatAgent,
}

impl Action {
    const fn need(self) -> Need {
        match self {
            Self::ReadPublic | Self::UseSession | Self::RedeemInvitation => Need::Nothing,
            Self::ChangeOwnPassword => Need::Person,
            Self::MakeApiToken => Need::PersonOf(Role::Admin),
            Self::ReadMatrix => Need::Rights(Role::Viewer, Scope::Read),
            Self::ManageJoinTokens => Need::Rights(Role::Admin, Scope::Join),
            Self::ChangeSettings | Self::ManageChannels => Need::Rights(Role::Admin, Scope::Config),
            Self::AnswerAlerts | Self::ReadChannels => Need::Rights(Role::Operator, Scope::Operate),
            Self::ChangeConfig => Need::Rights(Role::Operator, Scope::Config),
            Self::ManageUsers | Self::ManageApiTokens | Self::ReadAuditLog => Need::Rights(Role::Admin, Scope::People),
            Self::Join => Need::Joiner,
            Self::Report => Need::ThatAgent,
        }
    }
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
    /// Somebody with an account.
    User {
        /// Of the account.
        name: String,
        /// What it may do.
        role: Role,
    },
    /// A program with an API token.
    Token {
        /// Of the token.
        name: String,
        /// What it may do.
        role: Role,
        /// And of that only this.
        scopes: Scopes,
    },
}

impl Actor {
    /// Name and role, if it has them.
    pub const fn known(&self) -> Option<(&String, Role)> {
        match self {
            Self::User { name, role } | Self::Token { name, role, .. } => Some((name, *role)),
            Self::Anonymous | Self::Joiner | Self::Agent(_) => None,
        }
    }

    /// Whether it may make, change, invite or end an account of this role. A token with scopes would otherwise make itself an
    /// administrator without any.
    pub fn may_manage(&self, role: Role) -> bool {
        self.may_give(role, &Scopes::default())
            || (role < Role::Admin && self.known().is_some_and(|(_, own)| own > role))
    }

    /// Whether it may hand on this role with these scopes: nobody gives more than it has.
    pub fn may_give(&self, role: Role, scopes: &Scopes) -> bool {
        match self {
            Self::User { role: own, .. } => *own >= role,
            Self::Token { role: own, scopes: limits, .. } => *own >= role && limits.include(scopes),
            Self::Anonymous | Self::Joiner | Self::Agent(_) => false,
        }
    }
}

/// What whoever is not allowed lacks.
fn why_not(actor: &Actor, need: Need) -> String {
    match (need, actor) {
        (Need::Rights(least, _) | Need::PersonOf(least), Actor::User { role, .. }) => {
            format!(
                "This needs the role `{}`, and your account has `{}`; ask an administrator.",
                least.name(),
                role.name()
            )
        }
        (Need::Rights(least, scope), Actor::Token { role, scopes, .. }) => {
            let own = if scopes.names().is_empty() { "all".to_owned() } else { scopes.names().join(", ") };
            format!(
                "This needs the role `{}` and the scope `{}`; this API token has the role `{}` and the scopes: {own}. Make another token.",
                least.name(),
                scope.name(),
                role.name(),
            )
        }
        (Need::PersonOf(_), Actor::Token { .. }) => {
            "An API token makes no other, so that what one opens ends with it. Log in, or use `aggregator api-token create` on the \
             aggregator's host."
                .to_owned()
        }
        (Need::Person, _) => "This is for people with an account; an API token cannot do it. Log in.".to_owned(),
        (Need::Joiner | Need::ThatAgent, _) => "This is for agents alone.".to_owned(),
        (Need::Nothing, _)
        | (Need::Rights(..) | Need::PersonOf(_), Actor::Anonymous | Actor::Joiner | Actor::Agent(_)) => {
            "This may not be done by whoever asks; log in with an account that may.".to_owned()
        }
    }
}

/// The one decision. Whoever is not allowed is told why, without a word about whether the thing exists.
///
/// # Errors
/// 401 if the caller might be allowed after logging in, 403 if it is known and not allowed.
pub fn authorize(actor: &Actor, action: Action, resource: Resource<'_>) -> Result<(), ApiError> {
    let allowed = match (action.need(), actor) {
        (Need::Nothing, _) | (Need::Person, Actor::User { .. }) | (Need::Joiner, Actor::Joiner) => true,
        (Need::Rights(least, _) | Need::PersonOf(least), Actor::User { role, .. }) => *role >= least,
        (Need::Rights(least, scope), Actor::Token { role, scopes, .. }) => *role >= least && scopes.allow(scope),
        // An agent speaks for itself alone.
        (Need::ThatAgent, Actor::Agent(agent)) => resource == Resource::Agent(agent),
        (
            Need::Person | Need::PersonOf(_),
            Actor::Anonymous | Actor::Joiner | Actor::Agent(_) | Actor::Token { .. },
        )
        | (Need::Rights(..), Actor::Anonymous | Actor::Joiner | Actor::Agent(_))
        | (Need::Joiner, Actor::Anonymous | Actor::Agent(_) | Actor::User { .. } | Actor::Token { .. })
        | (Need::ThatAgent, Actor::Anonymous | Actor::Joiner | Actor::User { .. } | Actor::Token { .. }) => false,
    };
    match actor {
        _ if allowed => Ok(()),
        Actor::Anonymous => Err(ApiError::not_signed_in()),
        Actor::Joiner | Actor::Agent(_) | Actor::User { .. } | Actor::Token { .. } => {
            Err(ApiError::not_allowed(why_not(actor, action.need())))
        }
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
        let token = |role, scopes: &[Scope]| Actor::Token {
            name: "t".into(),
            role,
            scopes: Scopes::new(scopes.iter().copied()),
        };
        let actors = [
            Actor::Anonymous,
            Actor::Joiner,
            Actor::Agent(AGENT),
            user(Role::Viewer),
            user(Role::Operator),
            user(Role::Admin),
            token(Role::Admin, &[]),
            token(Role::Admin, &[Scope::Read]),
            token(Role::Viewer, &[Scope::People]),
        ];
        // A letter for each of them: y for yes.
        let table = [
            (Action::ReadPublic, Resource::Program, "yyyyyyyyy"),
            (Action::UseSession, Resource::OwnSession, "yyyyyyyyy"),
            (Action::RedeemInvitation, Resource::OwnSession, "yyyyyyyyy"),
            (Action::ChangeOwnPassword, Resource::OwnSession, "---yyy---"),
            (Action::ReadMatrix, Resource::Mesh, "---yyyyy-"),
            (Action::ManageJoinTokens, Resource::Mesh, "-----yy--"),
            (Action::ChangeSettings, Resource::Mesh, "-----yy--"),
            (Action::ChangeConfig, Resource::Mesh, "----yyy--"),
            (Action::AnswerAlerts, Resource::Mesh, "----yyy--"),
            (Action::ReadChannels, Resource::Mesh, "----yyy--"),
            (Action::ManageChannels, Resource::Mesh, "-----yy--"),
            (Action::ManageUsers, Resource::Mesh, "-----yy--"),
            (Action::ManageApiTokens, Resource::Mesh, "-----yy--"),
            (Action::MakeApiToken, Resource::Mesh, "-----y---"),
            (Action::ReadAuditLog, Resource::Mesh, "-----yy--"),
            (Action::Join, Resource::Mesh, "-y-------"),
            (Action::Report, Resource::Agent(&AGENT), "--y------"),
        ];
        for (action, resource, expected) in table {
            for (actor, allowed) in actors.iter().zip(expected.chars()) {
                assert_eq!(authorize(actor, action, resource).is_ok(), allowed == 'y', "{actor:?} {action:?}");
            }
        }
    }

    #[test]
    fn an_agent_cannot_report_for_another() {
        let other = AgentId([2; 32]);
        assert!(authorize(&Actor::Agent(AGENT), Action::Report, Resource::Agent(&other)).is_err());
    }

    #[test]
    fn nobody_gives_more_than_it_has() {
        let read = Scopes::new([Scope::Read]);
        let limited = Actor::Token { name: "t".into(), role: Role::Admin, scopes: Scopes::new([Scope::People]) };
        assert!(user(Role::Admin).may_give(Role::Admin, &Scopes::default()));
        assert!(!user(Role::Operator).may_give(Role::Admin, &read));
        assert!(!limited.may_give(Role::Viewer, &read) && !limited.may_give(Role::Viewer, &Scopes::default()));
        assert!(!Actor::Anonymous.may_give(Role::Viewer, &read));
        assert!(user(Role::Admin).may_manage(Role::Admin) && !Actor::Anonymous.may_manage(Role::Viewer));
        assert!(limited.may_manage(Role::Operator) && !limited.may_manage(Role::Admin));
    }

    #[test]
    fn roles_have_names_that_come_back() {
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("root"), None);
    }
}
