"""Asks an NBD server whether it has an export. The few bytes of the handshake that it takes; no data is read or written."""

import socket
import struct

MAGIC = b"NBDMAGIC"
OPTION = b"IHAVEOPT"
FIXED_NEWSTYLE_AND_NO_ZEROES = 3
OPT_INFO = 6
REPLY_MAGIC = 0x3E889045565A9
REP_ACK = 1
REP_INFO = 3
REP_ERR_UNKNOWN = (1 << 31) + 6
TIMEOUT_SECONDS = 60


def has_export(host, port, name):
    """True for a name that the server lets in, False for one that it does not know."""
    with socket.create_connection((host, port), TIMEOUT_SECONDS) as peer:
        stream = peer.makefile("rb")
        greeting = stream.read(18)
        if greeting[:16] != MAGIC + OPTION:
            raise AssertionError("no NBD server on %s:%s: %r" % (host, port, greeting))
        encoded = name.encode()
        payload = struct.pack(">I", len(encoded)) + encoded + struct.pack(">H", 0)
        peer.sendall(struct.pack(">I", FIXED_NEWSTYLE_AND_NO_ZEROES))
        peer.sendall(OPTION + struct.pack(">II", OPT_INFO, len(payload)) + payload)
        while True:
            magic, _, kind, length = struct.unpack(">QIII", stream.read(20))
            stream.read(length)
            if magic != REPLY_MAGIC:
                raise AssertionError("not a reply of an NBD server: %#x" % magic)
            if kind == REP_INFO:
                continue
            if kind in (REP_ACK, REP_ERR_UNKNOWN):
                return kind == REP_ACK
            raise AssertionError("the NBD server answers %#x" % kind)
