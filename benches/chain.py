"""The races of the command line: the observed build, and commands with nothing to do."""

import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

from measure import RaceError, run


class Project:
    """A copy of the example in a home of its own, locked and built once; and the same files for a bare build."""

    def __init__(self, bench):
        self.bench = bench
        self.directory = bench.work / "greeter"
        self.variables = dict(os.environ, ASSAY_HOME=str(bench.work / "home"))
        for name in ("ASSAY_SERVER", "ASSAY_TOKEN"):
            self.variables.pop(name, None)
        ignore = shutil.ignore_patterns("target")
        shutil.copytree(bench.root / "examples/greeter", self.directory, ignore=ignore)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("The service as it is")
        self.assay("init")
        self.assay("lock")
        self.commit("Describe and pin the build")
        bench.say("first build of examples/greeter")
        self.assay("build")

    def git(self, *arguments):
        identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=self.directory, check=True, stdout=subprocess.DEVNULL)

    def commit(self, message):
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", message)

    def assay(self, *arguments):
        return run([self.bench.assay, *arguments, "--json"], self.directory, self.variables, self.bench.log)

    def steps_cpu_s(self, trace):
        """CPU seconds of a run's steps: those of each step's first process, with all that it waited for."""
        printed = run([self.bench.assay, "trace", trace], self.directory, self.variables, self.bench.log)
        first, cpu_us = set(), 0
        for line in printed.stdout.splitlines():
            event = json.loads(line)
            if event["event"] in ("fork", "process") and event["parent"] is None:
                first.add(event["id"])
            elif event["event"] == "end" and event["process"] in first:
                cpu_us += event["cpu_us"]
        if not cpu_us:
            raise RaceError("the trace tells of no CPU time")
        return cpu_us / 1e6


class Bare:
    """The same steps without assay: the same compiler and crates, on a tmpfs, with the variables of a plan."""

    def __init__(self, bench, project):
        self.bench = bench
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.root = Path(tempfile.mkdtemp(prefix="assay-bench-", dir=memory))
        self.directory = self.root / "build"
        shutil.copytree(project.directory, self.directory, ignore=shutil.ignore_patterns(".git"))
        config = run(["cargo", "vendor", "--locked", str(self.root / "vendor")], self.directory, None, bench.log)
        (self.directory / ".cargo").mkdir()
        (self.directory / ".cargo/config.toml").write_bytes(config.stdout)
        with open(project.directory / "assay.toml", "rb") as file:
            spec = tomllib.load(file)
        self.steps = [step["run"] for step in spec["step"]]
        self.cpus = str(spec["build"]["cpus"])
        sysroot = run(["rustc", "--print", "sysroot"], self.directory).stdout.decode().strip()
        self.cargo = f"{sysroot}/bin/cargo"
        self.variables = self.plan_variables(sysroot)

    def plan_variables(self, sysroot):
        return {
            "HOME": str(self.root / "home"),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{sysroot}/bin:/usr/bin:/bin:/usr/sbin",
            "SOURCE_DATE_EPOCH": "1",
            "TMPDIR": str(self.root),
            "TZ": "UTC",
            "USER": "builder",
            "CARGO_BUILD_JOBS": self.cpus,
            "CARGO_HOME": str(self.root / "home/.cargo"),
            "CARGO_INCREMENTAL": "0",
            "CARGO_NET_OFFLINE": "true",
        }

    def build(self, *before):
        shutil.rmtree(self.directory / "target", ignore_errors=True)
        return self.again(*before)

    def is_built(self):
        return (self.directory / "target").exists()

    def again(self, *before):
        used = [run([*before, *self.absolute(step)], self.directory, self.variables, self.bench.log) for step in self.steps]
        return sum(one.cpu_s for one in used), sum(one.wall_s for one in used)

    def absolute(self, step):
        return [self.cargo if step[0] == "cargo" else step[0], *step[1:]]

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)


def build(bench):
    """The observed build, the same build bare, and under `strace -f`, in turn."""
    if not shutil.which("strace"):
        raise RaceError("`strace` is needed: apt-get install strace")
    project, bare = bench.project(), bench.bare()
    rows = [
        bench.row("build, CPU", "s", "bare"),
        bench.row("build, CPU", "s", "strace -f"),
        bench.row("build, wall of the run statement", "s", "bare"),
        bench.row("build, wall of the whole command", "s", "bare"),
    ]
    for number in range(bench.runs(10)):
        bench.say(f"build {number + 1}: ours, bare, strace")
        ours = project.assay("build", "--again")
        report = json.loads(ours.stdout)
        if report["cached"] or not report["rebuilt"]["equal"]:
            raise RaceError(f"`assay build --again` did not build, or not the same: {report}")
        bare_cpu_s, bare_wall_s = bare.build()
        strace_cpu_s, _ = bare.build("strace", "-f", "-o", "/dev/null", "--")
        # The steps are children of the sandbox's own init, so the caller's figure holds the tracer and not them.
        ours_cpu_s = ours.cpu_s + project.steps_cpu_s(report["trace"])
        rows[0].add(ours_cpu_s, bare_cpu_s)
        rows[1].add(ours_cpu_s, strace_cpu_s)
        rows[2].add(report["duration_ms"] / 1000, bare_wall_s)
        rows[3].add(ours.wall_s, bare_wall_s)
        for row in rows:
            row.remark = f"level {report['level']}, complete: {report['complete']}, {report['undeclared']} undeclared"


def unchanged(bench):
    """`assay build` and `assay lock` with nothing changed, beside `cargo build` with nothing changed."""
    project, bare = bench.project(), bench.bare()
    rows = [
        bench.row("unchanged build, wall", "s", "cargo build"),
        bench.row("unchanged build, CPU", "s", "cargo build"),
        bench.row("unchanged lock, wall", "s", "the goal"),
        bench.row("unchanged lock, CPU", "s", "the goal"),
    ]
    if not bare.is_built():
        bare.build()
    project.assay("lock")
    for _ in range(bench.runs(10)):
        ours = project.assay("build", "--recheck", "0")
        if not json.loads(ours.stdout)["cached"]:
            raise RaceError("`assay build` built although nothing changed")
        cargo_cpu_s, cargo_wall_s = bare.again()
        lock = project.assay("lock")
        rows[0].add(ours.wall_s, cargo_wall_s)
        rows[1].add(ours.cpu_s, cargo_cpu_s)
        rows[2].add(lock.wall_s, 1.0)
        rows[3].add(lock.cpu_s, 1.0)
