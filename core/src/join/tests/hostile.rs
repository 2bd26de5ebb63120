//! Packets of others: of thieves, of replayers, and of those who know nothing.

use super::super::packet::requested;
use super::*;

/// Keys of a new site with a wrong secret, or for another inviting site.
fn strange_keys(invitation: &InviteSecret, byte: u8, inviter: PublicKey) -> JoinKeys {
    JoinKeys::derive(invitation, &secret(byte), inviter).unwrap()
}

#[test]
fn a_wrong_secret_gets_silence() {
    let mut inviter = Inviter::new(terms("paris"));
    let keys = strange_keys(&InviteSecret::new([8; 16]), 2, key(1));
    let packet = keys.seal_request(key(2), [5; 16], &JoinRequest::default()).unwrap();
    assert_eq!(inviter.answer(&packet), "silence");
    assert_eq!(inviter.curves, 0);
    // The id is public: whoever sees a request knows it.
    let mut with_id = packet;
    with_id[24..32].copy_from_slice(&token().secret.id());
    assert_eq!(inviter.answer(&with_id), "silence");
    assert_eq!(inviter.curves, 1);
    assert_eq!(inviter.answer(&request(2, 5)), "joined", "the token is as good as before");
}

#[test]
fn a_request_to_another_site_gets_silence() {
    let mut inviter = Inviter::new(terms("paris"));
    let keys = strange_keys(&token().secret, 2, key(4));
    let packet = keys.seal_request(key(2), [5; 16], &JoinRequest::default()).unwrap();
    assert_eq!(inviter.answer(&packet), "silence");
}

#[test]
fn any_changed_bit_gets_silence() {
    let packet = request(2, 5);
    for bit in 0..packet.len() * 8 {
        let mut changed = packet;
        changed[bit / 8] ^= 1 << (bit % 8);
        let mut inviter = Inviter::new(terms("paris"));
        // X25519 ignores the highest bit of a key, but the tag covers it.
        assert_eq!(inviter.answer(&changed), "silence", "bit {bit}");
    }
    for length in 0..LENGTH {
        assert_eq!(Inviter::new(terms("paris")).answer(&packet[..length]), "silence", "{length} bytes");
    }
    let longer = [&packet[..], &[0]].concat();
    assert_eq!(Inviter::new(terms("paris")).answer(&longer), "silence");
}

/// The attacker changes the sender's key to its own, so that it would join in the place of the site.
#[test]
fn a_request_cannot_be_given_another_key() {
    let mut inviter = Inviter::new(terms("paris"));
    let mut packet = request(2, 5);
    packet[32..64].copy_from_slice(&key(3).0);
    assert_eq!(inviter.answer(&packet), "silence");
    packet[32..64].copy_from_slice(&[0; 32]);
    assert_eq!(inviter.answer(&packet), "silence", "a key that gives no secret");
}

#[test]
fn a_flood_for_unknown_invitations_costs_no_arithmetic() {
    let mut inviter = Inviter::new(terms("paris"));
    let mut packet = request(2, 5);
    for number in 0..10_000_u32 {
        packet[24..28].copy_from_slice(&number.to_be_bytes());
        assert!(requested(&packet).is_some() && !inviter.invitations.knows(&packet));
        assert!(inviter.hear(&packet).is_none());
    }
    assert_eq!(inviter.curves, 0);
    assert_eq!(inviter.answer(&request(2, 5)), "joined");
}

#[test]
fn a_flood_for_a_known_invitation_costs_little() {
    let mut inviter = Inviter::new(terms("paris"));
    let mut flood = request(2, 5);
    let mut flooded = |inviter: &mut Inviter| {
        for number in 0..10_000_u32 {
            flood[32..36].copy_from_slice(&number.to_be_bytes());
            assert!(inviter.hear(&flood).is_none());
        }
    };
    flooded(&mut inviter);
    assert!((1..=22).contains(&inviter.curves), "{}", inviter.curves);
    assert_eq!(inviter.answer(&request(2, 5)), "silence", "the limit holds for everybody");
    inviter.now += 3 * SECOND;
    assert_eq!(inviter.answer(&request(2, 6)), "joined", "the site asks again");
    flooded(&mut inviter);
    assert_eq!(inviter.answer(&request(2, 7)), "joined again", "a known site needs no arithmetic");
}

