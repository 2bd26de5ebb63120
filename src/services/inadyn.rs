//! inadyn, which tells a provider of names when this site's address has changed: with the file that its owner wrote for it.

use std::path::Path;

use super::{Program, Service, folder};

const NAME: &str = "inadyn";

/// Asks and tells as anybody can.
pub(super) const PROGRAM: Program =
    Program { name: NAME, package: NAME, purpose: "dynamic DNS", capabilities: Some(&[]), stays: &[] };

/// The service for that file.
pub(super) fn service(file: &Path, run_folder: &Path) -> Service {
    let folder = folder(run_folder, NAME);
    // What it told last is in the folder, so that an agent that starts again does not have it tell the same once more.
    let arguments = ["--foreground".into(), "--no-pidfile".into(), "--cache-dir".into(), folder.into()];
    Service {
        name: NAME.to_owned(),
        program: &PROGRAM,
        arguments: arguments.into_iter().chain(["--config".into(), file.into()]).collect(),
        files: Vec::new(),
        interface: None,
    }
}
