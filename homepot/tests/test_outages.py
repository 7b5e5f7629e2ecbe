"""A database that is away is told of once."""

from __future__ import annotations

import logging

import pytest
from django.db import OperationalError, connection

from homepot import outages
from homepot.outages import Outages


def fail(watch: Outages, message: str) -> None:
    with watch.tolerate():
        raise OperationalError(message)


@pytest.fixture
def log(caplog, request):
    if request.node.get_closest_marker("django_db") is None:
        # Whatever ran before: a connection that works would show that there is no outage.
        connection.close()
    caplog.set_level(logging.INFO, logger=outages.__name__)
    return lambda: [record.getMessage() for record in caplog.records]


def test_an_outage_and_its_end_are_logged_once(log):
    watch = Outages()
    with watch.tolerate():
        pass
    for _ in range(3):
        fail(watch, "the server closed the connection")
    for _ in range(2):
        with watch.tolerate():
            pass
    assert log() == [
        "The database does not answer; trying again until it does: "
        "the server closed the connection",
        "The database answers again",
    ]


def test_what_began_before_an_outage_does_not_end_it(log):
    watch = Outages()
    with watch.tolerate():
        fail(watch, "gone")
    assert len(log()) == 1


def test_what_began_in_an_outage_is_not_another_one(log):
    watch = Outages()
    fail(watch, "gone")
    with watch.tolerate():
        with watch.tolerate():
            pass
        raise OperationalError("terminating connection")
    assert len(log()) == 2


@pytest.mark.django_db
def test_an_error_of_a_database_that_answers_is_no_outage(log):
    connection.ensure_connection()
    with pytest.raises(OperationalError):
        fail(Outages(), "database is locked")
    assert not log()


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), Outages().tolerate():
        raise ZeroDivisionError
