//! Which portals have which mark.

use super::Portal;
use crate::config::model;
use crate::error::Error;
use crate::state::{PORTAL_MARK_COUNT, portal_mark};

/// The marks of those portals of `written` that go by one, in their order; the error says that there are not enough.
pub(super) fn assign(portals: &mut [Portal], written: &[model::Portal]) -> Option<Error> {
    let marked: Vec<&model::Portal> = written.iter().filter(|portal| portal.goes_by_marks()).collect();
    for (portal, number) in marked.iter().zip(0..PORTAL_MARK_COUNT) {
        let named = portals.iter_mut().find(|named| named.name == portal.name);
        if let Some(named) = named {
            named.mark = Some(portal_mark(number));
        }
    }
    (marked.len() > usize::from(PORTAL_MARK_COUNT)).then(|| {
        Error::wrong(format!(
            "{} portals have `mac` or `ports`, but there are marks for {PORTAL_MARK_COUNT}: put devices that leave at the same exit into \
             one portal",
            marked.len()
        ))
    })
}
