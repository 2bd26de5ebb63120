//! Refusals of the kernel, and the acknowledgements that report them: `struct nlmsgerr` of linux/netlink.h.

use std::fmt;
use std::io;

use netlink_packet_core::{NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE};
use nix::errno::Errno;
use nix::libc;

use super::ALIGNMENT;
use super::frame::{Frame, HEADER, frames};
use crate::kernel::attributes::{Attributes, text_before_zero};

/// Attribute of an error that holds a sentence (NLMSGERR_ATTR_MSG of linux/netlink.h).
const ERROR_TEXT: u16 = 1;

/// A refusal: the kernel did not carry out a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Error number.
    pub errno: Errno,
    /// Explanation, where the kernel gives one (extended acknowledgements, Linux 4.12 and later).
    pub explanation: Option<String>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, explanation: None }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)).into()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.errno.desc())?;
        match &self.explanation {
            Some(explanation) => write!(f, " ({explanation})"),
            None => Ok(()),
        }
    }
}

/// Reads an acknowledgement, an error or the end of a dump.
pub(crate) fn verdict(frame: &Frame) -> Result<(), Refusal> {
    let Some((code, rest)) = frame.payload.split_first_chunk() else {
        let explanation = Some("its answer is cut short".to_owned());
        return Err(Refusal { errno: Errno::EBADMSG, explanation });
    };
    match i32::from_ne_bytes(*code) {
        0 => Ok(()),
        code => Err(Refusal {
            errno: Errno::from_raw(code.saturating_abs()),
            explanation: explanation(frame, rest),
        }),
    }
}

/// Returns the kernel's sentence behind the error number. Its attributes follow the header of the failed
/// request, and the rest of that request if the answer is not capped.
fn explanation(frame: &Frame, behind_code: &[u8]) -> Option<String> {
    if frame.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let attributes = if frame.kind == NLMSG_DONE {
        behind_code
    } else if frame.flags & NLM_F_CAPPED != 0 {
        behind_code.get(HEADER..)?
    } else {
        let request = frames(behind_code).next()?;
        behind_code.get(request.bytes.len().next_multiple_of(ALIGNMENT)..)?
    };
    Attributes::of(attributes).bytes(ERROR_TEXT).map(|value| text_before_zero(value).to_owned())
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NLMSG_ERROR;

    use super::*;

    /// An error with the kernel's sentence, behind a request of 20 bytes that it repeats, or cuts off behind
    /// the header.
    fn refused(is_capped: bool) -> Vec<u8> {
        let request = [20_u32.to_ne_bytes().as_slice(), &[7; 16]].concat();
        let repeated = if is_capped { &request[..HEADER] } else { &request[..] };
        let sentence = [&[8, 0, 1, 0], b"no!\0".as_slice()].concat();
        let payload = [&(-libc::EINVAL).to_ne_bytes(), repeated, &sentence].concat();
        let flags = NLM_F_ACK_TLVS | if is_capped { NLM_F_CAPPED } else { 0 };
        let mut message = u32::try_from(HEADER + payload.len()).unwrap().to_ne_bytes().to_vec();
        message.extend(NLMSG_ERROR.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]);
        [message, payload].concat()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_explanation_of_the_kernel_is_found() {
        for is_capped in [false, true] {
            let bytes = refused(is_capped);
            let refusal = verdict(&frames(&bytes).next().unwrap()).unwrap_err();
            assert_eq!(refusal.to_string(), "Invalid argument (no!)");
        }
    }

    #[test]
    fn an_answer_that_is_cut_short_is_no_success() {
        for is_capped in [false, true] {
            let bytes = refused(is_capped);
            for length in 0..bytes.len() - HEADER {
                let frame = frames(&bytes).next().unwrap();
                assert!(verdict(&Frame { payload: &frame.payload[..length], ..frame }).is_err());
            }
        }
    }
}
