//! Places for those who watch the matrix live: so many at all, and so many for one account, so that no account takes all of them.

use crate::guard::Actor;
use prometheus::IntGauge;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Clients at the same time; each holds a connection and what waits for it.
pub const CLIENTS_MAX: usize = 512;
/// Clients of one account or API token at the same time.
pub const ACCOUNT_CLIENTS_MAX: usize = 16;

/// Who sits where.
#[derive(Debug)]
pub struct Seats {
    taken: Mutex<Taken>,
    gauge: IntGauge,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Never empty of one that is here.
    by_account: BTreeMap<Account, usize>,
}

/// A token may be called as an account is.
type Account = (bool, String);

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// All are taken.
    All,
    /// This account has as many as it may have.
    Account,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    account: Account,
}

impl Seats {
    /// All of them free; `gauge` shows how many are not.
    pub fn new(gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), gauge })
    }

    /// A place for `actor`, looked at and taken in one step.
    ///
    /// # Errors
    /// [`Full`].
    pub fn take(self: &Arc<Self>, actor: &Actor) -> Result<Seat, Full> {
        let name = actor.known().map(|(name, _)| name.clone()).unwrap_or_default();
        let account = (matches!(actor, Actor::Token { .. }), name);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.by_account.get(&account).is_some_and(|count| *count >= ACCOUNT_CLIENTS_MAX) {
            return Err(Full::Account);
        }
        if taken.all >= CLIENTS_MAX {
            return Err(Full::All);
        }
        taken.all += 1;
        *taken.by_account.entry(account.clone()).or_default() += 1;
        self.gauge.inc();
        Ok(Seat { seats: Arc::clone(self), account })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(count) = taken.by_account.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                taken.by_account.remove(&self.account);
            }
        }
        self.seats.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Role;

    fn user(name: &str) -> Actor {
        Actor::User { name: name.to_owned(), role: Role::Viewer }
    }

    #[test]
    fn nobody_takes_all_and_what_is_given_back_is_free() {
        let seats = Seats::new(IntGauge::new("seats", "seats").expect("valid"));
        let mut of_ada: Vec<Seat> = (0..ACCOUNT_CLIENTS_MAX).map(|_| seats.take(&user("ada")).expect("free")).collect();
        assert_eq!(seats.take(&user("ada")).map(drop), Err(Full::Account));
        let token =
            Actor::Token { name: "ada".to_owned(), role: Role::Viewer, scopes: crate::scope::Scopes::default() };
        drop(seats.take(&token).expect("another account"));
        drop(of_ada.pop());
        of_ada.push(seats.take(&user("ada")).expect("given back"));
        let others = (ACCOUNT_CLIENTS_MAX..CLIENTS_MAX).map(|number| seats.take(&user(&number.to_string())));
        let others: Vec<Seat> = others.collect::<Result<_, _>>().expect("free");
        assert_eq!(seats.take(&user("eve")).map(drop), Err(Full::All));
        drop((of_ada, others));
        assert_eq!(seats.gauge.get(), 0);
        assert!(seats.taken.lock().expect("whole").by_account.is_empty());
    }

    #[test]
    fn those_who_come_at_once_get_no_more_than_there_are() {
        let seats = Seats::new(IntGauge::new("seats", "seats").expect("valid"));
        let got: usize = std::thread::scope(|scope| {
            let take = || (0..50).filter_map(|_| seats.take(&user("ada")).ok()).collect::<Vec<Seat>>();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            let held: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("ended")).collect();
            held.iter().map(Vec::len).sum()
        });
        assert_eq!(got, ACCOUNT_CLIENTS_MAX);
    }
}
