//! A connection with clocks. The server library reads and writes through it and bounds the first head of a connection alone;
//! here each head, each body, each answer and the silence between them has an end, the next request waits until the answer
//! before it has gone out, and a peer reads the last answer before the connection is closed.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::web::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::framing::{Body, Head};
use super::limits::{LONGEST_HEAD, Limits, MOST_HELD, MOST_WASTED, Pace, RECEIVE_BUFFER, SEND_BUFFER};
use super::peers::{Place, Seat};
use crate::error::Error;

/// Writes a problem as a whole answer, after which the connection ends.
pub(super) type Problems = Rc<dyn Fn(&Error) -> Bytes>;

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request is waited for, or its head is on its way.
    Head,
    /// A whole head was handed to the server library.
    Parsing,
    /// The operation is at work, its body may be on its way, or its answer.
    Request,
}

/// What the connection and the request that came over it know of each other.
pub(super) struct Line {
    phase: Cell<Phase>,
    /// The body of the request.
    body: RefCell<Body>,
    /// The whole answer was given to the server library.
    answered: Cell<bool>,
    /// Bytes that came before their turn.
    held: RefCell<BytesMut>,
    reader: RefCell<Option<Waker>>,
    seat: Arc<Seat>,
}

impl Line {
    /// A request was read, with this body. Whether the body is broken, as far as it is here.
    pub(super) fn begin(&self, body: Body) -> bool {
        let is_broken = {
            let mut known = body.clone();
            known.take(&self.held.borrow());
            known.is_broken()
        };
        self.seat.moved();
        self.body.replace(body);
        self.phase.set(Phase::Request);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        is_broken
    }

    /// Whether the whole body of the request has come. Where it has not, the answer is the last one.
    pub(super) fn is_in(&self) -> bool {
        self.body.borrow().is_in()
    }

    /// The server library has the whole answer.
    pub(super) fn answer(&self) {
        self.answered.set(true);
    }
}

/// A clock that is set to the nearest end.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready at `end`. It may have been set to another before.
    fn poll(&mut self, context: &mut Context<'_>, end: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if sleep.deadline() > end {
            sleep.as_mut().reset(end);
        }
        while sleep.as_mut().poll(context).is_ready() {
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            // It rang for an earlier end that holds no more.
            sleep.as_mut().reset(end);
        }
        Poll::Pending
    }
}

/// A caller's connection.
pub(super) struct Connection {
    socket: TcpStream,
    line: Rc<Line>,
    place: Place,
    limits: Limits,
    problems: Problems,
    head: Head,
    /// By when the head must be here, or its first byte.
    head_end: Instant,
    /// How the peer sends a body.
    sending: Pace,
    /// How the peer takes an answer.
    taking: Pace,
    reading: Alarm,
    writing: Alarm,
    /// The peer has said its last.
    is_over: bool,
    /// Nothing more is read as a request.
    is_done: bool,
    /// The answer that stands for one that the server library wrote without a word, or for none.
    answer: Bytes,
    /// It closes, by then at the latest.
    closing: Option<Instant>,
    /// What was thrown away since it closes.
    wasted: usize,
}

impl Connection {
    /// A connection that has just been accepted.
    pub(super) fn new(socket: TcpStream, place: Place, limits: Limits, problems: Problems) -> Self {
        set_up(&SockRef::from(&socket), &limits);
        let line = Line {
            phase: Cell::new(Phase::Head),
            body: RefCell::new(Body::Length(0)),
            answered: Cell::default(),
            held: RefCell::default(),
            reader: RefCell::default(),
            seat: place.seat.clone(),
        };
        Self {
            socket,
            line: Rc::new(line),
            place,
            limits,
            problems,
            head: Head::default(),
            head_end: Instant::now() + limits.head,
            sending: Pace::new(limits.unsent),
            taking: Pace::new(limits.unread),
            reading: Alarm::default(),
            writing: Alarm::default(),
            is_over: false,
            is_done: false,
            answer: Bytes::new(),
            closing: None,
            wasted: 0,
        }
    }

    /// What requests know of it.
    pub(super) fn line(&self) -> Rc<Line> {
        self.line.clone()
    }

