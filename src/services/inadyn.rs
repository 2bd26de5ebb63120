//! inadyn: tells a provider of dynamic DNS when the address of this site has changed. The user writes its
//! configuration.

use std::path::Path;

use super::{Program, Service, folder};

const NAME: &str = "inadyn";

/// Program for dynamic DNS. It needs no capability.
pub(super) const PROGRAM: Program = Program {
    name: NAME,
    package: NAME,
    purpose: "dynamic DNS",
    capabilities: Some(&[]),
    asks: false,
    stays: &[],
};

/// Returns the service for this configuration.
pub(super) fn service(file: &Path, run_folder: &Path) -> Service {
    let folder = folder(run_folder, NAME);
    Service {
        name: NAME.to_owned(),
        program: &PROGRAM,
        arguments: vec![
            "--foreground".into(),
            "--no-pidfile".into(),
            // The folder keeps the address that inadyn reported last, so that under a new agent it does not
            // report the same address again.
            "--cache-dir".into(),
            folder.into(),
            "--config".into(),
            file.into(),
        ],
        if_known: &[],
        files: Vec::new(),
        interface: None,
    }
}
