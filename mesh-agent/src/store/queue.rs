//! Orders that wait for the disk, in order.
//!
//! While the disk takes nothing, orders that make each other superfluous become one, so that the queue stays short however
//! long that lasts: the agent bounds its new blocks, and what remains are acknowledgements and tombstones, one for each
//! epoch or stretch.

use crate::store::perform::{Answer, answer_to};
use crate::store::{ORDERS_MAX, Order, ops};
use everypath_protocol::id::{Epoch, Seq};
use mesh_agent_core::effect::PersistOp;

/// Most orders that wait here. At the limit no more are taken, the channel fills, and then the driver waits; the agent's own
/// limit on what is not on disk keeps it far from there.
pub(crate) const WAITING_MAX: usize = 4 * ORDERS_MAX;

#[derive(Default)]
pub(crate) struct Queue {
    orders: Vec<Order>,
    is_closed: bool,
}

impl Queue {
    pub(crate) fn push(&mut self, order: Order) {
        if let Order::Persist(op) = &order {
            self.orders.retain(|waiting| !matches!(waiting, Order::Persist(waiting) if is_covered(waiting, op)));
        }
        self.orders.push(order);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.orders.len() >= WAITING_MAX
    }

    /// Nothing more will come.
    pub(crate) const fn close(&mut self) {
        self.is_closed = true;
    }

    pub(crate) fn has_close(&self) -> bool {
        self.is_closed || self.orders.iter().any(|order| matches!(order, Order::Close { .. }))
    }

    pub(crate) fn take_all(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// What could not be done waits before what came meanwhile.
    pub(crate) fn put_back(&mut self, mut orders: Vec<Order>) {
        orders.append(&mut self.orders);
        self.orders = orders;
    }

    pub(crate) fn take_discards(&mut self) -> Vec<Order> {
        self.orders.extract_if(.., |order| matches!(order, Order::Persist(PersistOp::Discard { .. }))).collect()
    }

    pub(crate) fn has_readers(&self) -> bool {
        self.orders.iter().any(is_reader)
    }

    /// Orders that need no writing and that no change before them alters, with their places.
    pub(crate) fn readers(&self) -> Vec<(usize, &Order)> {
        let mut altered: Vec<(Epoch, Seq, Seq)> = Vec::new();
        let mut readers = Vec::new();
        for (place, order) in self.orders.iter().enumerate() {
            if let Order::Persist(op) = order {
                let (epoch, stretch) = ops::altered(op);
                altered.extend(stretch.map(|(first, last)| (epoch, first, last)));
            }
            let overlaps = |(of, from, to): &(Epoch, Seq, Seq)| matches!(order, Order::Read { epoch, first, last, .. } if of == epoch && from <= last && first <= to);
            if is_reader(order) && !altered.iter().any(overlaps) {
                readers.push((place, order));
            }
        }
        readers
    }

    /// Gives readers their answers. Places must descend.
    pub(crate) fn answer(&mut self, answered: Vec<(usize, Answer)>) {
        for (place, answer) in answered {
            answer_to(self.orders.remove(place), answer);
        }
    }

    /// Blocks that would be lost now.
    pub(crate) fn unwritten(&self) -> usize {
        self.orders.iter().filter(|order| matches!(order, Order::Persist(PersistOp::Append { .. }))).count()
    }

    /// Tells whoever closes that the file is free. Everyone else is told by their channel's end.
    pub(crate) fn answer_close(&mut self) {
        for order in self.take_all() {
            if matches!(order, Order::Close { .. }) {
                answer_to(order, Answer::Done);
            }
        }
    }
}

const fn is_reader(order: &Order) -> bool {
    matches!(
        order,
        Order::Read { .. }
            | Order::Ledger { .. }
            | Order::Report { .. }
            | Order::Token { .. }
            | Order::NameOwner { .. }
    )
}

/// Whether `before` need not be done once `after` is. Neither can have a move of their epoch between them: after it the agent
/// no longer names the old epoch, and the new one has no earlier orders.
fn is_covered(before: &PersistOp, after: &PersistOp) -> bool {
    match (before, after) {
        (PersistOp::Discard { epoch, up_to }, PersistOp::Discard { epoch: of, up_to: to }) => {
            epoch == of && up_to <= to
        }
        (
            PersistOp::Replace { epoch, first, last, .. },
            PersistOp::Replace { epoch: of, first: from, last: to, .. },
        ) => epoch == of && from <= first && last <= to,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn read(first: u64, last: u64) -> Order {
        Order::Read { epoch: Epoch(1), first: Seq(first), last: Seq(last), reply: oneshot::channel().0 }
    }

    fn replace(first: u64, last: u64) -> Order {
        Order::Persist(PersistOp::Replace { epoch: Epoch(1), first: Seq(first), last: Seq(last), bytes: Vec::new() })
    }

    #[test]
    fn a_long_outage_does_not_make_the_queue_long() {
        let mut queue = Queue::default();
        for number in 1..1_000 {
            queue.push(Order::Persist(PersistOp::Discard { epoch: Epoch(2), up_to: Seq(number) }));
            queue.push(replace(1, number));
        }
        assert_eq!(queue.orders.len(), 2);
        assert!(matches!(queue.take_discards()[..], [Order::Persist(PersistOp::Discard { up_to: Seq(999), .. })]));
    }

    #[test]
    fn what_a_waiting_change_alters_is_not_read() {
        let mut queue = Queue::default();
        queue.push(read(1, 5));
        queue.push(replace(4, 9));
        queue.push(read(1, 3));
        queue.push(read(1, 4));
        queue.push(Order::Ledger { reply: oneshot::channel().0 });
        let places: Vec<usize> = queue.readers().into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, [0, 2, 4]);
    }
}
