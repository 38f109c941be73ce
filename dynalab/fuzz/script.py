"""A failing case as a script: it sends the same bytes again, whatever they are."""

from __future__ import annotations

import base64
import shlex
import textwrap
import zlib

from dynalab.fuzz.cases import Case

PLAIN_BYTES_MAX = 3_000


def repeat(case: Case, url: str) -> str:
    """A shell line with curl for a small whole request, else a Python script that writes to a socket.

    >>> data = b"POST / HTTP/1.1\\r\\nX-A: b\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
    >>> print(repeat(Case("as made", data, 1), "http://h:1"))
    curl -si http://h:1/ -H 'X-A: b' --data-binary '{}'
    >>> repeat(Case("no HTTP", b"hello", 1), "http://h:1").splitlines()[0]
    'import base64, socket, zlib'
    """
    head, blank, content = case.data.partition(b"\r\n\r\n")
    text = content.decode("utf-8", "replace")
    whole = blank and head.startswith(b"POST / HTTP/1.1\r\n") and case.answers == 1 and len(case.data) < PLAIN_BYTES_MAX
    lines = head.decode("latin-1").split("\r\n")[1:]
    if whole and b"\x00" not in content and text.encode() == content and not any("chunked" in each for each in lines):
        headers = " ".join(
            f"-H {shlex.quote(each)}" for each in lines if not each.startswith(("Host", "Content-Length"))
        )
        return f"curl -si {url}/ {headers} --data-binary {shlex.quote(text)}"
    packed = base64.b64encode(zlib.compress(case.data, 9)).decode()
    quoted = "\n".join(f'    "{each}"' for each in textwrap.wrap(packed, 110))
    host, _, port = url.rpartition("//")[2].partition(":")
    return (
        "import base64, socket, zlib\n\n"
        f'line = socket.create_connection(("{host}", {port}))\n'
        f"line.sendall(zlib.decompress(base64.b64decode(\n{quoted}\n)))\n"
        f"{'line.shutdown(socket.SHUT_WR)' if case.ends else ''}\n"
        "line.settimeout(5)\nwhile data := line.recv(65536):\n    print(data)\n"
    )
