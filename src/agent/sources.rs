//! List of the event sources of the poll loop.
//!
//! A new source takes a file with its type, which implements [`Source`], and one line in the list below. The
//! loop learns from the list which descriptors to poll, until when to wait, and which source takes its turn.

use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use super::clock::Clock;
use super::devices::DeviceWatch;
use super::door::Door;
use super::endpoint_names::EndpointNames;
use super::exits::Exits;
use super::flap_damping::FlapDamping;
use super::hook::Hook;
use super::legacy_tables::LegacyTables;
use super::monitor::Monitor;
use super::nat::{HelperPorts, LinkPaths};
use super::path_mtu::PathMtus;
use super::retry::Retry;
use super::sessions::Sessions;
use super::signals::Signals;
use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::earlier;
use crate::base::sorted::SortedMap;
use crate::control::ControlListener;
use crate::engine::commit_confirmed::CommitConfirmed;
use crate::engine::load::Files;
use crate::kernel::Kernel;
use crate::services::Supervisor;
use crate::system::wait::wait_for_input;

/// Declares [`Sources`] with one field, and one place in the list, for each line.
macro_rules! sources {
    (
        $(#[$open_doc:meta])*
        fn open($($argument:ident: $argument_type:ty),* $(,)?) -> Result<Self>;
        $($(#[$doc:meta])* $source:ident: $type:ty = $opened:expr,)*
    ) => {
        /// Event sources in the order of their turns.
        pub(super) struct Sources {
            $($(#[$doc])* pub(super) $source: $type,)*
        }

        impl Sources {
            /// Number of sources.
            const COUNT: usize = [$(stringify!($source)),*].len();

            $(#[$open_doc])*
            pub(super) fn open($($argument: $argument_type),*) -> Result<Self> {
                Ok(Self { $($source: $opened,)* })
            }

            /// Never inlined: each use would take a copy of the list.
            #[inline(never)]
            fn list(&mut self) -> [&mut dyn Source; Self::COUNT] {
                [$(&mut self.$source),*]
            }
        }
    };
}

sources! {
    /// Opens the sources that the caller has not opened yet, in the order of the list. `folder` holds what an
    /// earlier agent has left, next to the journal; `file` is the network file.
    fn open(
        signals: Signals,
        monitor: Monitor,
        control: ControlListener,
        confirmation: CommitConfirmed<Rc<Files>>,
        clock: Clock,
        file: &Path,
        folder: &Path,
    ) -> Result<Self>;

    /// Signals to the agent.
    signals: Signals = signals,
    /// Netlink monitor: changes in the kernel that others make.
    monitor: Monitor = monitor,
    /// Wall clock.
    clock: Clock = clock,
    /// Tables of legacy iptables, which no netlink monitor covers.
    tables: LegacyTables = LegacyTables::default(),
    /// Limit on repairs that another program undoes again and again.
    flap_damping: FlapDamping = FlapDamping::default(),
    /// Backoff after a failed attempt.
    retry: Retry = Retry::default(),
    /// Change that waits for its confirmation.
    confirmation: CommitConfirmed<Rc<Files>> = confirmation,
    /// Probes of the exits of portals that have several.
    exits: Exits = Exits::default(),
    /// Searches for the paths of links behind NAT.
    link_paths: LinkPaths = LinkPaths::open(folder),
    /// Looks at the sessions with the other ends of tunnels.
    sessions: Sessions = Sessions::default(),
    /// Ports at which this site helps with other sites' searches.
    helper_ports: HelperPorts = HelperPorts::open(file),
    /// Invitations of this site.
    door: Door = Door::open(file, Instant::now()),
    /// Lookups of the host names of endpoints.
    names: EndpointNames = EndpointNames::default(),
    /// Devices that show their hardware address.
    devices: DeviceWatch = DeviceWatch::default(),
    /// Measurements of the path MTU of links.
    path_mtus: PathMtus = PathMtus::default(),
    /// Calls of the user's hook.
    hook: Hook = Hook::default(),
    /// Services such as dnsmasq and hostapd, and the process of the pages.
    services: Supervisor = Supervisor::open(folder)?,
    /// Control socket.
    control: ControlListener = control,
}

impl Sources {
    /// Waits for input or for the earliest deadline. Reports for each source whether it has input, in the
    /// order of the list.
    pub(super) fn wait(&mut self) -> Result<[bool; Self::COUNT]> {
        let list = self.list();
        let mut deadline = None;
        let (mut descriptors, mut owners) = (Vec::new(), Vec::new());
        for (place, source) in list.iter().enumerate() {
            deadline = earlier(deadline, source.deadline());
            source.descriptors(&mut descriptors);
            owners.resize(descriptors.len(), place);
        }
        let mut has_input = [false; Self::COUNT];
        for (place, input) in owners.into_iter().zip(wait_for_input(&descriptors, deadline)?) {
            has_input[place] |= input;
        }
        Ok(has_input)
    }

    /// Gives the source at this place of the list its turn.
    pub(super) fn turn(&mut self, place: usize, kernel: &mut dyn Kernel, has_input: bool) -> Result<Task> {
        self.list()[place].turn(Turn { kernel, now: Instant::now(), has_input })
    }

    /// Reports whether the agent may repair: not while repairs are damped, and not before another attempt is
    /// due, because a failed attempt itself makes the monitor report changes.
    pub(super) fn may_repair(&self) -> bool {
        self.retry.due().is_none() && !self.flap_damping.is_pausing()
    }

    /// Returns the addresses in use of the host names of endpoints.
    pub(super) fn addresses(&self) -> SortedMap<String, IpAddr> {
        self.names.addresses()
    }
}
