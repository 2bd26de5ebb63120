//! Stories: each runs the command lines of some pages, in the order of the page, on machines such as the page
//! supposes.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, OSLO, PARIS, Plot};

use crate::pages::Page;
use crate::remote;
use crate::shells::{eventually, same};
use crate::stage::{EDGEOS, Kind, LINUX, OPENRC, OPENWRT, SYSTEMD, Stage, UNIFI, tell};

/// Pages of each story.
pub(crate) const PAGES: [&[&str]; 10] = [
    &TWO_SITES,
    &[DIAGNOSIS],
    &[JOINING],
    &[RECIPES],
    &[WG_QUICK],
    &[EDGEROUTER],
    &[ON_OPENRC],
    &[ON_OPENWRT],
    &[ON_SYSTEMD],
    &[ON_UNIFI],
];

/// Pages about a network of two sites.
const TWO_SITES: [&str; 5] = [README, COMMANDS, ENTRANCES, MONITORING, PHONES];

const README: &str = "README.md";
const COMMANDS: &str = "docs/commands.md";
const DIAGNOSIS: &str = "docs/diagnosis.md";
const ENTRANCES: &str = "docs/entrances.md";
const JOINING: &str = "docs/joining.md";
const MONITORING: &str = "docs/monitoring.md";
const PHONES: &str = "docs/phones-and-providers.md";
const RECIPES: &str = "docs/recipes/README.md";
const WG_QUICK: &str = "docs/wg-quick.md";
const EDGEROUTER: &str = "docs/platforms/edgerouter.md";
const ON_OPENRC: &str = "docs/platforms/openrc.md";
const ON_OPENWRT: &str = "docs/platforms/openwrt.md";
const ON_SYSTEMD: &str = "docs/platforms/systemd.md";
const ON_UNIFI: &str = "docs/platforms/unifi.md";

/// Script that removes the `#` of the portal that `init` has written.
const OPEN_PORTAL: &str = "sed -i '/^# .site.nyc.portal.guest.$/,+2 s/^# //' /etc/portals/network.toml";

#[test]
fn two_sites() {
    tell(&TWO_SITES, |stage| {
        stage.scene(&[(NYC, LINUX), (PARIS, LINUX)])?;
        stage.run(README, NYC, "portals init --site nyc")?;
        stage.run(README, PARIS, "portals join")?;
        stage.guest_is_at(PARIS, NYC)?;
        stage.at(NYC, OPEN_PORTAL)?;
        let file = stage.at(NYC, "cat /etc/portals/network.toml")?;
        let shown = Page::read(README).blocks().into_iter().find(|block| block.language == "toml");
        for line in shown.expect("the portal").lines {
            let line = line.split('#').next().unwrap_or_default().trim();
            same(&format!("`{line}` in\n{file}"), file.lines().any(|other| other == line), true)?;
        }
        stage.at(NYC, "portals plan && portals push")?;
        stage.guest_is_at(NYC, PARIS)?;

        stage.at(NYC, "sed -i '/^.network.$/a mtu = 1380' /etc/portals/network.toml")?;
        stage.run(COMMANDS, NYC, "portals apply --confirm 60")?;
        stage.at(NYC, "portals push")?;
        stage.run(ENTRANCES, NYC, "(umask 077; echo")?;
        let mode = stage.at(NYC, "stat -c %a /etc/portals/wifi.key")?;
        same("mode of the passphrase", mode.trim(), "600")?;
        stage.run(MONITORING, NYC, "cd /var/lib/node_exporter")?;
        let metrics = stage.at(NYC, "cat /var/lib/node_exporter/portals.prom")?;
        same(&metrics, metrics.contains("\nportals_link_up{peer=\"paris\""), true)?;
        stage.run(PHONES, NYC, "portals phone add mike")?;
        Ok(())
    });
}

#[test]
fn sites_join() {
    tell(&[JOINING], |stage| {
        sites_are_invited(stage)?;
        sites_accept(stage)?;
        a_laptop_signs(stage)?;
        a_mesh_is_taken_over(stage)
    });
}

