//! Connections to and from networks that linked sites see as others, if the connections began while another
//! program had removed the translation: they would stay untranslated as long as they send packets.

use crate::kernel::conntrack::{ConnectionFilter, LackingTranslations};
use crate::site::Site;
use crate::state::State;

/// Returns the translations whose absence ends a connection, if the site translates and the observed firewall
/// was not the wanted one.
pub(super) fn connections(site: &Site, have: &State, want: &State) -> Option<LackingTranslations> {
    if have.filters_like(want) || site.tunnels.is_empty() {
        return None;
    }
    site.translations().next()?;
    let far = site.peers().flat_map(|(_, _, peer)| peer.networks.iter().copied());
    Some(LackingTranslations {
        sources: site.translations().map(|(here, _)| here).collect(),
        far: far.collect(),
        destinations: site.translations().map(|(_, seen_as)| seen_as).collect(),
    })
}

/// Returns the filter that also chooses connections without these translations.
pub(super) fn add(
    filter: Option<ConnectionFilter>,
    lacking: Option<LackingTranslations>,
) -> Option<ConnectionFilter> {
    match (filter, lacking) {
        (filter, None) => filter,
        (filter, Some(by_lack)) => Some(ConnectionFilter { by_lack, ..filter.unwrap_or_default() }),
    }
}
