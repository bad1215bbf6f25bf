"""How a desk and a terminal host know each other: both show a certificate that one authority has signed."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

HANDSHAKE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The authority both believe, our certificate, and its key."""

    ca: Path
    certificate: Path
    key: Path


def for_desk(files: TlsFiles) -> ssl.SSLContext:
    """The desk believes only this authority, and only a host that has the name it was called by."""
    return _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files)


def for_host(files: TlsFiles) -> ssl.SSLContext:
    """The host talks to nobody who does not show a certificate of this authority."""
    return _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files)


def _strict(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(files.ca)
    context.load_cert_chain(files.certificate, files.key, password="")
    return context


def keep_alive(sock: socket.socket) -> None:
    """Notice within two minutes that the other machine has gone without a word."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
