#!/usr/bin/env python3
"""Mutation testing of the library: python3 tests/mutants/run.py [file, or beginning of its path]...

What is changed is what `cargo mutants --list` names. But where cargo-mutants builds the tests once for each change, all
changes are put into one build here, each function with a `match` over its changed bodies, and a variable chooses. Each
change is then met by the tests that reach its function, those that reach the least first, until one fails.

It fails if a change survives that docs/mutants.md does not name.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
# A copy: the tests write to their folder when they fail.
TREE = TARGET / "mutants" / "tree"
REASONS = ROOT / "docs" / "mutants.md"
CHOSEN, TRACE = "DARAJA_MUTANT", "DARAJA_MUTANT_TRACE"
# Not `socket`: on a busy machine its time limits fail without any change, and that would count as noticed.
PROGRAMS = ["lib", "api", "public_api"]
# It takes a minute, wants thousands of histories, and what it proves is proved of smaller things by the others.
LEFT_OUT = {"histories::no_history_pays_twice_and_none_believes_what_is_not_so"}
# They count and time the library, which the changes make larger.
COSTS = "costs::"
JOBS = int(os.environ.get("JOBS", os.cpu_count() or 1))
# Seconds of processor time that a batch of tests may take, and of sleep at a stretch. What takes longer hangs.
CPU, ASLEEP = 60, 15

SWITCH = """
#[doc(hidden)]
pub mod mutant_switch {
    use std::{env, fs, io::Write, sync::{LazyLock, atomic::{AtomicBool, Ordering::Relaxed}}};
    static CHOSEN: LazyLock<u32> =
        LazyLock::new(|| env::var("%s").ok().and_then(|number| number.parse().ok()).unwrap_or(0));
    static TRACE: LazyLock<Option<String>> = LazyLock::new(|| env::var("%s").ok());
    static SEEN: [AtomicBool; 8192] = [const { AtomicBool::new(false) }; 8192];
    pub fn at(function: usize) -> u32 {
        if let Some(path) = &*TRACE {
            if !SEEN[function].swap(true, Relaxed) {
                let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
                file.write_all(format!("{function}\\n").as_bytes()).unwrap();
            }
        }
        *CHOSEN
    }
}
""" % (CHOSEN, TRACE)


def environment(**more):
    """Nothing in the environment may choose what is tested."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MPESA_", "DARAJA_"))}
    return kept | {
        "CARGO_TARGET_DIR": str(TARGET),
        "CARGO_MANIFEST_DIR": str(TREE),
        "CARGO_INCREMENTAL": "1",
        "PROPTEST_CASES": "32",
    } | more


def cargo(*arguments, cwd=TREE):
    return subprocess.run(["cargo", *arguments], cwd=cwd, env=environment(), capture_output=True, text=True)


class Mutant:
    def __init__(self, number, listed):
        self.number, self.file = number, listed["file"]
        self.span, self.replacement, self.function = listed["span"], listed["replacement"], listed.get("function")
        # Without line and column, which drift.
        self.name = self.file + ": " + listed["name"].split(": ", 1)[1]
        self.reached_by = None


def listed():
    """All mutants, in the order of the source, equal ones told apart by their number."""
    out = cargo("mutants", "--list", "--json", cwd=ROOT)
    if out.returncode:
        sys.exit(out.stderr + "cargo-mutants is needed: cargo install cargo-mutants --locked")
    place = lambda one: (one["file"], one["span"]["start"]["line"], one["span"]["start"]["column"], one["name"])
    all_of_them = sorted(json.loads(out.stdout), key=place)
    mutants = [Mutant(number, one) for number, one in enumerate(all_of_them, 1)]
    times = collections.Counter(mutant.name for mutant in mutants)
    seen = collections.Counter()
    for mutant in mutants:
        name = mutant.name
        seen[name] += 1
        if times[name] > 1:
            mutant.name += f" ({seen[name]} of {times[name]})"
    return mutants


def copy_tree():
    TREE.mkdir(parents=True, exist_ok=True)
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {name for name in files.stdout.splitlines() if (ROOT / name).is_file()}
    for name in sorted(wanted):
        if name != "Cargo.toml" and not (name.startswith("src/") and name.endswith(".rs")):
            write(TREE / name, (ROOT / name).read_bytes())
    # What is built so is kept apart from what is built otherwise, and links faster.
    manifest = (ROOT / "Cargo.toml").read_text() + "\n[profile.dev.package.daraja]\ndebug = 0\n"
    write(TREE / "Cargo.toml", manifest.encode())
    for path in TREE.rglob("*"):
        if path.is_file() and str(path.relative_to(TREE)) not in wanted:
            path.unlink()


