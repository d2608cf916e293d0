//! A relay of our own (RFC 5321): it takes mails, says no by a script, and breaks off where the script says so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What a connection is answered, instead of being taken.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// The recipient is answered with this code.
    Rcpt(u16),
    /// The mail is taken, and the connection breaks before that is said.
    CutAfterData,
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub struct Received {
    pub text: String,
}

impl Received {
    /// What it is about; English subjects need no decoding.
    pub fn subject(&self) -> String {
        self.header("Subject")
    }

    /// A header, as it came.
    pub fn header(&self, name: &str) -> String {
        let line = self.text.lines().find(|line| line.starts_with(&format!("{name}:")));
        line.unwrap_or_else(|| panic!("no {name}: {}", self.text))[name.len() + 1..].trim().to_owned()
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Reply>,
    received: Vec<Received>,
    /// How many connections are open.
    open: usize,
}

/// The relay. It listens until the test ends.
pub struct Sink {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let serving = state.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let state = serving.clone();
                state.lock().unwrap().open += 1;
                tokio::spawn(async move {
                    // Whoever hangs up is no matter of the relay's.
                    drop(converse(socket, &state).await);
                    state.lock().unwrap().open -= 1;
                });
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The next connections are answered so, one each.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().script.extend(replies);
    }

    /// What was taken so far, in order.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// Waits until every connection has ended, because what its sender gave up is still read to the end.
    pub async fn quiet(&self) {
        while self.state.lock().unwrap().open > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn converse(socket: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let reply = state.lock().unwrap().script.pop_front();
    let (reading, mut writing) = socket.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 relay.test\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split([' ', ':']).next().unwrap_or_default().to_uppercase().as_str() {
            "EHLO" => "250-relay.test\r\n250 8BITMIME".to_owned(),
            "RCPT" => match reply {
                Some(Reply::Rcpt(code)) => {
                    format!("{code} {}", if code == 550 { "5.1.1 no such mailbox" } else { "not that one" })
                }
                _ => "250 fine".to_owned(),
            },
            "DATA" => {
                writing.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                loop {
                    // A mail that ends without its dot was not sent (RFC 5321, 4.1.1.4).
                    let Some(line) = lines.next_line().await? else { return Ok(()) };
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                }
                state.lock().unwrap().received.push(Received { text });
                if matches!(reply, Some(Reply::CutAfterData)) {
                    return Ok(());
                }
                "250 taken".to_owned()
            }
            "QUIT" => {
                return writing.write_all(b"221 bye\r\n").await;
            }
            _ => "250 fine".to_owned(),
        };
        writing.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}
