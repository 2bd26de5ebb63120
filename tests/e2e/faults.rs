//! Faults that firmware, people and accidents cause at a running site: each is repaired soon, and nothing
//! leaks meanwhile.
//!
//! `PORTALS_TEST_FAULTS` is the number of random faults (default 25), `PORTALS_TEST_KILLS` the number of
//! times that the agent is killed (default 10).

use std::time::Instant;

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{DemoSite, NYC, PARIS, World};

use crate::Scenario;
use crate::fastpath;
use crate::filters::{everywhere_legacy, forget_rules};
use crate::ways::each_other;
use crate::words::{Who, eventually, no_leak, same, seconds, seen_as, settled, shell, start, within};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "faults in any order leak nothing", plots: &[NYC, PARIS], run: many },
    Scenario { name: "an agent killed at any moment leaks nothing", plots: &[NYC, PARIS], run: killed },
    Scenario {
        name: "a missing entrance keeps no other portal from being repaired",
        plots: &[NYC, PARIS],
        run: absent,
    },
    Scenario {
        name: "a program that undoes repairs again and again is named",
        plots: &[NYC, PARIS],
        run: fight,
    },
];

/// Scenarios that measure time.
pub(crate) const TIMED: &[Scenario] =
    &[Scenario { name: "each fault is repaired within a second", plots: &[NYC, PARIS], run: each }];

/// Seconds that a repair may take, with half a second for the check.
const SOON: f64 = 1.5;

/// Number of times that a fault is caused at most: other work on a machine delays a repair, too.
const ATTEMPTS: usize = 5;

/// A fault at nyc.
struct Fault {
    name: &'static str,
    /// Shell commands on the router that cause the fault; `$gateway` is the internet's side of the uplink.
    script: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "`ip rule flush`, and the host's own rules put back",
        script: "ip rule flush; ip rule add priority 32766 lookup main; \
                 ip rule add priority 32767 lookup default",
    },
    Fault {
        name: "the rules of portals deleted",
        script: "for p in 113 118; do ip rule delete priority $p; done",
    },
    Fault { name: "the exit's table flushed", script: "ip route flush table 7702" },
    Fault { name: "portals' routes flushed everywhere", script: "ip route flush table all protocol 77" },
    Fault { name: "the tunnel deleted", script: "ip link delete to-paris" },
    Fault { name: "the tunnel set down", script: "ip link set to-paris down" },
    Fault { name: "the tunnel's address removed", script: "ip address flush dev to-paris" },
    Fault { name: "the portal's address removed", script: "ip address flush dev portal0" },
    Fault {
        name: "the portal's interface down and up",
        script: "ip link set portal0 down; ip link set portal0 up",
    },
    Fault {
        name: "forwarding switched off",
        script: "sysctl -q -w net.ipv4.ip_forward=0; ip link set lo down; ip link set lo up",
    },
    Fault {
        name: "the uplink gone and back, as with PPP",
        script: "ip link set uplink down; sleep 0.1; ip link set uplink up; \
                 ip route add default via $gateway",
    },
    Fault {
        name: "the way out via another interface",
        script: "ip link show other >/dev/null 2>&1 || {
                     ip link add other link uplink type macvlan mode bridge; ip link set other up; }
                 ip route replace default via $gateway dev other onlink; sleep 0.1
                 ip route replace default via $gateway dev uplink",
    },
];

/// Flush of everything except the home's own table, which this world needs.
pub(crate) const FLUSH_NFTABLES: &str =
    "home=$(nft list table ip home); nft -f - <<END\nflush ruleset\n$home\nEND";

