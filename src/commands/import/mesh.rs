//! `portals import` with the files of several boxes: one network file for all, and a folder for each box.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::{check, read};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::cli::ImportCommand;
use crate::cli::output::{self, say};
use crate::commands::{ExitStatus, shell_word};
use crate::interop::import::mesh::{Mesh, MeshFile, MeshWishes, mesh};
use crate::system::disk::{self, cannot_write, write_new};
use crate::system::key_files;
use crate::system::platform::NETWORK_FILE;

/// Prints the network file on standard output, or writes it to a new file, or for each box to a new folder.
pub(super) fn run(files: &[PathBuf], options: &ImportCommand) -> Result<ExitStatus, Errors> {
    check_options(options)?;
    let mut read_files = Vec::new();
    let mut errors = Vec::new();
    for path in files {
        match read(path) {
            Ok(parsed) => read_files.push((path, parsed)),
            Err(faults) => errors.extend(faults),
        }
    }
    let mut boxes = Errors::check(errors, Vec::new())?;
    for (path, parsed) in &read_files {
        boxes.push(MeshFile { path, parsed });
    }
    let network = options.network.as_deref().unwrap_or("home");
    let wishes = MeshWishes { network, subnet: options.subnet, subnet6: options.subnet6 };
    let mesh = mesh(&boxes, &wishes)?;
    check(
        &mesh.text,
        options.output.as_deref(),
        "these files or options result in a wrong network file; the errors name its lines:",
    )?;
    match (&options.to, &options.output) {
        (Some(folder), _) => {
            write(folder, &mesh)?;
            show_next_steps(folder, &mesh);
        }
        (None, Some(output)) => {
            write_new(output, mesh.text.as_bytes(), 0o644).context(|| cannot_write(output))?;
            say!("wrote {}; it contains no keys: --to FOLDER writes a folder for each box", output.display());
        }
        (None, None) => output::print(format_args!("{}", mesh.text)),
    }
    Ok(ExitStatus::Done)
}

fn check_options(options: &ImportCommand) -> Result<()> {
    let of_one =
        [("--site", options.site.is_some()), ("--id", options.id.is_some()), ("--keys", options.keys)];
    for (option, is_given) in of_one {
        if is_given {
            return Err(Error::wrong(format_args!(
                "{option} is for a single file: the sites of several files have the names of the files and \
                 are numbered in their order, and --to FOLDER writes their keys"
            )));
        }
    }
    if options.to.is_some() && options.output.is_some() {
        return Err(Error::wrong("--to FOLDER writes the network file as well: leave out --output"));
    }
    Ok(())
}

/// Writes the folder of each box into a new folder: all of them, or nothing.
fn write(folder: &Path, mesh: &Mesh) -> Result<()> {
    // An empty folder may be replaced.
    let is_taken = || fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_some());
    if folder.symlink_metadata().is_ok() && is_taken() {
        return Err(Error::wrong(format_args!(
            "{} exists and is not overwritten: name a new folder, or move it away",
            folder.display()
        )));
    }
    let draft = folder.with_added_extension(format!("portals-new-{}", std::process::id()));
    make_folder(&draft)?;
    let written =
        fill(&draft, mesh).and_then(|()| disk::rename(&draft, folder).context(|| cannot_write(folder)));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&draft);
    }
    written
}

fn fill(folder: &Path, mesh: &Mesh) -> Result<()> {
    for site in &mesh.sites {
        let folder = folder.join(&site.name);
        make_folder(&folder)?;
        let file = folder.join(NETWORK_FILE);
        write_new(&file, mesh.text.as_bytes(), 0o644).context(|| cannot_write(&file))?;
        key_files::save(&folder.join(key_files::PRIVATE_KEY_FILE), site.private_key)?;
        for (name, key) in &site.preshared_keys {
            key_files::save(&folder.join(name), key)?;
        }
    }
    Ok(())
}

/// Makes a folder that only its owner can enter.
fn make_folder(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .create(folder)
        .context(|| format!("cannot make the folder {}", folder.display()))
}

fn show_next_steps(folder: &Path, mesh: &Mesh) {
    let first = folder.join(&mesh.sites[0].name).join(NETWORK_FILE);
    say!(
        "wrote {}: a folder for each box, with the network file and the private key of the box\n\n\
         Read {}: its comments tell what changes. Then copy the files of each folder to its box, into \
         /etc/portals (EdgeOS: /config/portals, UniFi OS: /data/portals):\n",
        folder.display(),
        first.display()
    );
    for site in &mesh.sites {
        let name = &site.name;
        let files = shell_word(&folder.join(name));
        say!("  ssh root@{name} mkdir -p /etc/portals && scp {files}/* root@{name}:/etc/portals/");
    }
    say!(
        "\nAt each box, end the old tunnel and start portals; wg0 is the name of the old tunnel there:\n\n  \
         systemctl disable --now wg-quick@wg0    # or: wg-quick down wg0\n  portals install\n\n\
         The old addresses in the tunnels end: log in to each box at another address. When all is well, \
         delete {} and the wg-quick files: they hold the keys.",
        folder.display()
    );
}
