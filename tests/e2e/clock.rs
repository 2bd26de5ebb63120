//! A router whose clock is wrong: each site has its own clock here, which no other process sees.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{DemoSite, NYC, PARIS, SERVER, World};
use wg_portals::state::WireGuardBackend;

use crate::Scenario;
use crate::words::{eventually, portal, same, seconds, seen_as, shell, start, succeeds};

pub(crate) const WITH_CC: &[Scenario] = &[
    Scenario {
        name: "a router that started in 1970 is heard once its clock is right",
        plots: &[NYC, PARIS],
        run: unset,
    },
    Scenario {
        name: "a router continues from the last known time, and through jumps of its clock",
        plots: &[NYC, PARIS],
        run: goes_on,
    },
];

/// File that keeps the last known time of a site.
const LAST_KNOWN: &str = "/run/demo/network.toml.clock";

/// Second address for nyc, which paris does not know and thus cannot dial.
const ELSEWHERE: std::net::Ipv4Addr = std::net::Ipv4Addr::new(198, 51, 100, 77);

const TEN_YEARS: i64 = 10 * 365 * 86_400;

/// Reports whether the C compiler can make a clock for a program with the C library of this machine.
pub(crate) fn can_be_made() -> bool {
    let is_dynamic = fs::read(crate::program()).is_ok_and(|program| {
        program.windows(10).any(|piece| piece == b"ld-linux-x" || piece == b"ld-linux-a")
    });
    is_dynamic && Command::new("cc").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Clock of one site.
struct Clock(PathBuf);

impl Clock {
    /// Gives a site its own clock, which is right at first.
    fn give_to(site: &mut DemoSite) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("portals-clock-{}", std::process::id()));
        fs::create_dir_all(&folder).context(|| format!("cannot make {}", folder.display()))?;
        let (library, shift) = (folder.join("clock.so"), folder.join("shift"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clock.c");
        let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", source, "-o"]).arg(&library).status();
        let made = made.context(|| "cannot start cc".to_owned())?;
        same("cc made a clock", made.success(), true)?;
        let clock = Self(shift);
        clock.shift(0)?;
        site.set_environment("PORTALS_TEST_CLOCK", clock.0.display().to_string());
        site.set_environment("LD_PRELOAD", library.display().to_string());
        Ok(clock)
    }

    /// Sets the clock to this many seconds from the right time.
    fn shift(&self, by: i64) -> Result<()> {
        // The file is changed in place: the preloaded clock maps it.
        let write = || {
            let file = fs::File::options().create(true).truncate(false).write(true).open(&self.0)?;
            std::os::unix::fs::FileExt::write_all_at(&file, &by.to_ne_bytes(), 0)
        };
        write().context(|| format!("cannot write {}", self.0.display()))
    }

    /// Sets the clock to 1970, as on a router without a battery.
    fn begin_in_1970(&self) -> Result<()> {
        let now =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Error::failed("1970"))?;
        self.shift(60 - now.as_secs().cast_signed())
    }

    fn is_off_by(&self) -> Result<i64> {
        let bytes = fs::read(&self.0).context(|| format!("cannot read {}", self.0.display()))?;
        Ok(i64::from_ne_bytes(bytes.try_into().map_err(|_| Error::failed("a shift has eight bytes"))?))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = self.0.parent().map(fs::remove_dir_all);
    }
}

/// Starts nyc, which leaves at paris and is behind NAT according to the file, and waits for its first
/// handshake there.
fn begin(world: &mut World) -> Result<Clock> {
    for plot in [NYC, PARIS] {
        world.site(plot).demand_wireguard(WireGuardBackend::BuiltIn);
    }
    let clock = Clock::give_to(world.site(NYC))?;
    let network = world.network(|plot| match plot {
        NYC => portal(NYC, r#""paris""#),
        _ => String::new(),
    });
    start(world, &network.replace(&format!("endpoint = \"{}\"\n", NYC.address), ""))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    Ok(clock)
}

/// Cuts the power of nyc, which comes back with another address.
fn power_cycle(
    site: &mut DemoSite,
    address: std::net::Ipv4Addr,
    between: impl FnOnce(&DemoSite) -> Result<()>,
) -> Result<()> {
    site.kill_agent();
    site.move_to(address)?;
    between(site)?;
    site.start_agent()
}

fn unset(world: &mut World) -> Result<()> {
    let clock = begin(world)?;
    let site = world.site(NYC);
    power_cycle(site, ELSEWHERE, |site| {
        shell(&site.router, &format!("rm -f {LAST_KNOWN}"))?;
        clock.begin_in_1970()
    })?;
    eventually("status names the clock", || says(site, "the clock of this machine shows 1970-01-01T00:0"))?;
    eventually("the log names it", || {
        same("it", site.log().contains("the clock of this machine shows 1970-01-01T00:0"), true)
    })?;
    same("a guest is refused", seen(site).is_ok(), false)?;
    clock.shift(0)?;
    // The kernel tells an agent that its clock was set, but not for this clock: the agent reads it when it
    // gets a request.
    same("status names it still", says(site, "the clock of").is_ok(), false)?;
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)
}

fn goes_on(world: &mut World) -> Result<()> {
    let clock = begin(world)?;
    let site = world.site(NYC);
    // The agent keeps the time when it ends.
    site.stop_agent()?;
    site.start_agent()?;
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    site.stop_agent()?;
    power_cycle(site, ELSEWHERE, |_| clock.begin_in_1970())?;
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    same("seconds that the clock is ahead", clock.is_off_by()?.max(0), 0)?;
    same("the clock is behind by more than a minute", clock.is_off_by()? < -60, false)?;
    says(site, "no time server has confirmed it yet")?;
    for years in [1, -1, 0] {
        clock.shift(years * TEN_YEARS)?;
        same("the clock was borrowed", says(site, "no time server has").is_ok(), false)?;
        same("the link is up", status(site)?.contains("paris        up"), true)?;
        seen(site)?;
    }
    // The next start does not set a clock that a person has corrected.
    site.stop_agent()?;
    site.start_agent()?;
    same("years that the clock is off by", clock.is_off_by()? / (TEN_YEARS / 10), 0)
}

fn seen(site: &DemoSite) -> Result<()> {
    let source = site.guest(seconds(3.0)).who_am_i(SERVER)?;
    same("the server sees", source, PARIS.address.into())
}

fn status(site: &DemoSite) -> Result<String> {
    succeeds(site, &["status"])
}

fn says(site: &DemoSite, words: &str) -> Result<()> {
    let status = status(site)?;
    same(&format!("`{words}` in {status}"), status.contains(words), true)
}
