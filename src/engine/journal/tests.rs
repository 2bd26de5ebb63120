//! Tests of the journal on disk, also of one that is damaged.

use std::fs;

use super::*;

#[test]
fn claims_survive_the_disk() {
    let folder = std::env::temp_dir().join(format!("portals-journal-{}", std::process::id()));
    let journal = Journal::in_folder(&folder).unwrap();
    let claims = Claims {
        sysctls: [("net/ipv4/ip_forward".to_owned(), "0".to_owned())].into(),
        addresses: [("eth1".parse().unwrap(), "10.77.1.65/26".parse().unwrap())].into(),
        raised: ["eth1".parse().unwrap()].into(),
        begun: true,
    };
    journal.record(&claims).unwrap();
    assert_eq!(journal.claims().unwrap(), claims);
    journal.record(&Claims::default()).unwrap();
    assert_eq!(journal.claims().unwrap(), Claims::default());
    assert!(!journal.claims_path().exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn endpoints_that_are_handed_over_are_taken_once() {
    let folder = std::env::temp_dir().join(format!("portals-handover-{}", std::process::id()));
    let journal = Journal::in_folder(&folder).unwrap();
    assert_eq!(journal.take_over().unwrap(), []);
    let heard = || ("to-nyc".parse().unwrap(), PublicKey([7; 32]), "[2001:db8::1]:51822".parse().unwrap());
    journal.hand_over(&[heard(), heard()]).unwrap();
    assert_eq!(journal.take_over().unwrap(), [heard(), heard()]);
    assert_eq!(journal.take_over().unwrap(), []);
    fs::write(journal.endpoints_path(), "to-nyc\nwhat\n").unwrap();
    assert_eq!(journal.take_over().unwrap(), []);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_value_is_read_as_it_was_written() {
    let claims = Claims { sysctls: [("a".to_owned(), "0\r".to_owned())].into(), ..Claims::default() };
    assert_eq!(Claims::parse(claims.to_text().as_bytes()), (claims, None));
}

#[test]
fn a_line_that_is_no_claim_is_named_and_the_others_count() {
    for (bad, shown) in [
        (&b"sysctl only-a-key\n"[..], "sysctl only-a-key"),
        (b"raised eth1 eth2\n", "raised eth1 eth2"),
        (b"guard of a newer version\n", "guard of a newer version"),
        (b"sysctl net/ipv4/ip_forward \xff\n", "sysctl net/ipv4/ip_forward \\xff"),
        (b"raised eth", "raised eth"),
        (b"\n", ""),
        (&[b'x'; 1000], &"x".repeat(80)),
    ] {
        let text = [b"sysctl a 1\n", bad].concat();
        let (claims, strange) = Claims::parse(&text);
        assert_eq!(strange.as_deref(), Some(shown));
        assert_eq!(claims.to_text(), "sysctl a 1\n");
    }
}

#[test]
fn a_journal_with_a_bad_line_is_set_aside() {
    let folder = std::env::temp_dir().join(format!("portals-bad-{}", std::process::id()));
    let journal = Journal::in_folder(&folder).unwrap();
    let text = "begun\nsysctl a 1\nnew of a newer version\n";
    fs::write(journal.claims_path(), text).unwrap();
    let claims = journal.claims().unwrap();
    assert_eq!(claims.to_text(), "begun\nsysctl a 1\n");
    assert_eq!(fs::read_to_string(folder.join("journal.bad")).unwrap(), text);
    assert_eq!(fs::read_to_string(journal.claims_path()).unwrap(), claims.to_text());
    // A journal that is no regular file is set aside as well, in place of the earlier one.
    fs::remove_file(journal.claims_path()).unwrap();
    nix::unistd::mkfifo(&journal.claims_path(), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(journal.claims().unwrap(), Claims::default());
    assert!(!journal.claims_path().exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_second_call_waits_for_the_first_and_says_so() {
    let folder = std::env::temp_dir().join(format!("portals-lock-{}", std::process::id()));
    let journal = Journal::in_folder(&folder).unwrap();
    let first = journal.lock(&mut || panic!("nobody holds it")).unwrap();
    let holder = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(first);
    });
    let mut said = false;
    let second = journal.lock(&mut || said = true).unwrap();
    assert!(said);
    holder.join().unwrap();

    let begun = Instant::now();
    let error = journal.lock(&mut || ()).unwrap_err().to_string();
    assert!(begun.elapsed() >= LOCK_TIMEOUT, "it gave up after {:?}", begun.elapsed());
    assert!(
        error.starts_with("another portals process has been changing this machine for more than 10 seconds"),
        "{error}"
    );
    drop(second);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_agent_is_alone() {
    let folder = std::env::temp_dir().join(format!("portals-agent-{}", std::process::id()));
    let journal = Journal::in_folder(&folder).unwrap();
    let first = journal.lock_agent().unwrap();
    assert!(first.is_some());
    assert!(journal.has_agent().unwrap());
    assert!(journal.lock_agent().unwrap().is_none());
    drop(first);
    assert!(!journal.has_agent().unwrap());
    fs::remove_dir_all(folder).unwrap();
}
