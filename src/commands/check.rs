//! `portals check`: all faults of a network file, without a key, without root and without a host.

use std::fmt::Display;
use std::path::Path;

use super::ExitStatus;
use crate::base::error::{Error, Errors, Place};
use crate::base::json::JsonText;
use crate::base::path::folder_of;
use crate::cli::output::{complain, say};
use crate::config::model::{EntranceConfig, Network, SiteConfig};
use crate::engine::file_report::{FileReport, FileSignature};
use crate::engine::{network_file, on_paper};
use crate::state::words::count;
use crate::wgquick::Remark;

/// Checks the file. Prints the notes and a line on a right file, or, with `is_json`, everything as JSON.
pub(super) fn run(file: &Path, is_json: bool) -> Result<ExitStatus, Errors> {
    let mut notes = Vec::new();
    let checked = check(file, &mut notes);
    if is_json {
        return Ok(report(file, &checked, &notes));
    }
    for note in &notes {
        complain!("note: {note}");
    }
    say!("{}", checked?);
    Ok(ExitStatus::Done)
}

/// Checks the file, then each site as far as that is possible without its host. Returns a line on a right
/// file.
fn check(file: &Path, notes: &mut Vec<Error>) -> Result<String, Errors> {
    let (text, network) = network_file::look_at(file, notes)?;
    let mut errors = Vec::new();
    for (own, entry) in &network.sites {
        devices_in_two_portals(file, own, entry, notes);
        if let Err(faults) = site(file, &network, own, notes) {
            errors.extend(faults.iter().map(|fault| at_site(own, fault)));
        }
    }
    Errors::check(errors, ())?;
    let portals = network.sites.values().map(|site| site.portals.len()).sum();
    Ok(format!(
        "{} is right: network {}, {}, {}, {}{}",
        file.display(),
        network.name,
        count(network.sites.len(), "site"),
        count(portals, "portal"),
        count(network.phones.len(), "phone"),
        signature(&text, &network)
    ))
}

/// Returns a fault that only a site has, with the site's name in the words for people and for programs.
fn at_site(own: &str, fault: &Error) -> Error {
    let error = Error::wrong(format_args!("site `{own}`: {fault}"));
    let Some(place) = fault.place() else { return error };
    error.at(Place { message: format!("site `{own}`: {}", place.message), ..place.clone() })
}

/// Checks a site. A site with a provider whose file is elsewhere is left out, with a note.
fn site(file: &Path, network: &Network, own: &String, notes: &mut Vec<Error>) -> Result<(), Errors> {
    let entry = &network.sites[own];
    let (providers, missing) = on_paper::providers(file, entry)?;
    for (name, parsed) in &providers {
        let path = folder_of(file).join(&entry.providers[name].config).display().to_string();
        for Remark { line, message } in &parsed.remarks {
            notes.push(note_at(&path, *line, message.clone()));
        }
    }
    for name in &missing {
        notes.push(Error::wrong(format_args!(
            "site `{own}` is checked without its provider `{name}`: {} is not here; it is needed at `{own}`",
            folder_of(file).join(&entry.providers[*name].config).display()
        )));
    }
    if missing.is_empty() {
        on_paper::site(file, network, own, &providers)?;
    }
    Ok(())
}

/// Adds a note on each portal with a device, named by its hardware address, that may be in another portal by
/// its address. The file does not tell which address the device has.
fn devices_in_two_portals(file: &Path, own: &str, entry: &SiteConfig, notes: &mut Vec<Error>) {
    for portal in entry.portals.iter().filter(|portal| matches!(portal.entrance, EntranceConfig::Mac(_))) {
        for other in entry.portals.iter().filter(|other| other.exits != portal.exits) {
            let EntranceConfig::From(sources) = &other.entrance else { continue };
            let Some(network) = sources.iter().find(|source| source.length() < source.family().bits()) else {
                continue;
            };
            let message = format!(
                "site `{own}`: a device of portal `{}` with an address in {network} enters portal `{}` as \
                 well, and may reach nothing: leave the addresses of these devices out of `from`",
                portal.name, other.name
            );
            notes.push(note_at(&file.display().to_string(), portal.position.line, message));
        }
    }
}

/// Returns a note on a line of a file.
fn note_at(file: &str, line: usize, message: String) -> Error {
    Error::wrong(format_args!("{file}:{line}: {message}")).at(Place {
        file: file.to_owned(),
        line,
        column: None,
        message,
        help: String::new(),
    })
}

/// Prints the result as JSON.
fn report(file: &Path, checked: &Result<String, Errors>, notes: &[Error]) -> ExitStatus {
    let (errors, status) = match checked {
        Ok(_) => (Vec::new(), ExitStatus::Done),
        Err(errors) => (errors.iter().collect(), errors.kind().into()),
    };
    let mut json = JsonText::default();
    json.begin("", '{');
    json.text("file", &file.display());
    json.put("valid", &checked.is_ok());
    list(&mut json, "errors", errors);
    list(&mut json, "warnings", notes.iter().collect());
    json.end('}');
    say!("{}", json.finish());
    status
}

/// Adds a list of errors. One without a place has all its words in `message`.
fn list(json: &mut JsonText, name: &str, errors: Vec<&Error>) {
    json.begin(name, '[');
    for error in errors {
        let place = error.place();
        json.begin("", '{');
        json.text_or_null("file", place.map(|place| &place.file as &dyn Display));
        json.put_or_null("line", place.map(|place| place.line as u64));
        json.put_or_null("column", place.and_then(|place| place.column).map(|column| column as u64));
        json.text("message", place.map_or(error as &dyn Display, |place| &place.message));
        json.text_or_null("hint", place.filter(|place| !place.help.is_empty()).map(|place| &place.help as _));
        json.end('}');
    }
    json.end(']');
}

/// Returns the words for the signature, for the end of a line.
fn signature(text: &str, network: &Network) -> String {
    let Some(report) = FileReport::of(text, network) else { return String::new() };
    let words = match report.signature {
        FileSignature::By(_) => "signed",
        FileSignature::Outdated => "changed since it was signed: `portals sign` signs it",
        FileSignature::Missing => "not signed: `portals sign` signs it",
        FileSignature::Awaited => "waiting for the first signed file",
    };
    format!("; serial {}, {words}", report.serial)
}
