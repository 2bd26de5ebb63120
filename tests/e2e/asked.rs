//! Questions of a command to the agent of a linked site.

use std::net::Ipv4Addr;
use std::path::Path;

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, PARIS, SERVER, World};
use wg_portals::diagnose::ask::{Channel, FarTrace};
use wg_portals::engine::here::Here;

use crate::Scenario;
use crate::words::{portal, same, seconds, seen_as, settled, start};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a linked site watches for a flow of this site", plots: &[NYC, PARIS], run: watched },
    Scenario {
        name: "a linked site without an agent gives no answer to a question",
        plots: &[NYC, PARIS],
        run: silent,
    },
];

/// Has Paris trace the packets of a device to the server, as a command at nyc does. `meanwhile` runs once
/// Paris watches.
fn traced(
    nyc: &DemoSite,
    device: Ipv4Addr,
    time: u8,
    meanwhile: impl FnOnce(&Here) -> Result<()> + Send,
) -> Result<String> {
    nyc.router.run(|| {
        let here = Here::open(Path::new(NETWORK_FILE)).map_err(|errors| Error::failed(errors.to_string()))?;
        let trace = FarTrace::begin(channel(&here)?, device.into(), (SERVER, 80).into(), false, time)?;
        meanwhile(&here)?;
        trace.finish()
    })
}

fn channel(here: &Here) -> Result<Channel<'_>> {
    Channel::open(&here.site, PARIS.tunnel().into()).ok_or_else(|| Error::failed("no link to Paris"))
}

fn watched(world: &mut World) -> Result<()> {
    let network = world.network(|plot| if plot == NYC { portal(NYC, r#""paris""#) } else { String::new() });
    start(world, &network)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let nyc = world.site(NYC);
    let text = traced(nyc, NYC.guest(), 30, |here| {
        let other = FarTrace::begin(channel(here)?, NYC.guest().into(), (SERVER, 81).into(), false, 1);
        let refusal = other.err().map(|error| error.to_string()).unwrap_or_default();
        same(&refusal, refusal.contains("traces another flow"), true)?;
        nyc.guest(seconds(3.0)).who_am_i(SERVER).map(drop)
    })?;
    let first = "waiting for a packet of the flow, up to 20 s\n";
    let guest = NYC.guest().to_string();
    for part in [first, &guest, "portals0", "uplink", "answer"] {
        same(&format!("`{part}` in {text}"), text.contains(part), true)?;
    }
    // No packet comes from a device that is not there. Those of the guest's last connection may come late.
    let absent = Ipv4Addr::from_bits(NYC.guest().to_bits() + 1);
    let text = traced(nyc, absent, 11, |_| Ok(()))?;
    for part in ["up to 1 s\n", "came in meanwhile"] {
        same(&format!("`{part}` in {text}"), text.contains(part), true)?;
    }
    let refused = traced(nyc, PARIS.guest(), 30, |_| Ok(())).err().map(|error| error.to_string());
    let refused = refused.unwrap_or_default();
    same(&refused, refused.contains("traces only flows of devices of this site"), true)?;
    settled(world.site(PARIS))
}

fn silent(world: &mut World) -> Result<()> {
    let network = world.network(|plot| if plot == NYC { portal(NYC, r#""paris""#) } else { String::new() });
    start(world, &network)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    world.site(PARIS).kill_agent();
    let error = traced(world.site(NYC), NYC.guest(), 5, |_| Ok(())).err();
    let words = error.map(|error| error.to_string()).unwrap_or_default();
    same(&words, words.contains("the agent of `paris` does not answer"), true)
}
