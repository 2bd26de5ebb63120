//! Tokens and pasted requests as texts, and the file of invitations.

use super::super::paste;
use super::*;

#[test]
fn a_token_is_parsed_as_printed() {
    for door in [
        token().door,
        None,
        Some(Door { host: host("2001:db8::9"), port: 1 }),
        Some(Door { host: host("a-router.at-home.example.net"), port: 65535 }),
    ] {
        let token = Token { door, ..token() };
        let text = token.to_text();
        assert_eq!(text.parse(), Ok(token.clone()));
        let broken = format!(" {}\n  {}\n", &text[..30], &text[30..]);
        assert_eq!(broken.parse(), Ok(token), "programs that carry texts break lines");
    }
    assert_eq!(token().to_text().len(), 86);
    assert!(
        !format!("{:?}", token()).contains('9'.to_string().repeat(3).as_str()),
        "the secret is not shown"
    );
}

/// Bytes of a token with a right check byte.
fn coded(port: u16, host: &[u8]) -> String {
    let mut bytes = [&[9; 48], &port.to_be_bytes()[..], host].concat();
    super::super::token::encode("p1.", &mut bytes).to_string()
}

#[test]
fn damaged_tokens_are_refused() {
    let text = token().to_text();
    for length in 0..text.len() {
        let fault = text[..length].parse::<Token>().unwrap_err().0;
        let expected = if length < 3 { "is no token" } else { "cut off" };
        assert!(fault.contains(expected), "{length}: {fault}");
    }
    let mut missed = 0;
    for place in 3..text.len() {
        let mut mistyped = text.to_string();
        let other = if &text[place..=place] == "x" { "y" } else { "x" };
        mistyped.replace_range(place..=place, other);
        missed += usize::from(mistyped.parse::<Token>().is_ok());
    }
    assert!(missed <= 2, "the check byte finds 255 of 256 faults: {missed}");
    for (text, fault) in [
        ("", "is no token of this version"),
        ("p2.AAAA", "is no token of this version"),
        ("p1.", "is cut off or mistyped (3 characters came)"),
        ("p1.AA=A", "contains `=`, which no token contains"),
        ("p1.A\u{1b}A", "contains `\\u{1b}`"),
        ("a1.AAAA", "give it to `portals accept`"),
        (&coded(0, b"nyc.example.net"), "names no host"),
        (&coded(1, b""), "names no host"),
        (&coded(1, b"\xff"), "names no host"),
        (&coded(1, b"nyc\n.example"), "names no host"),
        (&coded(1, b"\"; rm"), "names no host"),
        (&coded(1, b"0.0.0.0"), "names no host"),
    ] {
        let found = text.parse::<Token>().unwrap_err().0;
        assert!(found.contains(fault), "{text:?}: {found}");
    }
}

#[test]
fn a_pasted_request_is_parsed_as_printed() {
    let request = request(2, 5);
    let text = paste::to_text(&request);
    assert_eq!(text.len(), 325);
    assert_eq!(paste::from_text(&text), Ok(request));
    assert_eq!(paste::from_text(&format!("{}\n {}", &text[..9], &text[9..])), Ok(request));
    for length in 0..text.len() {
        assert!(paste::from_text(&text[..length]).is_err(), "{length}");
    }
    let other = super::super::token::encode("a1.", &mut vec![7; LENGTH]);
    for (text, fault) in [
        (&*token().to_text(), "give it to `portals join`"),
        (&other, "is not the answer of a new site"),
        (&"a1.".to_owned(), "copy all of the answer"),
    ] {
        assert!(paste::from_text(text).unwrap_err().0.contains(fault), "{text}");
    }
}

#[test]
fn lines_of_others_are_no_invitations() {
    let inviter = Inviter::new(terms("paris"));
    let text = inviter.invitations.to_text(inviter.now);
    let line = text.trim_end();
    let count = |text: &str| Invitations::from_text(text, inviter.now).all().len();
    assert_eq!(count(line), 1);
    for wrong in [
        line.replace("paris", "par/is"),
        line.replace("open", "closed"),
        line.replace(" nyc ", " NYC "),
        line.replace(" - 0", " - 4"),
        line.replace(" - 0", " eth/1 0"),
        line.replace(" - 0", ""),
        format!("{line} 1"),
        format!("x{line}"),
    ] {
        assert_eq!(count(&wrong), 0, "{wrong}");
    }
    // A damaged time makes no token good for longer.
    let seconds = (2 * LIFE).as_secs().to_string();
    let forever = line.replace(&seconds, "18446744073709551615");
    assert_ne!(forever, line);
    let read = Invitations::from_text(&forever, inviter.now);
    assert_eq!(read.all()[0].left(inviter.now), LIFE);
    assert_eq!(count(&text.repeat(100)), super::super::invitations::MOST_INVITATIONS);
}

#[test]
fn invitations_are_limited() {
    let mut inviter = Inviter::new(terms("paris"));
    let mut number = 0;
    while inviter.invitations.add(InviteSecret::new([number; 16]), terms(&format!("s{number}")), inviter.now)
    {
        number += 1;
    }
    assert_eq!(usize::from(number) + 1, super::super::invitations::MOST_INVITATIONS);
    // A site that is invited again takes the place of its dead invitation.
    inviter.invitations.of("paris").unwrap().state = InvitationState::Revoked;
    assert!(inviter.invitations.add(InviteSecret::new([0; 16]), terms("paris"), inviter.now));
}
