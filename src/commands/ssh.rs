//! Warning to a user whose own SSH session the network file would cut off.

use std::net::IpAddr;
use std::path::Path;

use crate::cli::output::complain;
use crate::cli::style::Style;
use crate::engine::here::Here;
use crate::kernel::Kernel as _;
use crate::site::{Entrance, Portal, RouterAccess};
use crate::system::disk::{self, FileOrigin};

/// Environment variable that sshd sets: address and port of the client, then address and port of this end.
const VARIABLE: &str = "SSH_CONNECTION";

/// Largest number of parent processes that are searched: `sudo` and `su` remove the variable from the
/// programs that they run.
const MOST_PARENTS: usize = 16;

/// Prints a warning if the user's SSH session enters a portal from which the site no longer allows access to
/// this router.
pub(super) fn warn(here: &mut Here) {
    let Some((client, portal)) = cut_off_session(here) else { return };
    let warning = format!(
        "YOUR OWN SESSION COMES FROM {client}, which enters portal `{}`: with this file, it can no longer \
         reach this router.",
        portal.name
    );
    let way_out = "Write `router = true` in that portal, or use `portals apply --confirm 60`, which undoes \
                   the change unless you confirm it.";
    complain!("{}\n{way_out}", Style::for_stderr().bad(&warning));
}

/// Returns the client of the user's SSH session, and the closed portal that the client enters.
fn cut_off_session(Here { site, kernel, links, .. }: &mut Here) -> Option<(String, &Portal)> {
    if site.portals.iter().all(|portal| portal.router == RouterAccess::All) {
        return None;
    }
    let session = ssh_connection()?;
    let client = session.split(' ').next()?;
    // A link-local address is followed by `%` and its interface.
    let (address, interface) =
        client.split_once('%').map_or((client, None), |(one, other)| (one, Some(other)));
    let address: IpAddr = address.parse().ok()?;
    let interface =
        interface.and_then(|name| name.parse().ok()).or_else(|| kernel.interface_to(address, links));
    let comes_in = |portal: &&Portal| match &portal.entrance {
        Entrance::From(sources) => sources.iter().any(|source| source.contains(address)),
        _ => interface.is_some() && portal.entrance_interface() == interface.as_ref(),
    };
    let mut closed = site.portals.iter().filter(|portal| portal.router == RouterAccess::Basics);
    Some((address.to_string(), closed.find(comes_in)?))
}

/// Returns the value of the variable in this process, or in the nearest parent process that has it.
fn ssh_connection() -> Option<String> {
    if let Ok(value) = std::env::var(VARIABLE) {
        return Some(value);
    }
    let mut process = nix::unistd::getppid().as_raw();
    for _ in 0..MOST_PARENTS {
        if process <= 1 {
            return None;
        }
        let folder = Path::new("/proc").join(process.to_string());
        let text = |name| disk::text_or_empty(&folder.join(name), FileOrigin::Kernel);
        if let Some(value) = variable(&text("environ")) {
            return Some(value.to_owned());
        }
        process = parent(&text("stat"))?;
    }
    None
}

/// Returns the value of the variable in an environment as `/proc` shows it, with NUL between the entries.
fn variable(environment: &str) -> Option<&str> {
    environment.split('\0').find_map(|entry| entry.strip_prefix(VARIABLE)?.strip_prefix('='))
}

/// Returns the parent's process number from `/proc/PID/stat`: the fourth field. The second field is the
/// program's name in parentheses, which may itself contain spaces and parentheses.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_and_its_environment_are_read() {
        assert_eq!(parent("812 (a ) b) S 77 812 812 0"), Some(77));
        assert_eq!(parent("812"), None);
        let environment = "PATH=/bin\0SSH_CONNECTION=10.77.1.70 50000 10.77.1.65 22\0HOME=/root\0";
        assert_eq!(variable(environment), Some("10.77.1.70 50000 10.77.1.65 22"));
        assert_eq!(variable("SSH_CONNECTIONS=x\0"), None);
    }
}
