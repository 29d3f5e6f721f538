//! Posting to a recipe, byte by byte, so that anything can be sent.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// What a recipe answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A callback of a push that was cancelled.
pub(crate) fn cancelled(id: &str) -> String {
    format!(
        r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"{id}","ResultCode":1032,"ResultDesc":"Request cancelled by PLANTED NAME"}}}}}}"#
    )
}

/// A callback of a push that was paid.
pub(crate) fn paid(id: &str, receipt: &str) -> String {
    format!(
        r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"{id}","ResultCode":0,"ResultDesc":"The service request is processed successfully.","CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":1.00}},{{"Name":"MpesaReceiptNumber","Value":"{receipt}"}},{{"Name":"Balance"}},{{"Name":"TransactionDate","Value":20261006170234}},{{"Name":"PhoneNumber","Value":254708374149}}]}}}}}}}}"#
    )
}

/// Posts a body to a path, which is sent as it is.
pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> io::Result<Answer> {
    post_with(address, path, "", body.as_bytes())
}

/// The same, with header lines of its own, each of which ends in a line break.
pub(crate) fn post_with(
    address: SocketAddr,
    path: impl AsRef<[u8]>,
    headers: impl AsRef<[u8]>,
    body: &[u8],
) -> io::Result<Answer> {
    let line = [b"POST ", path.as_ref(), b" HTTP/1.1\r\n"].concat();
    let host = format!("Host: {address}\r\n");
    post_raw(address, &[&line, host.as_bytes(), headers.as_ref()].concat(), body)
}

/// Posts a body behind a request line and header lines that are sent as they are.
pub(crate) fn post_raw(address: SocketAddr, lines: &[u8], body: &[u8]) -> io::Result<Answer> {
    let framing =
        format!("Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let mut stream = connect(address)?;
    // One that refuses early may have hung up: what counts is the answer.
    drop(stream.write_all(&[lines, framing.as_bytes(), body].concat()));
    answer(&mut stream)
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Reads an answer to its end, which is the end of the connection.
pub(crate) fn answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            // Cut behind the answer, because not all was read that we sent.
            Err(_) if !bytes.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no answer"))?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
