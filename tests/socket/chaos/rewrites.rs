//! Answers to calls that were carried out, as a broken server or something between would pass them on.

use super::{INTERRUPTED, TIMEOUT};
use crate::tools::{
    message::Message,
    proxy::{
        By::{self, Fin, Silence},
        Place::{self, Endless, Rewritten},
    },
};

const UNREADABLE: &str = "Unknown(Decode(200))";

/// What is made of the answer, how the connection ends then, and what a push is told.
pub(super) const ALL: [(&str, Place, By, &str); 24] = [
    ("content-length is 10 too small", Rewritten(too_short), Fin, UNREADABLE),
    ("content-length is 10 too large, then closed", Rewritten(too_long), Fin, INTERRUPTED),
    ("content-length is 10 too large, then silence", Rewritten(too_long), Silence, TIMEOUT),
    ("content-length is no number", Rewritten(no_number), Fin, INTERRUPTED),
    ("two content-lengths", Rewritten(two_lengths), Fin, INTERRUPTED),
    ("no content-length, closed at its end", Rewritten(no_length), Fin, "Ok"),
    ("no content-length, closed in its middle", Rewritten(half_without_length), Fin, UNREADABLE),
    ("chunked, whole", Rewritten(chunked), Fin, "Ok"),
    ("chunked, and a chunk's size is no number", Rewritten(bad_chunk), Fin, INTERRUPTED),
    ("chunked, and closed in a chunk", Rewritten(open_chunk), Fin, INTERRUPTED),
    ("chunked, and closed before the last chunk", Rewritten(no_last_chunk), Fin, INTERRUPTED),
    ("chunked, then silence before the last chunk", Rewritten(no_last_chunk), Silence, TIMEOUT),
    ("chunks without end", Endless(endless_chunks), Fin, "Unknown(Transport(TooLarge))"),
    ("headers without end", Endless(endless_headers), Fin, INTERRUPTED),
    ("compressed with gzip, which nobody asked for", Rewritten(gzipped), Fin, UNREADABLE),
    ("HTTP/1.0", Rewritten(http_1_0), Fin, "Ok"),
    ("HTTP/1.0 without a length, closed at its end", Rewritten(http_1_0_without_length), Fin, "Ok"),
    ("HTTP/3.0 in the first line", Rewritten(http_3), Fin, INTERRUPTED),
    ("no HTTP at all, only the body", Rewritten(only_the_body), Fin, INTERRUPTED),
    ("100 Continue before it", Rewritten(after_100), Fin, "Ok"),
    ("103 Early Hints before it", Rewritten(after_103), Fin, "Ok"),
    ("a second, unreadable answer behind it", Rewritten(with_garbage_behind), Fin, "Ok"),
    ("502 and a page of HTML in its place", Rewritten(bad_gateway), Fin, "Unknown(Decode(502))"),
    ("504 without a body in its place", Rewritten(gateway_timeout), Fin, "Unknown(Decode(504))"),
];

/// An answer with these headers, each ending in a line break.
fn with(version: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("{version} 200 OK\r\n{headers}\r\n").as_bytes(), body].concat()
}

fn with_length(length: usize, body: &[u8]) -> Vec<u8> {
    with("HTTP/1.1", &format!("content-length: {length}\r\n"), body)
}

fn too_short(answer: &Message) -> Vec<u8> {
    with_length(answer.body().len() - 10, answer.body())
}

fn too_long(answer: &Message) -> Vec<u8> {
    with_length(answer.body().len() + 10, answer.body())
}

fn no_number(answer: &Message) -> Vec<u8> {
    with("HTTP/1.1", "content-length: all of it\r\n", answer.body())
}

fn two_lengths(answer: &Message) -> Vec<u8> {
    let length = answer.body().len();
    with("HTTP/1.1", &format!("content-length: {length}\r\ncontent-length: {}\r\n", length - 1), answer.body())
}

fn no_length(answer: &Message) -> Vec<u8> {
    with("HTTP/1.1", "", answer.body())
}

fn half_without_length(answer: &Message) -> Vec<u8> {
    with("HTTP/1.1", "", &answer.body()[..answer.body().len() / 2])
}

fn in_chunks(chunks: &[&[u8]], end: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(end.as_bytes());
    with("HTTP/1.1", "transfer-encoding: chunked\r\n", &body)
}

fn chunked(answer: &Message) -> Vec<u8> {
    let (first, second) = answer.body().split_at(20);
    in_chunks(&[first, second], "0\r\n\r\n")
}

fn bad_chunk(answer: &Message) -> Vec<u8> {
    let (first, _) = answer.body().split_at(20);
    in_chunks(&[first], "the rest\r\n")
}

fn open_chunk(answer: &Message) -> Vec<u8> {
    in_chunks(&[answer.body()], "ffff\r\n")
}

fn no_last_chunk(answer: &Message) -> Vec<u8> {
    in_chunks(&[answer.body()], "")
}

fn endless_chunks(answer: &Message) -> (Vec<u8>, Vec<u8>) {
    (in_chunks(&[answer.body()], ""), format!("4000\r\n{}\r\n", " ".repeat(0x4000)).into_bytes())
}

fn endless_headers(_: &Message) -> (Vec<u8>, Vec<u8>) {
    (b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-more: of the same\r\n".repeat(100))
}

fn gzipped(answer: &Message) -> Vec<u8> {
    let body = gzip(answer.body());
    let headers = format!("content-encoding: gzip\r\ncontent-length: {}\r\n", body.len());
    with("HTTP/1.1", &headers, &body)
}

/// A gzip file (RFC 1952) of one block that is stored as it is.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("answers are short");
    let crc = !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    let mut file = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&(!length).to_le_bytes());
    file.extend_from_slice(bytes);
    file.extend_from_slice(&crc.to_le_bytes());
    file.extend_from_slice(&u32::from(length).to_le_bytes());
    file
}

fn http_1_0(answer: &Message) -> Vec<u8> {
    with("HTTP/1.0", &format!("content-length: {}\r\n", answer.body().len()), answer.body())
}

fn http_1_0_without_length(answer: &Message) -> Vec<u8> {
    with("HTTP/1.0", "", answer.body())
}

fn http_3(answer: &Message) -> Vec<u8> {
    with("HTTP/3.0", &format!("content-length: {}\r\n", answer.body().len()), answer.body())
}

fn only_the_body(answer: &Message) -> Vec<u8> {
    answer.body().to_vec()
}

fn after_100(answer: &Message) -> Vec<u8> {
    [b"HTTP/1.1 100 Continue\r\n\r\n", &*answer.bytes].concat()
}

fn after_103(answer: &Message) -> Vec<u8> {
    [b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n", &*answer.bytes].concat()
}

fn with_garbage_behind(answer: &Message) -> Vec<u8> {
    [&*answer.bytes, b"HTTP/1.1 500 No\r\ncontent-length: 2000\r\n\r\n\0\xff<html>"].concat()
}

fn bad_gateway(_: &Message) -> Vec<u8> {
    const PAGE: &str = "<html><body>Bad Gateway</body></html>";
    format!("HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{PAGE}", PAGE.len())
        .into()
}

fn gateway_timeout(_: &Message) -> Vec<u8> {
    b"HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n".to_vec()
}
