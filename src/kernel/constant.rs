//! Constants of the C library in the width of the message fields that hold them: libc has nearly all of them
//! as `c_int`.

use nix::libc::c_int;

/// Returns a constant for a field of 8 bits. Too large a constant does not compile.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
pub(crate) const fn of_8_bits(constant: c_int) -> u8 {
    assert!(constant >= 0 && constant <= u8::MAX as c_int, "the field is too narrow");
    constant as u8
}

/// Returns a constant for a field of 16 bits. Too large a constant does not compile.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
pub(crate) const fn of_16_bits(constant: c_int) -> u16 {
    assert!(constant >= 0 && constant <= u16::MAX as c_int, "the field is too narrow");
    constant as u16
}
