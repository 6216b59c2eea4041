//! HTTP/1.1 by hand, as far as the tests need it: a client library would hide what is tested here
//! (when a byte came, what framing it had, how a connection ended).

use std::io;

use tokio::{net::TcpStream, sync::Mutex};

/// A request or response head.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    /// The request line or the status line.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect();
        Self { line, headers }
    }
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    UntilClose,
}

/// Reads one connection. Shared by reference, so that somebody else may write meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Mutex<Vec<u8>>,
}

impl Reader {
    /// The next head; `None` when the peer has closed instead.
    pub(crate) async fn head(&self, stream: &TcpStream) -> io::Result<Option<Head>> {
        let mut buffer = self.buffer.lock().await;
        loop {
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                let head = Head::parse(&buffer[..end]);
                buffer.drain(..end + 4);
                return Ok(Some(head));
            }
            if fill(stream, &mut buffer).await? == 0 {
                return if buffer.is_empty() { Ok(None) } else { Err(torn("a head")) };
            }
        }
    }

    /// The body that belongs to `head`.
    pub(crate) fn body(&self, head: &Head, is_request: bool) -> Body<'_> {
        let chunked = head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let known = head.header("content-length").and_then(|value| value.parse().ok());
        let length = match known {
            _ if chunked => Length::Chunked,
            Some(length) => Length::Known(length),
            None if is_request => Length::Known(0),
            None => Length::UntilClose,
        };
        Body { reader: self, length, done: false }
    }

    /// Waits until the peer closes; bytes it sends meanwhile are kept.
    pub(crate) async fn closed(&self, stream: &TcpStream) {
        let mut buffer = self.buffer.lock().await;
        while fill(stream, &mut buffer).await.is_ok_and(|count| count > 0) {}
    }
}

/// A body, piece by piece as it arrives.
#[derive(Debug)]
pub(crate) struct Body<'r> {
    reader: &'r Reader,
    length: Length,
    done: bool,
}

impl Body<'_> {
    /// The next bytes; `None` at the proper end. A connection that ends before that is an error.
    pub(crate) async fn next(&mut self, stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
        if self.done {
            return Ok(None);
        }
        let mut buffer = self.reader.buffer.lock().await;
        loop {
            if let Some(piece) = take(&mut buffer, &mut self.length, &mut self.done) {
                return Ok(Some(piece));
            }
            if self.done {
                return Ok(None);
            }
            if fill(stream, &mut buffer).await? == 0 {
                self.done = true;
                return if self.length == Length::UntilClose { Ok(None) } else { Err(torn("a body")) };
            }
        }
    }

    pub(crate) async fn all(&mut self, stream: &TcpStream) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.next(stream).await? {
            all.extend(piece);
        }
        Ok(all)
    }
}

/// Takes what is whole out of the buffer.
fn take(buffer: &mut Vec<u8>, length: &mut Length, done: &mut bool) -> Option<Vec<u8>> {
    match length {
        Length::Known(0) => {
            *done = true;
            None
        }
        Length::Known(left) => {
            let count = buffer.len().min(*left);
            *left -= count;
            (count > 0).then(|| buffer.drain(..count).collect())
        }
        Length::UntilClose => (!buffer.is_empty()).then(|| std::mem::take(buffer)),
        Length::Chunked => {
            let line = find(buffer, b"\r\n")?;
            let size = std::str::from_utf8(&buffer[..line]).ok()?;
            let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
            let (start, end) = (line + 2, line + 2 + size);
            if buffer.len() < end + 2 {
                return None;
            }
            let piece = buffer[start..end].to_vec();
            buffer.drain(..end + 2);
            *done = size == 0;
            (!piece.is_empty()).then_some(piece)
        }
    }
}

/// Reads what is there, at least one byte; 0 is the peer's end.
async fn fill(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut piece) {
            Ok(count) => {
                buffer.extend_from_slice(&piece[..count]);
                return Ok(count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes all of it. Takes the stream by reference, so that somebody else may read meanwhile.
pub(crate) async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn torn(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended within {what}"))
}
