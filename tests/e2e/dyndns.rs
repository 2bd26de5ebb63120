//! Dynamic DNS: a real inadyn with its owner's file, and a DNS provider on the internet of the small world.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, PARIS, SERVER, World};

use crate::Scenario;
use crate::lans::Background;
use crate::words::{eventually, same, shell, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] =
    &[Scenario { name: "a name follows the address of its site", plots: &[NYC, PARIS], run: follows }];

fn follows(world: &mut World) -> Result<()> {
    // One script reports the client's address, the other records the update.
    let _provider = Background::start(
        &world.server,
        &format!(
            "mkdir -p /run/www/cgi-bin; cd /run/www/cgi-bin; \
             printf '#!/bin/sh\\necho; echo $REMOTE_ADDR\\n' >ip; \
             printf '#!/bin/sh\\necho \"$QUERY_STRING\" >>/run/told; echo; echo good\\n' >update; \
             chmod 755 ip update; \
             exec busybox httpd -f -p {SERVER}:8080 -h /run/www"
        ),
    )?;
    let file = format!(
        "custom own {{\n username = owner\n password = secret\n ssl = false\n checkip-ssl = false\n \
         checkip-server = \"{SERVER}:8080\"\n checkip-path = /cgi-bin/ip\n \
         ddns-server = \"{SERVER}:8080\"\n ddns-path = \"/cgi-bin/update?name=%h&address=%i\"\n \
         hostname = home.example\n}}\n"
    );
    let router = world.site(NYC).router.clone();
    let network = world.network(|plot| match plot {
        NYC => "dyndns = \"inadyn.conf\"\n".to_owned(),
        _ => String::new(),
    });
    start(world, &network)?;
    eventually("status says what does not run", || {
        let status = succeeds(world.site(NYC), &["status"])?;
        same(&status, status.contains("\ninadyn does not run: "), true)
    })?;
    shell(&router, &format!("umask 077; cat >/run/demo/inadyn.conf <<'END'\n{file}END"))?;
    let told = || {
        let told = shell(&world.server, "cat /run/told 2>/dev/null || true")?;
        same("what the provider is told", told.trim(), &format!("name=home.example&address={}", NYC.address))
    };
    // The agent tries again until the file exists.
    eventually("the provider is told", told)?;
    let inadyn = "pgrep -x inadyn | wc -l";
    same("processes", shell(&router, inadyn)?.trim(), "1")?;
    shell(&router, "kill -9 $(cat /run/portals/services/inadyn/pid)")?;
    eventually("it is started again", || same("processes", shell(&router, inadyn)?.trim(), "1"))?;
    told()?;
    eventually("status says no more that it does not run", || {
        let status = succeeds(world.site(NYC), &["status"])?;
        same(&status, status.contains("does not run"), false)
    })?;
    world.site(NYC).stop_agent()?;
    same("processes once the agent has ended", shell(&router, inadyn)?.trim(), "0")
}
