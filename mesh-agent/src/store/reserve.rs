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

fn bytes(place: &Place) -> u64 {
    place.disk.bytes(&path(place)).ok().flatten().unwrap_or(0)
}

/// Makes it, or makes it whole, there is room for it.
pub(crate) fn keep(place: &Place, space: Option<Space>) {
    let has_room = space.is_some_and(|space| !space.is_low(true));
    if has_room
        && bytes(place) < u64::try_from(RESERVE_BYTES).unwrap_or(u64::MAX)
        && let Err(why) = place.disk.take_up(&path(place), RESERVE_BYTES)
    {
        tracing::debug!(%why, "no room for the reserve of the buffer");
    }
}

/// Takes back what is left of the room after it was given up, before anything else takes it.
pub(crate) fn take_back(place: &Place) {
    let free = place.disk.space(&place.dir).map_or(0, |space| space.free);
    let bytes = usize::try_from(free).unwrap_or(usize::MAX).min(RESERVE_BYTES);
    if bytes > 0 {
        // If even that fails, the next acknowledgement must find room in the file itself, and it usually does.
        let _ = place.disk.take_up(&path(place), bytes);
    }
}

/// Gives it up. Returns whether that made room.
pub(crate) fn give_up(place: &Place) -> bool {
    bytes(place) > 0 && place.disk.remove(&path(place)).is_ok()
}
