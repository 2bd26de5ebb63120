//! The kernel's reasons for drops: samples of its tracepoint `skb:kfree_skb`, which names them since Linux
//! 5.17. The kernel writes the samples of this process alone into memory that it shares with the process
//! (perf_event_open(2)), and takes both back when the process ends.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::atomic::{Ordering, fence};

use nix::libc;

use crate::base::net::Family;
use crate::system::disk::kernel_text;

/// Folders of the tracepoint, if the host has mounted them.
const FOLDERS: [&str; 2] =
    ["/sys/kernel/tracing/events/skb/kfree_skb/", "/sys/kernel/debug/tracing/events/skb/kfree_skb/"];

/// Bytes for samples. The kernel writes none if there is no room.
const ROOM: usize = 1 << 16;

/// PERF_TYPE_TRACEPOINT, PERF_SAMPLE_RAW and PERF_FLAG_FD_CLOEXEC of linux/perf_event.h.
const TRACEPOINT: u32 = 2;
const RAW: u64 = 1 << 10;
const CLOSE_ON_EXEC: libc::c_ulong = 8;
/// PERF_RECORD_SAMPLE.
const SAMPLE: u32 = 9;
/// Place of `data_head` in `struct perf_event_mmap_page`, in numbers of 64 bits.
const HEAD: usize = 128;

/// First version of `struct perf_event_attr`.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    tracepoint: u64,
    period: u64,
    samples: u64,
    rest: [u64; 4],
}

/// Places of two fields in a sample, and the names of the reasons.
#[derive(Debug, PartialEq, Eq)]
struct Format<'a> {
    protocol: usize,
    reason: usize,
    names: &'a str,
}

impl<'a> Format<'a> {
    /// Reads the format file of the tracepoint; `None` if the kernel tells no reasons.
    fn read(text: &'a str) -> Option<Self> {
        let place = |field: &str| {
            let (_, rest) = text.split_once(field)?;
            let (number, _) = rest.strip_prefix("offset:")?.split_once(';')?;
            number.parse::<usize>().ok().filter(|place| *place < 256)
        };
        let (_, names) = text.split_once("print fmt:")?;
        Some(Self { protocol: place(" protocol;\t")?, reason: place(" reason;\t")?, names })
    }

    /// Returns the name of the reason in a sample, if it is about a packet of this protocol.
    fn name(&self, sample: &[u8], protocol: u16) -> Option<&'a str> {
        let found = sample.get(self.protocol..self.protocol + 2)?;
        let reason = sample.get(self.reason..self.reason + 4)?;
        let reason = u32::from_ne_bytes(reason.try_into().ok()?).to_string();
        let (_, rest) = self.names.split_once(&["{ ", &reason, ", \""].concat())?;
        let (name, _) = rest.split_once('"')?;
        (found == protocol.to_ne_bytes()).then_some(name)
    }
}

/// Samples of the drops in this process.
pub(super) struct Reasons {
    format: String,
    /// Memory of the samples: one page of the kernel's, and the samples.
    memory: *const u64,
    page: usize,
    /// Place of the first sample that was not taken.
    taken: usize,
    _file: OwnedFd,
}

