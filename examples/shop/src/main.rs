//! A shop's payment backend.

fn main() {}
