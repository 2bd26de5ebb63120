//! Text of a first network file.

use std::path::Path;

use crate::base::error::{Error, Errors};
use crate::base::json::Json;
use crate::base::net::{PublicKey, Secret};
use crate::cli::InitCommand;
use crate::commands::host_name;
use crate::config::{self, model::Network};
use crate::signed;

/// Private IPv4 network of a network whose options name no other.
const SUBNET: &str = "10.77.0.0/16";

/// Returns the text of a first network file, signed, and the network that it describes.
pub(super) fn write(
    file: &Path,
    options: &InitCommand,
    own: PublicKey,
    admin: &Secret,
) -> Result<(String, Box<Network>), Errors> {
    let site = match &options.site {
        Some(site) => {
            config::check_name("site", site)?;
            site.clone()
        }
        None => host_name()?,
    };
    let text = signed::sign(&template(options, &site, own, signed::admin_public(admin)), admin);
    match config::check(file, &text) {
        Ok(network) => Ok((text, network)),
        Err(faults) => Err(faults.under(Error::wrong(
            "these options result in a wrong network file; `portals init --help` explains the options:",
        ))),
    }
}

/// Returns a commented network file with a single site.
fn template(options: &InitCommand, site: &str, own: PublicKey, admin: PublicKey) -> String {
    let network = Json::text(options.network.as_deref().unwrap_or("home"));
    let subnet = options.subnet.map_or_else(|| SUBNET.to_owned(), |subnet| subnet.to_string());
    let id = options.id.unwrap_or(1);
    // Every JSON string is a valid TOML string.
    let endpoint = match &options.endpoint {
        Some(endpoint) => format!("endpoint   = {}", Json::text(endpoint)),
        None => {
            "# endpoint = \"home.example.net\"  # host name or address, if other sites can reach this one"
                .to_owned()
        }
    };
    let other = if site == "paris" { "oslo" } else { "paris" };
    let other_id = if id == 2 { 1 } else { 2 };
    let entrance = options.portal.as_ref().map_or("eth1", |portal| portal.as_str());
    format!(
        r#"# All sites of the network; every site has the same file. After a change by hand, `portals check`
# finds faults, `portals plan` shows the changes here, and `portals push` signs the file and takes
# it to the other sites.

[network]
name   = {network}
subnet = "{subnet}"       # tunnel addresses and portal LANs are carved from it
# subnet6 = "fd77:1:2::/48"     # the same for IPv6, which goes through portals with this line only
serial = 1                    # every change raises it
admins = ["{admin}"]  # admin.key signs the changes

[site.{site}]
id         = {id}                  # 1 to 250, never reused
public_key = "{own}"
{endpoint}
exits      = []                 # sites this one uses as exits, such as ["{other}"]

# `portals invite {other}` prints a token with which another site joins, and enters here. By hand:
# [site.{other}]
# id         = {other_id}
# public_key = "…"
# endpoint   = "{other}.example.net"

# A portal: everything that enters on {entrance} leaves at {other}. Remove the `#` once there is an exit:
# [site.{site}.portal.guest]
# exit      = "{other}"
# interface = "{entrance}"
"#
    )
}
