"""Stands between an NFS client and its server, and notes how long the messages are."""

import socket
import struct
import threading

# The highest bit of the mark before each piece of a message says that it is the last one.
LAST = 0x8000_0000


class RpcProxy:
    """Passes everything on to the port on this machine; the longest message each way, in bytes."""

    def __init__(self, port: int):
        self.to_server = 0
        self.to_client = 0
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            for pair in ((client, server, "to_server"), (server, client, "to_client")):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with source.makefile("rb") as pieces, sink:
            length = 0
            while len(head := pieces.read(4)) == 4:
                (mark,) = struct.unpack(">I", head)
                piece = pieces.read(mark & ~LAST)
                length += len(piece)
                if mark & LAST:
                    setattr(self, way, max(getattr(self, way), length))
                    length = 0
                sink.sendall(head + piece)
