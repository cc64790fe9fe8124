"""All cells, by group."""

from body_faults import BODY
from clock_faults import CLOCK
from http2_faults import HTTP2
from http_faults import HTTP, STATUSES
from network_faults import NETWORK, PROXY, TLS

GROUPS = {"network": NETWORK, "proxy": PROXY, "tls": TLS, "http2": HTTP2, "http": HTTP, "statuses": STATUSES,
          "body": BODY, "clock": CLOCK}