fn sites_are_invited(stage: &mut Stage) -> Result<()> {
    begin_with_endpoint(stage)?;
    stage.run(JOINING, NYC, "portals invite paris")?;
    stage.run(JOINING, NYC, "ssh -t root@paris portals join")?;
    begin_with_endpoint(stage)?;
    stage.run(JOINING, PARIS, "ssh root@nyc portals invite paris --no-qr | portals join -")?;
    stage.guest_is_at(PARIS, NYC)?;

    begin_with_endpoint(stage)?;
    stage.at(NYC, "portals invite paris")?;
    stage.run(JOINING, NYC, "portals invites")?;
    stage.begin_at(NYC, "portals invite paris --confirm --no-qr")?;
    stage.copied(NYC, "p1.")?;
    stage.begin_at(PARIS, "portals join p1.…")?;
    eventually("paris waits for a yes", || {
        let listed = stage.at(NYC, "portals invites")?;
        same(&listed, listed.contains("waits for a yes"), true)
    })?;
    stage.run(JOINING, NYC, "portals invites")?;
    stage.ended(PARIS)
}

fn sites_accept(stage: &mut Stage) -> Result<()> {
    stage.scene(&[(NYC, LINUX), (PARIS, LINUX), (OSLO, LINUX)])?;
    stage.at(NYC, "portals init --site nyc && portals install && portals invite paris")?;
    stage.begin(JOINING, PARIS, "portals join p1.… --endpoint")?;
    stage.copied(PARIS, "a1.")?;
    stage.run(JOINING, NYC, "portals accept")?;
    stage.ended(PARIS)?;
    stage.run(JOINING, NYC, "portals push").map(drop)
}

/// Signs files at oslo, which plays the laptop of the scene before.
fn a_laptop_signs(stage: &mut Stage) -> Result<()> {
    stage.at(OSLO, "mkdir /laptop")?;
    stage.run_in("/laptop", JOINING, OSLO, "scp root@nyc:/etc/portals/admin.key")?;
    stage.at(OSLO, "sed -i '/^.network.$/a mtu = 1380' /laptop/network.toml")?;
    stage.run_in("/laptop", JOINING, OSLO, "portals sign network.toml")?;
    let file = stage.at(PARIS, "cat /etc/portals/network.toml")?;
    same(&file, file.contains("\nmtu = 1380\n"), true)?;
    stage.run_in("/laptop", JOINING, OSLO, "portals sign --create --key spare.key")?;
    // A network without an admin key.
    stage.at(OSLO, "portals init --site oslo && rm /etc/portals/admin.key")?;
    stage.at(OSLO, "sed -i '/^serial/d; /^admins/d; /^# signature/d' /etc/portals/network.toml")?;
    stage.run(JOINING, OSLO, "portals sign --create").map(drop)
}

/// Imports files at oslo, and adds rome, which runs no portals, to the network of the scene before.
fn a_mesh_is_taken_over(stage: &mut Stage) -> Result<()> {
    stage.at(OSLO, FILES_OF_A_MESH)?;
    stage.run(JOINING, OSLO, "portals import nyc.conf")?;
    let signed = stage.at(OSLO, "tail -n 1 /root/mesh/rome/network.toml")?;
    same(&signed, signed.starts_with("# signature: "), true)?;
    remote::run(stage, "/laptop", OSLO, "scp admin.key root@nyc:/etc/portals/")?;
    stage.at(NYC, "wg genkey >/root/rome.key")?;
    stage.run_line(JOINING, NYC, "portals site add rome")?;
    // Rome does not take the file.
    stage.run_with(1, JOINING, NYC, "portals push")?;
    let file = stage.run_line(JOINING, NYC, "portals export rome")?;
    same(&file, file.contains("\n[Peer]\n"), true)?;
    let list = stage.run_line(JOINING, NYC, "portals site list")?;
    same(&list, list.contains("rome"), true)
}

