//! Portals that move from one exit to another, and who is told of it.

use std::time::Instant;

use super::exits::Move;
use super::{Agent, Applied};
use crate::base::error::Errors;
use crate::config::model::Mtu;
use crate::kernel::Kernel as _;
use crate::plan::{standing, widths};
use crate::site;
use crate::state::Scope;

impl Agent {
    /// Goes on with the exits and the widths that stand: those of an agent that has ended, or been killed.
    pub(super) fn take_up_exits(&mut self) -> Result<(), Errors> {
        let network = &self.files.network;
        let portals = network.sites.values().flat_map(|site| &site.portals);
        if portals.map(|portal| portal.exits.len()).max() <= Some(1) && network.mtu != Mtu::Measured {
            return Ok(());
        }
        let site = self.files.site(&mut self.kernel, &self.names.addresses())?;
        let have = self.kernel.observe(&Scope::default())?;
        self.exits.begin(&site, &standing(&site, &have));
        self.widths.begin(widths(&site, &have));
        Ok(())
    }

    /// Portals whose exits have gone down, or come up again, move.
    pub(super) fn look_at_exits(&mut self) {
        let now = Instant::now();
        for lost in self.exits.turn(&mut self.kernel, now) {
            self.names.doubt(&lost, now);
        }
        drop(self.move_portals());
    }

    /// Has those portals leave elsewhere that had better.
    pub(super) fn move_portals(&mut self) -> Result<Applied, Errors> {
        let moves = self.exits.decide(Instant::now());
        if moves.is_empty() {
            return Ok(Applied::default());
        }
        self.take_note(moves);
        self.attempt("portals move")
    }

    /// They are decided, and the log says so; that they stand is still to come.
    pub(super) fn take_note(&mut self, moves: Vec<Move>) {
        for one in moves {
            log::warn!("{one}");
            self.moves.add(one);
        }
    }

    /// The hook is told of the moves that stand now, also where the first attempts have failed.
    pub(super) fn tell_hook(&mut self) {
        let moves = self.moves.take();
        let Ok(own) = site::own_name(&self.files.network, self.files.public_key) else { return };
        let network = &self.files.network;
        let Some(hook) = &network.sites[own].hook else { return };
        for Move { portal, from, to, state, .. } in moves {
            let facts = [
                ("PORTALS_EVENT", state.as_str().to_owned()),
                ("PORTALS_NETWORK", network.name.clone()),
                ("PORTALS_SITE", own.clone()),
                ("PORTALS_PORTAL", portal),
                ("PORTALS_EXIT", to.to_string()),
                ("PORTALS_PREVIOUS", from.to_string()),
            ];
            self.hook.tell(self.files.folder.join(hook), facts.into());
        }
    }
}

/// Moves that do not stand yet, one of each portal at most.
#[derive(Debug, Default)]
pub(super) struct Moves(Vec<Move>);

impl Moves {
    /// One more. Of two in a row the place in between never stood; who is back where he was has not moved.
    fn add(&mut self, mut one: Move) {
        if let Some(place) = self.0.iter().position(|known| known.portal == one.portal) {
            one.from = self.0.remove(place).from;
        }
        if one.from != one.to {
            self.0.push(one);
        }
    }

    fn take(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::status::PortalState;
    use crate::site::Exit;

    #[test]
    fn only_what_stands_in_the_end_is_told() {
        let mut moves = Moves::default();
        let mut add = |portal: &str, from: Exit, to: Exit| {
            let (portal, state, why) = (portal.to_owned(), PortalState::Direct, String::new());
            moves.add(Move { portal, from, to, state, why });
        };
        add("tv", Exit::Nowhere, Exit::Direct);
        add("guest", Exit::Direct, Exit::Nowhere);
        add("guest", Exit::Nowhere, Exit::Direct);
        let told = moves.take();
        let told: Vec<&str> = told.iter().map(|one| one.portal.as_str()).collect();
        assert_eq!((told, moves.take()), (vec!["tv"], Vec::new()));
    }
}
