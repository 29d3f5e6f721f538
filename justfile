# One word per chore. `just` alone lists them.

_default:
    @just --list

# Format everything.
fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml
    cargo fmt --manifest-path tests/schedules/Cargo.toml
    cargo fmt --manifest-path tests/interop/with_mpesa/Cargo.toml

# What to run before each commit.
fast:
    bash .ci/fast

# Lint as the gate does, with all features, and the workspaces that the gate does not build.
clippy:
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo clippy --manifest-path fuzz/Cargo.toml --locked -- -D warnings
    cargo clippy --manifest-path tests/schedules/Cargo.toml --locked --lib --tests -- -D warnings
    cargo clippy --manifest-path tests/interop/with_mpesa/Cargo.toml --locked -- -D warnings

# All tests of all members, with the one set of features that everything is built with.
test:
    cargo test --workspace --all-features

# The README's own examples and all others in the documentation.
readme:
    cargo test --doc

# Build the documentation and open it.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --open

# The hot paths beside their floors.
bench:
    cargo bench --bench hot_paths

# Bursts, latencies, cold starts, memory and growth: all of it takes minutes, so name the parts that are wanted.
load *parts:
    cargo bench --bench load -- {{parts}}

# What the library adds to a program: crates, build time, size, start. "ring" builds with other cryptography.
footprint kind="default":
    bash benches/footprint.sh {{kind}}

# 5 000 callbacks a second into the axum recipe for ten seconds, and what came of each.
flood:
    cargo bench -p recipe-axum

# The shop's demo, with the simulator in place of M-PESA, to try in a browser.
shop:
    cargo run -p shop -- demo

# 200 checkouts at once; on SQLite, or on the PostgreSQL that SHOP_TEST_POSTGRES names.
checkouts:
    cargo bench -p shop

# Instructions per push against bare reqwest; needs valgrind.
instructions:
    bash benches/instructions.sh

# The offline play: three payments, from the prompt to the end.
checkout:
    cargo run --example checkout

# The other offline play: three payouts, from the supplier's number to the receipt.
payout:
    cargo run --example payout

# Writes the generated pages of docs/ anew.
docs:
    DARAJA_WRITE_DOCS=1 cargo test --test api result_codes
    DARAJA_WRITE_DOCS=1 cargo test --test socket chaos

# A shop trades for so long while every twentieth call goes wrong; the books must agree, and nothing may grow.
soak seconds="600":
    cargo test --test soak -- --seconds {{seconds}}

# Changes the library in 1 900 ways and looks whether a test notices; needs cargo-mutants and Python.
mutants *paths:
    python3 tests/mutants/run.py {{paths}}

# Third-party clients against the simulator; needs python3, node, npm, and libssl-dev with pkg-config.
interop:
    bash tests/interop/run

# Several processes share one token; needs redis-server and openssl.
redis:
    DARAJA_TEST_REDIS=required cargo test --workspace --all-features --test redis

# One of two shops on one PostgreSQL is killed again and again, in the middle of its work.
kills count="50":
    KILLS={{count}} bash .ci/run kills

# A longer walk through generated histories of payouts.
histories count="1000000":
    DARAJA_HISTORIES={{count}} cargo test --release --test api histories::no_history -- --nocapture

# All histories of a payout up to a depth, breadth first.
walk depth="7":
    DARAJA_WALK_DEPTH={{depth}} cargo test --release --test api payout_walk -- --nocapture

# Callers of the token, the query budget and the inbox, under so many schedules each; other ones each time.
schedules count="20000" seed=`date +%s`:
    DARAJA_SCHEDULES={{count}} DARAJA_SEED={{seed}} cargo test --manifest-path tests/schedules/Cargo.toml --locked --test scenes

# The same callers on real threads; needs a nightly toolchain with the component miri. Two minutes for each seed.
miri seeds="0..4":
    MIRIFLAGS=-Zmiri-many-seeds={{seeds}} cargo +nightly miri test --manifest-path tests/schedules/Cargo.toml --locked --test scenes

# Throws rubbish at a parser that faces the internet; needs cargo-fuzz and a C++ compiler.
fuzz target="event" seconds="60":
    mkdir -p fuzz/corpus/{{target}}
    cargo fuzz run --sanitizer none {{target}} fuzz/corpus/{{target}} tests/fixtures -- -max_total_time={{seconds}} -timeout=10

# Each parser that faces the internet for so long, one after the other.
fuzz-all seconds="120":
    for target in certificate error_body event forwarded msisdn signed_path; do just fuzz $target {{seconds}} || exit 1; done

# A local Daraja on a port of the system's choosing.
simulator:
    cargo run --example simulator -- --port 0

# The oldest Rust the library builds with.
msrv:
    cargo +1.85 check --lib --all-features --locked

# Licences, bans and advisories of the dependencies; needs cargo-deny.
deny:
    cargo deny check

# The whole gate.
ci:
    bash .ci/run
