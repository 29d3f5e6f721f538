#!/usr/bin/env bash
# Counts what the hot paths cost, and fails if one costs more than its target.
#
# Instructions are user instructions counted by valgrind's callgrind, allocations (a reallocation is one) by its memcheck.
# Each program is run twice, for 200 and for 1 200 times, and the difference is divided by 1 000: start, set-up and the
# first connection drop out. Unlike times, these figures hardly change from run to run.
#
# A push goes over one connection to a server on a loopback port, which is a process of its own and is not counted; the
# runtime has one thread. Its floor is the same request by bare reqwest: the body encoded before, the URL parsed before,
# the answer not looked at. What the other paths are compared with stands in hot_paths.rs. TLS is left out: it costs both
# sides the same, which would only flatter the ratio.
#
# CPU time (user and system) is measured without valgrind, in rounds of both sides in turn. It is reported and not judged.
#
# Needs valgrind (Debian and Ubuntu: apt-get install valgrind). Run it from anywhere: bash benches/instructions.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# The targets. The push's is its instructions in hundredths of its floor's.
readonly most_push_ratio=128 most_callback_instructions=13000 most_callback_allocations=6
readonly most_result_instructions=24000 most_result_allocations=12
readonly short=200 long=1200 cpu_times=20000 cpu_rounds=7

command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2; exit 1; }

built=$(cargo build --release --bench hot_paths --no-default-features --message-format=json-render-diagnostics)
program=$(sed -n 's/.*"name":"hot_paths".*"executable":"\([^"]*\)".*/\1/p' <<<"$built")
[[ -x $program ]] || { echo "the program was not built" >&2; exit 1; }

# The server says where it listens, and is ended by its process id.
exec {announced}< <(exec "$program" serve)
server=$!
trap 'kill "$server" && wait "$server" || true' EXIT
read -r -t 10 base_url <&"$announced"

# counted <instructions|allocations> <path> <side> <times>: the total of one run.
counted() {
    local output
    case $1 in
    instructions) output=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$program" run "$2" "$3" "$4" "$base_url" 2>&1) ;;
    allocations) output=$(valgrind --tool=memcheck --leak-check=no --undef-value-errors=no \
        "$program" run "$2" "$3" "$4" "$base_url" 2>&1) ;;
    esac
    output=$(sed -nE 's/.*(Collected : ([0-9]+)|total heap usage: ([0-9,]+) allocs).*/\2\3/p' <<<"$output")
    echo "${output//,/}"
}

# cost <what> <path> <side>: what one time costs.
cost() {
    local few many
    few=$(counted "$1" "$2" "$3" "$short")
    many=$(counted "$1" "$2" "$3" "$long")
    echo $(((many - few + (long - short) / 2) / (long - short)))
}

# cpu <side> <times>: milliseconds of user and system time.
cpu() {
    local TIMEFORMAT='%U %S' used
    used=$({ time "$program" run push "$1" "$2" "$base_url" >&2; } 2>&1)
    awk '{ printf "%.0f\n", ($1 + $2) * 1000 }' <<<"$used"
}

quotient() {
    awk -v of="$1" -v by="$2" 'BEGIN { print of / by }'
}

declare -A instructions allocations
printf '%-10s %22s %8s %16s\n' '' instructions '' allocations
printf '%-10s %9s %12s %8s %7s %8s\n' path ours floor ratio ours floor
for path in push token encode callback result msisdn; do
    for side in ours floor; do
        instructions[$path.$side]=$(cost instructions "$path" "$side")
        allocations[$path.$side]=$(cost allocations "$path" "$side")
    done
    ours=${instructions[$path.ours]} floor=${instructions[$path.floor]}
    printf '%-10s %9d %12d %8.2f %7d %8d\n' "$path" "$ours" "$floor" "$(quotient "$ours" "$floor")" \
        "${allocations[$path.ours]}" "${allocations[$path.floor]}"
done

for _ in $(seq "$cpu_rounds"); do
    our_time=$(($(cpu ours "$cpu_times") - $(cpu ours 0)))
    its_time=$(($(cpu floor "$cpu_times") - $(cpu floor 0)))
    quotient "$our_time" "$its_time"
done | sort -n | awk '{ ratio[NR] = $1 } END { printf "push, CPU time: %.2f times the floor\n", ratio[int((NR + 1) / 2)] }'

failed=0
# judge <what it is> <its value> <the most it may be>
judge() {
    if (($2 > $3)); then
        echo "$1: $2, more than $3" >&2
        failed=1
    fi
}
push=${instructions[push.ours]} floor=${instructions[push.floor]}
judge 'push, instructions in hundredths of the floor' $(((push * 100 + floor - 1) / floor)) "$most_push_ratio"
judge 'callback, instructions' "${instructions[callback.ours]}" "$most_callback_instructions"
judge 'callback, allocations' "${allocations[callback.ours]}" "$most_callback_allocations"
judge 'result, instructions' "${instructions[result.ours]}" "$most_result_instructions"
judge 'result, allocations' "${allocations[result.ours]}" "$most_result_allocations"
exit "$failed"
