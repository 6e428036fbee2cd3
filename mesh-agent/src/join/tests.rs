use super::*;
use crate::issuer::certify;
use everypath_protocol::id::PublicKey;
use everypath_protocol::time::UnixTime;
use everypath_protocol::token::{TokenId, TokenSecret};
use everypath_protocol::trust::{Credentials, Delegation, mesh_of};

struct Mesh {
    root: SecretKey,
    issuer: SecretKey,
}

impl Mesh {
    fn new(seed: u8) -> Self {
        Self { root: SecretKey::from_seed(&[seed; 32]), issuer: SecretKey::from_seed(&[seed + 1; 32]) }
    }

    fn id(&self) -> MeshId {
        mesh_of(&self.root.public())
    }

    fn grant(&self, agent: AgentId, version: u32) -> JoinGrant {
        let delegation = Delegation { version, issuers: vec![self.issuer.public()], config: Vec::new() };
        JoinGrant {
            credentials: Credentials {
                root: self.root.public(),
                delegation: sign::seal(delegation, self.id(), &self.root).signed().clone(),
                certificate: certify(agent, "a1", "alpha", self.id(), &self.issuer).unwrap(),
            },
            aggregators: Vec::new(),
            members: Vec::new(),
        }
    }

    fn token(&self) -> JoinToken {
        JoinToken {
            mesh: self.id(),
            delegation_version_min: 3,
            issuer: self.issuer.public(),
            id: TokenId([1; 8]),
            secret: TokenSecret([2; 16]),
            expires: UnixTime(i64::MAX),
            bootstrap: Vec::new(),
            aggregators: Vec::new(),
        }
    }
}

const OWN: AgentId = AgentId([9; 32]);

#[test]
fn a_grant_of_the_tokens_mesh_is_kept() {
    let mesh = Mesh::new(1);
    let (membership, joined) = check(&mesh.token(), OWN, mesh.grant(OWN, 3)).unwrap();
    assert_eq!((joined.name.as_str(), joined.site.as_str(), membership.mesh), ("a1", "alpha", mesh.id()));
}

#[test]
fn a_grant_of_another_mesh_for_another_key_or_from_before_the_token_is_not() {
    let (mesh, other) = (Mesh::new(1), Mesh::new(50));
    assert!(matches!(check(&mesh.token(), OWN, other.grant(OWN, 3)), Err(JoinError::Untrusted(Refused::OtherMesh))));
    let for_another = mesh.grant(PublicKey([8; 32]).into(), 3);
    assert!(matches!(check(&mesh.token(), OWN, for_another), Err(JoinError::Untrusted(Refused::NotAllowed))));
    let old = check(&mesh.token(), OWN, mesh.grant(OWN, 2));
    assert!(matches!(old, Err(JoinError::OldDelegation { got: 2, wanted: 3 })));
}

#[tokio::test]
async fn a_member_of_one_mesh_does_not_join_another() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(&dir.path().join("agent")).unwrap();
    let mesh = Mesh::new(1);
    let agent = AgentId::from(state.agent_key().unwrap().public());
    check(&mesh.token(), agent, mesh.grant(agent, 3)).unwrap().0.save(&state).unwrap();
    let refused = join(&Mesh::new(50).token(), state.path().to_owned(), "a1", "alpha").await.unwrap_err();
    assert!(refused.to_string().contains("member of another mesh"), "{refused}");
    // The same mesh is fine, as far as this check goes.
    assert!(matches!(join(&mesh.token(), state.path().to_owned(), "a1", "alpha").await, Err(JoinError::NoAddress)));
}

/// A new name was read, checked and forgotten: the host kept the old one, and the command said that all went well.
#[tokio::test]
async fn a_member_that_is_given_another_name_is_told_which_it_has_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(&dir.path().join("agent")).unwrap();
    let mesh = Mesh::new(1);
    assert_eq!(known_as(&mesh.token(), state.path()).unwrap(), None);
    let agent = AgentId::from(state.agent_key().unwrap().public());
    check(&mesh.token(), agent, mesh.grant(agent, 3)).unwrap().0.save(&state).unwrap();
    let known = known_as(&mesh.token(), state.path()).unwrap().unwrap();
    assert_eq!((known.name.as_str(), known.site.as_str()), ("a1", "alpha"));
    for (name, site) in [("a2", "alpha"), ("a1", "beta")] {
        let refused = join(&mesh.token(), state.path().to_owned(), name, site).await.unwrap_err().to_string();
        assert!(refused.contains("as `a1` in site `alpha`") && refused.contains("another --data-dir"), "{refused}");
    }
    // Asking about a directory that is not there makes none.
    let nowhere = dir.path().join("nowhere");
    assert_eq!(known_as(&mesh.token(), &nowhere).unwrap(), None);
    assert!(!nowhere.exists());
}

#[test]
fn an_empty_name_is_called_so() {
    let said = |name: &str| JoinError::InvalidName(name.to_owned()).to_string();
    assert!(
        said("").starts_with("an empty name cannot be used: names of agents and sites are 1 to 64"),
        "{}",
        said("")
    );
    assert!(said("a b").starts_with("`a b` cannot be used: "), "{}", said("a b"));
}
