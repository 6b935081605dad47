"""TLS as the docker command has it: ca.pem, cert.pem and key.pem of one folder. Imported where it is used."""

from __future__ import annotations

import ssl

from scaffold.engine.endpoint import Endpoint, Tls
from scaffold.errors import EngineUnavailable

_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING", "HTTP_REQUEST")
_CERTIFICATE = "Its folder is DOCKER_CERT_PATH, or that of the docker context: ca.pem, cert.pem and key.pem."


def context(tls: Tls) -> ssl.SSLContext:
    """Return what speaks TLS; variables that name other bundles, for requests or curl, do not count.

    Raises EngineUnavailable for certificates that cannot be used.
    """
    made = ssl.create_default_context()
    # Go, and with it the docker command, takes certificates that leave out what newer rules ask for.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    path = tls.folder
    try:
        if not tls.verifies:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        elif (path := tls.folder / "ca.pem").exists():
            made.load_verify_locations(path)
        if (path := tls.folder / "cert.pem").exists():
            made.load_cert_chain(path, tls.folder / "key.pem")
    except OSError as error:  # ssl.SSLError is one
        said = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise EngineUnavailable(
            f"The engine's certificates cannot be used: {path}: {said or error}.", _CERTIFICATE
        ) from error
    return made


def explained(error: ssl.SSLError, endpoint: Endpoint) -> EngineUnavailable:
    """Return what a failed handshake means."""
    where = f"The Docker engine at {endpoint.host}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return EngineUnavailable(
            f"{where} has a certificate that is not trusted: {error.verify_message}.", _CERTIFICATE
        )
    reason = error.reason or str(error)
    if reason in _NO_TLS:
        return EngineUnavailable(
            f"{where} does not speak TLS ({reason}).",
            "Its port is 2375 then, and `unset DOCKER_TLS_VERIFY`; a port without TLS is open to everybody.",
        )
    if "CERTIFICATE_REQUIRED" in reason or "BAD_CERTIFICATE" in reason or "HANDSHAKE_FAILURE" in reason:
        return EngineUnavailable(f"{where} does not take this user's certificate ({reason}).", _CERTIFICATE)
    return EngineUnavailable(f"{where} cannot be spoken to over TLS ({reason}).", _CERTIFICATE)
