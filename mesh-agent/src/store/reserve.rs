//! Room that is kept for the worst moment. redb writes new pages before it lets old ones go, so even forgetting needs room;
//! on a full disk an acknowledgement could not make any. Then this file is given up.

use crate::store::disk::Space;
use crate::store::file::Place;
use std::path::PathBuf;

/// In the data directory.
pub(crate) const RESERVE_FILE: &str = "buffer.reserve";
/// Enough to forget what is acknowledged some hundred times: a change rewrites a few pages of 4 KiB.
const RESERVE_BYTES: usize = 1024 * 1024;

fn path(place: &Place) -> PathBuf {
    place.dir.join(RESERVE_FILE)
}

fn is_there(place: &Place) -> bool {
    let wanted = u64::try_from(RESERVE_BYTES).unwrap_or(u64::MAX);
    place.disk.bytes(&path(place)).ok().flatten().is_some_and(|bytes| bytes >= wanted)
}

/// Makes it if it is not there and there is room for it.
pub(crate) fn keep(place: &Place, space: Option<Space>) {
    let has_room = space.is_some_and(|space| !space.is_low(true));
    if has_room
        && !is_there(place)
        && let Err(why) = place.disk.take_up(&path(place), RESERVE_BYTES)
    {
        tracing::debug!(%why, "no room for the reserve of the buffer");
    }
}

/// Gives it up. Returns whether that made room.
pub(crate) fn give_up(place: &Place) -> bool {
    is_there(place) && place.disk.remove(&path(place)).is_ok()
}
