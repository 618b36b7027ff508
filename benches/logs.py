"""The races of the log and of verification; the clock runs inside `crates/store/examples/bench_log.rs`."""

import json
import shutil

from measure import run


def pairs(bench, race, *arguments):
    directory = bench.work / f"log-{race}"
    shutil.rmtree(directory, ignore_errors=True)
    command, *rest = arguments
    out = run([bench.bench_log, command, str(directory), *map(str, rest)], bench.work, None, bench.log).stdout
    return [json.loads(line) for line in out.splitlines()]


def append(bench):
    """Durable appends per second, one statement and 64 statements a call."""
    for batch, statements in ((1, 64), (64, 1024)):
        bench.say(f"append in batches of {batch}")
        limit = "write the envelopes, fsync"
        wall = bench.row(f"append, batches of {batch}", "statements/s", limit)
        cpu = bench.row(f"append, batches of {batch}, CPU", "ms/statement", limit)
        for pair in pairs(bench, f"append-{batch}", "append", batch, statements, bench.runs(10)):
            wall.add(*(statements / pair[side]["wall_s"] for side in ("ours", "limit")))
            cpu.add(*(1000 * pair[side]["cpu_s"] / statements for side in ("ours", "limit")))
            wall.remark = f"{pair['about']['bytes'] // statements} bytes an envelope"


def clients(bench):
    """Entries of Rekor clients: 64 at a time, each waiting for his proof; and what one waits at 100 a second."""
    bench.say("clients")
    entries = 12800
    limit = "one write and sync a commit"
    wall = bench.row("64 clients of the log", "entries/s", limit)
    cpu = bench.row("64 clients of the log, CPU", "ms/entry", limit)
    for pair in pairs(bench, "clients", "clients", 64, entries, bench.runs(10)):
        wall.add(*(entries / pair[side]["wall_s"] for side in ("ours", "limit")))
        cpu.add(*(1000 * pair[side]["cpu_s"] / entries for side in ("ours", "limit")))
        about = pair["about"]
        wall.remark = f"p99 {about['p99_ms']:.0f} ms, {about['anonymous_kib'] // 1024} MiB anonymous, log of {about['log_size']} leaves"
    row = bench.row("p99 of an entry with its proof, at 100/s", "ms", "one write and sync")
    for pair in pairs(bench, "paced", "paced", 100, 1000, bench.runs(10)):
        row.add(pair["ours"]["p99_ms"], pair["limit"]["p99_ms"])


def opening(bench):
    """What the comparison with the seal adds to opening a home."""
    bench.say("open")
    row = bench.row("compare with the seal", "s", "open and close")
    for pair in pairs(bench, "open", "open", 4096, bench.runs(10)):
        row.add(pair["ours"]["wall_s"], pair["limit"]["wall_s"])
        row.remark = f"{pair['about']['statements']} statements, ledger of {pair['about']['ledger_bytes']} bytes"


def verify(bench):
    """Bundles opened per second on one core, beside the bare signature."""
    bench.say("verify")
    count = 2000
    row = bench.row("verify a bundle, per CPU second", "1/s", "bare P-256")
    parse = bench.row("parse a bundle, per CPU second", "1/s", "bare P-256")
    for pair in pairs(bench, "verify", "verify", count, bench.runs(10)):
        limit = count / pair["limit"]["cpu_s"]
        row.add(count / pair["ours"]["cpu_s"], limit)
        parse.add(count / max(pair["about"]["parse"]["cpu_s"], 0.01), limit)
        row.remark = f"{pair['about']['bundle_bytes']} bytes"
