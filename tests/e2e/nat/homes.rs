//! Homes of each kind of NAT, built in a world that has the public site oslo.

use std::net::Ipv4Addr;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{Namespace, Nat, Plot, Translation, World};

use crate::filters::{everywhere_legacy, prepare};
use crate::words::shell;

/// Kind of the way from a site to the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// A public address, without a filter.
    Public,
    /// Every host reaches a site at its mapped address.
    FullCone,
    /// A site is reached only by hosts that it has sent to.
    PortRestricted,
    /// Port-restricted NAT whose router itself answers other hosts.
    Answering,
    /// The mapped address is another one for each destination.
    Symmetric,
    /// A home router behind the NAT of a carrier.
    Carrier,
    /// A home router behind the NAT of a carrier, which has another mapped address for each destination.
    SymmetricCarrier,
    /// The router lets only UDP to ports 443 and 53 leave.
    Blocked,
    /// The site is the home router itself, translates all that leaves, and filters its input.
    Own(Rules),
    /// The site is the home router itself, and all that leaves gets a random port.
    OwnSymmetric(Rules),
    /// The site is the home router itself, behind the NAT of a carrier.
    OwnBehindCarrier(Rules),
}

/// Language of the rules of a site that is the home router itself; portals then uses it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Legacy iptables.
    Legacy,
    /// The language of the whole suite: nftables, if this kernel's can guard portals.
    Usual,
}

/// A home that has been built.
#[derive(Debug)]
pub(super) struct Built {
    /// Place of the site.
    pub(super) plot: Plot,
    /// Routers with NAT between the site and the internet, beginning at the site.
    pub(super) routers: Vec<Namespace>,
}

impl Home {
    /// Builds the home at the place of `plot`.
    pub(super) fn build(self, world: &mut World, plot: Plot) -> Result<Built> {
        let provider = world.build_provider(plot)?;
        let built = match self {
            Self::Public => with_site(world, Plot { home: false, ..plot }, &provider)?,
            Self::Own(_) | Self::OwnSymmetric(_) => with_site(world, plot, &provider)?,
            Self::Carrier | Self::SymmetricCarrier | Self::OwnBehindCarrier(_) => {
                self.build_behind_carrier(world, plot, &provider)?
            }
            _ => with_router(world, plot, &provider, self.nat())?,
        };
        let site = &world.site(built.plot).router;
        let rules = match self {
            Self::FullCone => full_cone(built.plot.address),
            Self::Blocked => blocked().to_owned(),
            Self::Own(rules) | Self::OwnSymmetric(rules) | Self::OwnBehindCarrier(rules) => {
                site.translate(Translation {
                    interface: "uplink",
                    home_only: false,
                    random_ports: matches!(self, Self::OwnSymmetric(_)),
                    drops_input: false,
                })?;
                filtered_input(rules).to_owned()
            }
            _ => return Ok(built),
        };
        shell(built.routers.first().unwrap_or(site), &rules)
            .context(|| format!("cannot set up the rules of {self:?}"))?;
        Ok(built)
    }

    fn build_behind_carrier(self, world: &mut World, plot: Plot, provider: &Namespace) -> Result<Built> {
        let carrier = world.build_router(plot, provider)?;
        let nat = if self == Self::SymmetricCarrier { Nat::Symmetric } else { Nat::PortRestricted };
        nat.install(&carrier)?;
        let behind = Plot { address: Ipv4Addr::new(100, 127, plot.id, 2), ..plot };
        if let Self::OwnBehindCarrier(_) = self {
            return with_site(world, behind, &carrier);
        }
        let mut built = with_router(world, behind, &carrier, Nat::PortRestricted)?;
        built.routers.push(carrier);
        Ok(built)
    }

    fn nat(self) -> Nat {
        match self {
            Self::Answering => Nat::Answering,
            Self::Symmetric => Nat::Symmetric,
            _ => Nat::PortRestricted,
        }
    }
}

/// Script that leads all packets from outside to one site.
fn full_cone(site: Ipv4Addr) -> String {
    if everywhere_legacy() {
        return format!(
            "iptables-legacy -t nat -A PREROUTING -i uplink -p udp -j DNAT --to-destination {site}"
        );
    }
    format!(
        "nft 'table ip cone {{ chain prerouting {{ type nat hook prerouting priority -100
         iifname uplink meta l4proto udp dnat to {site}
         }}; }}'"
    )
}

/// Script that lets only packets to two ports leave.
fn blocked() -> &'static str {
    if everywhere_legacy() {
        return "iptables-legacy -A FORWARD -o uplink -p udp -m multiport ! --dports 443,53 -j DROP";
    }
    "nft 'table ip blocked { chain forward { type filter hook forward priority 0
     oifname uplink udp dport != { 443, 53 } drop
     }; }'"
}

/// Script that drops packets of unknown senders to a site.
fn filtered_input(rules: Rules) -> &'static str {
    if rules == Rules::Legacy || everywhere_legacy() {
        return "iptables-legacy -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
                iptables-legacy -A INPUT ! -i uplink -j ACCEPT
                iptables-legacy -P INPUT DROP";
    }
    "nft 'table inet own { chain input { type filter hook input priority 0; policy drop
     ct state established,related accept
     iifname != uplink accept
     }; }'"
}

/// Builds two homes behind one router: both sites are on its LAN.
pub(super) fn build_together(world: &mut World, plots: [Plot; 2], nat: Nat) -> Result<[Built; 2]> {
    let [first, second] = plots;
    let provider = world.build_provider(first)?;
    let mut one = with_router(world, first, &provider, nat)?;
    let router = one.routers.remove(0);
    let lan = one.plot;
    let [a, b, c, _] = lan.address.octets();
    let other = Plot { address: Ipv4Addr::new(a, b, c, 3), ..second.behind_router() };
    world.add_site(other, &router)?;
    prepare(&world.site(other).router)?;
    // Each site has come with its own cable, whose end at the router has the gateway's address.
    shell(
        &router,
        &format!(
            "ip link add lan type bridge; ip link set lan up
             for port in {} {}; do ip address flush dev $port; ip link set $port master lan; done
             ip address add {}/24 dev lan",
            lan.name,
            other.name,
            lan.gateway()
        ),
    )?;
    let built = |plot| Built { plot, routers: vec![router.clone()] };
    Ok([built(lan), built(other)])
}

fn with_site(world: &mut World, plot: Plot, host: &Namespace) -> Result<Built> {
    world.add_site(plot, host)?;
    prepare(&world.site(plot).router)?;
    Ok(Built { plot, routers: Vec::new() })
}

fn with_router(world: &mut World, plot: Plot, host: &Namespace, nat: Nat) -> Result<Built> {
    let router = world.build_router(plot, host)?;
    nat.install(&router)?;
    let mut built = with_site(world, plot.behind_router(), &router)?;
    built.routers.push(router);
    Ok(built)
}
