//! A future that is dropped at any of its await points leaves no lock, no task and no waiter behind, and a client that works.

mod journal;
mod point;
mod sends;
mod tokens;
mod waits;
mod world;

use point::dropped_at;
use tokio::runtime::Handle;

fn living_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}
