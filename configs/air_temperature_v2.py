import json
from collections.abc import Iterator, Mapping


def parse(body: bytes, row: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """One record a station and minute."""
    for reading in json.loads(body)["data"]["readings"]:
        for entry in reading["data"]:
            yield {"timestamp": reading["timestamp"], **entry}
