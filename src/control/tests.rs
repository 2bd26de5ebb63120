use std::thread;

use super::*;

/// A socket of a test, gone with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("portals-{name}-{}.sock", std::process::id())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn heard(reception: &mut Reception) -> (Question, Asker) {
    loop {
        if let Some(heard) = reception.hear() {
            return heard;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn apply(file: &str) -> Question {
    Question::Apply { file: file.into(), confirm: None }
}

#[test]
fn questions_and_answers_survive_the_way() {
    let place = Place::new("control");
    let mut reception = Reception::at(&place.0).unwrap();
    let answers = [
        Ok(Done { changes: 3, notes: vec!["one".to_owned(), "two\nlines".to_owned()] }.into_fields()),
        Err(Errors::all(vec![Error::wrong("a"), Error::failed("b").because("c")])),
        // More than a socket holds.
        Err(Errors::all(vec![Error::wrong("a".repeat(1 << 20))])),
    ];
    for answer in answers {
        thread::scope(|scope| {
            let stream = connect(&place.0).unwrap();
            let client = scope.spawn(|| exchange(stream, &apply("/etc/a file").encode(), PATIENCE).unwrap());
            let (heard, asker) = heard(&mut reception);
            assert_eq!(heard, apply("/etc/a file"));
            reception.tell(asker, &answer);
            match (decode_answer(&client.join().unwrap()), &answer) {
                (Ok(got), Ok(told)) => assert_eq!(&got, told),
                (Err(got), Err(told)) => {
                    assert_eq!((got.to_string(), got.kind()), (told.to_string(), told.kind()));
                }
                other => panic!("{other:?}"),
            }
        });
    }
}

#[test]
fn bad_company_is_shown_out() {
    let place = Place::new("company");
    let mut reception = Reception::at(&place.0).unwrap();
    let connect = || UnixStream::connect(&place.0).unwrap();

    let mut talker = connect();
    talker.write_all(&[b'a'; 2 * LONGEST_QUESTION]).unwrap();
    assert!(reception.hear().is_none() && reception.deadline().is_none(), "too much was said");

    for nonsense in [&b"dance\0"[..], b"", b"apply", b"\xff\xfe\0\0\0", b"exit\0\xff"] {
        let mut stranger = connect();
        stranger.write_all(nonsense).unwrap();
        stranger.shutdown(Shutdown::Write).unwrap();
        assert!(reception.hear().is_none() && reception.deadline().is_none(), "nobody knows what that means");
        let mut answer = Vec::new();
        stranger.read_to_end(&mut answer).unwrap();
        assert!(decode_answer(&answer).unwrap_err().to_string().contains("another version"));
    }

    drop(connect());
    assert!(reception.hear().is_none() && reception.deadline().is_none(), "he left before he was let in");

    let _silent = connect();
    assert!(reception.hear().is_none() && reception.deadline().is_some(), "he has a while");
    thread::sleep(HEARING);
    assert!(reception.hear().is_none() && reception.deadline().is_none(), "his time is up");

    let mut patient = connect();
    patient.write_all(b"apply").unwrap();
    assert!(reception.hear().is_none());
    patient.write_all(b"\0/etc").unwrap();
    patient.shutdown(Shutdown::Write).unwrap();
    assert_eq!(heard(&mut reception).0, apply("/etc"));
}

#[test]
fn who_says_nothing_holds_up_nobody() {
    let place = Place::new("crowd");
    let mut reception = Reception::at(&place.0).unwrap();
    // As many as the door holds besides, and half a question from each.
    let crowd: Vec<UnixStream> = (0..100)
        .map(|_| {
            let mut stream = UnixStream::connect(&place.0).unwrap();
            stream.write_all(b"app").unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    let mut honest = UnixStream::connect(&place.0).unwrap();
    honest.write_all(b"status").unwrap();
    honest.shutdown(Shutdown::Write).unwrap();
    assert_eq!(heard(&mut reception).0, Question::Status);
    assert!(begun.elapsed() < HEARING, "heard after {:?}", begun.elapsed());
    assert!(reception.descriptors().count() <= 1 + ROOM);
    drop(crowd);
    thread::sleep(HEARING);
    while reception.deadline().is_some() {
        assert!(reception.hear().is_none());
    }
    assert_eq!(reception.descriptors().count(), 1, "nobody is left");
}

#[test]
fn who_does_not_read_his_answer_is_not_waited_for_long() {
    let place = Place::new("deaf");
    let mut reception = Reception::at(&place.0).unwrap();
    let answer = Err(Errors::all(vec![Error::wrong("a".repeat(1 << 22))]));
    for pause in [None, Some(HEARING / 20)] {
        let mut client = UnixStream::connect(&place.0).unwrap();
        client.write_all(b"status").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let asker = heard(&mut reception).1;
        thread::scope(|scope| {
            let reader = scope.spawn(move || match pause {
                // He takes a little at a time, for ever.
                Some(pause) => {
                    while client.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
                        thread::sleep(pause);
                    }
                }
                None => thread::sleep(2 * HEARING),
            });
            let begun = Instant::now();
            reception.tell(asker, &answer);
            assert!(begun.elapsed() < HEARING * 3 / 2, "told within {:?}", begun.elapsed());
            reader.join().unwrap();
        });
    }
}

#[test]
fn nobody_else_can_open_the_door() {
    let place = Place::new("door");
    let _reception = Reception::at(&place.0).unwrap();
    assert_eq!(fs::metadata(&place.0).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_agent_that_begins_is_waited_for() {
    let place = Place::new("begins");
    thread::scope(|scope| {
        let client = scope.spawn(|| connect(&place.0).is_ok());
        thread::sleep(START / 4);
        let _reception = Reception::at(&place.0).unwrap();
        assert!(client.join().unwrap());
    });
    assert!(!place.0.exists(), "it is gone with the agent");
}
