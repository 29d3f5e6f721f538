//! The guides in `docs/`, so that their examples are compiled and run.

#[doc = include_str!("../docs/receiving-callbacks.md")]
mod receiving_callbacks {}

#[doc = include_str!("../docs/testing-your-integration.md")]
mod testing_your_integration {}

#[doc = include_str!("../docs/paying-out-safely.md")]
mod paying_out_safely {}

#[doc = include_str!("../docs/going-live.md")]
mod going_live {}

#[doc = include_str!("../docs/local-tunnels.md")]
mod local_tunnels {}

#[doc = include_str!("../docs/faq.md")]
mod faq {}

#[doc = include_str!("../docs/troubleshooting.md")]
mod troubleshooting {}
