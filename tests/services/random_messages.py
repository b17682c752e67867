"""Messages that nobody would send, made from the contracts themselves: a new rpc or field is covered at once.

Three kinds: any values in any fields; values that fit their fields, so that a call gets past its checks; and those,
damaged on the wire.
"""

from __future__ import annotations

import random
import string
from typing import Any

import pyarrow as pa
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

STRANGER = "02:00:00:00:00:01"  # a device of no honest record
AT = 1_727_740_800  # 2024-10-01, in seconds

_WORDS = ["", "wifi", "bikes", "core", "place", "client_mac", "ap_name", STRANGER, "ap-1", "lund", "lund/1", "*"]
_WORDS += ["\0", "\n", "' OR 1=1 --", "../../etc/passwd", "%s%n", "{0}", "ÅÄÖ", "\u202e", "😀" * 50, "a" * 10_000]
_INTEGERS = [0, 1, -1, 2, 7, 127, 128, 255, 65_535, 65_536, 1 << 31, (1 << 31) - 1, -(1 << 31), (1 << 32) - 1]
_INTEGERS += [1 << 32, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1, AT, AT * 1_000, 253_402_300_799, 253_402_300_800]
_FLOATS = [0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 1e308, 5e-324]
_BITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}
_DEEPEST = 6


class Messages:
    """Makes messages; the same seed makes the same ones."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._batch = _arrow_batch()
        self._fitting: dict[str, list[Any]] = {
            "dataset": ["wifi", "wifi", "bikes", ""],
            "device": [STRANGER, "0200.0000.0001", STRANGER.upper()],
            "place": ["", "ap-1", "ap-2"],
            "subject": ["", STRANGER],
            "columns": ["client_mac", "ap_name", "association_time"],
            "contract": ["lund"],
            "station": ["lund/1", "Lund/7"],
            "purpose": ["", "fuzzing"],
            "arrow": [self._batch],
            "json_lines": [f'{{"client_mac": "{STRANGER}", "ap_name": "ap-9"}}', "", "{}\n{}"],
        }

    def bytes_for(self, message: Descriptor) -> bytes:
        """A message of a type, or what was one."""
        kind = self._chance.random()
        if kind < 0.35:
            return self._random(message, 0).SerializeToString()
        fitting = self._fit(message).SerializeToString()
        return fitting if kind < 0.5 else self._damaged(fitting)

    def fitting(self, message: Descriptor) -> bytes:
        """A message of a type that fits, as far as its field names tell."""
        return self._fit(message).SerializeToString()

    def text(self) -> str:
        """Any text."""
        if self._chance.random() < 0.7:
            return self._chance.choice(_WORDS)
        return "".join(self._chance.choices(string.printable, k=self._chance.randrange(40)))

    def octets(self, most: int) -> bytes:
        """Any bytes."""
        return self._chance.randbytes(self._chance.choice([0, 1, 15, 16, 17, self._chance.randrange(most)]))

    def _random(self, descriptor: Descriptor, depth: int) -> Message:
        message = message_factory.GetMessageClass(descriptor)()
        for field in descriptor.fields:
            if depth < _DEEPEST and self._chance.random() < 0.7:
                self._put(message, field, [self._value(field, depth) for _ in range(self._count(field))])
        return message

    def _count(self, field: FieldDescriptor) -> int:
        return self._chance.choice([0, 1, 2, 3, 40]) if field.is_repeated else 1

    def _value(self, field: FieldDescriptor, depth: int) -> Any:
        kind = field.cpp_type
        if kind == FieldDescriptor.CPPTYPE_MESSAGE:
            assert field.message_type is not None
            return self._random(field.message_type, depth + 1)
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self.octets(400) if field.type == FieldDescriptor.TYPE_BYTES else self.text()
        if kind in _BITS:
            least, most = _BITS[kind]
            return min(max(self._chance.choice(_INTEGERS), least), most)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self._chance.random() < 0.5
        return self._chance.choice(_FLOATS)

    def _fit(self, descriptor: Descriptor) -> Message:
        message = message_factory.GetMessageClass(descriptor)()
        if descriptor.full_name == "google.protobuf.Timestamp":
            message.seconds = AT + self._chance.randrange(0, 86_400)  # type: ignore[attr-defined]
        elif descriptor.full_name == "google.protobuf.Duration":
            message.seconds = self._chance.choice([60, 900, 3_600])  # type: ignore[attr-defined]
        else:
            for field in descriptor.fields:
                self._put(message, field, [self._fitting_value(field)])
        if descriptor.name == "Interval":
            message.end.seconds = AT + 86_400  # type: ignore[attr-defined]
        return message

    def _fitting_value(self, field: FieldDescriptor) -> Any:
        if field.name in self._fitting and field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return self._chance.choice(self._fitting[field.name])
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            assert field.message_type is not None
            return self._fit(field.message_type)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._chance.randbytes(16) if field.name != "cursor" else b""
        return self._value(field, 0)

    def _put(self, message: Message, field: FieldDescriptor, values: list[Any]) -> None:
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            getattr(message, field.name).CopyFrom(values[0])
        else:
            setattr(message, field.name, values[0])

    def _damaged(self, octets: bytes) -> bytes:
        damaged = bytearray(octets or b"\x0a\x00")
        for _ in range(self._chance.choice([1, 1, 2, 5])):
            at = self._chance.randrange(len(damaged) + 1)
            damage = self._chance.randrange(5)
            if damage == 0 and at < len(damaged):
                damaged[at] ^= 1 << self._chance.randrange(8)
            elif damage == 1:
                del damaged[at : at + self._chance.randrange(1, 9)]
            elif damage == 2:
                damaged[at:at] = damaged[at : at + self._chance.randrange(1, 64)]
            elif damage == 3:
                damaged[at:at] = self._chance.randbytes(self._chance.randrange(1, 20))
            else:
                damaged += b"\xfa\x3f\x04junk"  # field 1023, which no message has
        return bytes(damaged)


def _arrow_batch() -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"client_mac": [STRANGER], "ap_name": ["ap-9"], "association_time": ["2024-10-02T08:00:00Z"]})
    table = table.append_column("session_duration", pa.array(["45"]))
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
