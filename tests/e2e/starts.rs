//! An agent that cannot start: traffic that entered the portals goes nowhere, and the portals open again as
//! soon as the agent can start.

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{Capture, NETWORK_FILE, NYC, PARIS, ProbeClient, World};

use crate::Scenario;
use crate::ways::each_other;
use crate::words::{
    Who, eventually, no_leak, same, seconds, seen_as, seen_going_to, settled, shell, start, succeeds,
    unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] =
    &[Scenario { name: "no leak while the agent cannot start", plots: &[NYC, PARIS], run: cannot_start }];

/// Sets the host up as after a reboot: it forwards, and the portal's LAN leads to it.
const HOST: &str = "echo 1 >/proc/sys/net/ipv4/ip_forward; ip link set portal0 up";

fn cannot_start(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let file = NETWORK_FILE;
    let key = "/run/demo/private.key";
    let run = "/run/portals";
    for (breaks, mends) in [
        (format!("cp {file} /run/good; echo 'colour = 1' >>{file}"), format!("cp /run/good {file}")),
        (format!("chmod 644 {key}"), format!("chmod 600 {key}")),
        (
            format!("mount -t tmpfs -o size=4k tmpfs {run}; head -c 4096 /dev/zero >{run}/full"),
            format!("umount -l {run}; kill -HUP $AGENT"),
        ),
    ] {
        one(world, &breaks, &mends)?;
    }
    let site = world.site(NYC);
    site.stop_agent()?;
    succeeds(site, &["down"])?;
    same(
        "rules that are left",
        shell(&site.router, "ip rule list | grep -c '^11[0-9]:' || true")?.trim(),
        "0",
    )
}

fn one(world: &mut World, breaks: &str, mends: &str) -> Result<()> {
    let guest: Who = |site| &site.guest;
    let site = world.site(NYC);
    site.stop_agent()?;
    succeeds(site, &["down"])?;
    let address = format!("ip address add {}/26 dev portal0 2>/dev/null || true", NYC.portal());
    shell(&site.router, &format!("{HOST}; {address}; {breaks}"))?;
    // Otherwise, nothing is tested. The guest's interface needs a moment until its cable is plugged in.
    eventually("without portals, packets leave via the uplink", || {
        let capture = Capture::start(&site.router, "uplink")?;
        ProbeClient::new(guest(site), seconds(1.0)).knock(NYC.own_server(), 20)?;
        if seen_going_to(capture, NYC.own_server().into())?.is_empty() {
            return Err(Error::failed("none was seen"));
        }
        Ok(())
    })?;
    let before = site.log().matches("are closed until").count();
    site.start_agent()?;
    eventually("the portals are closed", || {
        same("said", world.site(NYC).log().matches("are closed until").count(), before + 1)
    })?;
    no_leak(world, NYC, guest, |world| {
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        let agent = world.site(NYC).agent()?.pid();
        shell(&world.site(NYC).router, &format!("AGENT={agent}; {mends}"))?;
        seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
    })?;
    settled(world.site(NYC))
}
