"""Generates the blocking client from the asynchronous one. With --check it only fails if the generated files differ.

`aio.py` becomes `blocking.py`, and each file of `_internal/aio` one of the same name in `_internal/blocking`: the
keywords `async` and `await` go, names lose their prefix `Async`, and the few names and phrases below are replaced. ruff
sorts the imports, simplifies the loops that are now plain ones, and formats.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "clients/src/privacyplease/client"

NAMES = {
    "aio": "blocking",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "open_async": "open_blocking",
    "async_upload": "upload",
}

# Replaced first, and wherever they are: in code, comments and docstrings.
PHRASES = {
    # gRPC's two APIs are not quite twins.
    "grpc.aio.UnaryStreamCall[_Request, _Response]": "grpc.CallIterator[_Response]",
    "channel.close(grace=None)": "channel.close()",
    "grpc.aio": "grpc",
    # The two clients are used in different ways.
    "The client for asyncio. Create, use and close it in one event loop.": (
        "The client for synchronous code. Threads may share it."
    ),
    "Create, use and close it in one event loop.": "Threads may share it.",
    "`AsyncClient`": "`Client`",
}

# Sorted imports, `list(…)` for a comprehension that only copies, `yield from` for a loop that only yields, one `with`
# for two that are nested.
RUFF_FIXES = "I,C416,UP028,SIM117"

_PROSE = re.compile(r"\b(?:await|async) ")


def main() -> int:
    """Generates, or checks.

    Returns:
        0 if all files are as generated; 1 if one is not.
    """
    generated = {target: _generated(source) for source, target in _files()}
    stale = [file for file, text in generated.items() if not file.exists() or file.read_text() != text]
    left_over = set((CLIENT / "_internal/blocking").glob("*.py")) - set(generated)
    if "--check" not in sys.argv:
        for file in stale:
            file.parent.mkdir(exist_ok=True)
            file.write_text(generated[file])
        for file in left_over:
            file.unlink()
        return 0
    for file in sorted({*stale, *left_over}):
        print(f"error: {file.relative_to(ROOT)} is not as generated from the asynchronous client", file=sys.stderr)
    if stale or left_over:
        print("hint: make client", file=sys.stderr)
    return 1 if stale or left_over else 0


def _files() -> Iterator[tuple[Path, Path]]:
    """Each source, and what is generated from it."""
    yield CLIENT / "aio.py", CLIENT / "blocking.py"
    for source in sorted(CLIENT.glob("_internal/aio/*.py")):
        yield source, CLIENT / "_internal/blocking" / source.name


def _generated(source: Path) -> str:
    header = f"# Generated from {source.relative_to(CLIENT)} by scripts/blocking_client.py; do not edit.\n"
    text = header + blocking(source.read_text())
    text = _ruff("check", "--quiet", "--fix", "--unsafe-fixes", "--exit-zero", f"--select={RUFF_FIXES}", text=text)
    return _ruff("format", "--quiet", text=text)


def blocking(text: str) -> str:
    """Asynchronous Python source as the same source without `async` and `await`."""
    for phrase, replacement in PHRASES.items():
        text = text.replace(phrase, replacement)
    lines = text.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for token in reversed(tokens):  # from the end, so that the positions before an edit stay right
        replacement = _replacement(token)
        if replacement != token.string:
            _replace(lines, token, replacement)
    return "".join(lines)


def _replacement(token: tokenize.TokenInfo) -> str:
    if token.type in (tokenize.STRING, tokenize.COMMENT):
        return _PROSE.sub("", token.string)
    if token.type != tokenize.NAME:
        return token.string
    if token.string in ("async", "await"):
        return ""
    return NAMES.get(token.string) or token.string.removeprefix("Async").replace("AsyncStub", "Stub")


def _replace(lines: list[str], token: tokenize.TokenInfo, replacement: str) -> None:
    (first, start), (last, end) = token.start, token.end
    before, after = lines[first - 1][:start], lines[last - 1][end:]
    lines[first - 1 : last] = [before + replacement + (after if replacement else after.lstrip(" "))]


def _ruff(*arguments: str, text: str) -> str:
    ruff = str(Path(sys.executable).with_name("ruff"))
    command = [ruff, *arguments, "--stdin-filename", str(CLIENT / "generated.py"), "-"]
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
