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

#[test]
fn questions_and_answers_survive_the_way() {
    let place = Place::new("control");
    let mut reception = Reception::at(&place.0).unwrap();
    let answers = [
        Ok(Done { changes: 3, notes: vec!["one".to_owned(), "two\nlines".to_owned()] }),
        Err(Errors::all(vec![Error::wrong("a"), Error::failed("b").because("c")])),
        // More than a socket holds.
        Err(Errors::all(vec![Error::wrong("a".repeat(1 << 20))])),
    ];
    for answer in answers {
        let question = || Question::Apply("/etc/a file".into());
        thread::scope(|scope| {
            let client = scope.spawn(|| exchange(connect(&place.0).unwrap(), &question().encode()).unwrap());
            let (heard, asker) = heard(&mut reception);
            assert_eq!(heard, question());
            asker.tell(&answer);
            match (decode_answer(&client.join().unwrap()), &answer) {
                (Ok(got), Ok(told)) => assert_eq!((got.changes, &got.notes), (told.changes, &told.notes)),
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

    let mut stranger = connect();
    stranger.write_all(b"dance\0").unwrap();
    stranger.shutdown(Shutdown::Write).unwrap();
    assert!(reception.hear().is_none() && reception.deadline().is_none(), "nobody knows what that means");
    let mut answer = Vec::new();
    stranger.read_to_end(&mut answer).unwrap();
    assert!(decode_answer(&answer).unwrap_err().to_string().contains("another version"));

    let _silent = connect();
    assert!(reception.hear().is_none() && reception.deadline().is_some(), "he has a while");
    thread::sleep(HEARING);
    assert!(reception.hear().is_none() && reception.deadline().is_none(), "his time is up");

    let mut patient = connect();
    patient.write_all(b"apply").unwrap();
    assert!(reception.hear().is_none());
    patient.write_all(b"\0/etc").unwrap();
    patient.shutdown(Shutdown::Write).unwrap();
    assert_eq!(heard(&mut reception).0, Question::Apply("/etc".into()));
}

#[test]
fn nobody_else_can_open_the_door() {
    let place = Place::new("door");
    let _reception = Reception::at(&place.0).unwrap();
    assert_eq!(fs::metadata(&place.0).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_answer_that_is_cut_short_is_an_error() {
    for answer in ["", "done\0", "done\x003", "wrong\0a", "done\0three\0end", "wrong\0end"] {
        let errors = decode_answer(answer.as_bytes()).unwrap_err();
        assert!(errors.to_string().starts_with("the agent broke off its answer"), "{answer:?}: {errors}");
    }
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
