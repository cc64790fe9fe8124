"""Certificates for 127.0.0.1, made by openssl, as contexts of Python's ssl."""

import functools
import ssl
import subprocess
import threading

CONFIGURATION = """
[ca]
default_ca = here
[here]
database = {0}/index.txt
serial = {0}/serial
new_certs_dir = {0}
default_md = sha256
policy = any
[any]
commonName = supplied
"""


def once(function):
    """As functools.cache, which lets two threads make the same thing at a time."""
    lock, cached = threading.RLock(), functools.cache(function)

    @functools.wraps(function)
    def call(*arguments, **named):
        with lock:
            return cached(*arguments, **named)
    return call


class Certificates:
    """`authority` is the file that the extension trusts."""

    def __init__(self, folder):
        self.folder = folder
        folder.chmod(0o755)
        self.made = 0

    @property
    @once
    def authority(self):
        return self.make_authority("authority")

    @property
    @once
    def other(self):
        return self.make_authority("other")

    def write_trusted(self, middle, authority):
        """Has the file of authorities that is this server's alone hold that one; the file."""
        file = self.folder / f"trusted-{middle.port}.pem"
        file.write_bytes(authority.read_bytes())
        return file

    @property
    @once
    def good(self):
        return self.context("good")

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout

    def make_authority(self, name):
        file = self.folder / f"{name}.pem"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30,
                     "-keyout", file.with_suffix(".key"), "-out", file, "-subj", f"/CN={name}",
                     "-addext", "basicConstraints=critical,CA:TRUE")
        file.chmod(0o644)
        return file

    @once
    def context(self, name, host="IP:127.0.0.1", authority=None, expired=False):
        """A server's context with a certificate of that authority; authority="self": its own."""
        file = self.folder / f"{name}.pem"
        key, request, extensions = (file.with_suffix(end) for end in (".key", ".csr", ".ext"))
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                     request, "-subj", f"/CN={name}")
        extensions.write_text(f"subjectAltName={host}\n", encoding="utf-8")
        issuer = authority or self.authority
        if expired:
            self.sign_expired(request, file, extensions, issuer)
        else:
            signed = ["-signkey", key] if issuer == "self" else [
                "-CA", issuer, "-CAkey", issuer.with_suffix(".key"), "-CAcreateserial"]
            self.openssl("x509", "-req", "-in", request, "-out", file, "-extfile", extensions, "-days", 30, *signed)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file, key)
        return context

    def sign_expired(self, request, file, extensions, issuer):
        """Only `openssl ca` takes dates of the past."""
        for name, text in (("index.txt", ""), ("serial", "1000"), ("ca.cnf", CONFIGURATION.format(self.folder))):
            (self.folder / name).write_text(text, encoding="utf-8")
        self.openssl("ca", "-batch", "-config", self.folder / "ca.cnf", "-cert", issuer, "-keyfile",
                     issuer.with_suffix(".key"), "-in", request, "-out", file, "-notext", "-extfile", extensions,
                     "-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
