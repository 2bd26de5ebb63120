use super::*;

const TEXT: &str = "[network]\nname = \"home\"\n";

fn seed(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

fn admins(bytes: &[u8]) -> Vec<PublicKey> {
    bytes.iter().map(|byte| admin_public(&seed(*byte))).collect()
}

fn signed(byte: u8) -> FileStanding {
    FileStanding::Signed(admin_public(&seed(byte)))
}

/// Signature of a text, with the end of its line; empty if there is none.
fn signature_of(text: &str) -> &str {
    &text[unsigned(text).len()..]
}

#[test]
fn a_signature_tells_its_admin() {
    let text = sign(TEXT, &seed(1));
    assert!(text.starts_with(TEXT) && text.lines().last().unwrap().starts_with(LINE), "{text}");
    assert_eq!(standing(&text, &admins(&[1])), signed(1));
    assert_eq!(standing(&text, &admins(&[2, 1])), signed(1));
    assert_eq!(standing(&text, &admins(&[2])), FileStanding::Edited);
    assert_eq!(standing(&text, &[]), FileStanding::Unsigned);
    assert_eq!(standing(TEXT, &admins(&[1])), FileStanding::Edited);
}

#[test]
fn a_new_signature_replaces_the_old_one() {
    let text = sign(&sign(TEXT, &seed(1)), &seed(2));
    assert_eq!(unsigned(&text), TEXT);
    assert_eq!(standing(&text, &admins(&[1, 2])), signed(2));
    assert_eq!(sign(TEXT, &seed(2)), text);
    assert_eq!(sign(TEXT.trim_end(), &seed(2)), text, "a last line without an end gets one");
}

#[test]
fn any_changed_byte_makes_a_file_edited() {
    let text = sign(TEXT, &seed(1));
    let admins = admins(&[1]);
    for place in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[place] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        // The last four bits of the base64 text carry nothing; such a text is refused, too.
        assert_eq!(standing(&changed, &admins), FileStanding::Edited, "{place}: {changed}");
    }
}

#[test]
fn a_signature_is_the_last_line() {
    let (text, admins) = (sign(TEXT, &seed(1)), admins(&[1]));
    for changed in [
        format!("{text}[site.nyc]\n"),
        format!("{text}{text}"),
        format!("\n{text}"),
        text.replace('\n', "\r\n"),
        text.replace(LINE, "#signature: "),
        text.replace(LINE, " # signature: "),
        text.replace(LINE, "# signature:  "),
        // Two texts with one signature would have two hashes.
        format!("{text}\n"),
        format!("{text} "),
        text.trim_end().to_owned(),
        text.trim_end().to_owned() + " \n",
        text.trim_end().to_owned() + "\r\n",
        LINE.to_owned(),
        String::new(),
    ] {
        assert_eq!(standing(&changed, &admins), FileStanding::Edited, "{changed}");
    }
}

#[test]
fn a_signature_goes_even_with_blanks_behind_it() {
    let text = sign(TEXT, &seed(1));
    for changed in [format!("{text}\n\n"), text.trim_end().to_owned(), text.trim_end().to_owned() + " \r\n"] {
        assert_eq!(unsigned(&changed), TEXT);
        assert_eq!(sign(&changed, &seed(1)), text);
    }
}

#[test]
fn a_signature_above_appended_lines_goes() {
    let (portal, phone) = ("\n[site.nyc.portal.tv]\nexit = \"paris\"\n", "\n[phone.mike]\n");
    for end in ["\n", "\r\n"] {
        let [text, portal, phone] = [TEXT, portal, phone].map(|text| text.replace('\n', end));
        let appended = sign(&text, &seed(1)) + &portal;
        assert_eq!(standing(&appended, &admins(&[1])), FileStanding::Edited);
        let signed_again = sign(&appended, &seed(1));
        assert_eq!(unsigned(&signed_again), text.clone() + &portal);
        assert_eq!(standing(&signed_again, &admins(&[1])), signed(1));
        // A file that two earlier signatures are in the middle of.
        let twice = [&sign(&text, &seed(1)), &portal, signature_of(&signed_again), &phone].concat();
        assert_eq!(unsigned(&sign(&twice, &seed(2))), [text, portal, phone].concat());
    }
}

#[test]
fn only_the_last_signature_counts() {
    let body = sign(TEXT, &seed(1)) + "[site.nyc]\n";
    let signed_by = |byte| {
        let key = SigningKey::from_bytes(seed(byte).bytes());
        body.clone() + &line(&body, &key.sign(&covered(&body)))
    };
    assert_eq!(standing(&signed_by(2), &admins(&[1])), FileStanding::Edited);
    assert_eq!(standing(&signed_by(1), &admins(&[1])), signed(1));
}

#[test]
fn a_signature_leaves_other_comments_as_they_are() {
    let comments = format!(
        "{LINE}\n{LINE}see the end\n{LINE}AAAA\n {LINE}{0}\n#signature: {0}\n# {LINE}{0}\na = 1 {LINE}{0}\n",
        BASE64.encode([1; 64])
    );
    assert_eq!(unsigned(&sign(&(comments.clone() + TEXT), &seed(1))), comments + TEXT);
}

#[test]
fn a_signature_has_the_line_end_of_the_file() {
    let text = sign(&TEXT.replace('\n', "\r\n"), &seed(1));
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text:?}");
    assert_eq!(standing(&text, &admins(&[1])), signed(1));
    assert_eq!(sign(text.trim_end(), &seed(1)), text);
    assert_eq!(standing(&(text.trim_end().to_owned() + "\n"), &admins(&[1])), FileStanding::Edited);
}

#[test]
fn weak_keys_sign_nothing() {
    // The neutral element of the curve, for which a signature of zeros would fit any text.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut forged = [0; 64];
    forged[0] = 1;
    let text = format!("{TEXT}{LINE}{}\n", BASE64.encode(forged));
    assert_eq!(standing(&text, &[PublicKey(neutral)]), FileStanding::Edited);
}

/// RFC 8032, § 7.1, TEST 1: the public key of a secret key.
#[test]
fn admin_keys_are_keys_of_ed25519() {
    let bytes = |hex: &str| -> [u8; 32] {
        std::array::from_fn(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).unwrap())
    };
    let secret = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(admin_public(&Secret::new(secret)), PublicKey(public));
}

#[test]
fn other_texts_have_other_hashes() {
    assert_eq!(hash(TEXT), hash(TEXT));
    assert_ne!(hash(TEXT), hash(&sign(TEXT, &seed(1))));
    assert_eq!(FileHash([0xab; 16]).to_string(), "abababab");
}