def write(path, content):
    """Leaves alone what is the same already, so that cargo does not build it again."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def offsets(text):
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return lambda place: starts[place["line"] - 1] + place["column"] - 1


def body_of(text, start):
    """Where the body of the function begins: the first brace outside of all parentheses."""
    blanked = re.sub(r"(?m)^[ \t]*//.*$", lambda comment: " " * len(comment[0]), text)
    at, depth = re.compile(r"\bfn ").search(blanked, start).start(), 0
    while blanked[at] != "{" or depth:
        depth += (blanked[at] in "([") - (blanked[at] in ")]")
        at += 1
    head = blanked[start:at]
    return at, re.search(r"\bconst fn ", head)


class Instrumented:
    """The source with all mutants in it, but for those that are left out."""

    def __init__(self, mutants, left_out, still_const):
        self.functions, self.lines, self.consts = 0, {}, {}
        by_file = collections.defaultdict(list)
        for mutant in mutants:
            if mutant.function and mutant.number not in left_out:
                by_file[mutant.file].append(mutant)
        for source in sorted((ROOT / "src").rglob("*.rs")):
            name = str(source.relative_to(ROOT))
            text = self.file(name, source.read_text(), by_file[name], still_const)
            if name == "src/lib.rs":
                text = "#![allow(warnings)] " + text + SWITCH
            write(TREE / name, text.encode())

    def file(self, name, text, mutants, still_const):
        at = offsets(text)
        spans = collections.defaultdict(list)
        for mutant in mutants:
            span = mutant.function["span"]
            spans[at(span["start"]), at(span["end"])].append(mutant)
        # What stands within another function is changed with it.
        for inner in sorted(spans, key=lambda span: span[1] - span[0]):
            around = [outer for outer in spans if outer != inner and outer[0] <= inner[0] and inner[1] <= outer[1]]
            if around:
                spans[around[0]] += spans.pop(inner)
        out, done = "", 0
        for (start, end), changes in sorted(spans.items()):
            begin, const = body_of(text, start)
            head = text[start:begin]
            if const:
                where = (name, head[const.start() - len(head) :].split("(")[0])
                if where in still_const:
                    continue
                head = head[: const.start()] + head[const.start() + len("const ") :]
            self.functions += 1
            out += text[done:start] + head + "{ match crate::mutant_switch::at(%d) {\n" % self.functions
            # Two iterators have two types, so each is boxed.
            boxed = "impl Iterator" in changes[0].function["return_type"]
            arm = "{\nBox::new(%s\n) as Box<dyn Iterator<Item = _> + '_> }\n" if boxed else "{\n%s\n}\n"
            for mutant in changes:
                mutant.reached_by = self.functions
                first = out.count("\n") + 1
                changed = text[begin : at(mutant.span["start"])] + mutant.replacement + text[at(mutant.span["end"]) : end]
                out += f"{mutant.number} => " + arm % changed
                self.lines.setdefault(name, []).append((first, out.count("\n"), mutant.number))
            out += "_ => " + arm % text[begin:end] + "} }"
            done = end
        return out + text[done:]

    def mutant_at(self, spans):
        for span in sorted(spans, key=lambda span: not span["is_primary"]):
            while span:
                for first, last, number in self.lines.get(span["file_name"], []):
                    if first <= span["line_start"] <= last:
                        return number
                span = (span.get("expansion") or {}).get("span")
        return None


def errors(out):
    messages = [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]
    messages = [one["message"] for one in messages if one["reason"] == "compiler-message"]
    return [message for message in messages if message["level"] == "error"]


def fit(mutants):
    """Leaves out what does not compile, until the rest does. The compiler names many at a time."""
    left_out, still_const = set(), {("src/value/money.rs", "const fn constant")}
    while True:
        source = Instrumented(mutants, left_out, still_const)
        out = cargo("check", "--lib", "--profile", "test", "--features", "simulator", "--message-format", "json")
        if not out.returncode:
            return left_out
        found = {source.mutant_at(message["spans"]) for message in errors(out)} - {None}
        if not found:
            sys.exit("".join(message["rendered"] for message in errors(out)[:5]) or out.stderr)
        left_out |= found


def build():
    tests = [argument for name in PROGRAMS if name != "lib" for argument in ("--test", name)]
    out = cargo("test", "--lib", *tests, "--no-run", "--message-format", "json")
    if out.returncode:
        sys.exit("".join(message["rendered"] for message in errors(out)) or out.stderr)
    programs = {}
    for line in out.stdout.splitlines():
        one = json.loads(line)
        if one["reason"] == "compiler-artifact" and one["executable"] and one["profile"]["test"]:
            programs["lib" if "lib" in one["target"]["kind"] else one["target"]["name"]] = one["executable"]
    return programs


def run(program, tests, **more):
    """None if they pass, else what stopped them."""

    def limits():
        resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU + 1))
        os.nice(15)

    arguments = [program, "--exact", "--test-threads", "2", *tests]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(arguments, cwd=TREE, env=environment(**more), preexec_fn=limits, **quiet)
    asleep = 0
    while True:
        try:
            ended = process.wait(timeout=1)
            return None if ended == 0 else "timeout" if ended in (-signal.SIGXCPU, -signal.SIGKILL) else "caught"
        except subprocess.TimeoutExpired:
            asleep = asleep + 1 if is_asleep(process.pid) else 0
            if asleep == ASLEEP:
                process.kill()
                process.wait()
                return "timeout"


def is_asleep(process):
    """Whether no thread of it runs or wants to, whatever else the machine is busy with."""
    try:
        states = [(task / "stat").read_text().rsplit(")", 1)[1].split()[0] for task in pathlib.Path(f"/proc/{process}/task").iterdir()]
    except OSError:
        return False  # A thread has just ended.
    return all(state == "S" for state in states)


def trace(programs):
    """For each function the tests that reach it, those first that are quick and reach little else."""
    tests = []
    for name, program in programs.items():
        out = subprocess.run([program, "--list", "--format", "terse"], cwd=TREE, env=environment(), capture_output=True, text=True)
        tests += [(name, line[: -len(": test")]) for line in out.stdout.splitlines() if line.endswith(": test")]

    def one(test):
        name, path = test
        with tempfile.TemporaryDirectory() as folder:
            seen, started = pathlib.Path(folder) / "seen", time.monotonic()
            if run(programs[name], [path], **{TRACE: str(seen)}):
                sys.exit(f"{path} fails without any change")
            return test, time.monotonic() - started, set(map(int, seen.read_text().split())) if seen.exists() else set()

    reach = collections.defaultdict(list)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for test, seconds, functions in pool.map(one, [test for test in tests if test[1] not in LEFT_OUT and not test[1].startswith(COSTS)]):
            for function in functions:
                reach[function].append((seconds * (20 + len(functions)), test))
    return {function: [test for _, test in sorted(found)] for function, found in reach.items()}


def judge(mutant, programs, reach):
    """What became of one mutant."""
    tests = reach.get(mutant.reached_by, [])
    for batch in (tests[:6], tests[6:40], tests[40:]):
        for name in PROGRAMS:
            paths = [path for program, path in batch if program == name]
            ended = paths and run(programs[name], paths, **{CHOSEN: str(mutant.number)})
            if ended:
                return ended
    return "missed"


def judge_all(mutants, programs, reach):
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        futures = {pool.submit(judge, mutant, programs, reach): mutant for mutant in mutants}
        for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
            mutant = futures[future]
            mutant.became = future.result()
            if mutant.became == "missed":
                print(f"missed: {mutant.name}", flush=True)
            if done % 100 == 0:
                print(f"{done} of {len(futures)}, {time.monotonic() - started:.0f} s", flush=True)


def report(mutants):
    words = ["caught", "timeout", "missed", "unviable", "untried"]
    files = collections.defaultdict(collections.Counter)
    for mutant in mutants:
        files[mutant.file][mutant.became] += 1
        files["all"][mutant.became] += 1
    print("\n| file | mutants | " + " | ".join(words) + " |\n|---|" + "--:|" * 6)
    for name in sorted(files):
        print(f"| {name} | {sum(files[name].values())} | " + " | ".join(str(files[name][word]) for word in words) + " |")
    known = set(re.findall(r"(?m)^- `(.*?)`", REASONS.read_text())) if REASONS.exists() else set()
    unknown = [mutant.name for mutant in mutants if mutant.became in ("missed", "untried") and mutant.name not in known]
    for name in unknown:
        print(f"not in docs/mutants.md: - `{name}`")
    caught = {mutant.name for mutant in mutants if mutant.became in ("caught", "timeout")}
    for name in sorted(known & caught):
        print(f"in docs/mutants.md, and caught: - `{name}`")
    return 1 if unknown else 0


def main():
    mutants = listed()
    copy_tree()
    left_out = fit(mutants)
    programs = build()
    reach = trace(programs)
    wanted = sys.argv[1:] or [""]
    mutants = [mutant for mutant in mutants if mutant.file.startswith(tuple(wanted))]
    for mutant in mutants:
        mutant.became = "unviable" if mutant.number in left_out else None if mutant.reached_by else "untried"
    judge_all([mutant for mutant in mutants if not mutant.became], programs, reach)
    return report(mutants)


if __name__ == "__main__":
    sys.exit(main())
