#!/usr/bin/env bash
# Counts what the hot paths cost, and fails if one costs more than its target.
#
# User instructions are counted by valgrind's callgrind inside the function `counted` only: start, set-up and the first
# connection are outside. Allocations of a push (a reallocation is one) are counted by its memcheck as the difference of
# two runs. Unlike times, these figures hardly change from run to run. What parsing allocates is tested by tests/api/costs.rs.
#
# A push goes over one TLS connection to a server on a loopback port, which is a process of its own and is not counted;
# the runtime has one thread. Its floor is the same request by bare reqwest: the body encoded before, the URL parsed
# before, the answer not looked at. What else is compared stands in hot_paths/main.rs.
#
# Needs valgrind (Debian and Ubuntu: apt-get install valgrind). Run it from anywhere: bash benches/instructions.sh
#
# `bash benches/instructions.sh smoke` counts in the program without optimisation, as the tests are built. That build takes
# seconds, and code that begins to read or copy twice shows there, too. Its limits are 2.5 % above what was counted. They only
# find changes: what users pay is the count of the optimised program.
set -euo pipefail
cd "$(dirname "$0")/.."

# The targets. The push's is its instructions in hundredths of its floor's.
if [[ ${1:-} == smoke ]]; then
    readonly most_push_ratio=170 most_push_allocations=58 most_callback_instructions=93500 most_result_instructions=173000
    readonly times=20 few=5 many=25 build=(--locked --workspace --all-features)
else
    readonly most_push_ratio=128 most_push_allocations=58 most_callback_instructions=13000 most_result_instructions=24000
    readonly times=500 few=20 many=120 build=(--release)
fi

command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2; exit 1; }

built=$(cargo build "${build[@]}" --bench hot_paths --message-format=json-render-diagnostics)
program=$(sed -n 's/.*"name":"hot_paths".*"executable":"\([^"]*\)".*/\1/p' <<<"$built")
[[ -x $program ]] || { echo "the program was not built" >&2; exit 1; }

# The server says where it listens, and is ended by its process id.
exec {announced}< <(exec "$program" serve https 0)
server=$!
trap 'kill "$server" && wait "$server" || true' EXIT
read -r -t 10 base_url <&"$announced"

# instructions <path> <side>: what one time costs.
instructions() {
    local output
    output=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*hot_paths*counted*' \
        "$program" run "$1" "$2" "$times" "$base_url" 2>&1)
    output=$(sed -nE 's/.*Collected : ([0-9]+).*/\1/p' <<<"$output")
    [[ $output -gt 0 ]] || { echo "nothing was counted of $1 $2" >&2; return 1; }
    echo $(((output + times / 2) / times))
}

# allocated <path> <side> <times>: the allocations of a whole run.
allocated() {
    local output
    output=$(valgrind --tool=memcheck --leak-check=no --undef-value-errors=no \
        "$program" run "$1" "$2" "$3" "$base_url" 2>&1)
    output=$(sed -nE 's/.*total heap usage: ([0-9,]+) allocs.*/\1/p' <<<"$output")
    output=${output//,/}
    [[ $output -gt 0 ]] || { echo "no allocation was counted of $1 $2" >&2; return 1; }
    echo "$output"
}

# allocations <path> <side>: those of one time.
allocations() {
    local short long
    short=$(allocated "$1" "$2" "$few") || return
    long=$(allocated "$1" "$2" "$many") || return
    echo $(((long - short + (many - few) / 2) / (many - few)))
}

quotient() {
    awk -v of="$1" -v by="$2" 'BEGIN { printf "%.2f", of / by }'
}

# row <path> <another side, if there is one>
declare -A cost
row() {
    local side ours
    for side in ours floor ${2:-}; do cost[$1.$side]=$(instructions "$1" "$side"); done
    ours=${cost[$1.ours]}
    printf '| %s | %d | %d | %s |' "$1" "$ours" "${cost[$1.floor]}" "$(quotient "$ours" "${cost[$1.floor]}")"
    if [[ -n ${2:-} ]]; then printf ' %s %d |\n' "$2" "${cost[$1.$2]}"; else printf ' |\n'; fi
}

push_allocations=$(allocations push ours)
if [[ ${1:-} == smoke ]]; then
    for counted in push.ours push.floor callback.ours result.ours; do
        cost[$counted]=$(instructions "${counted%.*}" "${counted#*.}")
        printf '%s: %d instructions\n' "$counted" "${cost[$counted]}"
    done
    printf 'push.ours: %s allocations\n' "$push_allocations"
else
    printf '| instructions | ours | floor | ratio | also |\n|---|---|---|---|---|\n'
    row push hyper
    row token
    row encode
    row callback value
    row result value
    row msisdn
    printf '\nallocations of a push: ours %s, bare reqwest %s\n' "$push_allocations" "$(allocations push floor)"
fi

failed=0
# judge <what it is> <its value> <the most it may be>
judge() {
    if (($2 > $3)); then
        echo "$1: $2, more than $3" >&2
        failed=1
    fi
}
push=${cost[push.ours]} floor=${cost[push.floor]}
judge 'push, instructions in hundredths of the floor' $(((push * 100 + floor - 1) / floor)) "$most_push_ratio"
judge 'push, allocations' "$push_allocations" "$most_push_allocations"
judge 'callback, instructions' "${cost[callback.ours]}" "$most_callback_instructions"
judge 'result, instructions' "${cost[result.ours]}" "$most_result_instructions"
exit "$failed"
