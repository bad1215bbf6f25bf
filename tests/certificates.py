"""An authority of the test's own, and certificates it signs: what openssl would make, without openssl."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PURPOSES = {"host": ExtendedKeyUsageOID.SERVER_AUTH, "desk": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True)
class Papers:
    """Files for one side: the authority it believes, its certificate, its key."""

    ca: Path
    certificate: Path
    key: Path


class Authority:
    """Signs certificates of ``host`` and ``desk`` into a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = (self._builder(self._subject, self._key.public_key())
                             .add_extension(constraints, critical=True).sign(self._key, hashes.SHA256()))
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def papers(self, purpose: str, *names: str, days: int = 1, believing: Path | None = None) -> Papers:
        """Papers of a ``host`` that answers to these names or addresses, or of a ``desk``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, purpose)])
        builder = (self._builder(subject, key.public_key(), days)
                   .add_extension(x509.ExtendedKeyUsage([_PURPOSES[purpose]]), critical=False))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        stem = f"{self._name}-{purpose}-{'-'.join(names)}-{days}"
        certificate, private = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                              serialization.NoEncryption()))
        return Papers(believing or self.ca, certificate, private)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int = 1) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self._subject).public_key(key)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now + timedelta(days=min(days, 0) - 1)).not_valid_after(now + timedelta(days=days)))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
