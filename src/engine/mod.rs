//! The engine: reads the files and the host, plans, and makes the kernel match the plan. Only the engine
//! knows both the plan and the kernel.

pub mod admin_key;
pub mod apply;
pub mod close_portals;
pub mod commit_confirmed;
pub mod converge;
pub mod file_report;
pub mod firewall_choice;
mod former_site;
pub mod here;
pub mod host;
pub mod journal;
pub mod load;
pub mod locked_file;
pub mod mtu_search;
pub mod neighbours;
pub mod network_file;
pub mod observed;
pub mod on_paper;
pub mod own_key;
pub mod passphrases;
pub mod status;
pub mod wgquick_file;
