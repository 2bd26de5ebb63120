//! Files for and from other programs: wg-quick files, phones' configurations and their QR codes.

pub mod export;
pub mod import;
pub mod phone;
pub mod qr;