/// Faults that only one of the two firewalls has.
const OF_NFTABLES: &[Fault] = &[
    Fault { name: "`nft flush ruleset`, and the home's own rules put back", script: FLUSH_NFTABLES },
    Fault { name: "portals' nftables table deleted", script: "nft delete table inet portals" },
    Fault { name: "a chain of portals flushed", script: "nft flush chain inet portals forward" },
    Fault { name: "a foreign rule in portals' chain", script: "nft insert rule inet portals forward accept" },
];
/// Faults of the fast path.
const OF_FLOWTABLE: &[Fault] = &[
    Fault {
        name: "the flowtable deleted",
        script: "nft flush chain inet portals forward; nft delete flowtable inet portals fast",
    },
    Fault {
        name: "a device taken out of the flowtable",
        script: "nft delete flowtable inet portals fast '{ devices = { to-paris }; }'",
    },
];
const OF_LEGACY: &[Fault] = &[
    Fault {
        name: "`iptables -F` in all tables",
        script: "for t in filter mangle nat; do iptables-legacy -t $t -F; done",
    },
    Fault {
        name: "the jump to portals' chain deleted",
        script: "iptables-legacy -D FORWARD -j PORTALS_FORWARD",
    },
    Fault {
        name: "the portal's interface replaced by another one in all rules of a table",
        script: "iptables-legacy-save -t filter | sed 's/portal0/portal9/' | iptables-legacy-restore",
    },
    Fault {
        name: "the firewall loaded again, without portals' chains",
        script: "printf '*filter\\n-A INPUT -i lo -j ACCEPT\\nCOMMIT\\n' | iptables-legacy-restore",
    },
];

const GUEST: Who = |site| &site.guest;

fn all() -> Vec<&'static Fault> {
    let of_firewall = if everywhere_legacy() { OF_LEGACY } else { OF_NFTABLES };
    let of_flowtable = if fastpath::is_on() { OF_FLOWTABLE } else { &[] };
    FAULTS.iter().chain(of_firewall).chain(of_flowtable).collect()
}

/// Causes one fault after the other, and measures the time of each repair. The last fault comes twice: right
/// after its repair it looks exactly as it did the first time.
fn each(world: &mut World) -> Result<()> {
    open(world)?;
    no_leak(world, NYC, GUEST, |world| {
        settled(world.site(NYC))?;
        let faults = all();
        for (number, fault) in faults.iter().chain(faults.last()).enumerate() {
            if number == FAULTS.len() {
                forget_repairs(world)?;
            }
            repaired_soon(world, fault)?;
        }
        Ok(())
    })
}

/// Causes a fault, and checks that it is repaired soon; or, after a late repair, most times.
fn repaired_soon(world: &mut World, fault: &Fault) -> Result<()> {
    let mut late = 0;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            forget_repairs(world)?;
        }
        let took = repaired_after(world, fault)?;
        println!("fault {took:5.0} ms  {}", fault.name);
        late += usize::from(took > seconds(SOON).as_secs_f64() * 1e3);
        if late == 0 {
            break;
        }
    }
    if late > ATTEMPTS / 2 {
        return Err(Error::failed(format!("{}: repaired late {late} of {ATTEMPTS} times", fault.name)));
    }
    Ok(())
}

/// Starts an agent that has repaired nothing yet: with many repairs, those of the firewall would count as a
/// quarrel with another program, and be slower.
fn forget_repairs(world: &mut World) -> Result<()> {
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))
}

/// Number of repetitions from an environment variable.
pub(crate) fn times(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Random numbers by xorshift64 (Marsaglia 2003).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(std::time::UNIX_EPOCH.elapsed().map_or(1, |now| u64::from(now.subsec_nanos()) | 1))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("a small number")
    }
}

