//! Small world to try portals in: sites, homes and an internet, all in namespaces of this process.
//! `portals demo` and the end-to-end tests use it.

mod agent;
mod capture;
mod homes;
mod ipv6;
mod namespace;
mod nat;
mod pings;
mod plot;
mod probe;
mod server;
pub mod show;
pub mod show_nat;
mod wire;
mod world;

pub use agent::{AgentProcess, LOG_FILE, NETWORK_FILE};
pub use capture::{Capture, Packet};
pub use homes::{Nat, forget_mappings};
pub use namespace::{Namespace, isolate};
pub use nat::Translation;
pub use pings::Pings;
pub use plot::{Addresses, HOME, HOME_ROUTER, NYC, OSLO, OTHER_HOME, PARIS, Plot, SERVER, SERVER6};
pub use probe::{ProbeClient, echoes};
pub use server::Server;
pub use wire::connect;
pub use world::{DemoSite, World};
