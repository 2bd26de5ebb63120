//! Faults of firmware: on machines with the files of EdgeOS, OpenWrt and UniFi OS.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, World};

use crate::Scenario;
use crate::firmware::Machine;
use crate::troubles::doctor::{
    CHANGED_HOOK, FLOW_OFFLOADING, HOOK_OF_EDGEOS, HOOK_OF_UNIFI, HWNAT, KEPT_BY_OPENWRT, PACKAGE_OFF,
    WITHOUT_TUN, WITHOUT_UDM_BOOT,
};
use crate::troubles::{Trouble, has_words};
use crate::words::{portal, same};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "doctor: faults of EdgeOS", plots: &[NYC], run: edgeos },
    Scenario { name: "doctor: faults of OpenWrt", plots: &[NYC], run: openwrt },
    Scenario { name: "doctor: faults of UniFi OS", plots: &[NYC], run: unifi },
];

fn edgeos(world: &mut World) -> Result<()> {
    let skeleton = "mkdir -p config/scripts/post-config.d config/scripts/pre-config.d
        touch config/config.boot";
    each(world, skeleton, "/config/portals", &[HWNAT, CHANGED_HOOK, HOOK_OF_EDGEOS])
}

fn openwrt(world: &mut World) -> Result<()> {
    let skeleton = "mkdir -p etc/config etc/init.d etc/rc.d lib/functions lib/upgrade/keep.d
        touch lib/functions/procd.sh etc/config/firewall";
    each(world, skeleton, "/etc/portals", &[FLOW_OFFLOADING, KEPT_BY_OPENWRT, PACKAGE_OFF, WITHOUT_TUN])
}

fn unifi(world: &mut World) -> Result<()> {
    let skeleton = "mkdir -p data/unifi data/on_boot.d etc/systemd/system";
    each(world, skeleton, "/data/portals", &[WITHOUT_UDM_BOOT, HOOK_OF_UNIFI])
}

/// Installs portals without a fault, then makes one fault after the other, and demands its words.
fn each(world: &mut World, skeleton: &str, folder: &str, troubles: &[Trouble]) -> Result<()> {
    world.install(&world.network(|_| portal(NYC, r#""direct""#)))?;
    let mut machine = Machine::new(world.site(NYC), skeleton)?;
    machine.configure(folder)?;
    machine.boot("if [ -e /data ]; then mkdir -p /run/systemd/system; fi")?;
    machine.run("/root/portals install --no-start")?;
    let doctor = || machine.run("PORTALS_WIREGUARD=built-in /root/portals doctor || true");
    let text = doctor()?;
    same(&format!("boot and offload in {text}"), text.contains("✓ boot: The agent starts at boot ("), true)?;
    for trouble in troubles {
        machine.run(trouble.breaks)?;
        let text = doctor()?;
        same(&format!("words\n{}\nin\n{text}", trouble.words), has_words(&text, trouble.words), true)?;
        println!("named: {}", trouble.fault);
    }
    Ok(())
}
