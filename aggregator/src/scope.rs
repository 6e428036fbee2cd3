//! What an API token is limited to, beside the role that it has.

/// A part of what can be done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// Look at agents, the matrix, series and settings.
    Read,
    /// Answer alerts: incidents, rules and silences. Not to look at anything else.
    Operate,
    /// Change what is measured and what holds for everybody.
    Config,
    /// Accounts, API tokens and the audit log.
    People,
    /// Make join tokens.
    Join,
}

impl Scope {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 5] = [Self::Read, Self::Operate, Self::Config, Self::People, Self::Join];

    /// The word in JSON and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Config => "config",
            Self::People => "people",
            Self::Join => "join",
        }
    }

    /// The scope with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// What a token is limited to; empty is all of its role.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// These, in order and each once.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut scopes: Vec<_> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// What is meant by these words.
    ///
    /// # Errors
    /// The first word that is no scope.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let scopes: Result<Vec<_>, _> = words.into_iter().map(|word| Scope::from_name(word).ok_or(word)).collect();
        scopes.map(Self::new)
    }

    /// Whether something of this scope may be done.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.is_empty() || self.0.contains(&scope)
    }

    /// Whether everything that `other` allows is allowed here too.
    pub fn include(&self, other: &Self) -> bool {
        self.0.is_empty() || (!other.0.is_empty() && other.0.iter().all(|scope| self.0.contains(scope)))
    }

    /// The words.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|scope| scope.name()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_scopes_are_all_scopes() {
        let (all, read) = (Scopes::default(), Scopes::new([Scope::Read, Scope::Read]));
        let both = Scopes::new([Scope::People, Scope::Read]);
        assert!(Scope::ALL.into_iter().all(|scope| all.allow(scope)));
        assert!(read.allow(Scope::Read) && !read.allow(Scope::People));
        assert!(all.include(&read) && all.include(&all) && both.include(&read) && read.include(&read));
        assert!(!read.include(&all) && !read.include(&both), "whoever is limited gives no more than it has");
        assert_eq!(both.names(), ["read", "people"]);
        assert_eq!(Scopes::parse(["people", "read"]), Ok(both));
        assert_eq!(Scopes::parse(["read", "root"]), Err("root"));
    }
}