/// Makes nyc the first site of a network, with an endpoint; paris is a machine without a network.
fn begin_with_endpoint(stage: &mut Stage) -> Result<()> {
    stage.scene(&[(NYC, LINUX), (PARIS, LINUX)])?;
    stage.at(NYC, "portals init --site nyc --endpoint nyc.example.net && portals install").map(drop)
}

#[test]
fn diagnosis() {
    tell(&[DIAGNOSIS], |stage| {
        begin_with_endpoint(stage)?;
        stage.at(NYC, "portals invite paris --use")?;
        stage.at(PARIS, "portals join p1.…")?;
        stage.at(NYC, &format!("printf '{TELEVISION}' >>/etc/portals/network.toml && portals push"))?;
        for (plot, command) in [(NYC, "portals trace tv 1.1.1.1:443"), (PARIS, "portals trace")] {
            stage.machine(plot).outside(if plot == NYC { GUARD } else { FORWARD })?;
            stage.run_shown(1, DIAGNOSIS, NYC, command)?;
            stage.machine(plot).outside("nft delete table inet mine")?;
        }
        Ok(())
    });
}

/// Portal for one device, for `printf`.
const TELEVISION: &str = "[site.nyc.portal.tv]\\nexit = \"paris\"\\nfrom = [\"192.168.1.50\"]\\n";

/// Script that makes the chain of another program at nyc that stops the flow.
const GUARD: &str = "nft 'add table inet mine; add chain inet mine guard
    add chain inet mine forward { type filter hook forward priority 10; }
    add rule inet mine forward jump guard
    add rule inet mine guard ip saddr 192.168.1.50 counter drop'";

/// Script that makes the chain of another program at paris that stops the flow.
const FORWARD: &str = "nft 'add table inet mine
    add chain inet mine forward { type filter hook forward priority 10; }
    add rule inet mine forward ip daddr 1.1.1.1 drop'";

#[test]
fn recipes() {
    tell(&[RECIPES], |stage| {
        begin_with_endpoint(stage)?;
        stage.at(NYC, "portals invite paris --use")?;
        stage.at(PARIS, "portals join p1.…")?;
        stage.at(NYC, OPEN_PORTAL)?;
        stage.run(RECIPES, NYC, "portals check")?;
        stage.guest_is_at(NYC, PARIS)?;
        stage.run(RECIPES, NYC, "portals phone add mike")?;
        stage.at(NYC, "test -s /root/anna.conf")?;

        stage.scene(&[(PARIS, LINUX), (NYC, LINUX)])?;
        stage.run(RECIPES, PARIS, "portals init --site paris")?;
        stage.at(NYC, "portals join p1.…")?;

        // The site that the recipe calls cloud has the address of paris here, and oslo is the other home.
        stage.scene(&[(PARIS, LINUX), (NYC, LINUX), (OSLO, LINUX)])?;
        stage.run_line(RECIPES, PARIS, "portals init --site cloud")?;
        stage.run_line(RECIPES, PARIS, "portals install")?;
        for home in [NYC, OSLO] {
            stage.run_line(RECIPES, PARIS, "portals invite")?;
            stage.at(home, "portals join p1.…")?;
        }
        Ok(())
    });
}

#[test]
fn wg_quick() {
    tell(&[WG_QUICK], |stage| {
        stage.scene(&[(NYC, LINUX), (PARIS, LINUX)])?;
        stage.at(NYC, ONE_FILE)?;
        stage.run(WG_QUICK, NYC, "portals import /etc/wireguard/wg0.conf")?;
        stage.at(NYC, "portals status")?;
        stage.at(PARIS, FILES_OF_A_MESH)?;
        stage.run(WG_QUICK, PARIS, "portals import nyc.conf")?;
        stage.at(PARIS, "portals init --site paris --endpoint paris.example.net")?;
        stage.at(PARIS, "portals site add oslo --exits paris --key \"$(wg genkey | wg pubkey)\"")?;
        stage.run(WG_QUICK, PARIS, "portals export oslo")?;
        let file = stage.at(PARIS, "cat /root/to-nyc.conf")?;
        same(&file, file.contains("[Peer]\n"), true)
    });
}

