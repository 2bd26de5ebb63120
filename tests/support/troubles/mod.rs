//! Faults that scenarios make for real, and the words with which a command names them. The page
//! docs/troubleshooting.md is made from the same table.

pub(crate) mod doctor;
pub(crate) mod trace;

/// Fault, and what a person reads then.
#[derive(Clone, Copy)]
pub(crate) struct Trouble {
    /// Fault, for people.
    pub(crate) fault: &'static str,
    /// Command that names it.
    pub(crate) command: &'static str,
    /// Lines of the command about the fault; `⟨name⟩` stands for text that differs.
    pub(crate) words: &'static str,
    /// Host at which the scripts run.
    pub(crate) at: At,
    /// Shell script that makes the fault; empty if the scenario makes it itself.
    pub(crate) breaks: &'static str,
    /// Shell script that undoes it.
    pub(crate) mends: &'static str,
}

/// Host of the world.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Router of nyc, where the command runs.
    Router,
    /// Guest behind the portal of nyc.
    Guest,
    /// Router of paris.
    Peer,
    /// Internet between the sites.
    Internet,
}

/// Every table, with the heading of its part of the page.
pub(crate) const ALL: &[(&str, &[Trouble])] = &[
    ("The network file, the key and the disk", doctor::OF_FILES),
    ("The machine and its portals", doctor::OF_RUNNING),
    ("Without an agent", doctor::OF_STOPPED),
    ("Links to other sites", doctor::OF_LINKS),
    ("Firmware", doctor::OF_FIRMWARE),
    ("One flow", trace::OF_FLOWS),
    ("One flow, without an agent", trace::OF_STOPPED),
    ("One flow, to a site that is cut off", trace::SILENT),
    ("One flow, with nftables", trace::OF_NFTABLES),
    ("One flow from the LAN of a portal", trace::OF_GUESTS),
    ("One flow, dropped by the kernel", trace::kernel::OF_KERNEL),
    ("One flow, dropped by the kernel, where tracefs is mounted", trace::kernel::OF_TRACEPOINT),
    ("One flow, at both sites", trace::both::OF_BOTH),
    ("One flow, at both sites, with iptables", trace::both::OF_BOTH_IPTABLES),
    ("One flow, while no agent runs at the other site", trace::both::OF_SILENT),
    ("One flow of IPv6", trace::OF_IPV6),
    ("One flow of IPv6, without an agent", trace::OF_IPV6_STOPPED),
    ("One flow, with iptables", trace::OF_IPTABLES),
];

/// Reports whether the lines of a fault stand in an output, one after the other. A line `⋮` stands for any
/// lines, and `⟨name⟩` for text on a line.
pub(crate) fn has_words(output: &str, words: &str) -> bool {
    let mut rest = output;
    words.split("⋮\n").all(|part| match end_of(rest, part) {
        Some(end) => {
            rest = &rest[end..];
            true
        }
        None => false,
    })
}

/// Returns the place behind lines in an output.
fn end_of(output: &str, lines: &str) -> Option<usize> {
    let mut pieces = lines.split(['⟨', '⟩']).step_by(2);
    let first = pieces.next()?;
    let pieces: Vec<&str> = pieces.collect();
    // The first piece may stand at several places, and only one of them goes on as it must.
    output.match_indices(first).find_map(|(at, _)| {
        let mut end = at + first.len();
        for piece in &pieces {
            let differs = output[end..].find(piece)?;
            // Text that differs stays on its line.
            if output[end..end + differs].contains('\n') {
                return None;
            }
            end += differs + piece.len();
        }
        Some(end)
    })
}
