//! What people want to be told of.

use super::scope::{NAMES_MAX, Scope};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::fault::Fault;
use everypath_protocol::time::Span;

/// Most rules. Each is asked of every cell every second.
pub const RULES_MAX: usize = 64;
/// Longest name of a rule, a channel or an author, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Behind a name that cannot be one.
pub const NAME_RULE: &str = "must be 1 to 128 bytes without control characters";
/// Longest time that anything may have to hold.
pub const HOLD_MAX: Span = Span::seconds(24 * 3_600);
/// Three probes in a row are lost by chance in 0.8 % of all cases where a fifth is lost; a path that is lost stays so for longer.
const DOWN_HOLD: Span = Span::seconds(10);
/// An agent is not called silent earlier: it closes a window every 10 s, and may be asked to wait as long between two batches.
pub const SILENCE_MIN: Span = Span::seconds(30);

/// The number of a rule in the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(pub i64);

/// The number of a channel in the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChannelId(pub i64);

/// How much it matters to people. What the matrix shows is [`everypath_verdict::incident::Severity`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Today.
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    /// All of them, ascending.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word in JSON, in the database and in texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// What breaks a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// The cell is down.
    Unreachable,
    /// More of the last minute's probes are lost.
    Loss {
        /// Permille, 0 to 999.
        above: u16,
        /// It is over at this or less. Permille, at most `above`.
        below: u16,
    },
    /// The round-trip time of the last minute, a median of windows, is longer.
    Rtt {
        /// Microseconds, from 1.
        above_us: u32,
        /// It is over at this or less. Microseconds, at most `above_us`.
        below_us: u32,
    },
    /// Nothing is heard of an agent. About agents, not paths: the source side of the scope alone is asked.
    Silent {
        /// For so long, at least [`SILENCE_MIN`].
        after: Span,
    },
}

/// Which channels are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// All that there are.
    All,
    /// These; none is a rule for the record alone.
    Only(Vec<ChannelId>),
}

/// One wish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its number.
    pub id: RuleId,
    /// What people call it.
    pub name: String,
    /// Whether it is asked.
    pub is_enabled: bool,
    /// What breaks it.
    pub condition: Condition,
    /// Where.
    pub scope: Scope,
    /// For how long the condition must hold, not counting what is not measured. Of loss and round-trip times: for how much longer
    /// it held than it did not.
    pub hold: Span,
    /// For how long it must be over before it is over.
    pub clear: Span,
    /// How much it matters.
    pub severity: Severity,
    /// Who is told.
    pub route: Route,
}

impl Rule {
    /// Everything that is wrong with it, by the names of the API.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !is_name(&self.name) {
            faults.push(Fault::new("name", NAME_RULE));
        }
        for (path, span) in [("for_s", self.hold), ("clear_for_s", self.clear)] {
            if span > HOLD_MAX {
                faults.push(Fault::new(path, format!("must be at most {}, which is a day", HOLD_MAX.as_seconds())));
            }
        }
        self.check_condition(&mut faults);
        faults.extend(self.scope.faults());
        faults
    }

    fn check_condition(&self, faults: &mut Vec<Fault>) {
        let mut must = |is_so: bool, path: &str, message: &str| {
            if !is_so {
                faults.push(Fault::new(path, message));
            }
        };
        match self.condition {
            Condition::Unreachable => {}
            Condition::Loss { above, below } => {
                let most = "must be below 1000: more than all cannot be lost";
                must(above < 1_000, "condition.above_permille", most);
                must(below <= above, "condition.below_permille", "must be at most `above_permille`");
            }
            Condition::Rtt { above_us, below_us } => {
                must(above_us > 0, "condition.above_us", "must be at least 1");
                must(below_us <= above_us, "condition.below_us", "must be at most `above_us`");
            }
            Condition::Silent { after } => {
                let (least, most) = (SILENCE_MIN.as_seconds(), HOLD_MAX.as_seconds());
                let range = format!("must be from {least} to {most}, which is a day");
                must((least..=most).contains(&after.as_seconds()), "condition.after_s", &range);
                let hold = "must be 0: `after_s` says how long an agent must be silent";
                must(self.hold == Span::ZERO, "for_s", hold);
                let target = "must be empty: silence is of agents, and the source side names them";
                must(self.scope.target.is_everybody(), "scope.target", target);
            }
        }
    }
}

impl Scope {
    /// Everything that is wrong with it, by the names of the API, in `scope`.
    pub fn faults(&self) -> Vec<Fault> {
        let sides = [("scope.source", &self.source), ("scope.target", &self.target)];
        let too_long = sides.into_iter().filter(|(_, side)| side.len() > NAMES_MAX);
        too_long.map(|(path, _)| Fault::new(path, format!("must have at most {NAMES_MAX} names"))).collect()
    }
}

/// Whether `text` can be shown in one line.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control) && !text.trim().is_empty()
}

/// What is asked until somebody asks for something else. Nothing here depends on how far apart hosts are, so there is no rule for
/// round-trip times; and nothing fires for a restart.
pub fn usual() -> [Rule; 3] {
    let rule = |id, name: &str, condition, hold, clear, severity| Rule {
        id: RuleId(id),
        name: String::from(name),
        is_enabled: true,
        condition,
        scope: Scope::default(),
        hold,
        clear,
        severity,
        route: Route::All,
    };
    let loss = Condition::Loss { above: 50, below: 20 };
    let silent = Condition::Silent { after: Span::seconds(60) };
    [
        rule(1, "Unreachable", Condition::Unreachable, DOWN_HOLD, Span::ZERO, Severity::Critical),
        rule(2, "Loss above 5 %", loss, Span::seconds(300), Span::seconds(60), Severity::Warning),
        rule(3, "Agent silent", silent, Span::ZERO, Span::ZERO, Severity::Warning),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::scope::Selector;

    #[test]
    fn the_usual_rules_are_without_fault() {
        assert!(usual().iter().all(|rule| rule.faults().is_empty()));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let [rule, ..] = usual();
        let bad = Rule {
            name: "a\nb".into(),
            condition: Condition::Silent { after: Span::seconds(1) },
            hold: Span::seconds(90_000),
            scope: Scope { target: Selector::site("b"), ..Scope::default() },
            ..rule.clone()
        };
        let faults = bad.faults();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["name", "for_s", "condition.after_s", "for_s", "scope.target"]);
        for (above, below, count) in [(1_000, 1, 1), (50, 60, 1), (1_000, 1_001, 2), (0, 0, 0)] {
            let rule = Rule { condition: Condition::Loss { above, below }, ..rule.clone() };
            assert_eq!(rule.faults().len(), count);
        }
        let rtt = Rule { condition: Condition::Rtt { above_us: 0, below_us: 1 }, ..rule };
        assert_eq!(rtt.faults().len(), 2);
        assert!(!is_name("") && !is_name("  ") && !is_name(&"x".repeat(129)) && is_name("Verlust über 5 %"));
        assert!(Severity::ALL.into_iter().all(|severity| Severity::from_name(severity.name()) == Some(severity)));
    }
}
