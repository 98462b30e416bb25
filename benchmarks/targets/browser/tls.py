"""Where this machine is in the local network, and a certificate for it that lives as long as the script."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from training.commandline import UserError


class TlsError(UserError):
    """There is no certificate; the message says why."""


def own_address() -> str:
    """This machine's address in the local network; 127.0.0.1 without one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation: only the route is looked up
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@dataclass(frozen=True)
class Certificate:
    """Signed by itself: browsers warn of it. sha256: in hexadecimal, as a browser shows it."""

    context: ssl.SSLContext
    sha256: str

    @classmethod
    def new(cls, address: str, folder: Path) -> Certificate:
        """For `address`, valid for one day; its key stays in `folder`.

        Raises:
            TlsError: there is no openssl, or it fails.
        """
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        _make(address, key, certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        binary = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        return cls(context, hashlib.sha256(binary).hexdigest())


def _make(address: str, key: Path, certificate: Path) -> None:
    try:
        ipaddress.ip_address(address)
        subject = f"IP:{address}"
    except ValueError:
        subject = f"DNS:{address}"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-keyout", str(key), "-out", str(certificate), "-days", "1", "-subj", "/CN=Pocket DSLR",
               "-addext", f"subjectAltName={subject}"]  # fmt: skip
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise TlsError("--https needs the program openssl, which is not installed") from None
    if process.returncode:
        raise TlsError(f"openssl made no certificate: {(process.stderr.strip().splitlines() or ['no word'])[-1]}")
