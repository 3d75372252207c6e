"""Fetches Apache Kafka's jars through Maven, once, into a cache folder."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from stream.embedded.errors import EmbeddedError, PartMissingError

__all__ = ["KAFKA_VERSION", "default_cache", "java_binary", "java_major", "kafka_jars"]

KAFKA_VERSION = "4.1.1"
# The broker of Kafka 4 is compiled for this release (KIP-1013).
_JAVA_NEEDED = 17
# Kafka 4 is built against slf4j 1.7; a newer backend would not be found by it.
_SLF4J_VERSION = "1.7.36"
_FETCH_TIMEOUT_S = 600
_WAY_OUT = (
    "Install Java 17 or newer and Maven (Debian: apt-get install openjdk-17-jre-headless maven), "
    "use the broker tansu, or give an external Kafka's address."
)

_POM = """<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>nearline</groupId><artifactId>kafka-jars</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{kafka}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>{slf4j}</version>
    </dependency>
  </dependencies>
</project>
"""


def default_cache(version: str = KAFKA_VERSION) -> Path:
    """Return the cache folder of a version: ``~/.cache/nearline/kafka-VERSION``, or under XDG_CACHE_HOME."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nearline" / f"kafka-{version}"


def java_major(version_text: str) -> int | None:
    """Read the release number from what ``java -version`` prints: 17 from ``17.0.2``, 8 from ``1.8.0``."""
    found = re.search(r'version "(?:1\.)?(\d+)', version_text)
    return int(found.group(1)) if found else None


def java_binary() -> str:
    """Return the java to run the broker with: that of JAVA_HOME, else of the PATH.

    Raises:
        PartMissingError: there is none, or it is older than Kafka needs.
    """
    home = os.environ.get("JAVA_HOME")
    candidate = shutil.which(str(Path(home) / "bin" / "java")) if home else None
    java = candidate or shutil.which("java")
    if java is None:
        raise PartMissingError("Apache Kafka needs java, and there is none.", way_out=_WAY_OUT)
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  # the java found above
    major = java_major(told.stderr + told.stdout)
    if major is None or major < _JAVA_NEEDED:
        found = f"version {major}" if major else "of an unknown version"
        msg = f"Apache Kafka needs Java {_JAVA_NEEDED} or newer; {java} is {found}."
        raise PartMissingError(msg, way_out=_WAY_OUT)
    return java


def kafka_jars(version: str = KAFKA_VERSION, *, cache: Path | None = None) -> Path:
    """Return a folder with the jars of an Apache Kafka broker, fetching them if it is not there yet.

    Safe when several processes ask at once: one fetches (about 45 MB), the others wait.

    Args:
        version: version of ``org.apache.kafka:kafka_2.13``.
        cache: the folder; `default_cache` when None.

    Raises:
        PartMissingError: the jars are not there and mvn is not installed.
        EmbeddedError: Maven could not fetch them.
    """
    home = cache or default_cache(version)
    lib = home / "lib"
    if lib.is_dir():
        return lib
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not lib.is_dir():
            _fetch(version, lib)
    return lib


def _fetch(version: str, lib: Path) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        msg = f"Apache Kafka {version} is not in {lib} and there is no mvn to fetch it with."
        raise PartMissingError(msg, way_out=_WAY_OUT)
    with tempfile.TemporaryDirectory(dir=lib.parent) as work:
        pom = Path(work) / "pom.xml"
        pom.write_text(_POM.format(kafka=version, slf4j=_SLF4J_VERSION))
        fetched = Path(work) / "lib"
        argv = [mvn, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        argv += [f"-DoutputDirectory={fetched}", "-DincludeScope=runtime"]
        try:
            done = subprocess.run(  # noqa: S603  # the mvn found above, no shell
                argv, capture_output=True, text=True, check=False, timeout=_FETCH_TIMEOUT_S
            )
        except subprocess.TimeoutExpired as error:
            msg = f"Maven did not fetch Apache Kafka {version} within {_FETCH_TIMEOUT_S} s."
            raise EmbeddedError(
                msg, way_out="Check the network and Maven's settings, then try again."
            ) from error
        if done.returncode != 0 or not any(fetched.glob("kafka_2.13-*.jar")):
            said = " ".join((done.stdout + done.stderr).split())[-600:]
            msg = f"Maven could not fetch Apache Kafka {version}: {said}"
            raise EmbeddedError(msg, way_out="Check the network and Maven's settings, then try again.")
        # Whole or not at all: a folder named lib is taken as complete.
        fetched.rename(lib)
