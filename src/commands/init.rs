//! `portals init`: creates this site's key and a first network file.

use std::fs;
use std::path::Path;

use super::{ExitStatus, host_name, wait_for_random_numbers};
use crate::base::error::{Context as _, Error, Errors};
use crate::base::json::Json;
use crate::base::keys;
use crate::base::net::{Cidr, PublicKey, Secret};
use crate::base::path::folder_of;
use crate::cli::InitCommand;
use crate::cli::output::say;
use crate::config;
use crate::engine::locked_file::LockedNetworkFile;
use crate::system::disk::{self, cannot_write};
use crate::system::key_files;

/// Creates the key and the network file if they are missing, and names the next step.
pub(super) fn run(file: &Path, options: &InitCommand) -> Result<ExitStatus, Errors> {
    let folder = folder_of(file);
    fs::create_dir_all(&folder).context(|| format!("cannot make the folder {}", folder.display()))?;
    // Two processes at once would each create a key.
    let _edit = LockedNetworkFile::begin(file)?;
    let key_file = folder.join(key_files::PRIVATE_KEY_FILE);
    let old_key = key_files::load_if_there(&key_file)?;
    let is_new = old_key.is_none();
    let key = old_key.unwrap_or_else(|| {
        wait_for_random_numbers();
        key_files::generate()
    });
    let public_key = keys::public_key(&key);

    let text = if file.exists() { None } else { Some(first_file(file, options, public_key)?) };
    if is_new {
        key_files::save(&key_file, &key)?;
    }
    if let Some(text) = &text {
        disk::write_new(file, text.as_bytes(), 0o644).context(|| cannot_write(file))?;
    }
    report(file, &key_file, is_new, text.is_some(), &key);
    Ok(ExitStatus::Done)
}

/// Returns the text of a first network file, checked before anything is written.
fn first_file(file: &Path, options: &InitCommand, public_key: PublicKey) -> Result<String, Errors> {
    let site = match &options.site {
        Some(site) => site.clone(),
        None => host_name()?,
    };
    let endpoint = match &options.endpoint {
        Some(endpoint) => format!("endpoint   = {}", quoted(endpoint)),
        None => {
            "# endpoint = \"nyc.example.net\"   # host name or address, if other sites can reach this one"
                .to_owned()
        }
    };
    let text = template(&quoted(&options.network), options.subnet, &site, options.id, public_key, &endpoint);
    match config::check(file, &text) {
        Ok(_) => Ok(text),
        Err(faults) => Err(faults.under(Error::wrong(
            "these options result in a wrong network file; `portals init --help` explains the options:",
        ))),
    }
}

/// Returns a commented network file with a single site. `network` is quoted; `endpoint` is a whole line.
fn template(
    network: &Json,
    subnet: Cidr,
    site: &str,
    id: u8,
    public_key: PublicKey,
    endpoint: &str,
) -> String {
    format!(
        r#"# All sites of the network; every site has the same file. `portals plan` only checks it.

[network]
name   = {network}
subnet = "{subnet}"       # tunnel addresses and portal LANs are carved from it
# subnet6 = "fd77:1:2::/48"     # the same for IPv6, which goes through portals with this line only

[site.{site}]
id         = {id}                  # 1 to 250, never reused
public_key = "{public_key}"
{endpoint}
exits      = []                 # sites this one uses as exits, such as ["paris"]

# Run `portals init` at the other site too, and put its public key here:
# [site.paris]
# id         = 2
# public_key = "…"
# endpoint   = "paris.example.net"

# Then define what enters here, and where it leaves:
# [site.{site}.portal.guest]
# exit      = "paris"
# interface = "eth1"
"#
    )
}

/// Returns a TOML string: every JSON string is a valid TOML string.
fn quoted(text: &str) -> Json {
    Json::text(text)
}

fn report(file: &Path, key_file: &Path, new_key: bool, new_file: bool, key: &Secret) {
    let made = |is_new| if is_new { "created" } else { "kept" };
    say!("{} the key {}", made(new_key), key_file.display());
    say!("{} the network file {}", made(new_file), file.display());
    say!("\nThis site's public key:\n  {}\n", keys::public_key(key));
    say!(
        "Next: describe all sites in {}, copy it to each of them, and see what would change: portals plan",
        file.display()
    );
}
