#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wg_portals::fuzzing::web(bytes));
