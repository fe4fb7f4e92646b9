"""Reads a TensorBoard event file and prints its events, one JSON object a line. Any mistake in the file is an error.

    python read_events.py FILE

Written from the format's description alone, so that writer and reader share no mistake: records as in
https://www.tensorflow.org/tutorials/load_data/tfrecord, messages as in tensorflow/core/util/event.proto and
tensorflow/core/framework/summary.proto, their encoding as in https://protobuf.dev/programming-guides/encoding.
"""

import json
import struct
import sys


def masked_crc32c(data):
    """CRC-32C (polynomial 0x1EDC6F41, here reflected), bit by bit, then masked."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    """The payload of every record."""
    at = 0
    while at < len(data):
        length, checksum = struct.unpack_from("<QI", data, at)
        assert checksum == masked_crc32c(data[at : at + 8]), f"length at byte {at}"
        event = data[at + 12 : at + 12 + length]
        assert len(event) == length, f"record at byte {at} is cut off"
        (checksum,) = struct.unpack_from("<I", data, at + 12 + length)
        assert checksum == masked_crc32c(event), f"event at byte {at}"
        yield event
        at += 16 + length


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """Number and value of every field: an int, a float or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            (value,), at = struct.unpack_from("<d", data, at), at + 8
        elif kind == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
            assert len(value) == length
        elif kind == 5:
            (value,), at = struct.unpack_from("<f", data, at), at + 4
        else:
            raise AssertionError(f"wire type {kind}")
        yield key >> 3, value


def event(data):
    parts = dict(fields(data))
    told = {"wall_time": parts.pop(1), "step": parts.pop(2, 0)}
    if 3 in parts:
        told["file_version"] = parts.pop(3).decode()
    if 7 in parts:
        told["session_status"] = dict(fields(parts.pop(7)))[1]
    if 5 in parts:
        values = [dict(fields(value)) for number, value in fields(parts.pop(5)) if number == 1]
        told["scalars"] = {value[1].decode(): value[2] for value in values}
        assert len(told["scalars"]) == len(values), "a tag comes twice"
    assert not parts, f"unknown fields {list(parts)}"
    return told


def main():
    with open(sys.argv[1], "rb") as file:
        for data in records(file.read()):
            print(json.dumps(event(data)))


if __name__ == "__main__":
    main()
