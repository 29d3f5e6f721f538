//! A request byte for byte as it is written: no client puts its path, its headers or its length right.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Sends a request line with its headers, each ended by a line feed, and a body. Length and, unless there is one, host are
/// added.
pub(crate) async fn send(base: &str, head: &str, body: &[u8]) -> Answer {
    let host = base.strip_prefix("http://").expect("a loopback URL");
    let mut request = head.trim_end().replace('\n', "\r\n").into_bytes();
    let named = if head.contains("\nHost: ") { String::new() } else { format!("\r\nHost: {host}") };
    let rest = format!("{named}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    request.extend_from_slice(rest.as_bytes());
    request.extend_from_slice(body);
    let (mut reads, mut writes) = TcpStream::connect(host).await.unwrap().into_split();
    // Who is refused may find the line closed before all is written: the answer is there all the same.
    let (_, bytes) = tokio::join!(writes.write_all(&request), async {
        let mut bytes = Vec::new();
        while whole(&bytes).is_none() {
            match reads.read_buf(&mut bytes).await {
                Ok(1..) => {}
                ended => panic!("an answer that ends in the middle ({ended:?}): {}", String::from_utf8_lossy(&bytes)),
            }
        }
        bytes
    });
    whole(&bytes).expect("it was whole")
}

/// The answer, once all of it is there.
fn whole(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let mut answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    assert!(answer.header("transfer-encoding").is_none(), "an answer in pieces: {head}");
    let start = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let body = bytes.get(start..start + length)?;
    answer.body = String::from_utf8(body.to_vec()).expect("text");
    Some(answer)
}
