//! Downloads over HTTP that continue where an earlier attempt ended.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{StatusCode, Url};

use crate::error::{Error, Result, at};

/// The state of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadProgress<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// Bytes that have arrived.
    pub done: u64,
    /// Bytes in total, if the server tells.
    pub total: Option<u64>,
}

/// A function that is told of the progress, many times per second.
pub(crate) type Watch<'a> = dyn FnMut(DownloadProgress<'_>) + 'a;

/// How often and how soon a download is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The number of attempts in a row without any new byte after which the download fails.
    pub(crate) attempts: u32,
    /// The pause before the second attempt; it doubles before each further one.
    pub(crate) pause: Duration,
}

/// Why an attempt ended early.
enum Failure {
    /// Trying again may help.
    Passing(String),
    /// Trying again will not help.
    Final(Error),
}

/// Downloads `url` into the file `part`, which may hold its first bytes from an earlier attempt, even one of another process.
/// The content is not checked: the caller does that, and deletes `part` if the content is wrong.
///
/// # Errors
/// [`Error::Download`] if the server refuses, or several attempts brought nothing new; the bytes that arrived are kept for the
/// next time.
pub(crate) fn download(url: &str, part: &Path, patience: Patience, watch: &mut Watch<'_>) -> Result<()> {
    let failed = |reason: String| Error::Download { url: url.to_owned(), reason };
    let address = Url::parse(url).map_err(|error| failed(error.to_string()))?;
    let mut builder = Client::builder().user_agent("mtcool").timeout(Duration::from_secs(60));
    if matches!(address.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        builder = builder.no_proxy();
    }
    let client = builder.build().map_err(|error| failed(causes(&error)))?;
    let mut in_vain = 0;
    loop {
        let before = size(part);
        let reason = match attempt(&client, &address, part, watch) {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(reason)) => reason,
        };
        in_vain = if size(part) > before { 0 } else { in_vain + 1 };
        if in_vain >= patience.attempts {
            let kept = size(part);
            return Err(failed(format!("{reason} ({in_vain} attempts; {kept} bytes are kept for the next time)")));
        }
        tracing::warn!(url, reason, "download interrupted, trying again");
        std::thread::sleep(patience.pause * 2u32.pow(in_vain.saturating_sub(1).min(6)));
    }
}

fn attempt(client: &Client, url: &Url, part: &Path, watch: &mut Watch<'_>) -> Result<(), Failure> {
    let have = size(part);
    let mut request = client.get(url.clone());
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let response = request.send().map_err(|error| Failure::Passing(causes(&error)))?;
    let (first, total) = match response.status() {
        StatusCode::PARTIAL_CONTENT => match content_range(&response) {
            Some((Some(first), total)) if first == have => (have, total),
            _ => return start_over(part, "the server sent another part than was asked for"),
        },
        StatusCode::RANGE_NOT_SATISFIABLE => match content_range(&response) {
            Some((None, Some(total))) if total == have => return Ok(()),
            _ => return start_over(part, "more bytes are here than the server has"),
        },
        // The server sends the whole file, whatever part was asked for.
        status if status.is_success() => (0, response.content_length()),
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(Failure::Passing(format!("the server answered {status}")));
        }
        status => {
            let reason = format!("the server answered {status}");
            return Err(Failure::Final(Error::Download { url: url.to_string(), reason }));
        }
    };
    receive(response, part, first, total, &mut |done| watch(DownloadProgress { file: name(url), done, total }))
}

/// Writes the body of the response after the `first` bytes of `part`.
fn receive(
    mut body: Response,
    part: &Path,
    first: u64,
    total: Option<u64>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let broken = |error| Failure::Final(at(part)(error));
    let mut options = OpenOptions::new();
    let opened = if first == 0 { File::create(part) } else { options.append(true).open(part) };
    let mut file = opened.map_err(broken)?;
    let (mut done, mut buffer) = (first, vec![0; 1 << 16]);
    progress(done);
    loop {
        match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                file.write_all(&buffer[..count]).map_err(broken)?;
                done += count as u64;
                progress(done);
            }
            Err(error) => return Err(Failure::Passing(causes(&error))),
        }
    }
    file.sync_all().map_err(broken)?;
    match total {
        Some(total) if total != done => {
            Err(Failure::Passing(format!("the connection ended after {done} of {total} bytes")))
        }
        _ => Ok(()),
    }
}

fn start_over(part: &Path, reason: &str) -> Result<(), Failure> {
    std::fs::remove_file(part).map_err(|error| Failure::Final(at(part)(error)))?;
    Err(Failure::Passing(reason.to_owned()))
}

/// The first byte and the length of the whole file, from a header such as `bytes 10-99/100`, `bytes */100` or `bytes 10-99/*`.
fn content_range(response: &Response) -> Option<(Option<u64>, Option<u64>)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let first = range.split_once('-').and_then(|(first, _)| first.parse().ok());
    Some((first, total.parse().ok()))
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// The last segment of the path.
fn name(url: &Url) -> &str {
    url.path().rsplit('/').next().unwrap_or_default()
}

/// The error's message and those of its causes, down to the system's.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
