"""Statements that other sessions' locks may keep from being done."""

import contextlib

import psycopg


@contextlib.contextmanager
def unless_locked():
    """What cannot be done because of a lock, one of other steps or the worker's, is not done."""
    try:
        yield
    except (psycopg.errors.LockNotAvailable, psycopg.errors.ObjectInUse, psycopg.errors.DeadlockDetected):
        pass
