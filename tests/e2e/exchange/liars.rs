//! Members of the network that offer files of their own.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use wg_portals::base::error::{Error, Result};
use wg_portals::base::net::{PublicKey, Secret};
use wg_portals::demo::{DemoSite, NYC, OSLO, PARIS, World};
use wg_portals::exchange::{Exchange, Outgoing, OwnFile, OwnStanding};
use wg_portals::nat::packet::{FileHead, Header, Message, Offer};
use wg_portals::nat::seal::PairKey;
use wg_portals::signed::{hash, sign, unsigned};
use wg_portals::system::key_files;

use super::{
    ARRIVAL, PORT, begin, edit_comment, give_admin_key, keep_their_files, logs, pair_key, random, row, tells,
    told, udp,
};
use crate::join::{file, have_one_file};
use crate::words::{eventually, same, seconds, succeeds, within};

/// Oslo makes an admin key of its own, and its agent offers the file that this key has signed.
pub(super) fn own_admin_key(world: &mut World) -> Result<()> {
    begin(world, row)?;
    succeeds(world.site(OSLO), &["sign", "--create"])?;
    tells(world.site(OSLO), &["push"], 1, &["serial 2 is in force here", "  paris         serial 1"])?;
    let refused = "serial 2 from oslo is not taken: no admin of this network has signed it";
    logs(world.site(PARIS), refused)?;
    keep_their_files(world, &[NYC, PARIS, OSLO], seconds(3.0))?;
    // The files of the true admin take their way, and bring Oslo back, whose file lists this admin, too.
    for comment in ["of the true admin", "once more"] {
        edit_comment(world.site(NYC), comment)?;
        tells(world.site(NYC), &["push"], 0, &["  paris         serial"])?;
    }
    have_one_file(world, &[PARIS, OSLO])
}

/// Oslo, which sends packets of its own through its tunnel to Paris.
struct Liar {
    socket: UdpSocket,
    key: PairKey,
    machine: Exchange,
}

impl Liar {
    /// Begins at Oslo, beside the agent there.
    fn begin(oslo: &DemoSite, paris: PublicKey) -> Result<Self> {
        let mut machine = Exchange::new(OwnFile::new("", 0, OwnStanding::Signed));
        machine.follow_peers(&[PARIS.id], Instant::now());
        Ok(Self { socket: udp(oslo, (OSLO.tunnel(), 0))?, key: pair_key(oslo, paris)?, machine })
    }

    /// Offers a text under a serial.
    fn offer(&mut self, text: &str, serial: u64) {
        self.machine.follow_file(OwnFile::new(text, serial, OwnStanding::Signed), Instant::now());
    }

    /// Offers a file that does not exist.
    fn promise(&self, serial: u64) {
        let hash = hash(&serial.to_string());
        let head = FileHead { serial, hash, length: 1000 };
        self.send(random(), &Message::Offer(Offer { head, is_signed: true, asks: false, answers: [0; 8] }));
    }

    fn send(&self, salt: [u8; 16], message: &Message) {
        // The tunnel may be down for a moment.
        let _ = self.socket.send_to(&self.key.seal(OSLO.id, PARIS.id, salt, message), at_paris());
    }

    /// Sends what is due, and answers the packets that come in a moment.
    fn turn(&mut self) {
        let mut packets = self.machine.turn(Instant::now(), &mut random);
        let mut buffer = [0; 2000];
        loop {
            for Outgoing { salt, message, .. } in packets.drain(..) {
                self.send(salt, &message);
            }
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { return };
            let Some(header) = Header::decode(&buffer[..length]) else { continue };
            let message = self.key.open(&header, &buffer[..length]);
            if let Some(message) = message.filter(|_| from == at_paris()) {
                let now = Instant::now();
                packets = self.machine.receive(PARIS.id, header.number(), message, now, &mut random);
            }
        }
    }

    /// Lies until something has happened.
    fn until(&mut self, what: &str, mut has_happened: impl FnMut() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + seconds(ARRIVAL);
        while !has_happened()? {
            if Instant::now() > end {
                return Err(Error::failed(format!("not in time: {what}")));
            }
            self.turn();
        }
        Ok(())
    }
}

fn at_paris() -> SocketAddr {
    SocketAddr::new(IpAddr::from(PARIS.tunnel()), PORT)
}

pub(super) fn false_files(world: &mut World) -> Result<()> {
    begin(world, row)?;
    let paris = world.site(PARIS).public_key;
    let mut liar = Liar::begin(world.site(OSLO), paris)?;
    let admin = world.site(NYC).router.run(|| key_files::load("/run/demo/admin.key".as_ref()))?;
    let first = file(world.site(NYC))?;
    let numbered = |serial: u64| unsigned(&first).replace("serial = 1", &format!("serial = {serial}"));
    let signed = sign(&numbered(12), &admin);
    let not_signed = "no admin of this network has signed it";
    for (serial, text, words) in [
        (9, numbered(9), not_signed),
        (10, sign(&numbered(10), &Secret::new([101; 32])), not_signed),
        (11, first.clone(), "its serial is not the one that was offered"),
        (12, signed.replace("mtu", "MTU").replace("oslo", "rome"), not_signed),
        (13, "\0".repeat(60_000), not_signed),
        (14, sign(&numbered(14).replace("\"demo\"", "\"other\""), &admin), "it belongs to another network"),
        (15, sign(&numbered(15).replace("id = ", "id = x"), &admin), "it is not a network file"),
    ] {
        liar.offer(&text, serial);
        let refused = format!("the network file with serial {serial} from oslo is not taken: ");
        liar.until(&refused, || Ok(world.site(PARIS).log().contains(&refused)))?;
        let log = world.site(PARIS).log();
        same(&format!("{words} in {log}"), log.contains(&(refused + words)), true)?;
        same("the file of Paris", file(world.site(PARIS))?, first.clone())?;
    }

    // A flood of offers of files that do not exist delays the true one, and does not stop it.
    edit_comment(world.site(NYC), "true")?;
    succeeds(world.site(NYC), &["sign"])?;
    succeeds(world.site(NYC), &["reload"])?;
    let newest = file(world.site(NYC))?;
    liar.machine.follow_peers(&[], Instant::now());
    let mut serial = 1000;
    within(seconds(ARRIVAL), "the true file arrives", || {
        for _ in 0..20 {
            serial += 1;
            liar.promise(serial);
        }
        same("the file of Paris", file(world.site(PARIS))?, newest.clone())
    })?;

    // An admin at Paris pushes in spite of a site that claims to have the newest file that there can be.
    give_admin_key(world, PARIS)?;
    liar.promise(1 << 53);
    eventually("Paris hears it", || says_of_oslo(world, "newer"))?;
    edit_comment(world.site(PARIS), "by an admin at Paris")?;
    liar.promise(1 << 53);
    let (_, said) = told(world.site(PARIS), &["push"])?;
    same(&said, said.contains("serial 3 is in force here") && said.contains("nyc           serial 3"), true)?;
    have_one_file(world, &[PARIS])
}

/// Checks what Paris says about the file of Oslo.
fn says_of_oslo(world: &mut World, relation: &str) -> Result<()> {
    let report = succeeds(world.site(PARIS), &["status", "--json"])?;
    let words = format!(r#""relation":"{relation}""#);
    let oslo = report.split(r#"{"site":"oslo""#).nth(1).and_then(|rest| rest.split('}').next());
    same(&report, oslo.is_some_and(|oslo| oslo.contains(&words)), true)
}
