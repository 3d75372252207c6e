"""The faults. Each does its harm to a run at seeded moments, notes it, and leaves all servers running.

A new kind of fault is a function in :data:`FAULTS`.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from kafka.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .driver import Run

__all__ = ["FAULTS"]

SESSION_S = 6.0
MOST_WORKERS = 4
# A controller fences a node that is silent for 9 s (``broker.session.timeout.ms``) and elects at once.
ELECTION_S = 60.0


def kill(run: Run) -> None:
    """Kill some or all workers, at one time or one after the other, and start them again."""
    count = len(run.fleet.alive)
    names = run.rng.sample(run.fleet.alive, run.rng.choice([1, count, count]))
    spread = run.rng.choice([0.0, 0.6])
    for name in names:
        run.fleet.kill(name)
        run.fault("kill worker", kills=1, worker=name)
        run.pause(0.0, spread)
    run.pause(0.0, 0.5)
    for name in names:
        run.fleet.start(name)


def kill_starting(run: Run) -> None:
    """Kill a worker, and again while it is taking its partitions over."""
    name = run.rng.choice(run.fleet.alive)
    run.fleet.kill(name)
    run.fault("kill worker", kills=1, worker=name)
    run.fleet.start(name)
    for _ in range(run.rng.randint(1, 2)):
        run.pause(3.0, 8.0)
        run.fleet.tend()
        name = run.rng.choice(run.fleet.alive)
        run.fleet.kill(name)
        run.fault("kill worker while another starts", kills=1, worker=name)
        run.fleet.start(name)


def storm(run: Run) -> None:
    """Kill all workers and Valkey in the same moment."""
    names = list(run.fleet.alive)
    for name in names:
        run.fleet.kill(name)
        run.fault("kill worker", kills=1, worker=name)
    _crash_valkey(run)
    for name in names:
        run.fleet.start(name)


def _crash_valkey(run: Run) -> None:
    run.servers.kill_valkey()
    run.fault("kill Valkey", kills=1)
    run.servers.start_valkey()


def zombie(run: Run) -> None:
    """Stop a worker for longer than its session, so that others take over; then let it go on."""
    name = run.rng.choice(run.fleet.alive)
    run.fleet.signal(name, signal.SIGSTOP)
    run.fault("stop worker", worker=name)
    until = time.monotonic() + SESSION_S + run.rng.uniform(1.5, 4.0)
    others = [other for other in run.fleet.alive if other != name]
    if others and run.rng.random() < 0.5:
        run.pause(0.5, 2.0)
        other = run.rng.choice(others)
        run.fleet.kill(other)
        run.fault("kill worker beside a stopped one", kills=1, worker=other)
        run.fleet.start(other)
    if run.rng.random() < 0.5:
        _crash_valkey(run)
    run.wait(lambda: time.monotonic() > until, 60.0)
    run.fleet.signal(name, signal.SIGCONT)
    run.fault("continue worker", worker=name)


def valkey(run: Run) -> None:
    """Kill Valkey once or more, in half of the cases a worker with it, and start it on its data."""
    for _ in range(run.rng.randint(2, 4)):
        run.servers.kill_valkey()
        run.fault("kill Valkey", kills=1)
        victim = run.rng.choice(run.fleet.alive) if run.rng.random() < 0.5 else None
        if victim is not None:
            run.pause(0.0, 0.3)
            run.fleet.kill(victim)
            run.fault("kill worker while Valkey is away", kills=1, worker=victim)
        run.pause(0.0, 1.5)
        run.servers.start_valkey()
        if victim is not None:
            run.fleet.start(victim)
        run.pause(0.3, 1.5)


def broker(run: Run) -> None:
    """Restart the broker, killed or in order; in half of the cases a worker dies while it is away."""
    if run.rng.random() < 0.5:
        run.servers.kafka.kill()
        run.fault("kill broker", kills=1)
    else:
        run.servers.kafka.stop()
        run.fault("stop broker")
    victim = run.rng.choice(run.fleet.alive) if run.rng.random() < 0.5 else None
    if victim is not None:
        run.pause(0.0, 1.0)
        run.fleet.kill(victim)
        run.fault("kill worker while the broker is away", kills=1, worker=victim)
    run.servers.kafka.start()
    run.fault("broker is back")
    if victim is not None:
        run.fleet.start(victim)


def broker_node(run: Run) -> None:
    """Kill one node of several that leads partitions of the events, until others lead them; then start it again.

    In half of the cases a worker dies while the node is away. Only a cluster of three stands this.
    """
    topics = run.kafka.event_topic_names()
    leaders = run.servers.leaders(topics)
    victim = run.rng.choice(sorted(set(leaders.values())))
    led = [place for place, node in leaders.items() if node == victim]
    run.servers.kafka.kill(victim)
    killed = time.monotonic()
    run.fault("kill broker node", kills=1, node=victim, led=len(led))
    name = run.rng.choice(run.fleet.alive) if run.rng.random() < 0.5 else None
    if name is not None:
        run.pause(0.0, 8.0)
        run.fleet.kill(name)
        run.fault("kill worker while a broker node is away", kills=1, worker=name)
        run.fleet.start(name)

    def moved() -> bool:
        try:
            now = run.servers.leaders(topics)
        except KafkaError:
            return False  # the client may still ask the one that is dead
        return not any(now[place] in {victim, -1} for place in led)

    if run.wait(moved, ELECTION_S):
        run.fault(
            "partitions have other leaders", after=round(time.monotonic() - killed, 1), partitions=len(led)
        )
    if run.await_progress():
        run.fault("events flow without the node")
    run.servers.kafka.start(victim)
    run.fault("broker node is back", node=victim)
    # Another may be lost only when this one has caught up: two nodes must acknowledge.
    if not run.wait(lambda: run.servers.whole(topics), ELECTION_S):
        raise RuntimeError(f"node {victim} did not catch up within {ELECTION_S:g} s")


def cut(run: Run) -> None:
    """Sever connections to the broker and to Valkey, for a moment or for some seconds."""
    for _ in range(run.rng.randint(3, 6)):
        proxies, what = run.rng.choice(
            [(run.servers.kafka_proxies, "broker"), ([run.servers.redis_proxy], "Valkey")]
        )
        share, refusing = run.rng.choice([0.3, 0.7, 1.0]), run.rng.random() < 0.4
        for proxy in proxies:
            proxy.refuse(refusing)
        severed = sum(proxy.sever(run.rng, share) for proxy in proxies)
        run.fault(f"cut connections to {what}", connections=severed)
        run.pause(0.1, 1.5)
        for proxy in proxies:
            proxy.refuse(False)
        if run.rng.random() < 0.3:
            run.fault("CLIENT KILL in Valkey", connections=run.servers.cut_clients())
        run.pause(0.0, 0.6)


def scale(run: Run) -> None:
    """Add a worker, or remove one in order, while another is killed in half of the cases."""
    if len(run.fleet.alive) < MOST_WORKERS and (len(run.fleet.alive) < 3 or run.rng.random() < 0.5):
        run.fault("add worker", worker=run.fleet.start())
    else:
        name = run.rng.choice(run.fleet.alive)
        run.fault("remove worker", worker=name)
        run.fleet.stop(name)
    if run.rng.random() < 0.5:
        run.pause(0.0, 4.0)
        run.fleet.tend()
        other = run.rng.choice(run.fleet.alive)
        run.fleet.kill(other)
        run.fault("kill worker while the group changes", kills=1, worker=other)
        run.fleet.start(other)


def rules(run: Run) -> None:
    """Change the rules, once or more, while workers die."""
    for _ in range(run.rng.randint(1, 3)):
        run.fault("change rules", version=run.change_rules())
        if run.rng.random() < 0.6:
            run.pause(0.0, 0.7)
            name = run.rng.choice(run.fleet.alive)
            run.fleet.kill(name)
            run.fault("kill worker while rules change", kills=1, worker=name)
            run.fleet.start(name)
        run.pause(0.0, 1.5)
        run.fleet.tend()


FAULTS: dict[str, Callable[[Run], None]] = {
    "kill": kill,
    "kill_starting": kill_starting,
    "storm": storm,
    "zombie": zombie,
    "valkey": valkey,
    "broker": broker,
    "broker_node": broker_node,
    "cut": cut,
    "scale": scale,
    "rules": rules,
}
