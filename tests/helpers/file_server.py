"""A server on this machine that offers the files of a folder."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Interrupted(Silent):
    """Promises whole files and hangs up after half of each."""

    def copyfile(self, source: object, outputfile: object) -> None:
        content = source.read()
        outputfile.write(content[: len(content) // 2])


@contextmanager
def serving(folder: Path, interrupted: bool = False) -> Iterator[str]:
    """Serve a folder during the block; yields the address, with a slash at its end."""
    handler = partial(Interrupted if interrupted else Silent, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