/// Runs the steps of a platform's page: at one machine it joins a network, at another one it begins one.
fn platform(stage: &mut Stage, page: &str, kind: Kind, sudo: &str) -> Result<()> {
    stage.scene(&[(NYC, LINUX), (PARIS, kind), (OSLO, kind)])?;
    stage.at(NYC, "portals init --site nyc --endpoint nyc.example.net && portals install")?;
    stage.at(NYC, "portals invite paris")?;
    let begin = |line: &str| format!("{sudo}/tmp/portals {line}");
    let (join, init) = (begin("join"), begin("init"));
    if page == ON_UNIFI {
        stage.run(page, PARIS, "chmod +x /tmp/portals")?;
        stage.run(page, OSLO, "chmod +x /tmp/portals")?;
        stage.run(page, OSLO, "/tmp/portals install")?;
    } else {
        stage.run(page, PARIS, &join)?;
        stage.run(page, OSLO, &init)?;
        if page == EDGEROUTER {
            stage.run(page, OSLO, "sudo /tmp/portals install")?;
        } else {
            stage.at(OSLO, "/tmp/portals install")?;
        }
    }
    works(stage, PARIS)?;
    works(stage, OSLO)
}

/// Checks that the agent of a machine runs, and removes it.
fn works(stage: &mut Stage, plot: Plot) -> Result<()> {
    let told = stage.at(plot, "portals status")?;
    same(&told, told.contains("agent running"), true)?;
    stage.at(plot, "portals uninstall").map(drop)
}

#[test]
fn edgerouter() {
    tell(&[EDGEROUTER], |stage| platform(stage, EDGEROUTER, EDGEOS, "sudo "));
}

#[test]
fn openrc() {
    tell(&[ON_OPENRC], |stage| platform(stage, ON_OPENRC, OPENRC, ""));
}

#[test]
fn openwrt() {
    tell(&[ON_OPENWRT], |stage| platform(stage, ON_OPENWRT, OPENWRT, ""));
}

#[test]
fn systemd() {
    tell(&[ON_SYSTEMD], |stage| platform(stage, ON_SYSTEMD, SYSTEMD, ""));
}

#[test]
fn unifi() {
    tell(&[ON_UNIFI], |stage| platform(stage, ON_UNIFI, UNIFI, ""));
}

/// Script that writes the wg-quick files of three boxes.
const FILES_OF_A_MESH: &str = r#"
    cd /root && umask 077
    for box in nyc paris rome; do wg genkey >$box.private; done
    id=0
    for box in nyc paris rome; do
        id=$((id + 1)) peer=0
        printf '[Interface]\nPrivateKey = %s\nAddress = 10.8.0.%s/24\nListenPort = 51820\n' \
            "$(cat $box.private)" $id >$box.conf
        for other in nyc paris rome; do
            peer=$((peer + 1))
            [ $other != $box ] || continue
            printf '[Peer]\nPublicKey = %s\nEndpoint = %s.example.net:51820\nAllowedIPs = 10.8.0.%s/32\n' \
                "$(wg pubkey <$other.private)" $other $peer >>$box.conf
        done
    done
"#;

/// Script that writes the wg-quick file of a tunnel that dials out.
const ONE_FILE: &str = r#"
    umask 077 && mkdir -p /etc/wireguard && cd /etc/wireguard
    printf '[Interface]\nPrivateKey = %s\nAddress = 10.8.0.2/32\n[Peer]\nPublicKey = %s\n' \
        "$(wg genkey)" "$(wg genkey | wg pubkey)" >wg0.conf
    printf 'Endpoint = 203.0.113.9:51820\nAllowedIPs = 10.8.0.0/24\n' >>wg0.conf
"#;