impl Reasons {
    /// Begins to collect samples; `None` if this kernel tells no reasons, or does not tell them to this
    /// process.
    pub(super) fn open() -> Option<Self> {
        let (format, number) = FOLDERS.iter().find_map(|folder| {
            let read = |file: &str| kernel_text([folder, file].concat()).ok();
            Some((read("format")?, read("id")?))
        })?;
        Format::read(&format)?;
        let attributes = Attributes {
            kind: TRACEPOINT,
            size: 64,
            tracepoint: number.trim().parse().ok()?,
            period: 1,
            samples: RAW,
            rest: [0; 4],
        };
        // SAFETY: the kernel reads as many bytes as the structure has.
        let file = unsafe {
            libc::syscall(libc::SYS_perf_event_open, &raw const attributes, 0, -1, -1, CLOSE_ON_EXEC)
        };
        let file = libc::c_int::try_from(file).ok().filter(|file| *file >= 0)?;
        // SAFETY: the descriptor is new, and nothing else closes it.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        // SAFETY: a question about a constant.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses the place.
        let memory = unsafe {
            libc::mmap(ptr::null_mut(), page + ROOM, access, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        (memory != libc::MAP_FAILED).then(|| Self {
            format,
            memory: memory.cast_const().cast(),
            page,
            taken: 0,
            _file: file,
        })
    }

    /// Takes the reasons that have come since the last time, for packets of a family.
    pub(super) fn take(&mut self, family: Family) -> Vec<String> {
        let protocol: u16 = if family == Family::V4 { 0x0800 } else { 0x86dd };
        // SAFETY: the page is mapped as long as `self` lives. The number is aligned, and less than 4 GB.
        let head = unsafe { ptr::read_volatile(self.memory.add(HEAD)) };
        fence(Ordering::Acquire);
        let head = usize::try_from(head).unwrap_or_default().min(ROOM);
        // SAFETY: the kernel has written these bytes, and does not change them: nothing tells it that they
        // were read.
        let samples = unsafe {
            std::slice::from_raw_parts(
                self.memory.cast::<u8>().add(self.page + self.taken),
                head.saturating_sub(self.taken),
            )
        };
        self.taken = head;
        match Format::read(&self.format) {
            Some(format) => names(samples, &format, protocol),
            None => Vec::new(),
        }
    }
}

impl Drop for Reasons {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the memory any more.
        unsafe { libc::munmap(self.memory.cast_mut().cast(), self.page + ROOM) };
    }
}

/// Returns the names of the reasons in records of perf: each has a kind, two bytes, its size, the size of the
/// sample, and the sample.
fn names(mut records: &[u8], format: &Format, protocol: u16) -> Vec<String> {
    let mut names = Vec::new();
    while let [k0, k1, k2, k3, _, _, s0, s1, ..] = *records {
        let size = usize::from(u16::from_ne_bytes([s0, s1]));
        let Some((record, rest)) = records.split_at_checked(size.max(8)) else { break };
        records = rest;
        if u32::from_ne_bytes([k0, k1, k2, k3]) == SAMPLE
            && let Some(name) = record.get(12..).and_then(|sample| format.name(sample, protocol))
        {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Format of Linux 6.12, shortened.
    const FORMAT: &str = "name: kfree_skb\nID: 1461\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;\n\
        \tfield:void * location;\toffset:16;\tsize:8;\tsigned:0;\n\
        \tfield:void * rx_sk;\toffset:24;\tsize:8;\tsigned:0;\n\
        \tfield:unsigned short protocol;\toffset:32;\tsize:2;\tsigned:0;\n\
        \tfield:enum skb_drop_reason reason;\toffset:36;\tsize:4;\tsigned:0;\n\n\
        print fmt: \"skbaddr=%p rx_sk=%p protocol=%u location=%pS reason: %s\", REC->skbaddr, \
        __print_symbolic(REC->reason, { 2, \"NOT_SPECIFIED\" }, { 15, \"IP_RPFILTER\" }, \
        { 17, \"XFRM_POLICY\" })\n";

    fn record(kind: u32, protocol: u16, reason: u32) -> Vec<u8> {
        let mut record = kind.to_ne_bytes().to_vec();
        record.extend([1, 0]);
        record.extend(56_u16.to_ne_bytes());
        record.extend(44_u32.to_ne_bytes());
        record.extend([0; 32]);
        record.extend(protocol.to_ne_bytes());
        record.extend([0; 2]);
        record.extend(reason.to_ne_bytes());
        record.extend([0; 4]);
        record
    }

    #[test]
    fn samples_tell_reasons_by_the_names_of_the_format() {
        let format = Format::read(FORMAT).unwrap();
        assert_eq!((format.protocol, format.reason), (32, 36));
        let records = [
            record(SAMPLE, 0x86dd, 15),
            record(SAMPLE, 0x0800, 17),
            record(2, 0x0800, 15),
            record(SAMPLE, 0x0800, 99),
            record(SAMPLE, 0x0800, 2),
        ]
        .concat();
        assert_eq!(names(&records, &format, 0x0800), ["XFRM_POLICY", "NOT_SPECIFIED"]);
        assert_eq!(names(&records, &format, 0x86dd), ["IP_RPFILTER"]);
        for end in 0..records.len() {
            names(&records[..end], &format, 0x0800);
        }
    }

    #[test]
    fn kernels_without_reasons_are_told_apart() {
        assert_eq!(Format::read(&FORMAT.replace(" reason;", " other;")), None);
        assert_eq!(Format::read(&FORMAT.replace("offset:36", "offset:-1")), None);
        assert_eq!(Format::read(""), None);
    }
}
