"""A device at the end of adb that never becomes usable: python fake_device.py PORT unauthorized|offline

It speaks enough of adb's protocol for the real adb to list it: a phone that waits for its owner's answer, or one that
took the connection and says nothing.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading

HEADER = struct.Struct("<4s5I")  # command, two arguments, length and sum of the payload, complement of the command
TOKEN, SIGNATURE = 1, 2


def message(command: bytes, first: int, second: int, payload: bytes) -> bytes:
    complement = int.from_bytes(command, "little") ^ 0xFFFFFFFF
    return HEADER.pack(command, first, second, len(payload), sum(payload) & 0xFFFFFFFF, complement) + payload


def serve(connection: socket.socket, authorizes: bool) -> None:
    stream = connection.makefile("rb")
    while header := stream.read(HEADER.size):
        command, first, _, length, _, _ = HEADER.unpack(header)
        stream.read(length)
        if authorizes and (command == b"CNXN" or (command == b"AUTH" and first == SIGNATURE)):
            connection.sendall(message(b"AUTH", TOKEN, 0, os.urandom(20)))


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
        print("ready", flush=True)
        while True:
            accepted, _ = server.accept()
            threading.Thread(target=serve, args=(accepted, sys.argv[2] == "unauthorized"), daemon=True).start()
