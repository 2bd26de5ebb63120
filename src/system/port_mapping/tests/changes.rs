//! Changes of the router, of its address, and of the wanted ports.

use super::*;

const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

#[test]
fn a_new_address_of_the_router_is_no_second_nat() {
    let mut home = Home::new(30, &[2000, 2001]);
    home.lifetimes();
    for external in [OTHER, EXTERNAL] {
        home.now += Duration::from_mins(1);
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
    for renewals in [&[7200][..], &[], &[]] {
        home.lifetimes();
        home.mapping.doubt((OTHER, 1).into(), home.now);
        home.run();
        home.mapping.doubt((EXTERNAL, 1).into(), home.now);
        home.run();
        assert_eq!(home.lifetimes(), renewals, "once in a minute, even if two sites disagree for long");
    }
    home.now += Duration::from_mins(1);
    home.mapping.doubt((OTHER, 1).into(), home.now);
    home.run();
    assert_eq!(home.lifetimes(), [7200]);
}

#[test]
fn a_mapping_ends_with_its_router_and_with_its_port() {
    let mut home = Home::new(32, &[2000]);
    let known = home.router.clone();
    let external = home.mapping.external(2000);
    let mut follow = |ports: &[u16], router: Option<&Router>| {
        home.mapping.take_change();
        home.mapping.follow(ports, router.cloned(), &key(), home.now);
        (home.mapping.external(2000), home.mapping.take_change())
    };
    assert_eq!(follow(&[2000], Some(&known)), (external, false));
    assert_eq!(follow(&[2000], None), (None, true));
    assert_eq!(follow(&[2000], Some(&known)), (external, true));
    assert_eq!(follow(&[], Some(&known)), (None, true));
    home.follow(&[2000]);
    home.mapping.take_change();
    home.mapping.follow(&[2000], Some(router(33)), &key(), home.now);
    assert_eq!((home.mapping.external(2000), home.mapping.take_change()), (None, true));
    assert_eq!(home.state(), "2000 the router is asked");
}

#[test]
fn a_router_that_did_not_answer_is_asked_again_when_the_uplink_comes_back() {
    let mut home = Home::new(37, &[]);
    home.is_silent = true;
    home.follow(&[2000]);
    home.pass(Duration::from_mins(1));
    assert_eq!(home.state(), "2000 the router answers neither PCP, NAT-PMP nor UPnP");
    home.is_silent = false;
    home.follow(&[2000]);
    assert_eq!(home.mapping.external(2000), None);
    home.mapping.follow(&[2000], None, &key(), home.now);
    home.follow(&[2000]);
    assert!(home.mapping.external(2000).is_some());
}

#[test]
fn a_port_that_is_wanted_again_while_it_is_given_back_is_asked_for() {
    let mut home = Home::new(34, &[2000]);
    home.mapping.follow(&[], Some(home.router.clone()), &key(), home.now);
    home.mapping.turn(home.now);
    home.mapping.follow(&[2000], Some(home.router.clone()), &key(), home.now);
    assert_eq!(home.mapping.external(2000), None);
    home.run();
    assert_eq!(home.lifetimes(), [7200, 0, 7200]);
    assert!(home.mapping.external(2000).is_some());
}

#[test]
fn a_port_that_is_not_wanted_any_more_is_not_asked_for_later() {
    let mut home = Home::new(35, &[]);
    home.is_silent = true;
    home.mapping.follow(&[2000], Some(home.router.clone()), &key(), home.now);
    home.mapping.turn(home.now);
    home.follow(&[]);
    home.pass(Duration::from_mins(1));
    assert_eq!(home.mapping.deadline(), None);
}

#[test]
fn a_port_that_is_not_wanted_any_more_is_given_back_after_a_renewal_without_an_answer() {
    let mut home = Home::new(36, &[2000]);
    home.is_silent = true;
    home.pass(Duration::from_hours(1));
    home.follow(&[]);
    assert!(!home.lifetimes().contains(&0));
    home.pass(Duration::from_secs(20));
    assert!(home.lifetimes().contains(&0));
}
