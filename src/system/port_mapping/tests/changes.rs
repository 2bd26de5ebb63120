//! Changes of the router, of its address, and of the wanted ports.

use super::*;

const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

#[test]
fn a_new_address_of_the_router_is_no_second_nat() {
    let mut home = Home::new(30, &[2000, 2001]);
    home.lifetimes();
    for external in [OTHER, EXTERNAL] {
        assert!(home.mapping.take_change());
        home.external = external;
        // Two links hear of it before the router answers.
        home.mapping.doubt((external, 1).into(), home.now);
        home.mapping.doubt((external, 1).into(), home.now);
        home.run();
        assert_eq!(home.mapping.external(2000), Some((external, 34768).into()));
        home.mapping.doubt((external, 1).into(), home.now);
        home.run();
        assert_eq!(home.lifetimes(), [7200, 7200]);
    }
}

#[test]
fn a_doubt_that_turns_out_wrong_is_forgotten() {
    let mut home = Home::new(31, &[2000]);
    for _ in 0..3 {
        home.lifetimes();
        home.mapping.doubt((OTHER, 1).into(), home.now);
        home.run();
        home.mapping.doubt((EXTERNAL, 1).into(), home.now);
        home.run();
        assert_eq!(home.lifetimes(), [7200]);
    }
}
