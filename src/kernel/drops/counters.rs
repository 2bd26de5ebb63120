//! Counters of dropped packets: files of /proc/net, which every kernel has.

use crate::base::net::Family;
use crate::system::disk::kernel_text;

/// Counters, as the kernel names them (net/ipv4/proc.c, net/xfrm/xfrm_proc.c); those of IPv6 begin with `Ip6`
/// there. The last two are columns of /proc/net/dev: of the interface by which packets come in, and of all.
pub(super) const COUNTERS: [&str; 12] = [
    "IPReversePathFilter",
    "XfrmInPolBlock",
    "XfrmInNoPols",
    "XfrmInTmplMismatch",
    "XfrmOutPolBlock",
    "InAddrErrors",
    "InNoRoutes",
    "OutNoRoutes",
    "InHdrErrors",
    "InDiscards",
    RECEIVED,
    SENT,
];

const RECEIVED: &str = "rx_dropped";
const SENT: &str = "tx_dropped";

/// Values of [`COUNTERS`].
pub(super) type Counts = [u64; COUNTERS.len()];

/// Reads the counters for a family; 0 stands for a counter that the kernel does not have.
pub(super) fn read(family: Family, incoming: &str) -> Counts {
    let mut counts = Counts::default();
    let files: &[&str] = match family {
        Family::V4 => &["snmp", "netstat", "xfrm_stat", "dev"],
        Family::V6 => &["snmp6", "xfrm_stat", "dev"],
    };
    for file in files {
        let text = kernel_text(["/proc/thread-self/net/", file].concat()).unwrap_or_default();
        add(&mut counts, &text, incoming);
    }
    counts
}

/// Adds the counters in the text of a file. A line has a name and its value, or names for the values in the
/// next line, or all that an interface has counted.
fn add(counts: &mut Counts, text: &str, incoming: &str) {
    /// Columns of /proc/net/dev, with the interface in front.
    const COLUMNS: [(&str, usize); 2] = [(RECEIVED, 4), (SENT, 12)];
    let mut names: Vec<&str> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            [name, value] => one(counts, name.strip_prefix("Ip6").unwrap_or(name), value),
            [interface, .., _] if words.len() == 17 && names.first() != Some(&interface) => {
                for (name, column) in COLUMNS {
                    if name == SENT || interface.strip_suffix(':') == Some(incoming) {
                        one(counts, name, words[column]);
                    }
                }
            }
            _ => {
                for (name, value) in names.iter().zip(&words).filter(|_| names.first() == words.first()) {
                    one(counts, name, value);
                }
            }
        }
        names = words;
    }
}

/// Adds the value of one counter.
fn one(counts: &mut Counts, name: &str, value: &str) {
    if let Some(index) = COUNTERS.iter().position(|counter| *counter == name) {
        counts[index] += value.parse::<u64>().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str) -> u64 {
        let mut counts = Counts::default();
        add(&mut counts, text, "lan0");
        counts[COUNTERS.iter().position(|counter| *counter == name).unwrap()]
    }

    #[test]
    fn counters_of_all_files_are_read() {
        let snmp = "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams\n\
                    Ip: 1 64 900 2 3 4\nIcmp: InMsgs InErrors\nIcmp: 5 6\n";
        assert_eq!((value(snmp, "InHdrErrors"), value(snmp, "InAddrErrors")), (2, 3));
        let netstat =
            "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 0 7\nIpExt: InNoRoutes X\nIpExt: 8 9\n";
        assert_eq!((value(netstat, "IPReversePathFilter"), value(netstat, "InNoRoutes")), (7, 8));
        let lines = "Ip6InNoRoutes                   \t11\nXfrmInPolBlock          \t12\n";
        assert_eq!((value(lines, "InNoRoutes"), value(lines, "XfrmInPolBlock")), (11, 12));
        let interfaces = "Inter-|   Receive                                                |  Transmit\n \
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop \
             fifo colls carrier compressed\n\
             lo: 100 1 0 5 0 0 0 0 100 1 0 6 0 0 0 0\n\
             lan0: 1000 10 0 13 0 0 0 0 2000 20 0 14 0 0 0 0\n";
        assert_eq!((value(interfaces, RECEIVED), value(interfaces, SENT)), (13, 20));
        assert_eq!(value("\nIp:\nIp: 1\nTcpExt: a b\n", "InNoRoutes"), 0, "torn files");
    }

    #[test]
    fn this_kernel_has_counters() {
        for family in [Family::V4, Family::V6] {
            read(family, "lo");
        }
        let text = kernel_text("/proc/net/snmp").unwrap();
        assert!(text.contains(" InAddrErrors "), "{text}");
    }
}
