//! Tests of the whole process with real sockets, up to the channel to the agent.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::*;
use crate::base::error::Errors;
use crate::control::{Answer, AnsweringEnd, PageStatus};
use crate::system::loopback;
use crate::system::wait::wait_for_input;

/// Browser, the page of a portal, and an agent that answers for it.
struct Stage {
    at: SocketAddr,
    asked: Mutex<Vec<PageRequest>>,
}

/// End of a scene, also of one that fails.
struct End<'a>(&'a AtomicBool, SocketAddr);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        // The server looks up when somebody comes.
        drop(TcpStream::connect(self.1));
    }
}

impl Stage {
    /// Plays a scene while the page is shown.
    fn play(scene: impl FnOnce(&Self)) {
        loopback::bring_up();
        let (mut agent, server) = server();
        let stage = Self { at: server.doors[0].1.local_addr().unwrap(), asked: Mutex::default() };
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut server = server;
                while !is_over.load(Ordering::SeqCst) {
                    assert!(server.turn().unwrap(), "the agent is still there");
                }
            });
            scope.spawn(|| {
                // Up to the end of the server.
                while let Some(descriptor) = agent.descriptor() {
                    wait_for_input(&[descriptor], None).unwrap();
                    if let Some(request) = agent.hear() {
                        let answer = answer_to(&request);
                        stage.asked.lock().unwrap().push(request);
                        agent.tell(&answer, Duration::ZERO);
                    }
                }
            });
            let _end = End(&is_over, stage.at);
            scene(&stage);
        });
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).unwrap()
    }

    /// Sends a request, and returns the whole answer.
    fn send(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
    }

    fn post(&self, more: &str, body: &str) -> String {
        let length = body.len();
        let kind = "application/x-www-form-urlencoded";
        self.send(&format!(
            "POST /exit HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             {more}\r\n{body}"
        ))
    }

    fn token(&self) -> String {
        let page = self.get("/");
        let token = page.split("name=\"token\" value=\"").nth(1).expect("a form");
        token.split('"').next().unwrap().to_owned()
    }

    fn choices(&self) -> Vec<Option<String>> {
        let asked = self.asked.lock().unwrap();
        let choice = |request: &PageRequest| match request {
            PageRequest::Choose { exit, .. } => Some(exit.clone()),
            _ => None,
        };
        asked.iter().filter_map(choice).collect()
    }
}

/// Returns the page of a portal, and the end of its channel at which an agent answers.
fn server() -> (AnsweringEnd, Server) {
    let (agent, socket) = AnsweringEnd::pair().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let door = Door::Portal { name: "guest".to_owned(), lan: "127.0.0.1/8".parse().unwrap() };
    let now = Instant::now();
    let server = Server {
        doors: vec![(door, listener)],
        connections: Vec::new(),
        rates: Rates::new(now),
        desk: Desk::new(AskingEnd::of(socket), now),
    };
    (agent, server)
}

/// The parent may end before the first turn.
#[test]
fn without_anybody_to_ask_the_process_ends() {
    let (mut agent, mut server) = server();
    server.announce(0).unwrap();
    assert_eq!(agent.hear(), Some(PageRequest::Opened { errno: 0 }));
    drop(agent);
    assert!(!server.turn().unwrap());
}

