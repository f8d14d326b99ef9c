//! A file server on 127.0.0.1 that can be made to behave wrongly.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What to do with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Answer correctly, also for parts of files.
    Serve,
    /// Send the whole file, whatever part was asked for.
    IgnoreRange,
    /// Send only this many bytes of the body, then close the connection.
    CutAfter(usize),
    /// Send another part of the file than the one that was asked for.
    WrongPart,
    /// Answer without the file.
    Status(u16),
}

/// A request: its path, and the first byte that it asks for.
pub(crate) type Request = (String, Option<usize>);

/// A server that runs until it is dropped, for at most 500 requests.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Serves `files` by path; `act` chooses the behaviour by the number of the request and its path.
    pub(crate) fn start(files: BTreeMap<String, Vec<u8>>, act: impl Fn(usize, &str) -> Act + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let thread = std::thread::spawn(move || {
            for number in 0..500 {
                let Ok((stream, _)) = listener.accept() else { return };
                let Some(request) = read_request(&stream) else { return };
                log.lock().unwrap().push(request.clone());
                // The client may have closed the connection, which is not an error.
                let _ = answer(stream, &files, &request, act(number, &request.0));
            }
        });
        Self { address, requests, thread: Some(thread) }
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A connection without a request ends the thread.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut first = None;
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            first = range.strip_suffix('-').and_then(|first| first.parse().ok());
        }
    }
    Some((path, first))
}

fn answer(
    mut stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    (path, first): &Request,
    act: Act,
) -> std::io::Result<()> {
    let mut reply = |status: &str, headers: &str, length: usize, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        stream.flush()
    };
    let file = match (act, files.get(path)) {
        (Act::Status(code), _) => return reply(&format!("{code} As Told"), "", 0, &[]),
        (_, None) => return reply("404 Not Found", "", 0, &[]),
        (_, Some(file)) => file,
    };
    let most = if let Act::CutAfter(bytes) = act { bytes } else { usize::MAX };
    match (act, first) {
        (Act::IgnoreRange, _) | (_, None) => reply("200 OK", "", file.len(), &file[..most.min(file.len())]),
        (_, Some(first)) if *first >= file.len() => {
            let headers = format!("Content-Range: bytes */{}\r\n", file.len());
            reply("416 Range Not Satisfiable", &headers, 0, &[])
        }
        (_, Some(first)) => {
            let first = if let Act::WrongPart = act { first + 1 } else { *first };
            let body = &file[first..];
            let headers = format!("Content-Range: bytes {first}-{}/{}\r\n", file.len() - 1, file.len());
            reply("206 Partial Content", &headers, body.len(), &body[..most.min(body.len())])
        }
    }
}
