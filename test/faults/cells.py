"""What a cell of the fault matrix is: a fault, and what must be true of it."""

import dataclasses
import typing

AGAIN = "again"    # the page is asked for again; if that is no use, the list fails, and is tried again after seconds
LASTS = "lasts"    # the list fails at once: asking again is no use
STORED = "stored"  # all is well: the fetch is ok


@dataclasses.dataclass
class Cell:
    what: str
    fault: typing.Any             # what Middle.arm takes
    then: str
    state: str = ""               # pattern: SQLSTATE of the warning of a call, and of the error of a query
    says: str = ""                # pattern: what they say, and sync_status
    status: str = "failed"        # of the list, unless STORED
    pages: tuple = (1, 2, 3)      # of three
    options: dict = dataclasses.field(default_factory=dict)  # of the server while it lasts
    counted: bool = True          # the middle sees each attempt, so that the fault can act once
    check: typing.Callable = None  # of STORED: check(place, page) sees to it that what is stored is right; else all is
    kept: str = ""                # what is stored then, in words, if not what Kombo has
    live: str = None              # what a query says that ends with an error, SQLSTATE 08P01, if the rest do not
    tls: bool = False             # over https
    fronts: tuple = ("call", "worker", "live")