/// Causes random faults. Each is repaired before the next one comes: two layers guard a portal, and a fault
/// that removed both at once would leave it bare until the repair.
pub(crate) fn many(world: &mut World) -> Result<()> {
    let number = times("PORTALS_TEST_FAULTS", 25);
    open(world)?;
    let faults = all();
    let mut random = Random::new();
    no_leak(world, NYC, GUEST, |world| {
        for round in 0..number {
            let index = random.below(faults.len() + 1);
            match faults.get(index) {
                // An object that an earlier fault has destroyed cannot be destroyed again.
                Some(fault) => drop(harm(world.site(NYC), fault)),
                None => world.site(NYC).start_agent()?,
            }
            settled(world.site(NYC))?;
            if round % 10 == 9 {
                // A lost handshake is repeated after 5 s, and a session that the other end has lost after 15
                // s.
                within(seconds(25.0), "the portal opens", || opens_again(world))?;
            }
        }
        Ok(())
    })
}

/// Kills agents at random moments of their first half second; the last one repairs the remains.
fn killed(world: &mut World) -> Result<()> {
    open(world)?;
    let mut random = Random::new();
    no_leak(world, NYC, GUEST, |world| {
        for _ in 0..times("PORTALS_TEST_KILLS", 10) {
            world.site(NYC).start_agent()?;
            std::thread::sleep(seconds(0.001) * u32::try_from(random.below(500)).expect("a small number"));
            world.site(NYC).kill_agent();
        }
        world.site(NYC).start_agent()?;
        settled(world.site(NYC))?;
        opens_again(world)
    })
}

/// Checks that the agent names the program that undoes its repairs, slows down for a while, and wins in the
/// end.
fn fight(world: &mut World) -> Result<()> {
    open(world)?;
    no_leak(world, NYC, GUEST, |world| {
        let delete =
            "for i in $(seq 10); do ip rule delete priority 113 2>/dev/null || true; sleep 0.02; done";
        let what = "add rule 113: from all iif portal0 lookup 7702; from now on it is repaired once a second";
        within(seconds(20.0), "the agent names the undone step", || {
            shell(&world.site(NYC).router, delete)?;
            let log = world.site(NYC).log();
            let said = log.lines().find(|line| line.contains("undoes a repair again and again"));
            same(&format!("{what} in {said:?}"), said.is_some_and(|line| line.contains(what)), true)
        })?;
        settled(world.site(NYC))?;
        opens_again(world)
    })
}

/// Checks that faults at one portal are repaired while the interface of a second one is missing, and that the
/// second portal opens when its interface comes.
fn absent(world: &mut World) -> Result<()> {
    let second = "\n[site.nyc.portal.later]\nexit = \"paris\"\ninterface = \"later0\"\ndhcp = false\n";
    let network = world.network(each_other) + second;
    start(world, &network)?;
    opens_again(world)?;
    no_leak(world, NYC, GUEST, |world| {
        for script in [
            "ip rule flush; ip rule add priority 32766 lookup main",
            forget_rules(),
            "ip route flush table 7702",
        ] {
            shell(&world.site(NYC).router, script)?;
            settled(world.site(NYC))?;
            opens_again(world)?;
        }
        Ok(())
    })?;
    shell(&world.site(NYC).router, "ip link add later0 type veth peer name other0")?;
    eventually("the second portal has its address", || {
        shell(&world.site(NYC).router, "ip -o address show dev later0 | grep 10.77.1.129/26").map(drop)
    })?;
    shell(&world.site(NYC).router, "ip link delete later0")?;
    settled(world.site(NYC))
}

fn open(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    opens_again(world)
}

fn opens_again(world: &mut World) -> Result<()> {
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
}

/// Milliseconds from a fault until no repair is left; the portal is open then.
fn repaired_after(world: &mut World, fault: &Fault) -> Result<f64> {
    harm(world.site(NYC), fault)?;
    let start = Instant::now();
    settled(world.site(NYC)).context(|| fault.name.to_owned())?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    opens_again(world).context(|| fault.name.to_owned())?;
    Ok(took)
}

fn harm(site: &DemoSite, fault: &Fault) -> Result<()> {
    let gateway = site.plot.gateway();
    shell(&site.router, &format!("gateway={gateway}\n{}", fault.script))
        .context(|| fault.name.to_owned())
        .map(drop)
}
