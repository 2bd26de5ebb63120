//! Sites that lie.

use super::*;

/// Site with a file of serial 1, and linked sites 1, 2 and 3 under the control of a test.
struct Victim {
    site: Exchange,
    now: Instant,
}

impl Victim {
    fn new() -> Self {
        let now = Instant::now();
        let mut site = Exchange::new(signed(1));
        site.follow_peers(&[1, 2, 3], now);
        let mut victim = Self { site, now };
        victim.turn();
        victim
    }

    fn turn(&mut self) -> Vec<Outgoing> {
        self.site.turn(self.now, &mut || [4; 16])
    }

    fn receive(&mut self, from: u8, message: Message) -> Vec<Outgoing> {
        self.site.receive(from, [9; 8], message, self.now, &mut || [4; 16])
    }

    fn offer(&mut self, from: u8, head: FileHead) -> Vec<FetchPiece> {
        let offer = Offer { head, is_signed: true, asks: false, answers: [0; 8] };
        fetched(from, self.receive(from, Message::Offer(offer)))
    }

    fn piece(&mut self, from: u8, hash: FileHash, offset: u32, bytes: &[u8]) -> Vec<FetchPiece> {
        let piece = Piece { place: FetchPiece { hash, offset }, bytes: bytes.to_vec() };
        fetched(from, self.receive(from, Message::Piece(piece)))
    }
}

fn fetched(from: u8, packets: Vec<Outgoing>) -> Vec<FetchPiece> {
    let place = |packet: Outgoing| match packet {
        Outgoing { to, message: Message::Fetch(place), .. } if to == from => Some(place),
        _ => None,
    };
    packets.into_iter().filter_map(place).collect()
}

fn head(serial: u64, text: &str) -> FileHead {
    OwnFile::new(text, serial, OwnStanding::Signed).head
}

/// Returns a file of three pieces, the last of which has ten bytes.
fn three() -> String {
    "#".repeat(2 * PIECE + 10)
}

#[test]
fn pieces_that_were_not_asked_for_change_nothing() {
    let (mut victim, text) = (Victim::new(), three());
    let newer = head(2, &text);
    assert_eq!(victim.offer(1, newer).len(), 3);
    let (bytes, hash) = (text.as_bytes(), newer.hash);
    let whole = &bytes[..PIECE];
    // From another site, of another file, at other places, and of other lengths.
    victim.piece(2, hash, 0, whole);
    victim.piece(1, FileHash([0; 16]), 0, whole);
    for offset in [1, 1023, 1025, 3 * 1024, 4096, u32::MAX, u32::MAX - 1023] {
        victim.piece(1, hash, offset, whole);
    }
    victim.piece(1, hash, 0, &bytes[..PIECE - 1]);
    victim.piece(1, hash, 0, &[whole, b"#"].concat());
    victim.piece(1, hash, 2048, whole);
    victim.piece(1, hash, 2048, b"#");
    assert!(victim.site.download.as_ref().is_some_and(|download| matches!(download, Download { .. })));
    assert_eq!(victim.site.take_whole(), None);

    victim.piece(1, hash, 2048, &bytes[2048..]);
    victim.piece(1, hash, 1024, whole);
    victim.piece(1, hash, 1024, &[0; PIECE]);
    assert_eq!(victim.site.take_whole(), None, "a second copy is not the third piece");
    victim.piece(1, hash, 0, whole);
    let taken = victim.site.take_whole().unwrap();
    assert_eq!((taken.giver, taken.text), (1, text), "the first copy of each piece counts");
}

#[test]
fn a_wrong_hash_or_length_is_seen_at_the_end_and_refused() {
    let text = three();
    for lie in [
        FileHead { hash: FileHash([7; 16]), ..head(2, &text) },
        FileHead { length: 10, ..head(2, &text) },
        head(2, &format!("{text}\u{fffd}")),
    ] {
        let mut victim = Victim::new();
        let mut wanted = victim.offer(1, lie);
        while let Some(FetchPiece { offset, .. }) = wanted.pop() {
            let length = (lie.length - offset).min(1024) as usize;
            // Not UTF-8 in the last case.
            let bytes = if lie.length == 2061 { vec![0xff; length] } else { vec![b'#'; length] };
            wanted.extend(victim.piece(1, lie.hash, offset, &bytes));
        }
        assert_eq!(victim.site.take_whole(), None);
        assert_eq!(victim.offer(1, lie), [], "it is refused");
        // Another site has the true file.
        assert_eq!(victim.offer(2, head(2, &text)).len(), 3);
    }
}

#[test]
fn files_of_no_length_and_of_too_great_a_length_are_not_fetched() {
    let text = three();
    for length in [0, LONGEST_FILE + 1, u32::MAX] {
        assert_eq!(Victim::new().offer(1, FileHead { length, ..head(2, &text) }), []);
    }
    let longest = FileHead { length: LONGEST_FILE, ..head(2, &text) };
    assert_eq!(Victim::new().offer(1, longest).len(), 8, "a window of pieces");
}

