//! A limit on what works at the same time, and on what waits for that: in all, and of one source.

use prometheus::IntCounter;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places that one source may have at once: whoever opens hundreds of connections must leave room for everybody else.
const SHARE_MAX: usize = 8;

/// There is no place; nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Crowded {
    /// Too many wait.
    #[error("too many logins wait for their turn; try again in a moment")]
    All,
    /// Too many of this source wait.
    #[error("too many logins from your address wait for their turn; try again in a moment")]
    Source,
}

/// Some may work, some may wait for that, and all others are sent away.
#[derive(Debug)]
pub struct Queue {
    /// Whoever works or waits.
    places: Arc<Semaphore>,
    /// Whoever works.
    desks: Arc<Semaphore>,
    /// How many places each source has. One without any is not in it, so there are no more entries than places.
    shares: Arc<Mutex<HashMap<String, usize>>>,
    /// Counts whoever was sent away.
    refused: IntCounter,
}

/// The right to work until it is dropped.
#[derive(Debug)]
pub struct Desk {
    _desk: OwnedSemaphorePermit,
    _place: Place,
}

/// A place, of a source if one is known.
#[derive(Debug)]
struct Place {
    source: Option<String>,
    shares: Arc<Mutex<HashMap<String, usize>>>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(source) = self.source.take() else { return };
        let mut shares = lock(&self.shares);
        if let Some(share) = shares.get_mut(&source) {
            *share -= 1;
            if *share == 0 {
                shares.remove(&source);
            }
        }
    }
}

impl Queue {
    /// For `at_once` that work and `waiting` that wait. Whoever is sent away is counted in `refused`.
    pub fn new(at_once: usize, waiting: usize, refused: IntCounter) -> Self {
        let places = Arc::new(Semaphore::new(at_once + waiting));
        Self { places, desks: Arc::new(Semaphore::new(at_once)), shares: Arc::default(), refused }
    }

    /// Waits for a desk. `source` is who asks, if that is somebody else than this program.
    ///
    /// # Errors
    /// [`Crowded`], at once.
    pub async fn enter(&self, source: Option<&str>) -> Result<Desk, Crowded> {
        let place = self.place(source).inspect_err(|_| self.refused.inc())?;
        let desk = self.desks.clone().acquire_owned().await.expect("the semaphore is never closed");
        Ok(Desk { _desk: desk, _place: place })
    }

    fn place(&self, source: Option<&str>) -> Result<Place, Crowded> {
        // Locked until both are had: what is given back in between is seen by whoever comes next.
        let mut shares = lock(&self.shares);
        if source.is_some_and(|source| shares.get(source).is_some_and(|share| *share >= SHARE_MAX)) {
            return Err(Crowded::Source);
        }
        let place = self.places.clone().try_acquire_owned().map_err(|_| Crowded::All)?;
        if let Some(source) = source {
            *shares.entry(source.to_owned()).or_default() += 1;
        }
        Ok(Place { source: source.map(str::to_owned), shares: self.shares.clone(), _place: place })
    }

    #[cfg(test)]
    pub(super) fn free_in_tests(&self) -> (usize, usize) {
        (self.places.available_permits(), self.desks.available_permits())
    }
}

/// Counting cannot fail halfway, so what a panic elsewhere left is right.
fn lock(shares: &Mutex<HashMap<String, usize>>) -> MutexGuard<'_, HashMap<String, usize>> {
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(at_once: usize, waiting: usize) -> Queue {
        Queue::new(at_once, waiting, IntCounter::new("refused", "for the test").expect("a valid name"))
    }

    #[tokio::test]
    async fn some_work_some_wait_and_the_others_are_sent_away() {
        let queue = queue(1, 2);
        let desk = queue.enter(None).await.expect("nobody else is here");
        let mut waiting = [Box::pin(queue.enter(None)), Box::pin(queue.enter(None))];
        for one in &mut waiting {
            assert!(futures::poll!(one).is_pending());
        }
        assert_eq!(queue.enter(None).await.err(), Some(Crowded::All));
        assert_eq!(queue.refused.get(), 1);
        drop(desk);
        let [first, second] = waiting;
        drop(first.await);
        drop(second.await);
        assert_eq!(queue.free_in_tests(), (3, 1));
    }

    #[tokio::test]
    async fn one_source_leaves_room_for_the_others() {
        let queue = queue(2, 256);
        let mut crowd: Vec<_> = (0..400).map(|_| Box::pin(queue.enter(Some("192.0.2.1")))).collect();
        let mut sent_away = 0;
        let mut at_desks = Vec::new();
        for one in &mut crowd {
            match futures::poll!(one) {
                std::task::Poll::Ready(Ok(desk)) => at_desks.push(desk),
                std::task::Poll::Ready(Err(why)) => {
                    assert_eq!(why, Crowded::Source);
                    sent_away += 1;
                }
                std::task::Poll::Pending => {}
            }
        }
        assert_eq!((at_desks.len(), sent_away), (2, 400 - SHARE_MAX));
        let mut other = Box::pin(queue.enter(Some("192.0.2.2")));
        assert!(futures::poll!(&mut other).is_pending(), "it has a place");
        drop(at_desks);
        // Those before it go away or have their turn.
        drop(crowd);
        drop(other.await.expect("it had a place"));
        assert!(lock(&queue.shares).is_empty(), "nothing is remembered of who is gone");
        assert_eq!(queue.free_in_tests(), (258, 2));
    }
}
