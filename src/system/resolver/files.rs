//! Readers for the resolver's files: `/etc/hosts` (hosts(5)) and `/etc/resolv.conf` (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// UDP port of name servers.
const PORT: u16 = 53;

/// Largest number of servers to ask, as in other resolvers.
const MOST_SERVERS: usize = 3;

/// Settings of the resolver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Servers in the order of questions; never empty.
    pub(super) servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// Number of dots from which on a name is tried as it is first.
    dots: usize,
}

impl Settings {
    /// Reads the text of a `resolv.conf`; ignores unknown lines. `index` returns the number of an interface.
    pub(crate) fn parse(text: &str, index: &dyn Fn(&str) -> Option<u32>) -> Self {
        let mut settings = Self { servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    settings.servers.extend(words.next().and_then(|word| server(word, index)));
                }
                // The last line of this kind counts.
                Some("search" | "domain") => {
                    settings.search.clear();
                    for word in words {
                        settings.search.push(word.to_owned());
                    }
                }
                Some("options") => {
                    let dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back();
                    settings.dots = dots.unwrap_or(settings.dots);
                }
                _ => {}
            }
        }
        settings.servers.truncate(MOST_SERVERS);
        if settings.servers.is_empty() {
            settings.servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        settings
    }

    /// Adds the upstream servers of a forwarder on this host, from the text of its `resolv.conf`, after the
    /// forwarder. Where the router's own traffic enters a portal, the forwarder's questions enter it too, and
    /// would wait for the very link that needs the answer.
    pub(crate) fn add_those_behind(&mut self, text: &str) {
        if self.servers.iter().all(|server| server.ip().is_loopback()) {
            let behind = Self::parse(text, &|_| None).servers;
            for server in behind {
                if !server.ip().is_loopback() {
                    self.servers.push(server);
                }
            }
        }
    }

    /// Returns the full names that a name may mean, in the order of trial.
    pub(crate) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let mut candidates = Vec::new();
        for domain in &self.search {
            candidates.push([name, ".", domain.trim_end_matches('.')].concat());
        }
        let first = name.split('.').count() > self.dots;
        candidates.insert(if first { 0 } else { candidates.len() }, name.to_owned());
        candidates
    }
}

/// Parses the address of a server; a link-local address names its interface after a `%`.
fn server(word: &str, index: &dyn Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    match word.split_once('%') {
        None => Some((word.parse::<IpAddr>().ok()?, PORT).into()),
        Some((address, interface)) => {
            let address: Ipv6Addr = address.parse().ok()?;
            Some(SocketAddrV6::new(address, PORT, 0, index(interface)?).into())
        }
    }
}

/// Returns the addresses of a name in the text of a `hosts` file.
pub(crate) fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let mut addresses = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        if let Some(Ok(address)) = words.next().map(str::parse)
            && words.any(|word| word.eq_ignore_ascii_case(name))
        {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Settings {
        Settings::parse(text, &|name| (name == "eth0").then_some(7))
    }

    fn servers(text: &str) -> Vec<String> {
        parse(text).servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn upstream_servers_of_a_forwarder_are_asked_after_it() {
        let with = |text: &str, behind: &str| {
            let mut settings = parse(text);
            settings.add_those_behind(behind);
            settings.servers.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let behind = "nameserver 127.0.0.1\nnameserver 192.0.2.1\n";
        assert_eq!(with("nameserver 127.0.0.53", behind), ["127.0.0.53:53", "192.0.2.1:53"]);
        assert_eq!(with("nameserver 192.0.2.7", behind), ["192.0.2.7:53"]);
        assert_eq!(with("nameserver 127.0.0.53", ""), ["127.0.0.53:53"]);
    }

    #[test]
    fn servers_are_read_in_order_up_to_three() {
        let text = "# comment\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver\t2001:db8::1\n\
                    nameserver fe80::1%eth0\nnameserver 192.0.2.4\n";
        assert_eq!(servers(text), ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%7]:53"]);
        assert_eq!(servers("nameserver fe80::1%gone\n"), ["127.0.0.1:53"]);
        assert_eq!(servers(""), ["127.0.0.1:53"]);
    }

    #[test]
    fn names_with_few_dots_are_searched_for_first() {
        let settings = parse("search lan example.net.\noptions rotate ndots:2\n");
        assert_eq!(settings.candidates("paris"), ["paris.lan", "paris.example.net", "paris"]);
        assert_eq!(settings.candidates("a.paris"), ["a.paris.lan", "a.paris.example.net", "a.paris"]);
        assert_eq!(settings.candidates("b.a.paris"), ["b.a.paris", "b.a.paris.lan", "b.a.paris.example.net"]);
        assert_eq!(settings.candidates("paris."), ["paris"]);
        assert_eq!(parse("domain lan\n").candidates("a.paris"), ["a.paris", "a.paris.lan"]);
    }

    #[test]
    fn hosts_are_found_by_any_of_their_names() {
        let text =
            "127.0.0.1 localhost\n192.0.2.1\tparis.lan PARIS # 192.0.2.9 oslo\n::1 paris\nnonsense paris\n";
        let addresses: Vec<String> = in_hosts(text, "Paris.").iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.1", "::1"]);
        assert!(in_hosts(text, "oslo").is_empty());
    }
}