#[test]
fn a_site_that_does_not_give_does_not_keep_others_from_it() {
    let mut victim = Victim::new();
    let (newest, newer) = (head(1 << 52, "a file that is not there\n"), head(2, "a true file\n"));
    assert_eq!(victim.offer(1, newest).len(), 1);
    assert_eq!(victim.offer(2, newer), [], "one at a time");
    for round in 0..4 {
        let end = victim.now + Duration::from_secs(31);
        while victim.now < end {
            victim.now += Duration::from_millis(500);
            victim.turn();
        }
        // The site goes on with other files.
        let next = head((1 << 52) + 1, &format!("{round}"));
        victim.offer(1, next);
        if victim.site.download.as_ref().is_some_and(|download| download.giver == 2) {
            victim.piece(2, newer.hash, 0, b"a true file\n");
            assert_eq!(victim.site.take_whole().unwrap().text, "a true file\n");
            return;
        }
    }
    panic!("the true file has no turn");
}

/// Each new offer replaces the file before it, but gives no more time.
#[test]
fn a_site_that_offers_more_and_more_files_does_not_keep_others_from_it() {
    let mut victim = Victim::new();
    let newer = head(2, "a true file\n");
    let lie = |number: u64| head((1 << 52) + number, &number.to_string());
    assert_eq!(victim.offer(1, lie(0)).len(), 1);
    assert_eq!(victim.offer(2, newer), []);
    for number in 1..40 {
        victim.now += Duration::from_secs(1);
        victim.offer(1, lie(number));
        victim.turn();
        if victim.site.download.as_ref().is_some_and(|download| download.giver == 2) {
            return;
        }
    }
    panic!("the true file has no turn");
}

/// A site takes its newer file back while it is fetched.
#[test]
fn a_file_that_is_offered_no_more_is_not_fetched() {
    let mut victim = Victim::new();
    assert_eq!(victim.offer(1, head(3, "a false file\n")).len(), 1);
    assert_eq!(victim.offer(2, head(2, "a true file\n")), []);
    assert_eq!(victim.offer(1, head(1, "an older file\n")), []);
    assert_eq!(victim.site.download.as_ref().map(|download| download.giver), Some(2));

    let (mut victim, refused) = (Victim::new(), head(2, "a refused file\n"));
    victim.site.refuse(1, refused.hash, victim.now);
    assert_eq!(victim.offer(1, head(3, "a false file\n")).len(), 1);
    assert_eq!(victim.offer(1, refused), []);
}

#[test]
fn a_site_that_gives_drop_by_drop_has_a_limit() {
    let mut victim = Victim::new();
    let long = FileHead { length: LONGEST_FILE, ..head(2, "") };
    victim.offer(1, long);
    for piece in 0..40 {
        victim.now += Duration::from_secs(20);
        victim.piece(1, long.hash, piece * 1024, &[b'#'; PIECE]);
        victim.turn();
        if victim.site.download.is_none() {
            return;
        }
    }
    panic!("it goes on without end");
}

#[test]
fn only_own_signed_bytes_are_given() {
    let mut victim = Victim::new();
    let own = victim.site.own.head;
    let ask = |hash, offset| Message::Fetch(FetchPiece { hash, offset });
    for (hash, offset) in [
        (FileHash([0; 16]), 0),
        (own.hash, 1),
        (own.hash, own.length),
        (own.hash, own.length.next_multiple_of(1024)),
        (own.hash, u32::MAX - 1023),
    ] {
        assert_eq!(victim.receive(1, ask(hash, offset)), [], "{offset}");
    }
    assert_eq!(victim.receive(1, ask(own.hash, 1024)).len(), 1);
    assert_eq!(victim.receive(4, ask(own.hash, 0)), [], "a site without a link");
    for standing in [OwnStanding::Edited, OwnStanding::Provisional] {
        victim.site.follow_file(OwnFile { standing, ..signed(1) }, victim.now);
        assert_eq!(victim.receive(1, ask(own.hash, 0)), []);
    }
}

#[test]
fn unsigned_and_older_offers_are_not_fetched() {
    let mut victim = Victim::new();
    let unsigned = Offer { head: head(2, "edited\n"), is_signed: false, asks: false, answers: [0; 8] };
    assert_eq!(victim.receive(1, Message::Offer(unsigned)), []);
    for serial in [0, 1] {
        assert_eq!(victim.offer(2, head(serial, "older\n")), []);
    }
    for other in [Message::Call(2), Message::Ping(crate::nat::packet::Ping { port: 1, peer_port: 2 })] {
        assert_ne!(other.kind(), Kind::Offer);
        assert_eq!(victim.receive(1, other), []);
    }
}

#[test]
fn many_refused_files_take_no_memory() {
    let mut victim = Victim::new();
    for number in 0..1000_u64 {
        victim.site.refuse(1, head(2, &number.to_string()).hash, victim.now);
    }
    assert_eq!(victim.offer(1, head(2, "999")), []);
    assert_eq!(victim.offer(2, head(2, "999")).len(), 1);
}
