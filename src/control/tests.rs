use std::thread;

use super::*;

/// Socket that is removed with the test.
struct TestSocket(PathBuf);

impl TestSocket {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("portals-{name}-{}.sock", std::process::id())))
    }
}

impl Drop for TestSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn heard(control: &mut ControlListener) -> (ControlRequest, WaitingClient) {
    loop {
        if let Some(heard) = control.hear() {
            return heard;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn apply(file: &str) -> ControlRequest {
    ControlRequest::Apply { file: file.into(), confirm: None }
}

fn number_of_descriptors(control: &ControlListener) -> usize {
    let mut descriptors = Vec::new();
    control.descriptors(&mut descriptors);
    descriptors.len()
}

#[test]
fn questions_and_answers_arrive_unchanged() {
    let place = TestSocket::new("control");
    let mut control = ControlListener::at(&place.0).unwrap();
    let answers = [
        Ok(ChangeReport { changes: 3, notes: vec!["one".to_owned(), "two\nlines".to_owned()] }.into_fields()),
        Err(Errors::all(vec![Error::wrong("a"), Error::failed("b").because("c")])),
        // More than the buffer of a socket holds.
        Err(Errors::all(vec![Error::wrong("a".repeat(1 << 20))])),
    ];
    for answer in answers {
        thread::scope(|scope| {
            let stream = connect(&place.0).unwrap();
            let client =
                scope.spawn(|| exchange(stream, &apply("/etc/a file").encode(), ANSWER_TIMEOUT).unwrap());
            let (heard, waiting) = heard(&mut control);
            assert_eq!(heard, apply("/etc/a file"));
            control.tell(waiting, &answer);
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
fn clients_that_break_the_protocol_are_dropped() {
    let place = TestSocket::new("protocol");
    let mut control = ControlListener::at(&place.0).unwrap();
    let connect = || UnixStream::connect(&place.0).unwrap();

    let mut verbose = connect();
    verbose.write_all(&[b'a'; 2 * LONGEST_QUESTION]).unwrap();
    assert!(control.hear().is_none() && control.deadline().is_none(), "the request is too long");

    for nonsense in [&b"dance\0"[..], b"", b"apply", b"\xff\xfe\0\0\0", b"exit\0\xff"] {
        let mut client = connect();
        client.write_all(nonsense).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(control.hear().is_none() && control.deadline().is_none(), "the request is unknown");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(decode_answer(&answer).unwrap_err().to_string().contains("another version"));
    }

    drop(connect());
    assert!(
        control.hear().is_none() && control.deadline().is_none(),
        "the client left before it was accepted"
    );

    let _silent = connect();
    assert!(control.hear().is_none() && control.deadline().is_some(), "the client has time");
    thread::sleep(EXCHANGE_TIME);
    assert!(control.hear().is_none() && control.deadline().is_none(), "the time is over");

    let mut patient = connect();
    patient.write_all(b"apply").unwrap();
    assert!(control.hear().is_none());
    patient.write_all(b"\0/etc").unwrap();
    patient.shutdown(Shutdown::Write).unwrap();
    assert_eq!(heard(&mut control).0, apply("/etc"));
}

#[test]
fn silent_clients_hold_up_no_other_client() {
    let place = TestSocket::new("crowd");
    let mut control = ControlListener::at(&place.0).unwrap();
    // More clients than are accepted at once, with half a request from each.
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
    assert_eq!(heard(&mut control).0, ControlRequest::Status);
    assert!(begun.elapsed() < EXCHANGE_TIME, "heard after {:?}", begun.elapsed());
    assert!(number_of_descriptors(&control) <= 1 + MOST_CLIENTS);
    drop(crowd);
    thread::sleep(EXCHANGE_TIME);
    while control.deadline().is_some() {
        assert!(control.hear().is_none());
    }
    assert_eq!(number_of_descriptors(&control), 1, "no client is left");
}

#[test]
fn a_client_that_does_not_read_its_answer_is_not_waited_for_long() {
    let place = TestSocket::new("deaf");
    let mut control = ControlListener::at(&place.0).unwrap();
    let answer = Err(Errors::all(vec![Error::wrong("a".repeat(1 << 22))]));
    for pause in [None, Some(EXCHANGE_TIME / 20)] {
        let mut client = UnixStream::connect(&place.0).unwrap();
        client.write_all(b"status").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let waiting = heard(&mut control).1;
        thread::scope(|scope| {
            let reader = scope.spawn(move || match pause {
                // The client reads a little at a time, without end.
                Some(pause) => {
                    while client.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
                        thread::sleep(pause);
                    }
                }
                None => thread::sleep(2 * EXCHANGE_TIME),
            });
            let begun = Instant::now();
            control.tell(waiting, &answer);
            assert!(begun.elapsed() < EXCHANGE_TIME * 3 / 2, "told within {:?}", begun.elapsed());
            reader.join().unwrap();
        });
    }
}

#[test]
fn other_users_cannot_connect() {
    let place = TestSocket::new("users");
    let _reception = ControlListener::at(&place.0).unwrap();
    assert_eq!(fs::metadata(&place.0).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_client_waits_for_an_agent_that_starts() {
    let place = TestSocket::new("begins");
    thread::scope(|scope| {
        let client = scope.spawn(|| connect(&place.0).is_ok());
        thread::sleep(START / 4);
        let _reception = ControlListener::at(&place.0).unwrap();
        assert!(client.join().unwrap());
    });
    assert!(!place.0.exists(), "the socket is removed with the agent");
}
