//! Reads one HTTP/1.1 message from a socket, byte for byte.

use tokio::io::{AsyncRead, AsyncReadExt};

/// One request or answer whose body has a declared length.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) head_len: usize,
}

impl Message {
    /// The first line and the headers.
    pub(crate) fn head(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.head_len]).expect("a head is text")
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.head_len..]
    }

    pub(crate) fn is_token_request(&self) -> bool {
        self.head().starts_with("GET ") && self.head().contains("/oauth/v1/generate")
    }
}

/// The next message; `None` if the other side ended first. `rest` keeps what came beyond it.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), rest: &mut Vec<u8>) -> Option<Message> {
    loop {
        if let Some(head_len) = head_len(rest) {
            let head = std::str::from_utf8(&rest[..head_len]).expect("a head is text").to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
            if rest.len() >= head_len + length {
                let beyond = rest.split_off(head_len + length);
                return Some(Message { bytes: std::mem::replace(rest, beyond), head_len });
            }
        }
        if stream.read_buf(rest).await.ok()? == 0 {
            return None;
        }
    }
}

fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|start| start + 4)
}
