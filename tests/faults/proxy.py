"""A way to Redis that breaks in the middle of an answer."""

import contextlib
import socket
import threading


class Proxy:
    """Passes connections on to a port, until it is told to cut them."""

    def __init__(self, target: int):
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        # Bytes of answers that still pass; `None` for all.
        self._left: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def cut_after(self, count: int) -> None:
        """Lets so many bytes of answers pass and then cuts every connection."""
        self._left = count

    def close(self) -> None:
        self._listener.close()
        self._cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._take()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                self._pairs.append((client, server))
                for ends in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _take(self) -> socket.socket:
        return self._listener.accept()[0]

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if answers and self._left is not None:
                    data, self._left = data[: self._left], max(0, self._left - len(data))
                    sink.sendall(data)
                    if self._left == 0:
                        self._left = None
                        self._cut()
                        return
                else:
                    sink.sendall(data)
        for end in (source, sink):
            end.close()

    def _cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