    /// Whether bytes that come next belong to what is read at present.
    fn is_expecting(&self) -> bool {
        match self.line.phase.get() {
            Phase::Head => true,
            Phase::Parsing => false,
            Phase::Request => {
                let body = self.line.body.borrow();
                !body.is_in() && !body.is_broken()
            }
        }
    }

    /// How many of the next `bytes` the server library may have.
    fn take(&mut self, bytes: &[u8]) -> usize {
        if self.line.phase.get() == Phase::Request {
            self.sending.moved(bytes.len());
            self.place.seat.moved();
            return self.line.body.borrow_mut().take(bytes);
        }
        if self.head.length == 0 && !bytes.is_empty() {
            self.head_end = self.head_end.min(Instant::now() + self.limits.head);
        }
        let end = self.head.end_in(bytes);
        if self.head.length > LONGEST_HEAD {
            self.refuse(&Error::HeadTooLarge);
            return 0;
        }
        if end.is_some() {
            self.line.phase.set(Phase::Parsing);
        }
        end.unwrap_or(bytes.len())
    }

    /// Answers in the server library's stead, and ends.
    fn refuse(&mut self, error: &Error) {
        self.answer = (self.problems)(error);
        self.is_done = true;
    }

    /// Waits for what the peer is to send. Ready when it took too long, and there is nothing more to read.
    fn wait_for_peer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.place.seat.wait();
        let is_head = self.line.phase.get() == Phase::Head;
        let end = if is_head { self.head_end } else { self.sending.wait() };
        ready!(self.reading.poll(context, end));
        if is_head && self.head.length > 0 {
            self.refuse(&Error::Timeout);
        }
        self.is_done = true;
        Poll::Ready(())
    }

    /// Takes a little of what comes before its turn, which also tells when the peer hangs up. Ready when it has, and nothing
    /// is left.
    fn poll_hold(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_over {
            if self.line.held.borrow().len() >= MOST_HELD {
                return Poll::Pending;
            }
            let mut room = [0; 2048];
            let mut room = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut room))?;
            self.is_over = room.filled().is_empty();
            self.line.held.borrow_mut().extend_from_slice(room.filled());
        }
        if self.line.held.borrow().is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// The answer has gone out: the next request may come, unless the body of this one did not.
    fn turn(&mut self, context: &Context<'_>) {
        self.line.answered.set(false);
        self.taking = Pace::new(self.limits.unread);
        self.sending = Pace::new(self.limits.unsent);
        if self.line.is_in() {
            self.line.phase.set(Phase::Head);
            self.head = Head::default();
            self.head_end = Instant::now() + self.limits.idle;
            self.place.seat.wait();
        } else {
            self.is_done = true;
        }
        context.waker().wake_by_ref();
    }

    fn write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.socket).poll_write(context, bytes) {
            Poll::Ready(written) => {
                self.taking.moved(*written.as_ref().unwrap_or(&0));
                self.place.seat.moved();
                Poll::Ready(written)
            }
            Poll::Pending => {
                self.place.seat.wait();
                let is_late = self.writing.poll(context, self.taking.wait()).is_ready();
                if is_late || self.place.seat.is_given_up(context.waker()) {
                    // Nor is the kernel to keep what the peer does not take.
                    if let Err(error) = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)) {
                        tracing::debug!(%error, "SO_LINGER is not set");
                    }
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Pending
            }
        }
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answer.is_empty() {
            let answer = self.answer.clone();
            let written = ready!(self.write(context, &answer))?;
            self.answer.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Closes so that the last answer is read: a socket that is closed with bytes unread takes back what it sent (RFC 9112, 9.6).
    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(context))?;
        let end = match self.closing {
            Some(end) => end,
            None => {
                ready!(Pin::new(&mut self.socket).poll_shutdown(context))?;
                *self.closing.insert(Instant::now() + self.limits.linger)
            }
        };
        // Between two requests there is no answer that was not read.
        let is_idle = self.line.phase.get() == Phase::Head && self.head.length == 0;
        while !self.is_over && !is_idle && self.wasted < MOST_WASTED {
            let mut room = [0; 4096];
            let mut room = ReadBuf::new(&mut room);
            match Pin::new(&mut self.socket).poll_read(context, &mut room) {
                Poll::Ready(Ok(())) if !room.filled().is_empty() => self.wasted += room.filled().len(),
                Poll::Ready(_) => self.is_over = true,
                Poll::Pending => {
                    self.place.seat.wait();
                    if self.place.seat.is_given_up(context.waker()) {
                        break;
                    }
                    ready!(self.reading.poll(context, end));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What the server library answers by itself, if that is what begins here: a status without a word.
fn bare(bytes: &[u8]) -> Option<Error> {
    let status = bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    match status {
        b"408" => Some(Error::Timeout),
        b"431" => Some(Error::HeadTooLarge),
        [b'4', ..] => Some(Error::Malformed(UNREADABLE.to_owned())),
        [b'5', ..] => Some(Error::Internal("the server library could not go on".to_owned())),
        _ => None,
    }
}

/// What is said of a head that cannot be parsed.
const UNREADABLE: &str = "The request's line or its headers could not be read (RFC 9112).";

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.line.reader.replace(Some(context.waker().clone()));
        if this.place.seat.is_given_up(context.waker()) {
            this.is_done = true;
        }
        while !this.is_done {
            if !this.is_expecting() {
                if this.line.body.borrow().is_broken() {
                    break;
                }
                ready!(this.poll_hold(context))?;
                break;
            }
            if room.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let mut held = this.line.held.take();
            let taken = if !held.is_empty() {
                let taken = this.take(&held[..held.len().min(room.remaining())]);
                room.put_slice(&held[..taken]);
                held.advance(taken);
                this.line.held.replace(held);
                taken
            } else if this.is_over {
                if this.line.phase.get() == Phase::Head && this.head.length > 0 {
                    this.refuse(&Error::Malformed("The request ended before its headers did.".to_owned()));
                }
                break;
            } else {
                let before = room.filled().len();
                match Pin::new(&mut this.socket).poll_read(context, room) {
                    Poll::Ready(read) => read?,
                    Poll::Pending => {
                        ready!(this.wait_for_peer(context));
                        break;
                    }
                }
                let read = room.filled().len();
                this.is_over = read == before;
                let taken = this.take(&room.filled()[before..]);
                this.line.held.borrow_mut().extend_from_slice(&room.filled()[before + taken..]);
                room.set_filled(before + taken);
                taken
            };
            if taken > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        // Nothing more will come, as far as the server library is concerned.
        this.is_done = true;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.line.phase.get() != Phase::Request
            && let Some(error) = bare(bytes)
        {
            if !this.is_done {
                this.refuse(&error);
            }
            // Once this is written the server library drops the connection.
            ready!(this.poll_close(context))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        this.write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_answer(context))?;
        if this.line.phase.get() == Phase::Request && this.line.answered.get() {
            this.turn(context);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_close(context)
    }
}

/// Lets the kernel send without delay, and bounds what it keeps of a connection. A connection works without the options too, so that a system that does not know
/// one is no reason to refuse the peer.
fn set_up(socket: &SockRef<'_>, limits: &Limits) {
    let set = |option: &str, set: io::Result<()>| {
        if let Err(error) = set {
            tracing::debug!(%error, option, "an option is not set");
        }
    };
    // The rest of an answer is sent at once. Else it would wait for the peer to acknowledge what came before, which peers put off for 40 ms.
    set("TCP_NODELAY", socket.set_tcp_nodelay(true));
    set("SO_SNDBUF", socket.set_send_buffer_size(SEND_BUFFER));
    set("SO_RCVBUF", socket.set_recv_buffer_size(RECEIVE_BUFFER));
    // How long a peer may acknowledge nothing of what it was sent, because it reads nothing or is gone (RFC 5482).
    #[cfg(target_os = "linux")]
    set("TCP_USER_TIMEOUT", socket.set_tcp_user_timeout(Some(limits.unread)));
    #[cfg(not(target_os = "linux"))]
    let _unknown = limits;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn peers_that_take_nothing_are_ended_by_the_kernel_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, limits) = (SockRef::from(&peer), Limits::default());
        set_up(&socket, &limits);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limits.unread));
        assert!(socket.send_buffer_size().unwrap() <= 2 * SEND_BUFFER);
    }
}
