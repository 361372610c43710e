"""`python -m tests.benchmarks.capture.producing FILE`: send ready messages with kafka-python alone, and print the time.

The reference for capture: the same bytes to the same partitions with the same settings of the same client, from memory.
"""

import sys
import time
from pathlib import Path

import msgspec
from kafka import KafkaProducer

from ims.runtime.settings import Settings
from producers.events import publisher


class ReadyMessages(msgspec.Struct, frozen=True):
    """The messages to send, and their destination.

    Attributes:
        messages: partition, key and value of each, in order.
    """

    bootstrap_servers: str
    topic: str
    messages: list[tuple[int, bytes, bytes]]


class Sent(msgspec.Struct, frozen=True):
    """The wall-clock and CPU time until Kafka had acknowledged everything, in seconds."""

    seconds: float
    cpu_seconds: float


def send(ready: ReadyMessages) -> Sent:
    """Send everything and wait for the last acknowledgement."""
    settings = Settings(kafka_bootstrap_servers=ready.bootstrap_servers, kafka_topic=ready.topic)
    producer = KafkaProducer(**publisher.producer_options(settings))  # kafka-python's own, not capture's
    producer.partitions_for(ready.topic)
    topic, messages = ready.topic, ready.messages
    began, cpu = time.perf_counter(), time.process_time()
    for partition, key, value in messages:
        producer.send(topic, value=value, key=key, partition=partition)
    producer.flush()
    sent = Sent(time.perf_counter() - began, time.process_time() - cpu)
    producer.close()
    return sent


if __name__ == "__main__":
    given = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=ReadyMessages)
    sys.stdout.buffer.write(msgspec.json.encode(send(given)))
