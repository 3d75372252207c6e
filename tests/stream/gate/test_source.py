import pytest

from stream.gate.source import pause_after
from stream.settings import GateSettings


@pytest.mark.parametrize(
    ("took_s", "pause_s"), [(0.0, 2.0), (0.1, 2.0), (0.3, 6.0), (0.5, 10.0), (60.0, 10.0)]
)
def test_checkpoints_keep_to_their_share_of_the_time_within_limits(took_s: float, pause_s: float) -> None:
    settings = GateSettings(checkpoint_s=2.0, checkpoint_share=0.05)
    assert pause_after(took_s, settings) == pytest.approx(pause_s)
