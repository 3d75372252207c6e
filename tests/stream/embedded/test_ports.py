from __future__ import annotations

import os
import socket

import pytest

from stream.embedded.errors import PortInUseError
from stream.embedded.ports import LOOPBACK, answers, free_ports, require_free


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(8)
    assert len(set(ports)) == 8
    for port in ports:
        assert require_free(port, purpose="test") == port


def test_a_taken_port_is_refused_by_number_purpose_and_holder() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortInUseError) as refused:
            require_free(port, purpose="broker")
    assert f"broker port 127.0.0.1:{port}" in str(refused.value)
    assert f"pid {os.getpid()}" in str(refused.value)
    assert refused.value.way_out


def test_a_port_taken_on_every_interface_is_taken_on_loopback_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener, pytest.raises(PortInUseError):
        require_free(listener.getsockname()[1], purpose="broker")


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(PortInUseError, match="expected 1 to 65535"):
        require_free(port, purpose="broker")


def test_answers_tells_a_listener_from_silence() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        assert answers(port)
    assert not answers(port)
