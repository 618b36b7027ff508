"""The race of the trace: a program that opens very many paths, observed, and under `strace -f -o`."""

import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

from measure import RaceError, run

OPENS = 1_000_000
MEMORY_MAX_MIB = 64
EVENT_BYTES_MAX = 12

PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    char path[128];
    for (long i = 0; i < OPENS; i++) {
        // As a compiler names what it makes: 64 bits that nothing foretells (splitmix64).
        unsigned long z = (i + 1) * 0x9e3779b97f4a7c15ul;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul, z = (z ^ (z >> 27)) * 0x94d049bb133111ebul, z ^= z >> 31;
        snprintf(path, sizeof path, "target/release/deps/unit-%016lx.o", z);
        int fd = open(path, O_RDONLY);
        if (fd >= 0) close(fd);
    }
    return 0;
}
"""

SPEC = """version = 1
[project]
name = "opens"
owners = ["bench"]
[base]
packages = ["coreutils", "dash"]
[[step]]
name = "open"
run = ["sh", "-c", "./opens && echo done > made"]
[[artifact]]
name = "made"
path = "made"
"""


def anonymous_kib(pid):
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Watched:
    """The most anonymous memory of `assay build`, and of its supervisor, while it runs."""

    def __init__(self, program):
        self.program, self.done = program, False
        self.command_kib = self.supervisor_kib = 0
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.done:
            for entry in Path("/proc").iterdir():
                if not entry.name.isdigit():
                    continue
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if words[0] != self.program.encode():
                    continue
                if b"__supervise" in words:
                    self.supervisor_kib = max(self.supervisor_kib, anonymous_kib(entry.name))
                elif b"build" in words:
                    self.command_kib = max(self.command_kib, anonymous_kib(entry.name))
            time.sleep(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()


def trace(bench):
    """A million opens of distinct paths: CPU beside strace, memory and bytes beside their limits."""
    if not shutil.which("strace"):
        raise RaceError("`strace` is needed: apt-get install strace")
    directory = bench.work / "opens"
    directory.mkdir()
    variables = dict(os.environ, ASSAY_HOME=str(bench.work / "home-opens"))
    for name in ("ASSAY_SERVER", "ASSAY_TOKEN"):
        variables.pop(name, None)
    (directory / "assay.toml").write_text(SPEC)
    # No product of the build: the program is a file of the source, static, so that it needs nothing of the base.
    compiler = ["cc", "-O1", "-static", f"-DOPENS={OPENS}", "-x", "c", "-", "-o", str(directory / "opens")]
    subprocess.run(compiler, input=PROGRAM.encode(), check=True)
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "A million opens"]):
        subprocess.run(["git", *identity, *arguments], cwd=directory, check=True)
    run([bench.assay, "lock", "--json"], directory, variables, bench.log)
    rows = [
        bench.row("trace of 1e6 opens, CPU", "s", "strace -f -o"),
        bench.row("trace of 1e6 opens, bytes an event", "B", "the limit"),
        bench.row("trace of 1e6 opens, bytes", "B", "strace -f -o"),
        bench.row("trace of 1e6 opens, memory of the command", "MiB", "the limit"),
        bench.row("trace of 1e6 opens, memory of the supervisor", "MiB", "the limit"),
    ]
    for number in range(bench.runs(10)):
        bench.say(f"trace {number + 1}: ours, strace")
        with Watched(bench.assay) as watched:
            # The first build is compared with nothing; later ones are built again.
            again = ["--again"] if number else []
            ours = run([bench.assay, "build", *again, "--json"], directory, variables, bench.log)
        report = json.loads(ours.stdout)
        value = report["trace"].removeprefix("sha256:")
        size = (Path(variables["ASSAY_HOME"]) / "data/blobs/sha256" / value[:2] / value[2:]).stat().st_size
        counted = json.loads(run([bench.assay, "trace", report["trace"], "--json"], directory, variables, bench.log).stdout)
        if counted["accesses"] < OPENS or counted["lost"]:
            raise RaceError(f"the trace does not tell of all: {counted}")
        of_steps = run([bench.assay, "trace", report["trace"]], directory, variables, bench.log).stdout.splitlines()
        ends = (json.loads(line) for line in of_steps if line.startswith(b'{"event":"end"'))
        steps_cpu_s = max((end["cpu_us"] for end in ends), default=0) / 1e6
        out = bench.work / "strace-out"
        theirs = run(["strace", "-f", "-o", str(out), "./opens"], directory, variables, bench.log)
        rows[0].add(ours.cpu_s + steps_cpu_s, theirs.cpu_s)
        rows[1].add(size / counted["accesses"], EVENT_BYTES_MAX)
        rows[2].add(size, out.stat().st_size)
        rows[3].add(watched.command_kib / 1024, MEMORY_MAX_MIB)
        rows[4].add(watched.supervisor_kib / 1024, MEMORY_MAX_MIB)
        out.unlink()
