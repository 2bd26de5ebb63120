//! Parts of the page of this router.

use std::path::Path;
use std::time::SystemTime;

use crate::base::error::{Error, Errors};
use crate::cli::amounts::duration;
use crate::commands::{map, phone, status};
use crate::control::{Answer, PageStatus};
use crate::diagnose::examine;
use crate::diagnose::finding::{Findings, Verdict};
use crate::engine::here::Here;
use crate::engine::load::Files;
use crate::engine::network_file;
use crate::engine::status::LinkReport;
use crate::web::html::Html;
use crate::web::page;

/// Parts of the page of this router.
pub(super) struct Parts<'a> {
    /// Network file.
    pub(super) file: &'a Path,
    /// First part of the path of each address.
    pub(super) key: &'a str,
}

impl Parts<'_> {
    /// Returns the media type and the text of a part.
    pub(super) fn part(&self, part: &str) -> Answer {
        let page = match part {
            "" => self.overview()?,
            "map.svg" => return Ok(vec!["image/svg+xml".to_owned(), map::drawing(self.file)?]),
            "doctor" => self.doctor(),
            "phones" => self.phones()?,
            part => match part.strip_prefix("phone-") {
                Some(name) => self.phone(name)?,
                None => return Err(Error::wrong("this page has no such part").into()),
            },
        };
        Ok(vec!["text/html; charset=utf-8".to_owned(), page.finish()])
    }

    /// Returns the folder of all addresses.
    fn folder(&self) -> String {
        ["/", self.key, "/"].concat()
    }

    fn begin(&self, title: &str) -> Html {
        let folder = self.folder();
        let mut page = Html::new(title, &folder);
        page.put(
            "<p><a href=\"~\">Overview</a> · <a href=\"~doctor\">Findings</a> · \
             <a href=\"~phones\">Phones</a></p>\
             <h1>~</h1>",
            &[&folder, &folder, &folder, title],
        );
        page
    }

    fn overview(&self) -> Result<Html, Errors> {
        let mut here = Here::observed(Files::read(self.file)?)?;
        let report = status::report(&mut here, self.file, SystemTime::now())?;
        let mut page = self.begin(&["Site ", &report.site, " of ", &report.network].concat());
        if !report.agent {
            page.put("<p class=\"card wrong\">no agent runs</p>", &[]);
        }
        for missing in &report.missing {
            page.put("<p class=\"card wrong\">~</p>", &[missing]);
        }
        page.put("<h2>Links</h2><table>", &[]);
        for link in &report.links {
            row_of_link(&mut page, link);
        }
        page.put("</table><h2>Portals</h2>", &[]);
        for (portal, known) in report.portals.iter().zip(&here.site.portals) {
            let state = portal.state.as_str();
            let mut status = PageStatus::of(known, &portal.exit, state);
            if let Some(told) = &report.agent_status {
                status.learn(&portal.name, &told.portals, &told.exits);
            }
            page.put(
                "<div class=\"card\"><p><b>~</b>, ~ → <span class=\"~\">~</span></p>",
                &[&portal.name, &portal.entrance, state, &portal.exit],
            );
            page::situation(&mut page, &status);
            page.put("</div>", &[]);
            if report.agent {
                page::form(&mut page, &self.folder(), ("portal", &portal.name), &status);
            }
        }
        page.put(
            "<h2>Map</h2><div class=\"wide\"><img alt=\"Map of the network\" src=\"/~/map.svg\"></div>",
            &[self.key],
        );
        Ok(page)
    }

    fn doctor(&self) -> Html {
        let mut findings = Findings::about(self.file, true);
        examine(self.file, false, &mut findings);
        let mut page = self.begin("Findings");
        // Faults come first. A sort would take more code than a second look.
        let ok = findings.all.iter().filter(|finding| finding.verdict == Verdict::Ok);
        for finding in findings.all.iter().filter(|finding| finding.verdict != Verdict::Ok).chain(ok) {
            let verdict = finding.verdict.as_str();
            page.put(
                "<div class=\"card\"><b class=\"~\">~: ~</b><p>~</p><p class=\"soft\">~</p><pre>~</pre>\
                 </div>",
                &[verdict, finding.check, verdict, &finding.seen, finding.why, &finding.way_out],
            );
        }
        page
    }

    fn phones(&self) -> Result<Html, Errors> {
        let (_, network) = network_file::load(self.file)?;
        let mut page = self.begin("Phones");
        page.put(
            "<p class=\"soft\">A QR code holds the private key of a phone: show it to that phone alone.</p>\
             <table>",
            &[],
        );
        for (name, phone) in &network.phones {
            let exit = phone.exit.as_ref().map_or_else(|| phone.at.clone(), ToString::to_string);
            page.put(
                "<tr><td><a href=\"/~/phone-~\">~</a></td><td>dials ~</td><td>leaves at ~</td></tr>",
                &[self.key, name, name, &phone.at, &exit],
            );
        }
        page.put("</table>", &[]);
        Ok(page)
    }

    fn phone(&self, name: &str) -> Result<Html, Errors> {
        let code = phone::kept_code(self.file, name)?;
        let mut page = self.begin(&["Phone ", name].concat());
        page.put("<div class=\"code\">", &[]);
        page.drawing(&code.svg());
        page.put("</div><p>Scan this code with the WireGuard app of the phone.</p>", &[]);
        Ok(page)
    }
}

fn row_of_link(page: &mut Html, link: &LinkReport) {
    let state = link.state();
    let age =
        link.handshake_age.map_or_else(String::new, |age| ["handshake ", &duration(age), " ago"].concat());
    page.put(
        "<tr><td>~</td><td class=\"~\">~</td><td>~</td><td>~</td></tr>",
        &[&link.peer, state, state, link.interface.as_str(), &age],
    );
}
