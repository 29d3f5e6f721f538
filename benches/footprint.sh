#!/usr/bin/env bash
# What the library adds to a program that has bare reqwest: crates, a clean release build, the program's size, and the
# processor time from the start of a process to the answer of its first push over TLS.
#
# Two programs are made in a folder of their own, one with the library and one without, with the default TLS, or with ring
# and compiled-in roots. They are built from nothing, which takes minutes. Needs network access for crates that are not
# there yet. Run it from anywhere: bash benches/footprint.sh [default|ring]
set -euo pipefail
cd "$(dirname "$0")/.."
readonly starts=20
library=$PWD certificate=$PWD/benches/hot_paths/no_secret_certificate.pem
scratch=$(mktemp -d)
server=
trap '[[ -z $server ]] || { kill "$server" && wait "$server" || true; }; rm -rf "$scratch"' EXIT

# program <name> <dependencies> <how the provider is installed> <how reqwest trusts the server> <the push>
program() {
    mkdir -p "$scratch/$1/src"
    cp Cargo.lock "$scratch/$1/"
    cat >"$scratch/$1/Cargo.toml" <<TOML
[package]
name = "$1"
version = "0.0.0"
edition = "2024"
[workspace]
[dependencies]
tokio = { version = "1", features = ["rt", "macros"] }
$2
TOML
    cat >"$scratch/$1/src/main.rs" <<RUST
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let base_url = arguments.next().ok_or("a base URL is missing")?;
    let certificate = reqwest::Certificate::from_pem(&std::fs::read(arguments.next().ok_or("a certificate is missing")?)?)?;
    $3
    let http = reqwest::Client::builder().$4;
    $5
    Ok(())
}
RUST
}

readonly ours='let client = daraja::Client::builder(daraja::Environment::custom(&base_url)?, daraja::Credentials::new("key", "secret"));
    let client = client.reqwest(http).build()?;
    let merchant = daraja::Merchant::paybill("174379".parse()?, "a passkey of nobody");
    let (payer, amount) = ("254708374149".parse()?, daraja::Shillings::new(1)?);
    let push = daraja::StkPush::new(&merchant, payer, amount, "A".parse()?, "https://shop.example/callbacks".parse()?);
    client.send(&push).await?;'
readonly bare='let url = format!("{base_url}/mpesa/stkpush/v1/processrequest");
    http.build()?.post(url).header("content-type", "application/json").body("{}").send().await?.bytes().await?;'
readonly install='rustls::crypto::ring::default_provider().install_default().map_err(|_| "a provider is installed")?;'
readonly merged='tls_certs_merge([certificate])'
readonly compiled_in='tls_certs_only(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|root| reqwest::Certificate::from_der(root).expect("a root")).chain([certificate]))'
readonly ring='rustls = { version = "0.23", default-features = false, features = ["ring", "std", "tls12"] }
webpki-root-certs = "1"'
reqwest() { echo "reqwest = { version = \"0.13\", default-features = false, features = [\"$1\"] }"; }
program bare "$(reqwest rustls)" '' "$merged" "$bare"
program ours "daraja = { path = \"$library\" }
$(reqwest rustls)" '' "$merged" "$ours"
program bare-ring "$(reqwest rustls-no-provider)
$ring" "$install" "$compiled_in" "$bare"
program ours-ring "daraja = { path = \"$library\", default-features = false, features = [\"webpki-roots\"] }
$(reqwest rustls-no-provider)
$ring" "$install" "$compiled_in" "$ours"

# Without the program itself.
crates() {
    (cd "$scratch/$1" && cargo tree --edges normal,build --prefix none | sed '1d; s/ (\*)$//' | sort -u)
}

# used command...: the seconds of processor that it takes.
used() {
    local TIMEFORMAT='%U %S' seconds
    seconds=$({ time "$@" >"$scratch/log" 2>&1; } 2>&1) || { cat "$scratch/log" >&2; return 1; }
    awk '{ print $1 + $2 }' <<<"$seconds"
}

build() { CARGO_TARGET_DIR=$scratch/$1/target cargo build --release --manifest-path "$scratch/$1/Cargo.toml"; }

start_often() {
    local turn
    for ((turn = 0; turn < starts; turn++)); do "$scratch/$1/target/release/$1" "$base_url" "$certificate"; done
}

built=$(cargo build --release --bench hot_paths --message-format=json-render-diagnostics)
served=$(sed -n 's/.*"name":"hot_paths".*"executable":"\([^"]*\)".*/\1/p' <<<"$built")
exec {announced}< <(exec "$served" serve https 0)
server=$!
read -r -t 10 base_url <&"$announced"

printf '| program | crates | clean release build, CPU s | size, MB | first push, CPU ms |\n|---|---|---|---|---|\n'
for kind in "${@:-default}"; do
    [[ $kind == ring ]] && suffix=-ring || suffix=
    for name in "bare$suffix" "ours$suffix"; do
        crates "$name" >"$scratch/$name.crates"
        seconds=$(used build "$name")
        size=$(stat -c %s "$scratch/$name/target/release/$name")
        first=$(used start_often "$name")
        printf '| %s | %d | %.0f | %.1f | %.1f |\n' "$name" "$(wc -l <"$scratch/$name.crates")" "$seconds" \
            "$(awk -v of="$size" 'BEGIN { print of / 1e6 }')" "$(awk -v of="$first" -v by="$starts" 'BEGIN { print of / by * 1000 }')"
    done
    printf '\nwhat %s has and %s has not:\n' "ours$suffix" "bare$suffix"
    comm -13 "$scratch/bare$suffix.crates" "$scratch/ours$suffix.crates" | sed 's/ (\/.*)//'
done
