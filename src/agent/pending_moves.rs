//! Moves of portals from one exit to another, and their announcement in the log and to the hook.

use std::rc::Rc;

use super::Agent;
use super::failover::PortalMove;
use super::reconcile::Applied;
use crate::base::error::Errors;
use crate::config::model::{Mtu, SiteConfig};
use crate::plan::{take_up_exits, widths};
use crate::site;
use crate::state::Scope;
use crate::system::logging as log;

impl Agent {
    /// Begins with the exits and path MTUs that are in force: an agent that has ended, or was killed, has
    /// left them.
    pub(super) fn take_up_exits(&mut self) -> Result<(), Errors> {
        let network = &self.files.network;
        let has_list = |site: &SiteConfig| site.portals.iter().any(|portal| portal.exits.len() > 1);
        if !network.sites.values().any(has_list) && network.mtu != Mtu::Measured {
            return Ok(());
        }
        let files = Rc::clone(&self.files);
        let mut site = self.view(&files)?;
        let have = self.kernel.observe(&Scope::default())?;
        let in_use = take_up_exits(&mut site, &have);
        self.sources.exits.begin(&site, &in_use);
        self.sources.path_mtus.begin(widths(&site, &have));
        Ok(())
    }

    /// Moves portals to the exits that were chosen for them.
    pub(super) fn move_portals(&mut self, moves: Vec<PortalMove>) -> Result<Applied, Errors> {
        if moves.is_empty() {
            return Ok(Applied::default());
        }
        self.take_note(moves);
        self.attempt("portals move to other exits")
    }

    /// Logs moves that are decided, and keeps them for the hook until they are applied.
    pub(super) fn take_note(&mut self, moves: Vec<PortalMove>) {
        for one in moves {
            log::warn!("{one}");
            self.moves.add(one);
        }
    }

    /// Tells the hook of the moves that are applied now, even if earlier attempts to apply them have failed.
    pub(super) fn tell_hook(&mut self) {
        let moves = self.moves.take();
        let Ok(own) = site::own_name(&self.files.network, self.files.public_key) else { return };
        let network = &self.files.network;
        let Some(hook) = &network.sites[own].hook else { return };
        for PortalMove { portal, from, to, state, .. } in moves {
            let facts = [
                ("PORTALS_EVENT", state.as_str().to_owned()),
                ("PORTALS_NETWORK", network.name.clone()),
                ("PORTALS_SITE", own.clone()),
                ("PORTALS_PORTAL", portal),
                ("PORTALS_EXIT", to.to_string()),
                ("PORTALS_PREVIOUS", from.to_string()),
            ];
            self.sources.hook.tell(self.files.folder.join(hook), facts.into());
        }
    }
}

/// Moves that are not applied yet, at most one of each portal.
#[derive(Debug, Default)]
pub(super) struct PendingMoves(Vec<PortalMove>);

impl PendingMoves {
    /// Adds a move. Of two moves of a portal in a row, the exit in between was never in force; a portal that
    /// is back at its first exit has not moved.
    fn add(&mut self, mut one: PortalMove) {
        if let Some(place) = self.0.iter().position(|known| known.portal == one.portal) {
            one.from = self.0.remove(place).from;
        }
        if one.from != one.to {
            self.0.push(one);
        }
    }

    /// Returns the names of the portals that move.
    pub(super) fn portals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|one| one.portal.as_str())
    }

    fn take(&mut self) -> Vec<PortalMove> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::status::PortalState;
    use crate::site::Exit;

    #[test]
    fn only_moves_that_are_applied_are_told() {
        let mut moves = PendingMoves::default();
        let mut add = |portal: &str, from: Exit, to: Exit| {
            let (portal, state, why) = (portal.to_owned(), PortalState::Direct, String::new());
            moves.add(PortalMove { portal, from, to, state, why });
        };
        add("tv", Exit::Nowhere, Exit::Direct);
        add("guest", Exit::Direct, Exit::Nowhere);
        add("guest", Exit::Nowhere, Exit::Direct);
        let told = moves.take();
        let told: Vec<&str> = told.iter().map(|one| one.portal.as_str()).collect();
        assert_eq!((told, moves.take()), (vec!["tv"], Vec::new()));
    }
}
