"""The processes of a run (进程): real web and worker processes, killed and started again at once.

Made by ``site``; the runs kill through it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_STOP_S = 30.0
_TRACEBACK = "Traceback (most recent call last)"


class Crew:
    """Named processes of ``python -m server``; each writes its log into the run's folder."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        others = {name: value for name, value in os.environ.items() if "GONGDIAN_" not in name}
        self._environment = {**others, **environment}
        self._folder = folder
        self._commands: dict[str, str] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.fallen: list[str] = []

    def start(self, name: str, command: str) -> None:
        """Start ``python -m server COMMAND``."""
        self._commands[name] = command
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "server", command],
                cwd=_ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def pid(self, name: str) -> int:
        """The process id of the one that runs now."""
        return self._running[name].pid

    def workers(self) -> list[str]:
        """The names of the workers."""
        return [name for name, command in self._commands.items() if command == "worker"]

    def kill(self, name: str) -> None:
        """SIGKILL one and start it again at once."""
        process = self._running[name]
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.start(name, self._commands[name])

    def look_after(self) -> None:
        """Start again what fell by itself; a run in which something fell has failed."""
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                self.fallen.append(f"{name} ended by itself with status {process.returncode}")
                self.start(name, self._commands[name])

    def operate(self, *arguments: str) -> int:
        """Run one command of an operator to its end; returns its status."""
        with (self._folder / "operator.log").open("ab") as log:
            return subprocess.run(
                [sys.executable, "-m", "server", *arguments],
                cwd=_ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode

    def tracebacks(self) -> list[str]:
        """The ends of tracebacks in the logs: nothing that is injected may cause one."""
        found = []
        for path in sorted(self._folder.glob("*.log")):
            lines = iter(path.read_text("utf-8", "replace").splitlines())
            for line in lines:
                if _TRACEBACK in line:
                    found.append(f"{path.stem}: {_end_of_traceback(line, lines)[-300:]}")
        return found

    def stop(self) -> None:
        """Stop all as an operator would; what does not stop is killed."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _end_of_traceback(line: str, following: Iterator[str]) -> str:
    """What was raised; a log line holds its traceback whole, a dying process prints lines."""
    if not line.startswith(_TRACEBACK):
        return line
    return next((text for text in following if text and not text.startswith(" ")), line)
