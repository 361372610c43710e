"""Debezium's PostgreSQL connector on Kafka Connect in standalone mode, as it is run in capture's place."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from deploy.local.process import free_port, running_process
from tests.benchmarks.debezium.topic_arrivals import BenchTopic
from tests.support.servers import java

POM: Final = Path(__file__).parent / "pom.xml"

_JAVA_OPTIONS: Final = (
    # Those of Kafka's own connect-standalone.sh.
    "-Xms256M",
    "-Xmx2G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
)

_WORKER: Final = """\
bootstrap.servers={kafka}
key.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
offset.storage.file.filename={folder}/offsets
offset.flush.interval.ms=10000
listeners=http://127.0.0.1:{port}
connector.client.config.override.policy=All
"""

_CONNECTOR: Final = """\
name=debezium
connector.class=io.debezium.connector.postgresql.PostgresConnector
tasks.max=1
database.hostname={host}
database.port={port}
database.user={user}
database.password={password}
database.dbname={dbname}
plugin.name=pgoutput
publication.name={publication}
publication.autocreate.mode=disabled
slot.name={slot}
table.include.list={tables}
topic.prefix={topic}
snapshot.mode=no_data
tombstones.on.delete=false
heartbeat.interval.ms=10000
time.precision.mode=isostring
extended.headers.enabled=false
transforms=route,part
transforms.route.type=io.debezium.transforms.ToLogicalTopicRouter
transforms.route.topic.regex={topic}\\\\.public\\\\.(.*)
transforms.route.topic.replacement={topic}
transforms.route.key.enforce.uniqueness=false
transforms.part.type=io.debezium.transforms.partitions.PartitionRouting
transforms.part.partition.payload.fields=change.owner_id
transforms.part.partition.topic.num={partitions}
"""


@contextmanager
def running_debezium(
    source_dsn: str, slot: str, publication: str, tables: Sequence[str], topic: BenchTopic, folder: Path
) -> Iterator[Popen[bytes]]:
    """Run Debezium from a slot's position on, until the block is left.

    Args:
        source_dsn: the source, as a role that may replicate.
        slot: an existing slot, from whose position it goes on.
        publication: an existing publication.
        tables: each with its schema.
        topic: the topic of all changes; an owner's go to the same partition as from capture.
        folder: an empty folder for its files.

    Raises:
        LocalStackError: Maven cannot resolve its jars.
    """
    jars = java.jars(POM)
    for jar in jars.iterdir():
        jar.read_bytes()  # into the page cache: its start must not wait for the disk, as capture's does not
    worker, connector = folder / "worker.properties", folder / "connector.properties"
    worker.write_text(_WORKER.format(kafka=topic.kafka, folder=folder, port=free_port()))
    dsn = {"password": "", **conninfo_to_dict(source_dsn)}
    connector.write_text(
        _CONNECTOR.format(
            **{name: dsn[name] for name in ("host", "port", "user", "password", "dbname")},
            slot=slot,
            publication=publication,
            tables=",".join(tables),
            topic=topic.name,
            partitions=topic.partitions,
        )
    )
    main = "org.apache.kafka.connect.cli.ConnectStandalone"
    command = ["java", *_JAVA_OPTIONS, "-cp", f"{jars}/*", main, str(worker), str(connector)]
    with running_process(command, folder / "connect.log") as process:
        yield process
