//! The thread of all tunnels: it waits for packets, visitors and the time, and gives each a turn of limited
//! length.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::peer::ROUND;
use super::settings;
use super::tunnel::{AT_ONCE, Room, Tunnel};
use super::window::{Visitor, Window, Wish};
use crate::base::net::{Family, IfName};
use crate::base::sorted::SortedMap;
use crate::system::threads::spawn;

/// Number of descriptors that have a turn before the time is looked at.
const EVENTS: usize = 32;

/// Most visitors at once.
const MOST_VISITORS: usize = 8;

/// Room for the packets of a turn. Zeros take no memory until they are used.
static ROOM: Mutex<Room> = Mutex::new(Room::new());

/// Descriptors of a tunnel, and others. Their numbers are part of the data of an event.
#[derive(Clone, Copy)]
enum Source {
    Device,
    Ipv4,
    Ipv6,
    Window,
    Visitor,
    Wake,
}

const SOURCES: [Source; 6] =
    [Source::Device, Source::Ipv4, Source::Ipv6, Source::Window, Source::Visitor, Source::Wake];

/// All tunnels of a [`super::Devices`], and their thread, which ends when the value is dropped.
pub(super) struct Runner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Lock that comes before the lock of the tunnels. The thread would otherwise take the tunnels again and
    /// again under load, before another thread that waits for them wakes up.
    queue: Mutex<()>,
    tunnels: Mutex<Tunnels>,
    events: Epoll,
    wake: EventFd,
}

/// Tunnels by number, with their visitors.
#[derive(Default)]
pub(super) struct Tunnels {
    all: SortedMap<u32, Box<Tunnel>>,
    visitors: SortedMap<u32, Visitor>,
    last_number: u32,
    /// Time of the next look at the timers; `None` while no timer runs.
    next_look: Option<Instant>,
    is_over: bool,
}

