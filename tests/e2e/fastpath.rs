//! The fast path: a flowtable forwards known connections, and nothing leaks by it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use wg_portals::base::error::Result;
use wg_portals::demo::{Capture, NYC, OSLO, PARIS, World, echoes};
use wg_portals::kernel::nftables::Nftables;

use crate::Scenario;
use crate::faults;
use crate::filters::everywhere_legacy;
use crate::words::{
    Who, eventually, no_leak, portal, reloaded, same, seconds, seen_as, seen_going_to, shell, start,
};

/// Scenarios that need a kernel with flowtables.
pub(crate) const WITH_FLOWTABLES: &[Scenario] = &[
    Scenario {
        name: "a known connection takes the fast path, and leaves it with its portal",
        plots: &[NYC, PARIS, OSLO],
        run: moved,
    },
    Scenario { name: "faults in any order leak nothing by the fast path", plots: &[NYC, PARIS], run: faulty },
];

/// Environment variable that turns the fast path on in all scenarios.
const EVERYWHERE: &str = "PORTALS_TEST_FASTPATH";

static ON: AtomicBool = AtomicBool::new(false);

/// Reports whether sites have the fast path.
pub(crate) fn is_on() -> bool {
    ON.load(Relaxed) || std::env::var_os(EVERYWHERE).is_some()
}

/// Reports whether this kernel has flowtables that portals can use.
pub(crate) fn is_possible() -> bool {
    let found = Nftables::find().ok().flatten();
    !everywhere_legacy() && found.is_some_and(|mut nftables| nftables.has_flowtables())
}

const GUEST: Who = |site| &site.guest;

/// Command that succeeds if the flowtable has a connection.
const HAS_FLOW: &str = "grep -q OFFLOAD /proc/net/nf_conntrack";

fn moved(world: &mut World) -> Result<()> {
    ON.store(true, Relaxed);
    let by = |world: &World, exit: &'static str| {
        world.network(|plot| if plot == NYC { portal(NYC, exit) } else { r#"exits = ["nyc"]"#.to_owned() })
    };
    start(world, &by(world, r#""paris", "oslo""#))?;
    no_leak(world, NYC, GUEST, |world| {
        for (exits, exit) in [(r#""oslo", "paris""#, OSLO), (r#""paris", "oslo""#, PARIS)] {
            let former = if exit == OSLO { PARIS } else { OSLO };
            seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), former.address)?;
            let mut peer = world.site(NYC).guest(seconds(3.0)).connect(NYC.own_server())?;
            eventually("the flowtable has the connection", || {
                same("echoes arrive", echoes(&mut peer), true)?;
                shell(&world.site(NYC).router, HAS_FLOW).map(drop)
            })?;
            reloaded(world, &[NYC], &by(world, exits))?;
            // The portal moves as soon as its new exit answers.
            seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), exit.address)?;
            let capture = Capture::start(&world.site(former).router, "uplink")?;
            echoes(&mut peer);
            seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), exit.address)?;
            let strays = seen_going_to(capture, NYC.own_server().into())?;
            same("packets at the former exit", strays.len(), 0)?;
        }
        Ok(())
    })
}

fn faulty(world: &mut World) -> Result<()> {
    ON.store(true, Relaxed);
    faults::many(world)
}