#[test]
fn answers_are_for_their_request_and_site_only() {
    let mut inviter = Inviter::new(terms("paris"));
    let (old, new) = (request(2, 5), request(2, 6));
    let heard = inviter.hear(&old).unwrap();
    let answer = heard.seal([6; 16], &JoinAnswer::Used);
    assert_eq!(keys(2).open_answer(&answer, number(&old)), Some(JoinAnswer::Used));
    assert_eq!(keys(2).open_answer(&answer, number(&new)), None, "an old answer");
    assert_eq!(keys(3).open_answer(&answer, number(&old)), None, "another site with the same token");
    let other = strange_keys(&InviteSecret::new([8; 16]), 2, key(1));
    assert_eq!(other.open_answer(&answer, number(&old)), None, "another token");
    for bit in 0..answer.len() * 8 {
        let mut changed = answer;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(keys(2).open_answer(&changed, number(&old)), None, "bit {bit}");
    }
    let echo = old;
    assert_eq!(keys(2).open_answer(&echo, number(&old)), None, "one's own request");
}

/// The holder of a token seals any content: none of it may reach the network file unchecked.
#[test]
fn hostile_content_of_a_request_is_refused() {
    let body = |fields: &[&[u8]]| {
        let mut body = [0; 160];
        let bytes = fields.concat();
        body[..bytes.len()].copy_from_slice(&bytes);
        body
    };
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let none: &[u8] = &[0];
    let sealed = |body: [u8; 160]| {
        let mut packet = request(2, 5);
        keys(2).seal_body(&mut packet, body);
        packet
    };
    assert!(Inviter::new(terms("paris")).hear(&sealed(body(&[]))).is_some(), "an empty request");
    for hostile in [
        "a b",
        "Paris",
        "par\u{e9}s",
        "thirteen-char",
        "x]\nevil = 1\n[y",
        "\"",
        "'",
        "#",
        ".",
        "a.b",
        "\0",
        "\u{7f}",
    ] {
        for fields in [
            [&text(hostile)[..], none, none, none, none],
            [none, &text(&format!("{hostile} {hostile}")), none, none, none],
            [none, none, &text(&format!("{hostile}/\"")), none, none],
        ] {
            assert!(Inviter::new(terms("paris")).hear(&sealed(body(&fields))).is_none(), "{hostile:?}");
        }
    }
    for hostile in
        ["nyc.example.net\"", "a\nb", "0.0.0.0", "224.0.0.1", "::", "[::1]", "1.2.3.4:5", "1.2.3", "-a"]
    {
        let packet = sealed(body(&[none, &text(hostile)]));
        assert!(Inviter::new(terms("paris")).hear(&packet).is_none(), "{hostile:?}");
    }
    let lan = |bytes: &[u8]| sealed(body(&[none, none, none, bytes]));
    for (why, bytes) in [
        ("too many", &[4, 4, 10, 0, 0, 0, 8][..]),
        ("no family", &[1, 5, 10, 0, 0, 0, 8]),
        ("a prefix that is too long", &[1, 4, 10, 0, 0, 0, 33]),
        ("host bits", &[1, 4, 10, 0, 0, 1, 8]),
    ] {
        assert!(Inviter::new(terms("paris")).hear(&lan(bytes)).is_none(), "{why}");
    }
    assert!(Inviter::new(terms("paris")).hear(&lan(&[1, 4, 10, 0, 0, 0, 8])).is_some());
    // Lengths that lead beyond the body.
    for place in 0..8 {
        let mut bytes = [0; 160];
        bytes[place] = 255;
        let _ = Inviter::new(terms("paris")).hear(&sealed(bytes));
    }
    assert!(Inviter::new(terms("paris")).hear(&sealed([255; 160])).is_none());
}