impl Runner {
    /// Starts the thread.
    pub(super) fn start() -> Result<Self, Errno> {
        let events = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        add(&events, &wake, 0, Source::Wake)?;
        let (queue, tunnels) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { queue, tunnels, events, wake });
        let of_thread = Arc::clone(&shared);
        let thread = Some(spawn(Box::new(move || of_thread.run())));
        Ok(Self { shared, thread })
    }

    /// Waits for the end of a turn, and locks the tunnels.
    pub(super) fn lock(&self) -> MutexGuard<'_, Tunnels> {
        self.shared.lock()
    }

    /// Adds a tunnel.
    pub(super) fn add(&self, tunnel: Tunnel) -> Result<(), Errno> {
        let mut tunnels = self.lock();
        tunnels.last_number += 1;
        let number = tunnels.last_number;
        add(&self.shared.events, &tunnel.device.file, number, Source::Device)?;
        if let Some(window) = &tunnel.window {
            add(&self.shared.events, &window.listener, number, Source::Window)?;
        }
        tunnels.all.insert(number, Box::new(tunnel));
        Ok(())
    }

    /// Listens to the new sockets of a tunnel. If that fails, the tunnel has no sockets, and gets others with
    /// the next change.
    pub(super) fn listen(&self, tunnels: &mut Tunnels, name: &IfName) -> Result<(), Errno> {
        let Some((number, tunnel)) = tunnels.all.iter_mut().find(|(_, tunnel)| tunnel.name == *name) else {
            return Ok(());
        };
        for (family, source) in [(Family::V4, Source::Ipv4), (Family::V6, Source::Ipv6)] {
            if let Some(socket) = tunnel.sockets.as_ref().and_then(|sockets| sockets.of(family)) {
                let added = add(&self.shared.events, socket, *number, source);
                if added.is_err() {
                    tunnel.sockets = None;
                    return added;
                }
            }
        }
        Ok(())
    }

    /// Looks at the timers soon: they may have changed.
    pub(super) fn wake(&self, tunnels: &mut Tunnels) {
        tunnels.expect_look(Instant::now());
        let _ = self.shared.wake.write(1);
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.lock().is_over = true;
        let _ = self.shared.wake.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn add(events: &Epoll, descriptor: impl AsFd, number: u32, source: Source) -> Result<(), Errno> {
    let mut flags = EpollFlags::EPOLLIN;
    if let Source::Window = source {
        // Once for each visitor, even if there is no file left to let the visitor in.
        flags |= EpollFlags::EPOLLET;
    }
    events.add(descriptor, EpollEvent::new(flags, u64::from(number) << 8 | source as u64))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Tunnels> {
        let _queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives turns until the end.
    fn run(&self) {
        let mut list = [EpollEvent::empty(); EVENTS];
        let mut wait = EpollTimeout::NONE;
        loop {
            let waited = self.events.wait(&mut list, wait);
            let mut tunnels = self.lock();
            let number = match waited {
                Ok(number) if !tunnels.is_over => number,
                // The process was stopped, and goes on (signal(7)).
                Err(Errno::EINTR) => 0,
                _ => return tunnels.all.values_mut().for_each(|tunnel| tunnel.is_lost = true),
            };
            let mut room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            for event in &list[..number] {
                let [source, number @ .., _, _, _] = event.data().to_le_bytes();
                let Some(source) = SOURCES.get(usize::from(source)) else { continue };
                self.turn(&mut tunnels, u32::from_le_bytes(number), *source, now, &mut room);
            }
            tunnels.look(now, &mut room);
            wait = tunnels.wait(now);
        }
    }

    fn turn(&self, tunnels: &mut Tunnels, number: u32, source: Source, now: Instant, room: &mut Room) {
        match source {
            Source::Wake => drop(self.wake.read()),
            Source::Visitor => self.attend(tunnels, number),
            Source::Window => self.welcome(tunnels, number, now),
            Source::Device | Source::Ipv4 | Source::Ipv6 => {
                tunnels.expect_look(now + ROUND);
                let Some(tunnel) = tunnels.all.get_mut(&number) else { return };
                match source {
                    Source::Device => tunnel.send(now, room),
                    Source::Ipv4 => tunnel.receive(Family::V4, now, room),
                    _ => tunnel.receive(Family::V6, now, room),
                }
                if tunnel.is_lost {
                    let _ = self.events.delete(&tunnel.device.file);
                    (tunnel.sockets, tunnel.window) = (None, None);
                }
            }
        }
    }

    /// Lets visitors in, and sends those away who are too many.
    fn welcome(&self, tunnels: &mut Tunnels, number: u32, now: Instant) {
        for _ in 0..AT_ONCE {
            let window = tunnels.all.get(&number).and_then(|tunnel| tunnel.window.as_ref());
            let Some(stream) = window.and_then(Window::next) else { return };
            if tunnels.visitors.len() == MOST_VISITORS {
                continue;
            }
            tunnels.last_number += 1;
            let own_number = tunnels.last_number;
            if add(&self.events, &stream, own_number, Source::Visitor).is_ok() {
                tunnels.visitors.insert(own_number, Visitor::new(stream, number));
                tunnels.expect_look(now + ROUND);
            }
        }
    }

    fn attend(&self, tunnels: &mut Tunnels, number: u32) {
        let Some(visitor) = tunnels.visitors.get_mut(&number) else { return };
        match visitor.turn() {
            Wish::Wait => {}
            Wish::Settings => {
                let tunnel = tunnels.all.get(&visitor.tunnel).filter(|tunnel| !tunnel.is_lost);
                match tunnel.map(|tunnel| settings::encode(&tunnel.read(SystemTime::now()))) {
                    Some(answer) => visitor.give(answer),
                    None => drop(tunnels.visitors.remove(&number)),
                }
            }
            Wish::Leave => drop(tunnels.visitors.remove(&number)),
        }
        if let Some(visitor) = tunnels.visitors.get(&number).filter(|visitor| visitor.has_answer()) {
            let data = u64::from(number) << 8 | Source::Visitor as u64;
            let mut event = EpollEvent::new(EpollFlags::EPOLLOUT, data);
            let _ = self.events.modify(&visitor.stream, &mut event);
        }
    }
}

impl Tunnels {
    /// Returns the tunnels.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Tunnel> {
        self.all.values().map(|tunnel| &**tunnel)
    }

    /// Returns the tunnels for modification.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Tunnel> {
        self.all.values_mut().map(|tunnel| &mut **tunnel)
    }

    /// Takes out a tunnel for which `is_chosen` returns true. Its interface exists until the tunnel is
    /// dropped, which takes the kernel so long that the tunnels must not be locked.
    pub(super) fn take(&mut self, is_chosen: &dyn Fn(&Tunnel) -> bool) -> Option<Box<Tunnel>> {
        let (number, _) = self.all.iter().find(|(_, tunnel)| is_chosen(tunnel))?;
        let number = *number;
        self.all.remove(&number)
    }

    /// Looks at the timers at that time, or earlier.
    fn expect_look(&mut self, time: Instant) {
        if self.next_look.is_none_or(|next| time < next) {
            self.next_look = Some(time);
        }
    }

    /// Looks at the timers if that is due.
    fn look(&mut self, now: Instant, room: &mut Room) {
        if self.next_look.is_none_or(|next| now < next) {
            return;
        }
        let mut goes_on = false;
        for tunnel in self.all.values_mut() {
            match tunnel.look(now, room) {
                Some(of_tunnel) => goes_on |= of_tunnel,
                // The peers that had their turn are not due again before the others had theirs.
                None => return,
            }
        }
        self.visitors.retain(|_, visitor| {
            visitor.patience -= 1;
            visitor.patience > 0
        });
        goes_on |= !self.visitors.is_empty();
        self.next_look = goes_on.then(|| now + ROUND);
    }

    fn wait(&self, now: Instant) -> EpollTimeout {
        let Some(next) = self.next_look else { return EpollTimeout::NONE };
        // Rounded up: the look must be due when the wait is over.
        let milliseconds = next.saturating_duration_since(now).as_millis() + 1;
        u16::try_from(milliseconds).unwrap_or(u16::MAX).into()
    }
}
