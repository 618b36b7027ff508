"""What every race needs: processes with their CPU seconds, and rows of ratios."""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class RaceError(Exception):
    """A race that could not be run."""


@dataclass
class Row:
    """One line of the table: what ours and the peer needed or reached in each pair of runs."""

    race: str
    unit: str
    peer_name: str
    ours: list = field(default_factory=list)
    peer: list = field(default_factory=list)
    remark: str = ""

    def add(self, ours, peer):
        self.ours.append(ours)
        self.peer.append(peer)

    def ratios(self):
        return [ours / peer for ours, peer in zip(self.ours, self.peer) if peer > 0]

    def to_json(self):
        ratios = self.ratios()
        spread = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)} if ratios else None
        return {
            "race": self.race,
            "unit": self.unit,
            "peer_name": self.peer_name,
            "ours": self.ours,
            "peer": self.peer,
            "ratio": spread,
            "runs": len(self.ours),
            "remark": self.remark,
        }

    def cells(self):
        ratios = self.ratios()
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else "–"
        ours = f"{statistics.median(self.ours):.4g} {self.unit}"
        peer = f"{statistics.median(self.peer):.4g} {self.unit}, {self.peer_name}"
        return [self.race, ours, peer, ratio, str(len(self.ours))]


@dataclass
class Used:
    """What a process tree used."""

    cpu_s: float
    wall_s: float
    stdout: bytes


def run(argv, cwd, variables=None, log=None):
    """Runs a command to its end; CPU seconds are those of the process and of every descendant that was waited for."""
    log = log or os.devnull
    start = time.monotonic()
    with open(log, "ab") as errors:
        process = subprocess.Popen(argv, cwd=cwd, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        try:
            stdout = process.stdout.read()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
        _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        tail = Path(log).read_bytes()[-2000:] if log != os.devnull else b""
        raise RaceError(f"{' '.join(map(str, argv))} ended with {process.returncode}\n{(stdout[-1000:] + tail).decode(errors='replace')}")
    return Used(usage.ru_utime + usage.ru_stime, wall_s, stdout)


def cpu_s_of(pid):
    """CPU seconds of a live process and of its children, dead or alive."""
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    total = sum(int(ticks) for ticks in stat[11:15]) / TICKS_PER_S
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            total += cpu_s_of(child)
    return total


def print_table(rows):
    """Prints rows as a Markdown table."""
    head = ["race", "ours", "peer or limit", "ratio: median (min–max)", "runs"]
    lines = [head] + [row.cells() for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if number == 0:
            print("| " + " | ".join("-" * width for width in widths) + " |")