#[test]
fn the_head_of_a_page_comes_without_the_page() {
    Stage::play(|stage| {
        for (path, host) in [("/style.css", "127.0.0.1"), ("/", "evil.example")] {
            let lines = format!("{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let whole = stage.send(&["GET ", &lines].concat());
            let (head, body) = whole.split_once("\r\n\r\n").unwrap();
            assert!(!body.is_empty());
            assert_eq!(stage.send(&["HEAD ", &lines].concat()), [head, "\r\n\r\n"].concat());
        }
    });
}

/// The time for a request passes while another browser has its answer made.
#[test]
fn a_slow_answer_costs_no_other_browser_its_own() {
    Stage::play(|stage| {
        let held = stage.asked.lock().unwrap();
        let browsers = [stage.connect(), stage.connect()];
        for mut browser in &browsers {
            browser.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
        }
        thread::sleep(connection::ASKING + Duration::from_secs(1));
        drop(held);
        for mut browser in &browsers {
            let mut answer = String::new();
            browser.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    });
}

fn answer_to(request: &PageRequest) -> Answer {
    match request {
        PageRequest::Choose { exit, .. } if exit.as_deref() == Some("mars") => {
            Err(Errors::from(Error::wrong("`mars` is no exit of portal `guest`")))
        }
        PageRequest::Choose { .. } => Ok(Vec::new()),
        _ => Ok(PageStatus {
            exit: "paris".to_owned(),
            state: "open".to_owned(),
            since: 3,
            why: "it is the first exit that is up".to_owned(),
            obstacle: String::new(),
            is_part: false,
            exits: ["paris", "oslo via paris"].map(|exit| (exit.to_owned(), "up".to_owned())).into(),
        }
        .to_fields()),
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).expect("an answer")
}

#[test]
fn a_browser_sees_the_page_and_chooses_another_exit() {
    Stage::play(|stage| {
        let page = stage.get("/");
        assert_eq!(status(&page), "200");
        assert!(page.contains("comes out at <span class=\"open\">paris</span>"), "{page}");
        assert!(stage.get("/style.css").contains("prefers-color-scheme"));
        let token = stage.token();
        let answer = stage.post("", &format!("token={token}&exit=oslo+via+paris"));
        assert!(status(&answer) == "303" && answer.contains("\r\nLocation: /\r\n"), "{answer}");
        assert_eq!(status(&stage.post("", &format!("token={token}&exit=auto"))), "303");
        assert_eq!(stage.choices(), [Some("oslo via paris".to_owned()), None]);
        let refused = stage.post("", &format!("token={token}&exit=mars"));
        assert!(status(&refused) == "409" && refused.contains("`mars` is no exit"), "{refused}");
        for other in ["/favicon.ico", "/exit", "/../etc/passwd"] {
            assert_eq!(status(&stage.get(other)), "404", "{other}");
        }
    });
}

#[test]
fn other_sites_change_nothing() {
    Stage::play(|stage| {
        let token = stage.token();
        let body = format!("token={token}&exit=paris");
        for more in ["Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"]
        {
            assert_eq!(status(&stage.post(more, &body)), "403", "{more}");
        }
        for body in ["exit=paris", "token=&exit=paris", "token=0123456789abcdef0123456789abcdef&exit=paris"] {
            assert_eq!(status(&stage.post("Origin: http://127.0.0.1\r\n", body)), "403", "{body}");
        }
        let rebound = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
        assert_eq!(status(&stage.send(rebound)), "421");
        assert!(stage.choices().is_empty());
    });
}

#[test]
fn a_silent_browser_holds_up_no_other_one_and_is_let_go() {
    Stage::play(|stage| {
        let mut slow = stage.connect();
        slow.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
        assert_eq!(status(&stage.get("/")), "200");
        assert_eq!(slow.read(&mut [0; 16]).unwrap_or(0), 0, "the time is over, without an answer");
    });
}

#[test]
fn one_browser_has_a_limited_number_of_connections() {
    Stage::play(|stage| {
        let crowd: Vec<TcpStream> = (0..MOST_OF_ONE).map(|_| stage.connect()).collect();
        let mut one_more = stage.connect();
        assert_eq!(one_more.read(&mut [0; 16]).unwrap_or(0), 0, "it is closed at once");
        drop(crowd);
    });
}

#[test]
fn a_browser_that_asks_without_end_is_refused() {
    Stage::play(|stage| {
        let answers: Vec<String> = (0..200).map(|_| stage.get("/style.css")).collect();
        assert!(answers.iter().any(|answer| status(answer) == "429"));
        assert_eq!(status(&answers[0]), "200");
    });
}
