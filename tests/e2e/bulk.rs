//! Transfers of megabytes, whose packets the built-in WireGuard splits and merges where the kernel can.

use std::io::{Read, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{NYC, PARIS, SERVER, SERVER6, World};

use crate::Scenario;
use crate::ways::each_other;
use crate::words::{same, seconds, seen_as, start};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "megabytes come as they were sent, in both directions and both families",
    plots: &[NYC, PARIS],
    run: both,
}];

/// Number of bytes in each direction.
const BYTES: usize = 4 << 20;

/// Bytes that do not repeat in the distance of a packet's length.
fn content(seed: usize) -> Vec<u8> {
    (0..BYTES).map(|at| (at ^ seed).wrapping_mul(0x9e37_79b1).to_le_bytes()[2]).collect()
}

fn both(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    for server in [IpAddr::from(SERVER), SERVER6.into()] {
        let listener = world.server.run(|| bind(server))?;
        let at = listener.local_addr().context(|| "no address".to_owned())?;
        let sent = thread::spawn(move || -> std::io::Result<bool> {
            let (mut guest, _) = listener.accept()?;
            limit(&guest)?;
            guest.write_all(&content(1))?;
            takes(&mut guest, &content(2))
        });
        let came = world.site(NYC).guest.run(|| {
            let exchange = || {
                let mut stream = TcpStream::connect(at)?;
                limit(&stream)?;
                let came = takes(&mut stream, &content(1))?;
                stream.write_all(&content(2)).map(|()| came)
            };
            exchange().context(|| format!("the guest and {server}"))
        })?;
        same(&format!("the guest has what {server} sent"), came, true)?;
        let sent = sent.join().map_err(|_| Error::failed("the server ended"))?;
        same(&format!("{server} has what the guest sent"), sent.ok(), Some(true))?;
    }
    Ok(())
}

fn bind(address: IpAddr) -> Result<TcpListener> {
    TcpListener::bind((address, 0)).context(|| format!("cannot listen at {address}"))
}

/// Lets no transfer wait for ever.
fn limit(stream: &TcpStream) -> std::io::Result<()> {
    let limit = Some(Duration::from_mins(2));
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)
}

/// Reports whether these bytes come.
fn takes(stream: &mut TcpStream, expected: &[u8]) -> std::io::Result<bool> {
    let mut came = vec![0; BYTES];
    stream.read_exact(&mut came)?;
    Ok(came == expected)
}
